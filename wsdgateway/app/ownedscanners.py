"""Begins and ends the bridging of shared scanners, when this gateway begins to own them and when that ends.

A scanner that is taken over is restored from the store as after a restart. Its requests are passed on, and so held,
until the scan service is known, then they are served here. One that is handed over keeps its subscriptions at the
scanner, which the next owner renews.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.app.abandonedscanners import AbandonedScanners
from wsdgateway.app.scanners import LAST_EXCHANGE_SECONDS, NOT_BRIDGED, BridgedScanners
from wsdgateway.app.storedstate import END_SECONDS, StoredState
from wsdgateway.bridge.cluster.alone import Alone
from wsdgateway.bridge.cluster.begunjobs import BegunJobs
from wsdgateway.bridge.cluster.commands import Why
from wsdgateway.bridge.events.upstreamcommands import LeftBehind
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.events.eventrecords import EventRecords
from wsdgateway.net.transport.timeouts import within
from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.store import Content, Unreadable

BEGUN_SECONDS = 30.0  # after service without a lease, in which no other owner can have come and gone unnoticed
SETTLE_SECONDS = 6.0  # until the scan service of a scanner that was taken over must be found; requests are held so long
CANCEL_SECONDS = 12.0  # beyond `stop_timeout`, for cancelling own jobs, and for the files of their pages
EVENTS, ESCL = b"events", b"eSCL"


class ISharedStore(Protocol):
    """The part of the store that holds the scanners' data of this gateway only while it owns them."""

    def take(self, scanner: str) -> Deferred[Content]:
        """Read the data of a scanner. Fails with `NotNow`, or with `Unreadable` if it starts with nothing."""

    def take_nothing(self, scanner: str) -> None:
        """Keep the data of a scanner in memory only, from nothing on."""

    def drop(self, scanner: str) -> None:
        """Forget the data of a scanner."""

    def left_behind(self, scanner: str) -> list[LeftBehind]:
        """The subscriptions that a scanner holds for this gateway; to be called before `drop`."""

    def flush(self, scanner: str) -> Deferred[None]:
        """Wait for the writes for a scanner that are on their way."""

    def rewrite(self, scanner: str) -> Deferred[None]:
        """Write all data of a scanner again."""

    def remove(self, scanner: str) -> Deferred[None]:
        """Delete all data of a scanner."""


