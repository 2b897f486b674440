"""The bridged scanners: adds, removes and replaces them while the rest of the gateway keeps running.

If several gateways share scanners, one of them owns each scanner and bridges it, and the others follow it: their
requests are passed to the owner. `app.ownedscanners` begins and ends the bridging as the owner changes.
"""

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.app.scanneroptions import make_options
from wsdgateway.app.sharing import NotShared, Sharing
from wsdgateway.config.changes import Changes
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.context import Context
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.storage.store import StoreError

LAST_EXCHANGE_SECONDS = 300.0  # for an image that is still being relayed from a scanner that is removed
NOT_BRIDGED = "The gateway no longer bridges this scanner."


@attrs.define
class Routed:
    """The `resources` at a scanner's addresses, as the router mounts them."""

    name: str
    resources: Mapping[bytes, Resource]


class BridgedScanners:
    """Holds the bridged scanners in `scanners`. `context` must be set before the first one is added.

    `known` has the section of each scanner, also of those that are followed. `destinations` are the gateway's own, for
    the panels of scanners. `sharing` tells which scanners are shared with other gateways.

    `on_added` is called with each scanner that is added, `on_started` with each one that is started after `start`, and
    `on_removed` with each one that is removed or replaced. `on_left` is called instead of that with one that another
    gateway bridges from now on, and `on_known` when `known` or `scanners` may have changed.
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
        self.on_left: Callable[[BridgedScanner], None] = lambda scanner: None
        self.on_known: Callable[[], None] = lambda: None
        self.sharing: Sharing = NotShared()
        self.known: dict[str, ScannerConfig] = {}
        self.scanners: list[BridgedScanner] = []
        self._followed: dict[str, Routed] = {}
        self._dismissed: list[BridgedScanner] = []
        self._ending: set[Deferred[None]] = set()
        self._leaving: dict[Deferred[None], None] = {}
        self._started = False
        self._past_jobs: Callable[[str], Deferred[list[JobStatus]]] | None = None

    def start(self) -> None:
        """Start all scanners, and each one that is added later.

        The addresses at which they reach this gateway must be known.
        """
        self._started = True
        for scanner in list(self.scanners):
            scanner.start()

    def add(self, section: ScannerConfig) -> None:
        """Add a scanner: bridge it, or follow it until this gateway owns it."""
        self.known[section.name] = section
        if self.sharing.passes_on:
            self.follow(section.name)
        else:
            self.start_one(self.bridge(section))
        self.on_known()

    def find(self, name: str) -> BridgedScanner | None:
        """The bridged scanner of that name; None if there is none."""
        return next((scanner for scanner in self.scanners if scanner.name == name), None)

    def bridge(self, section: ScannerConfig) -> BridgedScanner:
        """Make the object of a scanner, and route requests to it."""
        scanner = self.make(section)
        self.serve(scanner)
        return scanner

    def make(self, section: ScannerConfig) -> BridgedScanner:
        """Make the object of a scanner. Requests are not routed to it yet."""
        scanner = BridgedScanner(self._options(section), self.context, self.destinations)
        self.scanners.append(scanner)
        self._metrics.scanners.append(scanner.gauges)
        self.on_added(scanner)
        self.on_known()
        if self._past_jobs is not None:
            scanner.remembered = self._run(self._remember(scanner, self._past_jobs),
                                           f"Reading the finished jobs of {scanner.name}")
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
        try:
            found = await past_jobs(scanner.name)
        except StoreError as error:
            self.log.error("{scanner}: its finished jobs cannot be read: {error}", scanner=scanner.name,
                           error=str(error))
            return
        scanner.remember(found)

    def remove(self, name: str, reason: str) -> None:
        """Remove a scanner; if this gateway bridges it, its subscribers are told the reason.

        A scanner that others go on bridging is handed over to them instead.
        """
        self.known.pop(name, None)
        scanner = self.find(name)
        served = self._followed.pop(name, None) or scanner
        if served is not None:
            self._router.remove(served)
        if self.sharing.passes_on:
            self.sharing.removed(name, reason)
        elif scanner is not None:
            self.dismiss(scanner, reason)
        self.on_known()

    def dismiss(self, scanner: BridgedScanner, reason: str, *,
                seconds: float = LAST_EXCHANGE_SECONDS) -> Deferred[None]:
        """Stop bridging a scanner that was removed; its subscribers are told the reason.

        Fires when it has ended. Its running exchanges have so many seconds.
        """
        self._withdraw(scanner)
        return self._run(self._end(scanner, reason, seconds), f"Stopping {scanner.name}")

    def _withdraw(self, scanner: BridgedScanner) -> None:
        self._forget(scanner)
        self.on_removed(scanner)

    def _forget(self, scanner: BridgedScanner) -> None:
        self.scanners.remove(scanner)
        self._metrics.scanners.remove(scanner.gauges)

    # Scanners that are shared with other gateways.

    def is_served(self, name: str) -> bool:
        """True if requests for a scanner are routed to its object."""
        return name not in self._followed and self.find(name) is not None

    def follow(self, name: str, but: Mapping[bytes, Resource] = MappingProxyType({})) -> None:
        """Pass the requests for a scanner on, except those for the resources in `but`, which are by prefix."""
        followed = self._followed[name] = Routed(name, self.sharing.resources(name))
        self._router.add(Routed(name, {**followed.resources, **but}) if but else followed)

    def serve(self, scanner: BridgedScanner) -> None:
        """Route the requests for a scanner to its object."""
        self._followed.pop(scanner.name, None)
        self._router.add(Routed(scanner.name, self.sharing.guarded(scanner.name, scanner.resources)))

    def leave(self, scanner: BridgedScanner, waiting: Coroutine[Any, Any, None]) -> None:
        """Stop bridging a scanner that is followed again; its object ends when `waiting` has."""
        self._forget(scanner)
        self.on_left(scanner)
        self._run(self._end_after(scanner, waiting), f"Leaving {scanner.name}")

    async def _end_after(self, scanner: BridgedScanner, waiting: Coroutine[Any, Any, None]) -> None:
        await self._leave(Deferred.fromCoroutine(waiting))
        await scanner.stop()

    def _run(self, coroutine: Coroutine[Any, Any, None], what: str) -> Deferred[None]:
        running = Deferred.fromCoroutine(coroutine)
        self._ending.add(running)
        ended: Deferred[None] = Deferred()
        running.addErrback(lambda failure: self.log.failure("{what} failed", failure, what=what))
        running.addBoth(lambda _: self._ending.discard(running))
        running.addBoth(ended.callback)
        return ended

    async def _end(self, scanner: BridgedScanner, reason: str | None,
                   seconds: float = LAST_EXCHANGE_SECONDS) -> None:
        """Wait for exchanges and events in progress, then stop the scanner.

        Without a reason its subscribers are told nothing, since another object takes them over.
        """
        if reason is not None:
            scanner.dismiss(reason)
        await self._leave(Deferred.fromCoroutine(within(
            self._reactor, seconds, [scanner.device.quiet(), scanner.subscribers.idle()])))
        await scanner.stop()

    async def _leave(self, leaving: Deferred[None]) -> None:
        self._leaving[leaving] = None
        try:
            await leaving
        except CancelledError:
            pass  # the gateway is stopping
        finally:
            del self._leaving[leaving]

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
        for name in changes.removed:
            self.remove(name, NOT_BRIDGED)
        configured(config)
        sections = {section.name: section for section in config.scanner}
        self.known.update((name, sections[name]) for name in self.known if name in sections)
        others = {section.name for section in changes.changed}
        for scanner in list(self.scanners):
            if scanner.name in others:
                self._replace(scanner, sections[scanner.name])
            else:
                scanner.adjust(self._options(sections.get(scanner.name) or scanner.options.section))
        for section in changes.added:
            self.add(section)
        self.on_known()

    def _replace(self, former: BridgedScanner, section: ScannerConfig) -> None:
        """Replace a scanner by one with the same name, which takes over its clients' subscriptions."""
        was_served = former.name not in self._followed
        self._withdraw(former)
        scanner = self.bridge(section) if was_served else self.make(section)
        scanner.succeed(former)
        self.start_one(scanner)
        self._run(self._end(former, None), f"Replacing {section.name}")

    def start_one(self, scanner: BridgedScanner, *, taken_over: bool = False) -> None:
        """Start a scanner that was added, or taken over from another gateway, if the others have been started."""
        if self._started:
            scanner.start(taken_over=taken_over)
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
        return [self.make_to_end(name) for name in sorted(names - self.known.keys())]

    def make_to_end(self, name: str) -> BridgedScanner:
        """Make the object of a scanner only to end subscriptions that are left at it."""
        section = self.known.get(name)
        options = ScannerOptions(ScannerConfig(name)) if section is None else self._options(section)
        made = BridgedScanner(options, self.context)
        self._dismissed.append(made)
        return made

    def has_ended(self, scanner: BridgedScanner) -> None:
        """Forget one of the scanners that were made only to end what is left at them, which has been stopped."""
        self._dismissed.remove(scanner)

    def all_to_stop(self) -> list[BridgedScanner]:
        """All scanners to stop, including those that are no longer bridged."""
        return [*self.scanners, *self._dismissed]

    def _options(self, section: ScannerConfig) -> ScannerOptions:
        return make_options(section, self._config, is_shared=self.sharing.passes_on)
