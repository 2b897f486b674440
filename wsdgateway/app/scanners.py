"""The bridged scanners: adds, removes and replaces them while the rest of the gateway keeps running."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.config.changes import Changes
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.clients.router import Router
from wsdgateway.net.context import Context
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobstatus import JobStatus

LAST_EXCHANGE_SECONDS = 300.0  # for an image that is still being relayed from a scanner that is removed
NOT_BRIDGED = "The gateway no longer bridges this scanner."


class BridgedScanners:
    """Holds the bridged scanners in `scanners`. `context` must be set before the first one is added.

    `destinations` are the gateway's own, for their panels.

    `on_added` is called with each scanner that is added, `on_started` with each one that is started after `start`, and
    `on_removed` with each one that is removed or replaced.
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Config, metrics: Metrics, router: Router) -> None:
        self._reactor = reactor
        self._config = config
        self._metrics = metrics
        self._router = router
        self.context: Context
        self.destinations: SharedDestinations | None = None
        self.on_added: Callable[[BridgedScanner], None] = lambda scanner: None
        self.on_started: Callable[[BridgedScanner], None] = lambda scanner: None
        self.on_removed: Callable[[BridgedScanner], None] = lambda scanner: None
        self.scanners: list[BridgedScanner] = []
        self._dismissed: list[BridgedScanner] = []
        self._ending: set[Deferred[None]] = set()
        self._leaving: set[Deferred[None]] = set()
        self._started = False
        self._past_jobs: Callable[[str], Deferred[list[JobStatus]]] | None = None

    def start(self) -> None:
        """Start all scanners, and each one that is added later.

        The addresses at which they reach this gateway must be known.
        """
        self._started = True
        for scanner in list(self.scanners):
            scanner.start()

    def bridge(self, section: ScannerConfig) -> BridgedScanner:
        """Add a scanner, and route requests to it."""
        scanner = BridgedScanner(self._options(section), self.context, self.destinations)
        self.scanners.append(scanner)
        self._metrics.scanners.append(scanner.gauges)
        self._router.add(scanner)
        self.on_added(scanner)
        if self._past_jobs is not None:
            self._run(self._remember(scanner, self._past_jobs), f"Reading the finished jobs of {scanner.name}")
        return scanner

    async def remember(self, past_jobs: Callable[[str], Deferred[list[JobStatus]]]) -> None:
        """Load the finished jobs of earlier starts into each scanner, and into each one that is added later."""
        self._past_jobs = past_jobs
        for scanner in list(self.scanners):
            try:
                await self._remember(scanner, past_jobs)
            except Exception:
                self.log.failure("{scanner}: reading the finished jobs from the store failed", scanner=scanner.name)

    async def _remember(self, scanner: BridgedScanner, past_jobs: Callable[[str], Deferred[list[JobStatus]]]) -> None:
        scanner.remember(await past_jobs(scanner.name))

    def remove(self, scanner: BridgedScanner, reason: str) -> None:
        """Stop bridging a scanner; its subscribers are told the reason."""
        self._withdraw(scanner)
        self._run(self._end(scanner, reason), f"Stopping {scanner.name}")

    def _withdraw(self, scanner: BridgedScanner) -> None:
        self.scanners.remove(scanner)
        self._metrics.scanners.remove(scanner.gauges)
        self._router.remove(scanner)
        self.on_removed(scanner)

    def _run(self, coroutine: Coroutine[Any, Any, None], what: str) -> None:
        running = Deferred.fromCoroutine(coroutine)
        self._ending.add(running)
        running.addErrback(lambda failure: self.log.failure("{what} failed", failure, what=what))
        running.addBoth(lambda _: self._ending.discard(running))

    async def _end(self, scanner: BridgedScanner, reason: str | None) -> None:
        """Wait for exchanges and events in progress, then stop the scanner.

        Without a reason its subscribers are told nothing, since another object takes them over.
        """
        if reason is not None:
            scanner.dismiss(reason)
        leaving = Deferred.fromCoroutine(within(
            self._reactor, LAST_EXCHANGE_SECONDS, [scanner.device.quiet(), scanner.subscribers.idle()]))
        self._leaving.add(leaving)
        try:
            await leaving
        except CancelledError:
            pass  # the gateway is stopping
        finally:
            self._leaving.discard(leaving)
        await scanner.stop()

    def stop_waiting(self) -> None:
        """Stop waiting for the exchanges and events of scanners that are being removed."""
        for leaving in list(self._leaving):
            leaving.cancel()

    # Reloading the configuration.

    def apply(self, changes: Changes, configured: Callable[[Config], None]) -> None:
        """Apply the changes of the configuration. `configured` is called after the removals and before the rest.

        A scanner whose section has not changed is left undisturbed.
        """
        config = self._config = changes.config
        for scanner in [one for one in self.scanners if one.name in changes.removed]:
            self.remove(scanner, NOT_BRIDGED)
        configured(config)
        sections = {section.name: section for section in config.scanner}
        others = {section.name for section in changes.changed}
        for scanner in list(self.scanners):
            if scanner.name in others:
                self._replace(scanner, sections[scanner.name])
            else:
                scanner.adjust(self._options(sections.get(scanner.name) or scanner.options.section))
        for section in changes.added:
            self.start_one(self.bridge(section))

    def _replace(self, former: BridgedScanner, section: ScannerConfig) -> None:
        """Replace a scanner by one with the same name, which takes over its clients' subscriptions."""
        self._withdraw(former)
        scanner = self.bridge(section)
        scanner.succeed(former)
        self.start_one(scanner)
        self._run(self._end(former, None), f"Replacing {section.name}")

    def start_one(self, scanner: BridgedScanner) -> None:
        """Start a scanner that was added, if the others have been started."""
        if self._started:
            scanner.start()
            self.on_started(scanner)

    @property
    def is_settled(self) -> bool:
        """True if every scanner that was removed has ended."""
        return not self._ending

    async def settled(self) -> None:
        """Wait until every scanner that was removed has ended."""
        await gatherResults(list(self._ending))

    # Start and end of the process.

    def no_longer_bridged(self, names: set[str]) -> list[BridgedScanner]:
        """Make scanners for names that are no longer bridged, to end subscriptions that are left at them."""
        known = {scanner.name for scanner in self.scanners}
        gone = [BridgedScanner(ScannerOptions(ScannerConfig(name)), self.context) for name in sorted(names - known)]
        self._dismissed += gone
        return gone

    def all_to_stop(self) -> list[BridgedScanner]:
        """All scanners to stop, including those that are no longer bridged."""
        return [*self.scanners, *self._dismissed]

    def _options(self, section: ScannerConfig) -> ScannerOptions:
        config = self._config
        return ScannerOptions(
            section, config.cache, config.events, section.trust(config.folder),
            announced=bool(config.discovery.client_interfaces), by_escl=config.escl is not None and section.escl,
            suffix=config.discovery.suffix,
            authorities=frozenset(
                urlsplit(listen.advertise).netloc.lower() for listen in config.listen if listen.advertise),
            served=" ".join(f"{listen.endpoint} {listen.advertise}" + (
                " TLS" if listen.certificate else "") for listen in config.listen),
            source=config.cluster.source or "")
