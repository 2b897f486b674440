"""A bridged scanner: connects its bridge, its connections, its subscriptions, and the clients that subscribe to it.

Clients reach it at its `resources`, the scanner notifies `sink`, and `monitor` finds the scanner.
"""

from collections.abc import Iterable
from functools import partial

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.cluster.alone import Alone
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.frontend import FrontEnd
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.bridge.health.health import Health
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.clients.authorization import Authorization
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.clients.notifications import notifications
from wsdgateway.net.clients.proxy import Proxy
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.reusedjobids import ReusedJobIds
from wsdgateway.net.clientsubscriptions import ClientSubscriptions
from wsdgateway.net.context import Context, EsclContext
from wsdgateway.net.destinations.service import PanelDestinations
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.escl.esclscanner import EsclScanner
from wsdgateway.net.events.eventsink import EventSink
from wsdgateway.net.events.jobpolling import JobPolling
from wsdgateway.net.events.takeover import Takeover
from wsdgateway.net.events.walltimestore import WallTimeStore
from wsdgateway.net.gauges import ScannerGauges
from wsdgateway.net.presence.healthwatch import HealthWatch
from wsdgateway.net.presence.monitor import Monitor
from wsdgateway.net.presence.settling import Settling
from wsdgateway.net.presence.statuscheck import StatusCheck
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.scanjobs.ownjobs import OwnJobs
from wsdgateway.net.scanners.address import ServiceLocation
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.question import Question
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.soapclient import SoapClient
from wsdgateway.net.scannersubscriptions import ScannerSubscriptions
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobstatus import JobStatus


