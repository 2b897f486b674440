"""Composes the part of this gateway among others on one Redis server: ownership, takeovers, and the link to them.

`net.cluster.coordinator` decides with the others which gateway owns each scanner, `app.ownedscanners` begins and ends
the bridging, and `app.sharedscanners` passes on the requests for the other scanners.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import attrs
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from wsdgateway.app.abandonedscanners import AbandonedScanners
from wsdgateway.app.clusterregistration import OwnRegistration
from wsdgateway.app.otherbases import OtherBases
from wsdgateway.app.ownedscanners import OwnedScanners
from wsdgateway.app.peerport import PeerPort
from wsdgateway.app.scanners import BridgedScanners
from wsdgateway.app.serverchecks import ServerChecks
from wsdgateway.app.sharedscanners import SharedScanners
from wsdgateway.app.sharedserver import SharedServer
from wsdgateway.app.storedstate import END_SECONDS, StoredState
from wsdgateway.app.strays import Strays
from wsdgateway.bridge.cluster.values import View
from wsdgateway.clustermetrics import ClusterMetrics
from wsdgateway.config.cluster import peer_trust
from wsdgateway.config.sections import Config
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.cluster.clusterstate import CoordinatedState
from wsdgateway.net.cluster.coordinator import Coordinator
from wsdgateway.net.cluster.elsewhere import Elsewhere
from wsdgateway.net.cluster.inquiry import ask_over
from wsdgateway.net.cluster.ownedscanner import Composition
from wsdgateway.net.cluster.passingcontext import PassingContext
from wsdgateway.net.cluster.peerlink import PeerLink, limits_for
from wsdgateway.net.cluster.peerserver import PeerServer, peer_limits
from wsdgateway.net.events.eventrecords import EventRecords
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.scanners.jobcounts import JobCounts
from wsdgateway.net.scanners.jobintents import JobIntents
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.storage.store import StoreError

LOOK_SECONDS = 1.0  # between looks at the last answer of the server, and at what owned scanners answer
ABANDONED_SECONDS = 60.0  # between looks for scanners that no gateway is configured for any more
SYNC_SECONDS = 5.0  # between looks for what other gateways have adopted and assigned


@attrs.frozen
class ClusterParts:
    """The parts of the gateway that the cluster uses.

    The connections of the peer link belong to `sockets`, which takes the place of the reactor for them. `directory`
    answers discovery requests for all scanners. `bases` returns the base URLs for clients that no other gateway has.
    `prepare` is awaited with the name of a scanner before it is taken over, `withdraw` with one that no gateway serves
    any more. `synchronize` reads what all gateways share. `tried` is called after each attempt to open `[cluster]
    endpoint`, `cannot_stay` with the reason why the gateway must stop.
    """

    metrics: Metrics
    counts: ClusterMetrics
    router: Router
    directory: Resource
    repeats: RepeatedRequests
    general: Accounting
    log: ExchangeLog
    sockets: Any
    writes: WriteScheduler
    new_id: Callable[[], str]
    seconds: Callable[[], float]
    wall: Callable[[], float]
    bases: Callable[[], Iterable[str]]
    prepare: Callable[[str], Awaitable[None]]
    withdraw: Callable[[BridgedScanner], Awaitable[None]]
    synchronize: Callable[[], Awaitable[None]]
    tried: Callable[[], None]
    cannot_stay: Callable[[str], None]


class Cluster:
    """This gateway among those that share its scanners."""

    log = Logger()

    def __init__(self, reactor: Any, config: Config, shared: SharedServer, bridged: BridgedScanners,
                 parts: ClusterParts, stored: StoredState) -> None:
        self._reactor = reactor
        self._config = config
        self._shared = shared
        self._bridged = bridged
        self._parts = parts
        self._checks = ServerChecks(shared, parts.cannot_stay)
        self._last_view: View | None = None
        self._is_started = False
        self._throttle = LogThrottle()
        self.strays = Strays(reactor, shared.store, parts.wall)
        self._calls = tuple((LoopingCall(self._try, work), seconds) for work, seconds in (
            (self._synchronize, SYNC_SECONDS), (self._look_at_scanners, LOOK_SECONDS),
            (self.end_abandoned, ABANDONED_SECONDS), (self.strays.look, SYNC_SECONDS)))
        self._abandoned = AbandonedScanners(reactor, shared.store, bridged, stored)
        leases = shared.leases
        self.records = EventRecords(reactor, shared.events, token=lambda name: leases.of(name).token,
                                    is_alone=lambda name: leases.of(name).is_alone,
                                    on_fenced=lambda name: self.coordinator.fenced(name))
        self.owned = OwnedScanners(
            reactor, shared.store, bridged, self.records, prepare=parts.prepare, withdraw=parts.withdraw,
            stored=stored, abandoned=self._abandoned, stop_timeout=lambda: self._config.limits.stop_timeout,
            gateways=self._count_gateways)
        self.registration = OwnRegistration(reactor, config, shared.identifier, bridged.known, shared.place,
                                            self._abandoned.names, parts.bases)
        self.link = PeerLink(parts.sockets, seconds=parts.seconds, secret=lambda: self._checks.secret,
                             writes=parts.writes, trust=peer_trust(config))
        self.link.limit(*limits_for(config.scanner))
        self.coordinator = Coordinator(
            reactor, shared.coordination, shared.leases, Composition(
                self.owned.begin, self.owned.end, self.owned.regained, self._look, parts.counts.takeover,
                parts.counts.fenced, parts.cannot_stay, self.owned.begin_alone, self.owned.alone,
                self.owned.heard_elsewhere),
            registration=self.registration, boot_time=shared.boot_time, lease=config.cluster.lease,
            alone=config.cluster.alone, stop_timeout=config.limits.stop_timeout + END_SECONDS,
            ask=ask_over(self.link))
        self.state = CoordinatedState(self.coordinator, self.registration.name, shared.text, wall=parts.wall,
                                      boot_time=shared.boot_time, version=lambda: self._checks.version)
        shared.store.on_fenced = self.coordinator.fenced
        self.other_bases = OtherBases(lambda: self._config, lambda: self.coordinator.living,
                                      lambda: self.registration.is_reached).of
        self.elsewhere = Elsewhere(
            self.link, self.coordinator, identifier=shared.identifier, name=self.registration.name,
            scanners=lambda: bridged.known, seconds=parts.seconds)
        self.shared = SharedScanners(PassingContext(
            reactor, self.registration.name, shared.identifier, self.link, self.coordinator, parts.metrics,
            parts.general, self._accounting, parts.new_id), parts.router, leases, bridged.is_served,
            self.owned.removed, escl=config.escl is not None)
        self._job_counts = JobCounts(reactor, shared.events, seconds=parts.seconds)
        self.port = PeerPort(reactor, parts.sockets, config, PeerServer(
            reactor, seconds=parts.seconds, wall=parts.wall, limits=peer_limits(config.limits.request_body),
            secret=lambda: self._checks.secret, router=parts.router, repeats=parts.repeats, leases=leases,
            owners=self.coordinator, writes=parts.writes, directory=parts.directory), parts.tried, parts.wall())
        self.registration.listener = self.port.listener
        self._registered: Mapping[str, str] = {}

    def join(self) -> None:
        """Have the scanners shared; call it before the first one is added."""
        bridged, leases = self._bridged, self._shared.leases
        bridged.sharing = self.shared
        bridged.context = attrs.evolve(
            bridged.context, holds=lambda name: leases.of(name).holds, pass_on=self.shared.pass_on,
            record_of=self.records.of, intents_of=self._intents_of, may_subscribe=self._may_subscribe,
            on_left=self.strays.leave)
        bridged.context.quotas.on_change = self._job_counts.changed

    def _intents_of(self, name: str) -> JobIntents:
        lease = self._shared.leases.of(name)
        quotas = self._bridged.context.quotas
        return JobIntents(name, self._shared.events, token=lambda: lease.token, seconds=self._parts.seconds,
                          most_jobs=lambda: quotas.most_jobs, is_alone=lambda: lease.is_alone,
                          on_fenced=lambda: self.coordinator.fenced(name))

    def _may_subscribe(self, name: str) -> Callable[[], bool]:
        lease = self._shared.leases.of(name)
        return lambda: not lease.is_alone

    def _accounting(self, name: str) -> Accounting:
        parts = self._parts
        return Accounting(name, parts.metrics, parts.log, seconds=parts.seconds, wall=parts.wall)

    # Start and stop.

    async def load(self) -> None:
        """Do what must be done before the first registration."""
        await self.registration.look_up()
        await self._checks.look(self._config.cluster.lease)

    def start(self) -> None:
        """Take part: own and follow scanners from now on."""
        if not (self._is_started or self._checks.is_refused):
            self._is_started = True
            self._registered = self.registration.sections()
            self.coordinator.start()
            for call, seconds in self._calls:
                call.clock = self._reactor
                call.start(seconds)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a recurring task once. A failure is logged, and does not end the repetition."""
        try:
            await work()
        except Exception:
            if self._throttle.allows(work, self._parts.seconds()):
                self.log.failure("Reading what gateways share failed; it is tried again (logged at most once a minute)")

    async def stop_owning(self) -> bool:
        """Hand over all scanners, if another gateway is registered; returns whether that was done.

        Otherwise this gateway owns them until `stop`, and ends what other gateways leave that stop at the same time.
        """
        for call, _ in self._calls:
            if call.running:
                call.stop()
        if self._is_started and not await self.coordinator.leave():
            self.owned.stop(ends_what_is_left=True)
            await self.coordinator.take_what_is_left(self.coordinator.stop_timeout)
            await self.owned.withdraw_unannounced()
            return False
        self.owned.stop()
        if not self._is_started:
            return False
        await self.coordinator.hand_over()
        return True

    async def stop(self) -> None:
        """Release the scanners, whose objects have stopped, and end the registration and every connection."""
        self.owned.have_stopped()
        self._job_counts.close()
        await self.coordinator.stop()
        await self.strays.stop()
        await self.port.stop()
        await self.link.stop()

    # For discovery.

    def is_known_elsewhere(self, name: str) -> bool:
        """True if another gateway is configured for a scanner, or if that is not known."""
        view = self.coordinator.view
        return view is None or any(name in gateway.sections for gateway in view.gateways
                                   if gateway.identifier != self._shared.identifier)

    # For the bridged scanners.

    def may_adopt(self) -> bool:
        """True if the server that keeps the names of adopted scanners answers."""
        return self.coordinator.outage is None

    def configure(self, config: Config) -> None:
        """Use another configuration, in which the keys of `[cluster]` are the same."""
        self._config = config
        self.coordinator.stop_timeout = config.limits.stop_timeout + END_SECONDS
        self.link.limit(*limits_for(config.scanner))
        self.port.configure(config)

    def adjust(self) -> None:
        """Register for the scanners that are known now."""
        sections = self.registration.sections()
        if self._is_started and sections != self._registered:
            self._registered = sections
            self.coordinator.adjust()

    # What changes.

    def _count_gateways(self) -> int:
        view = self.coordinator.view
        return 0 if view is None else len(view.gateways)

    def _look(self) -> None:
        """Note the answer to the last tick, and tell the coordinator which scanners this gateway reaches."""
        view = self.coordinator.view
        if view is not self._last_view and view is not None:
            self._last_view = view
            self._shared.store.offset, self._shared.store.era = view.time - self._parts.wall(), view.era
        self.adjust()
        for scanner in self._bridged.scanners:
            reachable = scanner.watch.health.reachable
            if reachable is not None:
                self.coordinator.reached(scanner.name, reachable)

    async def _look_at_scanners(self) -> None:
        self._look()

    async def end_abandoned(self) -> None:
        """End what scanners hold that no gateway is configured for any more; the second look that finds one does it."""
        view = self.coordinator.view
        try:
            if view is not None:
                await self._abandoned.look(view, self._shared.identifier)
        except StoreError as error:
            self.log.debug("the scanners in the store are not known: {error}", error=error)
        self.adjust()

    async def _synchronize(self) -> None:
        try:
            await self._checks.look(self._config.cluster.lease)
            await self._parts.synchronize()
        except StoreError as error:
            if self._throttle.allows(str(error), self._parts.seconds()):
                self.log.warn("What other gateways have adopted cannot be read: {error} (logged at most once a minute)",
                              error=str(error))
