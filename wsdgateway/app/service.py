"""The gateway as a Twisted service: builds its parts from a configuration, and starts, reloads and stops them."""

import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.admin.access import Access
from wsdgateway.admin.destinations import describe_destinations
from wsdgateway.admin.overview import Overview
from wsdgateway.admin.site import AdminSite
from wsdgateway.app.afterscan import open_after_scan
from wsdgateway.app.appsequences import Instances
from wsdgateway.app.assignedports import AssignedPorts
from wsdgateway.app.chance import Chance
from wsdgateway.app.cluster import Cluster, ClusterParts
from wsdgateway.app.controlsocket import ControlSocket
from wsdgateway.app.destinations import Destinations
from wsdgateway.app.discovery import DiscoveryService
from wsdgateway.app.escl import configure_escl, is_for_escl, make_spool, open_spool
from wsdgateway.app.esclannouncements import EsclAnnouncements
from wsdgateway.app.esclports import EsclPorts
from wsdgateway.app.exchangelog import ExchangeLogging
from wsdgateway.app.listeners import Listeners
from wsdgateway.app.messageids import MessageIds
from wsdgateway.app.reconfiguration import Reconfiguration, describe_failure
from wsdgateway.app.refusedrequests import RefusedRequests
from wsdgateway.app.reloads import ReloadResult
from wsdgateway.app.resourcelimits import admin_limits, client_limits, client_quotas, open_files
from wsdgateway.app.scanners import BridgedScanners
from wsdgateway.app.sharedserver import open_shared_server
from wsdgateway.app.startlines import StartLines
from wsdgateway.app.startup import Startup
from wsdgateway.app.storedstate import END_SECONDS, StoredState
from wsdgateway.app.supervision import Supervision
from wsdgateway.app.synchronization import Synchronization
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.cluster.state import in_words
from wsdgateway.bridge.discovery.appsequences import GATEWAY
from wsdgateway.bridge.jobs.job import Job
from wsdgateway.config.changes import Changes
from wsdgateway.config.checks import without_password
from wsdgateway.config.reading import places_in
from wsdgateway.config.remarks import remarks
from wsdgateway.config.sections import Config, Gateway
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.clients.browserpage import BrowserPage
from wsdgateway.net.clients.discoveryendpoint import STABLE, DiscoveryEndpoint
from wsdgateway.net.clients.router import Router
from wsdgateway.net.context import Context
from wsdgateway.net.discovery.directed import DirectedDiscovery, nowhere
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.events.delivery import Deliveries
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.server.server import HTTPServer
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.interfaces import Address
from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.resolver import Resolver
from wsdgateway.net.transport.socketset import SocketSet
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.net.transport.timeouts import within
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.program import VERSION, manual
from wsdgateway.storage.opening import open_store
from wsdgateway.storage.store import IStore

STOP_MARGIN = 10.0  # seconds by which the time for a stop that systemd is told exceeds the gateway's own limits