class OwnedScanners:
    """The shared scanners that this gateway bridges because it owns them.

    `records` keeps the records of their events for the next owner. `prepare` is awaited with a scanner's name before it
    is made, `withdraw` with a scanner that another gateway may have announced, and that no gateway serves any more. A
    scanner in `abandoned` is owned only until its subscriptions and jobs are ended.
    `stop_timeout` returns the seconds for running exchanges at a hand-over. `gateways` returns how many gateways
    were registered when the shared server last answered.
    """

    log = Logger()

    def __init__(self, reactor: Any, store: ISharedStore, bridged: BridgedScanners, records: EventRecords, *,
                 prepare: Callable[[str], Awaitable[None]], withdraw: Callable[[BridgedScanner], Awaitable[None]],
                 stored: StoredState, abandoned: AbandonedScanners, stop_timeout: Callable[[], float],
                 gateways: Callable[[], int]) -> None:
        self._reactor = reactor
        self._store = store
        self._bridged = bridged
        self._records = records
        self._prepare = prepare
        self._withdraw = withdraw
        self._stored = stored
        self._abandoned = abandoned
        self._stop_timeout = stop_timeout
        self._gateways = gateways
        self._begun: dict[str, object] = {}
        self._begun_jobs: dict[str, BegunJobs] = {}
        self._is_stopping = self._ends_what_is_left = self._have_stopped = False
        self._reasons: dict[str, str] = {}

    def removed(self, name: str, reason: str) -> None:
        """Note the reason for the subscribers of a scanner that was removed from the configuration, and ends later."""
        self._reasons[name] = reason

    async def begin(self, name: str) -> None:
        """Bridge a scanner.

        Raises `NotNow` if the store cannot be read, or the gateway stops; then nothing has begun.
        """
        await self._begin(name, self._take(name), None)

    async def begin_alone(self, name: str) -> None:
        """Bridge a scanner without the shared server, so that nothing is known of it.

        Raises `NotNow` if the gateway stops.
        """
        self._store.take_nothing(name)
        await self._begin(name, None, Alone.among(self._gateways(), is_owner=False))

    async def _begin(self, name: str, taking: Coroutine[Any, Any, None] | None, alone: Alone | None) -> None:
        mark = self._begun[name] = object()
        try:
            if taking is not None:
                await taking
            await self._make(name, mark, alone)
        except Exception:
            self._give_up(name, mark)
            raise

    async def _take(self, name: str) -> None:
        """Read the scanner's data, which the former owner has stored."""
        try:
            await self._store.take(name)
        except Unreadable:
            pass  # logged by the store; the scanner starts without its subscriptions and jobs

    async def _make(self, name: str, mark: object, alone: Alone | None) -> None:
        if name in self._abandoned.names and not self._is_stopping:
            if alone is None:
                await self._abandoned.end(name)
            return
        if not self._is_stopping:
            if alone is None:
                await self._records.begin(name)
                await self._prepare(name)
            await self._stored.read_offers()
        if self._is_stopping:
            if alone is not None or not self._ends_what_is_left:
                raise NotNow("the gateway is stopping")
            await self._end_what_is_left(name)
            return
        section = self._bridged.known.get(name)
        if section is None or self._begun.get(name) is not mark:
            return  # it was removed, or the ownership has ended meanwhile
        scanner = self._bridged.make(section)
        await scanner.remembered
        if alone is None:
            scanner.take_over()
        else:
            scanner.serve_alone(alone)
        begun = self._jobs_begun(name)
        if begun is not None:
            scanner.bridge.continue_with(begun)
        await self._stored.restore(scanner)
        self._bridged.start_one(scanner, taken_over=True)
        await within(self._reactor, SETTLE_SECONDS, [scanner.settled()])
        current = self._bridged.find(name)  # a reload may have replaced the object
        if current is not None and self._begun.get(name) is mark:
            self._bridged.serve(current)

    def _jobs_begun(self, name: str) -> BegunJobs | None:
        """The jobs that began at a scanner without a lease, if that has just ended."""
        begun = self._begun_jobs.pop(name, None)
        return begun if begun is not None and self._reactor.seconds() - begun.ended_at < BEGUN_SECONDS else None

    async def _end_what_is_left(self, name: str) -> None:
        """End what a scanner holds for its former owner, which has stopped at the same time as this gateway."""
        self.log.info("{scanner}: no other gateway goes on; its subscriptions are ended", scanner=name)
        scanner = self._bridged.make_to_end(name)
        await self._withdraw(scanner)
        await within(self._reactor, END_SECONDS, await self._stored.end_held(scanner))
        await scanner.stop()
        self._bridged.has_ended(scanner)

    def _give_up(self, name: str, mark: object) -> None:
        if self._begun.get(name) is mark:
            del self._begun[name]
            scanner = self._bridged.find(name)
            if scanner is not None:
                self._leave(scanner)
                scanner.subscriptions.leave_behind(self._store.left_behind(name))
            self._store.drop(name)
            self._records.drop(name)

    def alone(self, name: str, is_alone: bool) -> None:
        """Note that the lease of a scanner that is bridged has run out without the shared server, or is back."""
        scanner = self._bridged.find(name)
        if scanner is not None:
            scanner.serve_alone(Alone.among(self._gateways(), is_owner=True) if is_alone else None)

    def regained(self, name: str) -> None:
        """Write the data of a scanner again, since the server may have lost it."""
        self._records.regained(name)
        writing = self._store.rewrite(name)
        writing.addErrback(lambda failure: self.log.failure("{scanner}: writing its data failed", failure,
                                                            scanner=name))

    def heard_elsewhere(self, name: str) -> None:
        """Handle that another gateway serves the scanner, too, or has just stopped to."""
        scanner = self._bridged.find(name)
        if scanner is not None:
            scanner.heard_elsewhere()

    async def end(self, name: str, why: Why) -> None:
        """Stop bridging a scanner; fires when this gateway sends it nothing more, apart from a running image."""
        self._begun.pop(name, None)
        reason = self._reasons.pop(name, NOT_BRIDGED)
        scanner = self._bridged.find(name)
        if scanner is None or self._have_stopped:
            await self._store.flush(name)
            self._store.drop(name)
            await self._records.end(name)
        elif why is Why.LOST:
            if scanner.alone is not None and not scanner.alone.is_owner:
                self._begun_jobs[name] = scanner.bridge.begun_jobs(self._reactor.seconds())
            self._leave(scanner)
            scanner.device.break_off()
            scanner.subscriptions.leave_behind(self._store.left_behind(name))
            self._store.drop(name)
            self._records.drop(name)
        elif why is Why.HANDED_OVER:
            await self._hand_over(scanner)
        else:
            await self._bridged.dismiss(scanner, reason, seconds=self._stop_timeout())
            await self._records.end(name)
            await self._store.remove(name)

    def stop(self, *, ends_what_is_left: bool = False) -> None:
        """Bridge nothing more.

        `ends_what_is_left`: no other gateway goes on, so what a scanner holds that this one still takes is ended.
        """
        self._is_stopping, self._ends_what_is_left = True, ends_what_is_left

    async def withdraw_unannounced(self) -> None:
        """Send Bye for the scanners that were taken over so late that this gateway has not announced them."""
        for scanner in tuple(self._bridged.scanners):
            if scanner.stand_in.service is None and scanner.watch.health.reachable is not False:
                await self._withdraw(scanner)

    def have_stopped(self) -> None:
        """Note that the process ends and the objects of all scanners have been stopped."""
        self._have_stopped = True

    async def _hand_over(self, scanner: BridgedScanner) -> None:
        """Let what runs end, without beginning anything.

        The scanner's notifications, and requests for the gateway's own jobs, are served until then.
        """
        if scanner.name in self._bridged.known:
            self._bridged.follow(scanner.name, self._resources_until_the_end(scanner))
        scanner.hand_off()
        seconds = self._stop_timeout()
        requests = within(self._reactor, seconds, [scanner.device.quiet(), scanner.subscribers.idle()])
        await within(self._reactor, seconds + CANCEL_SECONDS, [
            Deferred.fromCoroutine(requests), Deferred.fromCoroutine(scanner.finish_own_jobs(seconds))])
        scanner.device.disowned()  # what still waits is passed to the next owner
        if self._bridged.find(scanner.name) is scanner:
            self._leave(scanner)
        await self._records.end(scanner.name)
        await self._store.flush(scanner.name)
        scanner.subscriptions.leave_behind(self._store.left_behind(scanner.name))
        self._store.drop(scanner.name)

    def _resources_until_the_end(self, scanner: BridgedScanner) -> dict[bytes, Resource]:
        """The resources by prefix that this gateway serves until the scanner has been handed over."""
        served = {EVENTS: scanner.resources[EVENTS]}
        if scanner.escl is not None:
            served[ESCL] = scanner.escl.service.without_new_jobs(self._bridged.sharing.resources(scanner.name)[ESCL])
        return served

    def _leave(self, scanner: BridgedScanner) -> None:
        if scanner.name in self._bridged.known:
            self._bridged.follow(scanner.name)
        scanner.hand_off()
        self._bridged.leave(scanner, within(self._reactor, LAST_EXCHANGE_SECONDS, [scanner.device.quiet()]))
