"""The scanners that are bridged: how they come, go, and are exchanged while everything else runs on."""

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
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobstatus import JobStatus

PATIENCE = 300.0  # seconds for an image that is on its way from a scanner that goes
GONE = "This scanner is not bridged any more."


class BridgedScanners:
    """`scanners` are those that are bridged. `context` is set before the first of them.

    `on_bridged` is called with each that comes, `on_started` when it has been started while others were, `on_parted`
    with each that goes.
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Config, metrics: Metrics, router: Router) -> None:
        self._reactor = reactor
        self._config = config
        self._metrics = metrics
        self._router = router
        self.context: Context
        self.on_bridged: Callable[[BridgedScanner], None] = lambda scanner: None
        self.on_started: Callable[[BridgedScanner], None] = lambda scanner: None
        self.on_parted: Callable[[BridgedScanner], None] = lambda scanner: None
        self.scanners: list[BridgedScanner] = []
        self._dismissed: list[BridgedScanner] = []
        self._ending: set[Deferred[None]] = set()
        self._leaving: set[Deferred[None]] = set()
        self._started = False
        self._past_jobs: Callable[[str], Deferred[list[JobStatus]]] | None = None

    def start(self) -> None:
        """Scanners may be subscribed to from now on."""
        self._started = True
        for scanner in list(self.scanners):
            scanner.start()

    def bridge(self, section: ScannerConfig) -> BridgedScanner:
        """From now on it is bridged, and answers at its addresses."""
        scanner = BridgedScanner(self._options(section), self.context)
        self.scanners.append(scanner)
        self._metrics.scanners.append(scanner.gauges)
        self._router.add(scanner)
        self.on_bridged(scanner)
        if self._past_jobs is not None:
            self._run(self._remember(scanner, self._past_jobs), f"reading the finished jobs of {scanner.name}")
        return scanner

    async def remember(self, past_jobs: Callable[[str], Deferred[list[JobStatus]]]) -> None:
        """Give every scanner, and those that come later, the finished jobs of earlier starts, by the scanner's name."""
        self._past_jobs = past_jobs
        for scanner in list(self.scanners):
            try:
                await self._remember(scanner, past_jobs)
            except Exception:
                self.log.failure("the finished jobs of {scanner} can't be read", scanner=scanner.name)

    async def _remember(self, scanner: BridgedScanner, past_jobs: Callable[[str], Deferred[list[JobStatus]]]) -> None:
        scanner.remember(await past_jobs(scanner.name))

    def part(self, scanner: BridgedScanner, reason: str) -> None:
        """It is bridged no more, and those who listen to it are told why."""
        self._take_away(scanner)
        self._run(self._see_off(scanner, reason), f"parting with {scanner.name}")

    def _take_away(self, scanner: BridgedScanner) -> None:
        self.scanners.remove(scanner)
        self._metrics.scanners.remove(scanner.gauges)
        self._router.remove(scanner)
        self.on_parted(scanner)

    def _run(self, coroutine: Coroutine[Any, Any, None], what: str) -> None:
        running = Deferred.fromCoroutine(coroutine)
        self._ending.add(running)
        running.addErrback(lambda failure: self.log.failure("while {what}", failure, what=what))
        running.addBoth(lambda _: self._ending.discard(running))

    async def _see_off(self, scanner: BridgedScanner, reason: str | None) -> None:
        """Let end what runs; without a reason nobody is told that it is over, for another one goes on."""
        if reason is not None:
            scanner.dismiss(reason)
        leaving = Deferred.fromCoroutine(within(
            self._reactor, PATIENCE, [scanner.device.quiet(), scanner.subscribers.idle()]))
        self._leaving.add(leaving)
        try:
            await leaving
        except CancelledError:
            pass  # the gateway stops
        finally:
            self._leaving.discard(leaving)
        await scanner.stop()

    def hurry(self) -> None:
        """Wait no longer for what runs with scanners that go."""
        for leaving in list(self._leaving):
            leaving.cancel()

    # Another configuration.

    def apply(self, changes: Changes, configured: Callable[[Config], None]) -> None:
        """Let the scanners be those of another configuration; `configured` is called when those that go have gone.

        What has not changed goes on without noticing.
        """
        config = self._config = changes.config
        for scanner in [one for one in self.scanners if one.name in changes.removed]:
            self.part(scanner, GONE)
        configured(config)
        sections = {section.name: section for section in config.scanner}
        others = {section.name for section in changes.changed}
        for scanner in list(self.scanners):
            if scanner.name in others:
                self._replace(scanner, sections[scanner.name])
            else:
                scanner.adjust(self._options(sections.get(scanner.name) or scanner.options.section))
        for section in changes.added:
            self._begin(self.bridge(section))

    def _replace(self, former: BridgedScanner, section: ScannerConfig) -> None:
        """Another one under the same name; clients' subscriptions stay, what runs with the former one ends there."""
        self._take_away(former)
        scanner = self.bridge(section)
        scanner.succeed(former)
        self._begin(scanner)
        self._run(self._see_off(former, None), f"replacing {section.name}")

    def _begin(self, scanner: BridgedScanner) -> None:
        if self._started:
            scanner.start()
            self.on_started(scanner)

    @property
    def is_settled(self) -> bool:
        """Whether those that were to go have gone."""
        return not self._ending

    async def settled(self) -> None:
        """Until they have."""
        await gatherResults(list(self._ending))

    # The beginning and the end.

    def gone(self, names: set[str]) -> list[BridgedScanner]:
        """Scanners of these names that are bridged no longer: what earlier starts have left of them is to be ended."""
        known = {scanner.name for scanner in self.scanners}
        gone = [BridgedScanner(ScannerOptions(ScannerConfig(name)), self.context) for name in sorted(names - known)]
        self._dismissed += gone
        return gone

    def everyone(self) -> list[BridgedScanner]:
        """All that have to be stopped in the end."""
        return [*self.scanners, *self._dismissed]

    def _options(self, section: ScannerConfig) -> ScannerOptions:
        config = self._config
        return ScannerOptions(
            section, config.cache, config.events, section.trust(config.folder),
            announced=bool(config.discovery.client_interfaces), suffix=config.discovery.suffix,
            authorities=frozenset(
                urlsplit(listen.advertise).netloc.lower() for listen in config.listen if listen.advertise),
            served=" ".join(f"{listen.endpoint} {listen.advertise}" + (
                " TLS" if listen.certificate else "") for listen in config.listen))