class GatewayService(MultiService):
    """The whole gateway: listeners, scanners, store and admin site.

    `configure_log` is called with the section `[gateway]` of each configuration that is reloaded, `on_failure` when the
    gateway stops by itself, because it cannot start. `environment` has the variables with which systemd starts a
    service; those that are for one process only are removed. `chance` has its random numbers.
    """

    logger = Logger()

    def __init__(self, reactor: Any, config: Config, *, seconds: Callable[[], float] = time.monotonic,
                 wall: Callable[[], float] = time.time,
                 configure_log: Callable[[Gateway], None] = lambda section: None,
                 on_failure: Callable[[], None] = lambda: None,
                 environment: MutableMapping[str, str] | None = None, chance: Chance | None = None) -> None:
        super().__init__()
        self._on_failure = on_failure
        self.reactor = reactor
        self.config = config
        self.wall = wall
        self._seconds = seconds
        self.configure_log = configure_log
        self.metrics = Metrics()
        self.metrics.built(VERSION)
        self.metrics.config_read(wall())
        shared = self.shared = open_shared_server(
            reactor, config, wall, observe=lambda taken: counts.answered(taken), on_return=self._read_jobs)
        self.store: IStore = shared.store if shared is not None else open_store(
            reactor, config.gateway.state, config.folder, history=config.cache.history, wall=wall,
            restore=lambda content: self._stored_state.add(content), on_return=self._read_jobs)
        chance = Chance() if chance is None else chance
        self.message_ids = MessageIds(chance.token)
        new_id = self.message_ids.new_id
        instances = self._instances = Instances(self.store, lambda: self.wall()) if shared is None else Instances(
            self.store, lambda: self.wall(), shared=lambda now: shared.store.draw_instance(now),
            shared_time=lambda: self.wall() + shared.store.offset)
        directed = DirectedDiscovery(instances.sequences, new_id, lambda name, base: self._other_bases(name, base))
        self.recording = ExchangeLogging(reactor, wall, self.metrics)
        self.recording.use(config)
        log = self.recording.log
        accounting = Accounting(None, self.metrics, log, seconds=seconds, wall=wall)
        self.listeners: list[Listener] = []
        self._permission = Permission(allow.rule for allow in config.allow)
        self._quotas = Quotas(**client_quotas(config))
        self.repeats = RepeatedRequests(self._permission, self._quotas, self.metrics, log, seconds=seconds)
        refuses_bare = is_for_escl if config.escl is not None else lambda path: False
        page = BrowserPage(lambda: self.bridged.known.values(), self._permission, lambda: self._ports.admin_url(),
                           manual())
        self.router = Router(accounting, self._quotas, self.repeats.clear, page.answer, refuses_bare)
        self._files = open_files()
        writes = WriteScheduler(reactor)
        sockets = SocketSet(reactor, writes)
        self._slices = TimeSlices(reactor, chance.cpu_seconds)
        self.deliveries = Deliveries(reactor, self._files // 2, self._slices)
        self.sink_policy = SinkPolicy(
            reactor, config.events.client_networks, lambda: self._ports.own_addresses())
        spool, room = make_spool(config)
        steady_clock = SteadyClock(seconds, wall)
        self.after_scan = open_after_scan(reactor, config, self.metrics, steady_clock)
        self.destinations = Destinations(reactor, config, spool, room, self.metrics, self.after_scan, wall)
        self.escl = open_spool(config, spool, room, self.destinations.shared.converter, self.metrics)
        self.bridged = BridgedScanners(reactor, config, self.metrics, self.router)
        self.scanners = self.bridged.scanners
        speaks = self._speaks
        discovery = DiscoveryEndpoint(
            lambda: self.scanners, directed, self._permission, accounting, new_id, speaks=speaks,
            elsewhere=lambda exchange: nowhere() if self.cluster is None else self.cluster.elsewhere.matches(exchange))
        for path in (b"/", STABLE):
            self.router.mount(path, discovery.resource)
        self.discovery = DiscoveryService(
            reactor, config, seconds=seconds, parameters=MessageParameters(
                new_id, chance.fraction, config.discovery.announce_rate), sequences=instances.sequences,
            is_own=self.message_ids.is_own, on_message=self.recording.discovery, accounting=accounting,
            metrics=self.metrics, store=self.store, allows=lambda *asked: self._permission.allows(*asked),
            base_on=lambda link, client: self._ports.base_on(link, client), bridged=self.bridged,
            speaks=speaks,
            others=lambda name, base, link: self._other_bases(name, base, link.interface.addresses))
        self.announcements = EsclAnnouncements(reactor, config, self.scanners, lambda: self.escl_ports,
                                               lambda: self._ports.open_ports(), seconds=seconds)
        self.bridged.on_left = self._left
        self.bridged.context = Context(
            reactor, seconds, wall, new_id, self.metrics, log, self.store, self._permission, self._quotas,
            self.sink_policy, self.deliveries, directed, self._presence_changed, self.discovery.resolve,
            lambda device, zone: self._ports.events_base(device, zone), self._finished,
            lambda *given: self.store.supersede(*given), self._slices, chance.fraction, chance.token,
            escl=self.escl, steady_clock=steady_clock, sockets=sockets, writes=writes, repeats=self.repeats)
        self.bridged.destinations = self.destinations.shared
        self._stored_state = StoredState(reactor, self.store, self.bridged, self.discovery, self.escl,
                                         lambda: self.wall())
        self.synchronization = Synchronization(
            instances, self.discovery, self.scanners, lambda: self.escl_ports.refresh())
        self.cluster: Cluster | None = None
        if shared is not None:
            counts = self.metrics.watch_cluster(lambda: [] if self.cluster is None else self.cluster.state.ownerships())
            self.cluster = Cluster(
                reactor, config, shared, self.bridged, ClusterParts(
                    self.metrics, counts, self.router, discovery.resource, self.repeats, accounting, log,
                    sockets, writes, new_id, seconds, wall, lambda: self._ports.own_bases() if self.listeners else (),
                    self.synchronization.prepare, self.synchronization.withdraw, self.synchronization.synchronize,
                    self._tried, self._cannot_stay),
                self._stored_state)
            self.cluster.join()
            self.discovery.may_adopt = self.cluster.may_adopt
        for scanner in config.scanner:
            if scanner.bridge:
                self.bridged.add(scanner)
        refusals = RefusedRequests(accounting, self.metrics, self.recording, self.router, seconds)
        self.server = HTTPServer(
            reactor, seconds=seconds, wall=wall, limits=client_limits(config, self._files),
            respond=self.router.respond, refused=refusals.refused, base=lambda host, port: self._ports.base(host, port),
            log=log, quotas=self._quotas, denied=refusals.denied, broken_off=refusals.unread,
            writes=writes, repeated=self.repeats.serve, is_partial=self.repeats.is_partial,
            refuses_bare=refuses_bare)
        assigned = AssignedPorts(self.store)
        assigned.may_assign = lambda name: shared is None or (
            (scanner := self.bridged.find(name)) is not None and scanner.alone is None)
        if self.cluster is not None:
            assigned.is_known_elsewhere = self.cluster.is_known_elsewhere
        self.escl_ports = EsclPorts(reactor, sockets, config, self.server, self.router, self.bridged.known, assigned,
                                    lambda host: self._ports.base_at(host), wall=wall)
        self.escl_ports.on_change = self._escl_changed
        self.bridged.on_known = self._scanners_changed
        overview = self.overview = Overview(
            config.gateway.name, self.scanners, self.listeners, self.metrics, log, self.store.finished,
            wall, seconds, self._warnings,
            lambda: self._ports.client_base(), self.escl_ports, self.announcements.places,
            None if self.escl is None else self.escl.room,
            lambda: describe_destinations(self.destinations.shared, self.scanners, self.after_scan.waiting),
            cluster=None if self.cluster is None else self.cluster.state)
        access = Access(config.admin.token, config.admin.hosts, seconds)
        self.site = AdminSite(reactor, overview, access, self.message_ids.instance, admin_limits(config, self._files),
                              self.reload_and_report)
        self._control = ControlSocket(reactor, environment or {}, self.reload_and_report)
        self.supervision = Supervision(reactor, {} if environment is None else environment, self._problems,
                                       lambda: self._startup.was_tried,
                                       self._describe)
        self._reconfiguration = Reconfiguration(
            lambda: self.config, self.bridged, self.metrics, self.supervision, lambda: self.wall(),
            lambda: bool(self.running) and self._loading is not None, self._apply)
        self._ports = Listeners(reactor, sockets, config, self.server, self.site, wall, self._tried)
        self.metrics.watch_certificates(lambda: [
            *self._ports.certificates(), *self.escl_ports.certificates(),
            *([] if self.cluster is None else self.cluster.port.certificates())])
        self.metrics.watch_store(lambda: self.store.warning() is not None)
        self._start_lines = StartLines(config, VERSION, self._ports,
                                       lambda: list(self.bridged.known))
        self.listeners += self._ports.listeners
        self.admin = self._ports.admin
        self.resolver = Resolver(reactor)
        self._startup = Startup(self._own_listeners, self.listeners, lambda: self.escl_ports.listeners, self._begin)
        self._is_ending = False
        self._loading: Deferred[None] | None = None

    def _own_listeners(self) -> list[Listener]:
        """The listeners for clients, for the admin site, and for other gateways."""
        peers = [] if self.cluster is None or self.cluster.port.listener is None else [self.cluster.port.listener]
        return [*self.listeners, self.admin, *peers]

    def _read_jobs(self) -> None:
        self._stored_state.read_jobs()

    @property
    def instance_id(self) -> int:
        """The InstanceId of discovery messages that was drawn last."""
        return self._instances.sequences.instance_id

    def _warnings(self) -> list[str]:
        """Problems for the admin site to show that do not keep clients from being served."""
        warnings = (self.store.warning(), self._reconfiguration.reloads.warning)
        differences = () if self.cluster is None else self.cluster.state.differences()
        return [*(warning for warning in warnings if warning is not None), *differences]

    def _problems(self) -> list[str]:
        """The reasons why not every listener is open; empty if all are."""
        others = [one for one in self._own_listeners() if one not in self.listeners]
        return [*self.overview.problems(), *(f"{one.endpoint}: {one.problem}" for one in others if one.port is None)]

    def _describe(self) -> str:
        """The state of the gateway for `systemctl status`."""
        # Not `scanner.health`: to read that has the scanner asked.
        reachable = sum(scanner.watch.health.reachable is True for scanner in self.scanners)
        said = f"{reachable} of {len(self.scanners)} scanners reachable"
        cluster = self.overview.cluster
        return said if cluster is None else f"{said}; {in_words(cluster.ownerships())}"

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for listener in self._own_listeners():
            listener.privilegedStartService()

    def startService(self) -> None:
        for line in remarks(self.config):
            self.logger.warn("{line}", line=line)
        super().startService()
        self.supervision.start()
        self._control.start()
        self.resolver.start()
        self.site.start()
        self._loading = Deferred.fromCoroutine(self._load())
        self._loading.addErrback(self._not_loaded)

    async def _load(self) -> None:
        """Restore the content of the store, then open the listeners."""
        if self.cluster is not None:
            await self.cluster.load()
            if self._is_ending:
                return
        await self._instances.start()
        await self._stored_state.load()
        await self.escl_ports.load()
        if self.running:
            self.after_scan.start()
        if self.escl is not None and self.running:
            self.announcements.start()
        for listener in self._own_listeners():
            if self.running:
                listener.setServiceParent(self)

    # Other gateways.

    def _left(self, scanner: BridgedScanner) -> None:
        """Announce a scanner no longer, which another gateway owns from now on, if one is configured for it."""
        if self.cluster is not None and self.cluster.is_known_elsewhere(scanner.name):
            self.discovery.left(scanner)
            self.announcements.leave(scanner.name)
        else:
            self.discovery.removed(scanner)
            self.announcements.changed()

    def _speaks(self, name: str) -> bool:
        """True for the gateway itself, and for a scanner that no other gateway owns."""
        return self.shared is None or name == GATEWAY or self.shared.leases.of(name).holds()

    def _other_bases(self, name: str, base: str, addresses: tuple[Address, ...] | None = None) -> Iterable[str]:
        return () if self.cluster is None else self.cluster.other_bases(name, base, addresses)

    def _scanners_changed(self) -> None:
        self.escl_ports.changed()
        if self.cluster is not None:
            self.cluster.adjust()

    def _cannot_stay(self, reason: str) -> None:
        if not self._is_ending:
            self._is_ending = True
            self.logger.error("The gateway stops: {reason}", reason=reason)
            self._end()

    # Reloading the configuration.

    @property
    def reloading(self) -> Deferred[None] | None:
        """Fires when the reload in progress has ended; None between two."""
        return self._reconfiguration.reloads.running

    async def reload_and_report(self) -> ReloadResult:
        """Reload as for SIGHUP, once a reload in progress has ended, and return the result."""
        return await self._reconfiguration.reload_and_report(self.reload)

    def reload(self) -> None:
        """Handle SIGHUP: reopen the exchange log's file, retry the store, and read the configuration again."""
        self.recording.reopen()
        self.store.retry()
        self._reconfiguration.start()

    def _apply(self, changes: Changes) -> None:
        """Use another configuration."""
        config = self.config = changes.config
        self.configure_log(config.gateway)
        self.server.limits = client_limits(config, self._files)
        self._ports.configure(config)
        self._permission.change(allow.rule for allow in config.allow)
        self._quotas.change(**client_quotas(config))
        self.sink_policy.networks = config.events.client_networks
        self.site.connections.limits = admin_limits(config, self._files)
        self.site.access.change(config.admin.token, config.admin.hosts)
        self.recording.use(config)
        self.after_scan.configure(config)
        self.destinations.configure(config)
        if "cache" in changes.sections:
            limiting = self.store.limit(config.cache.history)
            limiting.addErrback(lambda failure: self.logger.failure("Deleting old jobs from the store failed", failure))
        if self.cluster is not None:
            self.cluster.configure(config)
        self.bridged.apply(changes, self.discovery.configure)
        self.escl_ports.configure(config)
        self.announcements.configure(config)
        configure_escl(self.escl, config)

    def _not_loaded(self, failure: Failure) -> None:
        place = places_in(self.config.file)(("gateway", "state"))
        self.logger.error("{place}: [gateway] state = {state}: the gateway does not start, because restoring the "
                          "content of the store failed: {problem}. Move the file away, or replace it with a good copy",
                          place=place, state=without_password(self.config.gateway.state),
                          problem=describe_failure(failure))
        self._end()

    def _end(self) -> None:
        """Stop the program, because the gateway cannot start."""
        self._on_failure()
        self.reactor.callLater(0, self.reactor.stop)

    def _cannot_open(self, refused: list[Listener]) -> None:
        if not self._is_ending:
            self._is_ending = True
            self.logger.error("The gateway does not start, because it cannot listen at {endpoints}; the reason is in "
                              "the lines above", endpoints=", ".join(one.endpoint for one in refused))
            self._end()

    def _escl_changed(self) -> None:
        self.announcements.changed()
        self.supervision.changed()

    def _presence_changed(self, name: str) -> None:
        """Announce a change of a scanner to clients, unless another gateway may announce it, too."""
        scanner = self.bridged.find(name)
        if scanner is None or scanner.alone is None:
            self.discovery.changed(name)
        self.announcements.changed()

    def _tried(self) -> None:
        """Start the scanners once the ports at which they reach this gateway are known, and none is refused."""
        refused = self._startup.refused()
        if refused:
            self._cannot_open(refused)
            return
        self._start_lines.tried()
        self.announcements.changed()
        self.supervision.changed()
        self._startup.look()

    def _begin(self) -> None:
        """Start the scanners, and what needs the gateway's own addresses."""
        self.destinations.start()
        self.bridged.start()
        if self.config.discovery.is_on:
            self.discovery.setServiceParent(self)
        if self.cluster is not None:
            self.cluster.start()

    def _finished(self, scanner: str, job: Job) -> None:
        status = job.status
        assert status is not None
        self._quotas.job_ended(scanner, status.job_id)
        self._stored_state.job_ended(scanner, status)

    async def _stop(self) -> None:
        seconds = self.config.limits.stop_timeout + END_SECONDS
        # A hand-over comes first, and before that the question whether another gateway lives.
        before = 0.0 if self.cluster is None else seconds + 2 * self.config.cluster.lease
        self.supervision.stopping(before + seconds + STOP_MARGIN)
        await self._control.stop()
        if self._loading is not None:
            await self._loading
        handed_over = self.cluster is not None and await self.cluster.stop_owning()
        if self.discovery.running:
            await self.discovery.stopService()
        await self.announcements.stop()
        for listener in self.listeners:
            await listener.stopService()
        await self.escl_ports.stop()
        scanners = self.bridged.all_to_stop()
        then = ("other gateways have taken the scanners" if handed_over else
                f"then the subscriptions at {len(self.scanners)} scanner(s) are ended")
        self.logger.info("Stopping: running requests have {seconds:g} s to finish; {then}",
                         seconds=self.config.limits.stop_timeout, then=then)
        self.server.drain()
        self.bridged.stop_waiting()
        await within(self.reactor, self.config.limits.stop_timeout, [
            self.server.empty(), *(scanner.subscribers.idle() for scanner in scanners),
            *(Deferred.fromCoroutine(scanner.stop_own_jobs()) for scanner in scanners)])
        await gatherResults([Deferred.fromCoroutine(self.bridged.settled()),
                             *(Deferred.fromCoroutine(scanner.stop()) for scanner in scanners)])
        if self.cluster is not None:
            await self.cluster.stop()
        await self.destinations.stop()
        self.deliveries.stop()
        self._slices.stop()
        await self.server.close_all()
        self.site.stop()
        await self.admin.stopService()
        await self.recording.stop()
        await self.store.close()
        if self.shared is not None:
            await self.shared.close()
        await self.destinations.shared.converter.stop()
        if self.escl is not None:
            self.escl.spool.close()
        self.resolver.stop()
        self.supervision.stop()

    def stopService(self) -> Deferred[None]:
        self.running = False
        return Deferred.fromCoroutine(self._stop())