class BridgedScanner:
    """A bridged scanner, from `start` to `stop`."""

    def __init__(self, options: ScannerOptions, context: Context,
                 destinations: SharedDestinations | None = None) -> None:
        self.options = options
        self.name = options.name
        self._context = context
        record = context.record_of(self.name)
        self.remembered: Deferred[None] = succeed(None)  # fires when `remember` has been called at the start
        self.escl: EsclScanner | None = None
        self._settling = Settling(lambda: self.monitor.is_settled)
        self.bridge = ScannerBridge(options, new_id=context.new_id, quotas=context.quotas)
        self.device = DeviceClient(
            context.sockets, options, seconds=context.seconds, writes=context.writes,
            rate_limit=RateLimit.of(options.section, context.metrics.delayed(self.name)),
            on_recovered=self.recovered, on_reachable=lambda: self.monitor.reachability_changed(),
            on_contact=lambda: self.watch.look(), holds=context.holds(self.name))
        self.watch = HealthWatch(self.name, self.bridge, self.device, clock=context.steady_clock,
                                 subscription=lambda: self.subscriptions.own)
        accounting = Accounting(
            self.name, context.metrics, context.log, seconds=context.seconds, wall=context.wall)
        requests = self.requests = SoapClient(
            self.name, self.device, context.metrics, accounting, on_broken=self.bridge.was_away)
        listed = WallTimeStore(context.store, context.steady_clock)
        self.subscriptions = ScannerSubscriptions(
            context, self.bridge, self.device, requests, listed, options=lambda: self.options,
            addresses=lambda: self.sink.addresses, on_lost=self.subscription_lost, on_change=self._subscription_changed)
        panel = self.subscriptions.panel
        self.gauges = ScannerGauges(self.bridge, lambda: self.subscriptions.on_panel, self.device,
                                    lambda: self.health)
        self._clients = ClientSubscriptions(
            context, self.bridge, self.device, panel, listed, options, record, lambda: self.subscriptions.is_refused)
        self.subscribers, self.source = self._clients.subscribers, self._clients.source
        self.sink = EventSink(
            self.bridge, self.device, self.subscribers, context.metrics, accounting, options=options,
            seconds=context.seconds, new_id=context.new_id, after_learning=self._event_learnt)
        self._takeover: Takeover | None = None
        if record is not None:
            self.sink.record = record
            self._takeover = Takeover(record, self.bridge, self.sink, context.seconds)
        self.monitor = Monitor(
            context.reactor, options, self.bridge, self.device, requests, seconds=context.seconds,
            new_id=context.new_id, version_of=context.store.metadata_version, search=context.search,
            on_change=self._presence_changed, on_found=self._found, on_doubt=self._doubted)
        self.stand_in = self.monitor.stand_in
        self._reused = ReusedJobIds(context.reactor, self.name, context.on_given_again)
        forwarder = Forwarder(self.bridge, self.device, context.metrics, seconds=context.seconds,
                              after_learning=self._learnt, on_trouble=self._in_trouble)
        question = Question(requests, self.device)
        self._status_check = StatusCheck(self.bridge, question.send, seconds=context.seconds, new_id=context.new_id,
                                         learnt=self._status_learnt, received=lambda: self.device.last_received,
                                         give_up=question.give_up, is_busy=lambda: self.device.is_scanning)
        intents = context.intents_of(self.name)
        own = JobRequests(self.bridge, self.device, forwarder, accounting, seconds=context.seconds,
                          new_id=context.new_id, intents=intents)
        self.polling = JobPolling(context.reactor, self.bridge, own, self.subscribers, context.metrics,
                                  seconds=context.seconds, new_id=context.new_id)
        self.subscribers.on_change = self._subscribers_changed
        authorization = Authorization(self.name, context.permission, accounting)
        self.own_jobs = OwnJobs(context, self.bridge, own)
        self.destinations = None if destinations is None else self._show(destinations, own)
        if context.escl is not None:
            self.escl = self._offer(context.escl, own, accounting)

        def served(front_end: FrontEnd) -> Resource:
            return Resource(Proxy(
                front_end, self.bridge, forwarder, self.source, self.stand_in, context.directed, context.metrics,
                accounting, authorization, context.repeats, seconds=context.seconds, written=self._reused.written,
                on_missing=self.monitor.locate, holds=context.holds(self.name), intents=intents,
                pass_on=partial(context.pass_on, self.name)).serve)

        self.resources = {
            b"": served(WSScan(Endpoint.DEVICE, context.new_id)),
            b"scan": served(WSScan(Endpoint.SCAN, context.new_id)),
            b"subscriptions": served(WSScan(Endpoint.SUBSCRIPTION, context.new_id)),
            b"events": notifications(self.sink)}
        if self.escl is not None:
            self.resources[b"eSCL"] = self.escl.service.address
        self._misses_service = False
        self.alone: Alone | None = None
        self._checking: IDelayedCall | None = None
        self.watch.start(self.monitor)

    def _show(self, shared: SharedDestinations, requests: JobRequests) -> PanelDestinations:
        """Make the destinations on the panel."""
        made = self.subscriptions.destinations = PanelDestinations(
            self.name, shared, self.subscriptions.panel, requests,
            lambda: self.own_jobs.execute(shared.spool, shared.room, shared.new_id),
            conditions=lambda: self.bridge.reported.conditions, clients=self.bridge.subscriptions.all,
            on_lost=self.subscriptions.check)
        self.sink.own_press = made.press_for
        return made

    def _offer(self, shared: EsclContext, requests: JobRequests, accounting: Accounting) -> EsclScanner:
        """Make the eSCL scanner."""
        return EsclScanner(
            self._context, shared, self.bridge, self.device, self.monitor, self._status_check, requests,
            self.own_jobs.execute(shared.spool, shared.room, shared.new_job_id), self.own_jobs.leftovers, accounting,
            options=lambda: self.options, is_away=lambda: self.health.reachable is False)

    async def stop_own_jobs(self) -> None:
        """Cancel the gateway's own jobs."""
        self.own_jobs.stop_leftovers()
        if self.destinations is not None:
            self.destinations.scans.close()
        if self.escl is not None:
            self.escl.jobs.close()
        await self.own_jobs.stop()
        if self.destinations is not None:
            await self.destinations.scans.stop()

    async def finish_own_jobs(self, seconds: float) -> None:
        """Let the gateway's own jobs end, for so many seconds, then cancel them; no scan is started at the panel."""
        waits = [Deferred.fromCoroutine(self.own_jobs.ended())]
        if self.destinations is not None:
            waits.append(self.destinations.scans.finish())
        await within(self._context.reactor, seconds, waits)
        await self.own_jobs.break_off()
        await self.stop_own_jobs()

    @property
    def health(self) -> Health:
        """The scanner's reachability, its own state, and its problem; while it is read, it is confirmed."""
        self._status_check.is_read = True
        self.watch.look()
        return self.watch.health

    @property
    def subscription_state(self) -> str:
        """The state of the gateway's own subscription as a word: "off", or one of `bridge.events.upstream_table`.

        While the scanner cannot be reached, it is not certain that it still holds the subscription.
        """
        own = self.subscriptions.own
        if own is None:
            return "off"
        return "unconfirmed" if own.listening and self.watch.health.reachable is False else own.state

    def _presence_changed(self) -> None:
        self._settling.look()
        if self.escl is not None:
            self.escl.look()
        self._context.on_presence(self.name)
        self.watch.look()

    def _store_finished(self) -> None:
        given, finished = self.bridge.table.reused, self.bridge.table.newly_finished
        while given:
            self._reused.note(given.pop(0))
        while finished:
            self._context.on_finished(self.name, finished.pop(0))

    def remember(self, jobs: Iterable[JobStatus]) -> None:
        """Add jobs of earlier starts, oldest first; the scanner is asked before a client is shown one."""
        self.bridge.table.remember(jobs)

    def take_over(self) -> None:
        """Learn from the events that former owners of the scanner have left, after `remember` and before `restore`.

        The scanner is asked before any job is shown. `restore` then delivers what subscribers were not given.
        """
        if self._takeover is None:
            return
        self._takeover.begin()
        self._store_finished()

    def restore(self, subscriptions: list[Subscription], held: list[Held]) -> list[Deferred[None]]:
        """Restore this scanner's subscriptions of an earlier start from the store, which may be read late.

        Each Deferred fires when an unneeded subscription at the scanner has been ended, or an attempt was made. Nothing
        can be ended before the scan service is known.
        """
        self.subscriptions.inherit(held)
        if subscriptions:
            self.bridge.synthesis.restored(self._context.seconds())
        self._clients.restore(subscriptions)
        if self._takeover is not None:
            self._takeover.deliver(self.subscribers)
        if self._checking is None:
            return []
        self._clients.recheck()
        restored = {one.identifier for one in subscriptions}
        return self._go_on_with([one for one in self.bridge.subscriptions.all() if one.identifier in restored])

    def _go_on_with(self, subscriptions: list[Subscription]) -> list[Deferred[None]]:
        """Renew the subscriptions that the scanner holds for these clients, and end all others of earlier starts."""
        if not self.options.section.is_subscribed_to and not self.options.events.synthesize:
            return self.dismiss("The gateway no longer uses events of this scanner.")
        if self.options.section.is_subscribed_to:
            self.subscriptions.show(subscriptions)
        return self.subscriptions.end_orphans()

    def succeed(self, former: "BridgedScanner") -> None:
        """Replace another object: take over its jobs, subscribers, their queues, and the scanner's subscriptions.

        They are restored as after a restart; clients are served at once if the address is known. Must be called before
        `start`. The former object finishes its running requests, and is then stopped.
        """
        section = self.options.section
        is_there = section.is_at_place_of(former.options.section)
        self.sink.addresses = former.sink.addresses
        self.own_jobs.succeed(former.own_jobs)
        self.subscribers.inherit(former.subscribers)
        self.subscriptions.inherit(former.hand_off())
        self.bridge.take_over(former.bridge, section.scan or (former.bridge.device if is_there else None))

    def hand_off(self) -> list[Held]:
        """Stop without ending the subscriptions at the scanner, and return them for the replacement."""
        self._stop_asking()
        return self.subscriptions.hand_off()

    def _stop_asking(self) -> None:
        self._settling.give_up()
        self.watch.stop()
        self.polling.stop()
        self.monitor.stop()
        if self._checking is not None and self._checking.active():
            self._checking.cancel()

    def adjust(self, options: ScannerOptions) -> None:
        """Apply other options; the scanner's address and name must be the same.

        The scanner's subscriptions keep their duration until they are renewed, and a client's queue keeps its size.
        """
        stopped = self.options.events.synthesize and not options.events.synthesize
        self.options = options
        for consumer in (self.device, self.bridge, self.sink, self._clients, self.monitor):
            consumer.adjust(options)
        if self.destinations is not None:
            self.destinations.configure()
        self._context.repeats.clear()
        if stopped and (self.subscriptions.is_refused or not options.section.is_subscribed_to):
            self.dismiss("The scanner provides no events, and the gateway no longer makes any.")
        self.polling.look()
        self._clients.recheck()

    def serve_alone(self, alone: Alone | None) -> None:
        """Serve the scanner within limits, because the server that gateways share is away; None: without limits again.

        The limits keep two gateways that do not know of each other from harm to the scanner and its clients.
        """
        self.alone = alone
        self.stand_in.is_hidden = alone is not None and not alone.is_owner
        for part in (self._clients, self.bridge, self.device, self.subscriptions):
            part.serve_alone(alone)
        self._context.repeats.clear()
        self.polling.look()
        self._context.on_presence(self.name)

    def heard_elsewhere(self) -> None:
        """Handle that another gateway serves the scanner, too, so that events may have gone to that one."""
        self.bridge.notifications.heard_elsewhere(self._context.seconds())

    def start(self, *, taken_over: bool = False) -> None:
        """Find the scan service, and subscribe to its events.

        The address is that of the inherited subscription, if the scanner was `taken_over` from another gateway.
        """
        self._clients.recheck()
        self.monitor.start(self.subscriptions.inherited_from if taken_over else None)

    def settled(self) -> Deferred[None]:
        """Fires when it is known where the scan service is, or why it cannot be found, or when the scanner stops."""
        return self._settling.wait()

    def _found(self, where: ServiceLocation) -> None:
        """Subscribe at the scan service, whose address is now known."""
        self._checking = self._context.reactor.callLater(self.options.events.check, self._check_on)
        if not self.options.section.is_subscribed_to:
            self._go_on_with([])
            self.polling.look()
            return
        self.subscriptions.begin(where)
        self._go_on_with(self.bridge.subscriptions.all())
        self.polling.look()

    def _doubted(self) -> None:
        """Check with the scanner that it still holds its subscriptions, and what it offers."""
        self._refresh_offer()
        self.subscriptions.recovered(was_away=True)

    def _refresh_offer(self) -> None:
        if self.escl is not None:
            self.escl.refresh()

    def dismiss(self, reason: str) -> list[Deferred[None]]:
        """End every subscription of clients, with the reason, and those that the scanner holds for them.

        Each Deferred fires after the first attempt.
        """
        self._clients.end_all(reason)
        return self.subscriptions.end_orphans()

    def _rebooted(self) -> None:
        """Handle a restart of the scanner, or a possible one."""
        self.bridge.rebooted()
        if self._takeover is not None:
            self._takeover.rebooted()

    def subscription_lost(self) -> None:
        """Handle the loss of the gateway's subscription at the scanner; those for the panel may be lost, too."""
        self._rebooted()
        self.stand_in.metadata.forget()
        self.subscriptions.rebooted()
        self._refresh_offer()

    def recovered(self, was_open: bool) -> None:
        """Handle the first answer after a failure; without a subscription, assume that the scanner has rebooted."""
        if was_open and not self.bridge.table.listening:
            self._rebooted()
        if was_open:
            self.bridge.forget_status()
            self.stand_in.metadata.forget()
            self._refresh_offer()
        self.subscriptions.recovered(was_away=was_open)

    def _subscription_changed(self, listening: bool) -> None:
        self.bridge.listens(listening)
        own = self.subscriptions.own
        if own is not None and self._takeover is not None and not self._takeover.resumed(own.is_resumed):
            self._rebooted()
        misses_service = own is not None and own.misses_service
        if misses_service and not self._misses_service:
            self._status_check.ask()  # its answer tells a scanner without events from a server that is no scanner
        self._misses_service = misses_service
        self.watch.look()

    def _subscribers_changed(self) -> None:
        """Handle a subscription of a client that was added or changed."""
        self.polling.look()
        if self.destinations is not None:
            self.destinations.check_names()

    def _event_learnt(self) -> None:
        self._store_finished()
        self.polling.look()
        if self.bridge.reported.is_doubtful:
            self._status_check.ask_anew()
        self.watch.look_at_status()

    def _status_learnt(self) -> None:
        self.polling.look_at_status()
        self.watch.look()

    def _learnt(self) -> None:
        self._store_finished()
        self.polling.look()
        self.polling.look_at_status()
        self.watch.look_at_status()
        if self.bridge.suspects_reboot:
            self.bridge.suspects_reboot = False
            self.subscriptions.check()

    def _in_trouble(self) -> None:
        """Handle a client's request that failed at the scanner, which may be rebooting."""
        self.bridge.was_away()
        self.subscriptions.check()

    def _check_on(self) -> None:
        """Check periodically, since a scanner announces neither that it reboots nor that it is switched off."""
        interval, silent = self.options.events.check, self.monitor.silent_for()
        if len(self.bridge.subscriptions) or self.subscriptions.on_panel:
            self.subscriptions.check(usual=True)
        if self.options.announced and silent > interval:
            self.stand_in.metadata.check()
            silent = 0.0  # it is being asked
        failing = self.device.contact.cause is not None or self.bridge.misfit is not None
        self._status_check.check(interval, failing=failing, silent=silent)
        self.watch.look()
        self._checking = self._context.reactor.callLater(self.options.events.check, self._check_on)

    async def stop(self) -> None:
        """End the gateway's jobs and subscriptions at the scanner, and close every connection."""
        await self.stop_own_jobs()
        self._stop_asking()
        await self._clients.store_again()
        await self.subscribers.stop()
        await self.subscriptions.stop()
        await gatherResults([self.device.stop(), Deferred.fromCoroutine(self.subscriptions.close())])
