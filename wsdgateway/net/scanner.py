"""One bridged scanner at work: its bridge, its connections, its subscriptions, and those who listen to it.

The way of a request ends here in `exchanges`, the way of an event begins in `sink`.
"""

import random
from collections.abc import Callable
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.holding import Held
from wsdgateway.bridge.scanner import BridgedScanner
from wsdgateway.bridge.sightings import News
from wsdgateway.bridge.subscriptions import Subscription
from wsdgateway.eventing.source import SOURCE_CANCELING
from wsdgateway.metadata.messages import Labels
from wsdgateway.net.accounts import Accounts
from wsdgateway.net.attendance import Attendance
from wsdgateway.net.audience import Audience
from wsdgateway.net.describing import describe_device, describe_scanner, uuid_of
from wsdgateway.net.devicecall import address_of, is_http
from wsdgateway.net.deviceclient import DeviceClient
from wsdgateway.net.deviceside import DeviceSide, Whereabouts
from wsdgateway.net.eventsink import EventSink
from wsdgateway.net.eventsource import EventSource
from wsdgateway.net.exchange import Exchanges
from wsdgateway.net.failures import Unavailable
from wsdgateway.net.figures import Figures
from wsdgateway.net.leftovers import Leftovers
from wsdgateway.net.locator import Locator
from wsdgateway.net.notifier import Notifier
from wsdgateway.net.ownrequests import OwnRequests
from wsdgateway.net.pace import Pace
from wsdgateway.net.panel import Panel
from wsdgateway.net.standin import Described, Guise, StandIn
from wsdgateway.net.steady import Dated
from wsdgateway.net.subscription import DeviceSubscription
from wsdgateway.net.surroundings import ScannerOptions, Surroundings
from wsdgateway.net.turnstile import Turnstile
from wsdgateway.scan.operations import SUBSCRIBE


class Scanner:
    """One bridged scanner. `start` and `stop` are its life."""

    log = Logger()

    def __init__(self, options: ScannerOptions, around: Surroundings) -> None:
        self.options = options
        self.name = options.name
        self._around = around
        self.bridge = BridgedScanner(
            options.name, max_age=options.max_age, poll_interval=options.poll_interval, history=options.history,
            new_id=around.new_id, authorities=options.authorities, max_subscriptions=options.max_subscriptions,
            elements=options.elements, cache=options.cache, quotas=around.quotas)
        self._pace = Pace(options.max_rate, around.metrics.delayed(self.name))
        self.device = self._make_client(max_connections=options.max_connections, on_recovered=self._recovered,
                                        on_reachable=self._reachability_changed)
        accounts = Accounts(self.name, around.metrics, around.log, seconds=around.seconds, wall=around.wall)
        requests = self.requests = OwnRequests(
            self.name, self.device, lambda: self._make_client(max_connections=1), around.metrics, accounts)
        listed = Dated(around.store, around.steady)
        self.panel = Panel(around.reactor, self.bridge, listed, self.check)
        self.figures = Figures(self.bridge, self.panel, self.device)
        self._leftovers = Leftovers(
            around.reactor, make_client=requests.make_client, side=self._side,
            ask=lambda *request: requests.ask(*request), see_off=self.panel.see_off)
        self.audience = Audience(
            around.reactor, scanner=self.name, subscriptions=self.bridge.subscriptions, panel=self.panel,
            store=listed, make_notifier=self._make_notifier, now=around.steady, new_id=around.new_id,
            silence=self._silence, max_silence=options.scanner_silence)
        self.source = EventSource(
            self.name, self.bridge.subscriptions, self.audience, self.panel, listed, around.policy,
            options.client_expires, around.wall, around.steady, around.new_id, self._no_events)
        self.sink = EventSink(
            self.bridge, self.device, self.audience, around.metrics, accounts, sources=options.event_sources,
            seconds=around.seconds, new_id=around.new_id, after_learning=self._store_finished)
        guise = Guise(options.uuid or (uuid_of(options.device) if options.device is not None else None),
                      options.device is not None, options.same_identity, options.suffix, options.announced,
                      f"{options.name} {options.served}")
        self.stand_in = StandIn(
            around.reactor, scanner=self.name, guise=guise, describe=self._describe,
            version_of=around.store.metadata_version, hosts=self._hosts,
            is_here=self._is_here, new_id=around.new_id, on_change=self._stand_in_changed)
        self._locator = Locator(
            around.reactor, scanner=self.name, client=self.device, own=requests.own, elsewhere=requests.elsewhere,
            new_id=around.new_id, endpoint=options.uuid, found=self._found)
        self._attendance = Attendance(
            around.reactor, seconds=around.seconds, device=self.device, check=self.stand_in.check)
        self._exchanges = Exchanges(
            self.bridge, self.device, self.source, self.stand_in, around.directed, around.metrics,
            accounts, Turnstile(self.name, around.permission, accounts, around.new_id), seconds=around.seconds,
            new_id=around.new_id, after_learning=self._learnt, on_trouble=self.check)
        self.serve = self._exchanges.serve
        self.subscription: DeviceSubscription | None = None
        self._where: Whereabouts | None = None
        self._changes = (False, False)
        self._checking: IDelayedCall | None = None
        self._stand_in_changed()

    def _make_client(self, *, max_connections: int, on_recovered: Callable[[bool], None] = lambda was_open: None,
                     on_reachable: Callable[[], None] = lambda: None) -> DeviceClient:
        around, options = self._around, self.options
        return DeviceClient(
            around.reactor, seconds=around.seconds, max_connections=max_connections, timeout=options.timeout,
            idle_timeout=options.idle_timeout, lenient=options.lenient, trust=options.trust, pace=self._pace,
            on_recovered=on_recovered, on_reachable=on_reachable)

    async def _describe(self) -> Described:
        device = self._locator.device or self.options.device
        if device is not None:
            return await describe_device(self.requests.own, device, self._around.new_id, self.options.uuid)
        if self.bridge.device is None:
            raise Unavailable(self.name, "its address is not known yet")
        return await describe_scanner(self.requests.own, self.bridge.device, self._around.new_id)

    def _urls(self) -> set[str]:
        """Where the scanner is known to be."""
        urls = (self._locator.device, self.options.device, self.options.scan, self.bridge.device)
        return {url for url in urls if url}

    def _hosts(self) -> frozenset[str]:
        """Under what names and addresses the scanner's host is known."""
        sighting = self._attendance.sighting
        urls = {*self._urls(), *filter(is_http, sighting.xaddrs if sighting is not None else ())}
        return frozenset({urlsplit(url).hostname or "" for url in urls} | self.device.peers)

    def places(self) -> set[tuple[str, int]]:
        """Host and port of the scan service, by every host that the scanner is known by."""
        url = self.bridge.device or self.options.scan
        return set() if url is None else {(host, address_of(url).port) for host in self._hosts()}

    def _make_notifier(self, on_give_up: Callable[[str], None]) -> Notifier:
        around, options = self._around, self.options
        return Notifier(around.reactor, scanner=self.name, seconds=around.seconds, queue=options.client_queue,
                        give_up_after=options.client_retry, counts=around.metrics.deliveries(self.name),
                        send=around.deliveries.send, on_give_up=on_give_up)

    def _silence(self) -> float:
        """For how many seconds the scanner has said nothing; none if it has answered whatever it was asked."""
        return 0.0 if self.device.reachable else self._around.seconds() - self.device.heard_at

    def _no_events(self) -> str | None:
        """Why clients can't be given events of this scanner, or None."""
        if not self.options.subscribe:
            return 'The gateway takes no events of this scanner (events = "off"); ask GetJobElements for a status.'
        if self._silence() >= self.options.scanner_silence:
            return f"The scanner has said nothing for {self._silence():.0f} seconds; switch it on, and subscribe then."
        if self.subscription is not None and self.subscription.refused:
            return "The scanner has no events to give; ask GetJobElements for a job's status."
        return None

    def _store_finished(self) -> None:
        finished = self.bridge.table.newly_finished
        while finished:
            self._around.on_finished(self.name, finished.pop(0))

    # The life of it.

    def restore(self, subscriptions: list[Subscription], held: list[Held]) -> None:
        """What an earlier start has left of this scanner in the store; to be called before `start`."""
        self._leftovers.restore(held)
        self.audience.restore(subscriptions)

    def succeed(self, former: "Scanner") -> None:
        """Take the place of another one: its jobs, its listeners with what waits for them, what is held for us.

        That is taken up as after a restart; clients are served at once where the address is known. To be called before
        `start`. The former ends what runs with it, and is stopped then.
        """
        options, before = self.options, former.options
        is_same = (options.scan, options.device, options.uuid) == (before.scan, before.device, before.uuid)
        self.sink.addresses = former.sink.addresses
        self.audience.inherit(former.audience)
        self._leftovers.restore(former.hand_off())
        self.bridge.take_over(former.bridge, options.scan or (former.bridge.device if is_same else None))

    def hand_off(self) -> list[Held]:
        """Another one goes on from here; what the scanner holds for us."""
        self._locator.stop()
        self.stand_in.stop()
        self._attendance.stop()
        if self._checking is not None and self._checking.active():
            self._checking.cancel()
        own, self.subscription = self.subscription, None
        held = own.hand_off() if own is not None else None
        return [*([held] if held is not None else []), *self.panel.hand_off()]

    def _recheck_sinks(self) -> None:
        """What the configuration allowed at an earlier start it may forbid now."""
        policy = self._around.policy
        for one in self.bridge.subscriptions.all():
            if one.end_to is not None and not policy.still_allows(one.end_to, one.client):
                one = attrs.evolve(one, end_to=None)
                self.bridge.subscriptions.put(one)
            if not policy.still_allows(one.notify_to, one.client):
                self.audience.end(one, SOURCE_CANCELING, "Notifications may not go there any more.")
            elif not self._around.permission.allows(one.client, self.name, SUBSCRIBE.name):
                self.audience.end(one, SOURCE_CANCELING, "This client may not listen to the scanner any more.")

    def adjust(self, options: ScannerOptions) -> None:
        """Other bounds, from now on; where the scanner is, and what it is called, must be the same.

        What it has been asked for stays until it is renewed, a client's queue as long as its subscription.
        """
        self.options = options
        self.device.trust = options.trust  # the same, but its file may hold another authority by now
        self._pace.adjust(options.max_rate)
        self.device.adjust(max_connections=options.max_connections, timeout=options.timeout,
                           idle_timeout=options.idle_timeout, lenient=options.lenient)
        self.bridge.adjust(max_age=options.max_age, poll_interval=options.poll_interval, history=options.history,
                           max_subscriptions=options.max_subscriptions, elements=options.elements, cache=options.cache)
        self.sink.sources = options.event_sources
        self.source.ceiling = options.client_expires
        self.audience.max_silence = options.scanner_silence
        self.audience.notifier.queue = options.client_queue
        self.audience.notifier.give_up_after = options.client_retry
        self._recheck_sinks()

    def start(self) -> None:
        """Find the scan service, and subscribe."""
        self._recheck_sinks()
        if self.options.scan is not None:
            self._found(self.options.scan)
        elif self.options.device is not None:
            self._locator.look((self.options.device,))

    def _side(self, where: Whereabouts) -> DeviceSide:
        around = self._around

        async def notify_base() -> str:
            base = await around.events_base(where.address, self.device.zone)
            return f"{base}/{self.name}/events"

        return DeviceSide(around.reactor, self.name, where, self.options.expires, self.requests.own, notify_base,
                          around.seconds, around.wall, random.random, around.new_id, around.store,
                          self.sink.addresses, self._leftovers.leave)

    def _found(self, address: str) -> None:
        """The scan service is there."""
        if self._where is not None:
            if self._where.address != address or self.device.reachable is False:
                self._moved(self._where, address)
            self._catch_up()
            return
        if self._locator.device is not None:
            self.log.info("{scanner}: its scan service is {url}", scanner=self.name, url=address)
        self.bridge.device = address
        self._where = Whereabouts(address, follows=self.options.uuid is not None)
        self.stand_in.look()
        self._checking = self._around.reactor.callLater(self.options.check, self._check_on)
        if not self.options.subscribe:
            self.dismiss("The gateway takes no events of this scanner any more.")
            return
        self.panel.side = self._side(self._where)
        self.subscription = DeviceSubscription(self.panel.side, on_lost=self._lost, on_change=self._listening)
        held = self._leftovers.take("")
        if held is not None:
            self.subscription.resume(held)
        else:
            self.subscription.start()
        for subscription in self.bridge.subscriptions.all():
            if subscription.panel:
                self.panel.restore(subscription, self._leftovers.take(subscription.identifier))
        self._leftovers.leave_all()

    def _moved(self, where: Whereabouts, address: str) -> None:
        """It has another address: what it holds for us it holds still, unless it has started again."""
        self.log.info("{scanner}: its scan service is {url} now", scanner=self.name, url=address)
        self.bridge.device = where.address = address
        self.device.moved()
        self._ask_again()
        self.stand_in.check()

    def _ask_again(self) -> None:
        """Does the scanner still know us?"""
        if self.subscription is not None:
            self.subscription.recovered(was_away=True)
        self.panel.recovered(was_away=True)

    # What discovery tells of it.

    @property
    def endpoint(self) -> str | None:
        """The scanner's own endpoint address, as far as it is known."""
        return self.stand_in.own_endpoint

    @property
    def is_missing(self) -> bool:
        """Whether it has to be looked for on the scanners' side."""
        return self.options.uuid is not None and (self._where is None or not self._is_here())

    @property
    def reachable(self) -> bool | None:
        """Whether the scanner answered when it was last asked, and has not said Bye; None before that."""
        return self._attendance.reachable

    def _is_here(self) -> bool:
        is_found = self.options.uuid is None or self._where is not None
        return is_found and self.reachable is not False

    def sighted(self, news: News) -> None:
        """The scanner has announced itself, or answered."""
        self._attendance.saw(news.sighting)
        self.stand_in.called(news.sighting.endpoint)
        self.stand_in.scoped(news.sighting.scopes)
        if news.started:
            self.log.info("{scanner}: it has started again", scanner=self.name)
            self.bridge.rebooted()
        self._changes = (self._changes[0] or news.started, self._changes[1] or news.described)
        if self.options.uuid is not None:  # where is it?
            self._locator.sighted(news.sighting, changed=news.described)
        else:
            self._catch_up()
            if news.described:
                self._locator.look()
        self._around.on_presence(self.name)

    def _catch_up(self) -> None:
        """Do what has to be done since the scanner has started again, or has other things to tell."""
        (started, described), self._changes = self._changes, (False, False)
        if started:
            self._ask_again()
        if described:
            self.stand_in.forget()

    def said_bye(self) -> None:
        """The scanner has announced that it leaves, or somebody in its name: it is asked, if it still answers."""
        self.log.info("{scanner}: the scanner has said Bye", scanner=self.name)
        self._attendance.said_bye()
        self._around.on_presence(self.name)

    def _reachability_changed(self) -> None:
        if self.device.reachable:
            self.log.info("{scanner}: the scanner answers at {peers}", scanner=self.name,
                          peers=", ".join(sorted(self.device.peers)))
        else:
            self.log.warn("{scanner}: the scanner does not answer", scanner=self.name)
            self.stand_in.look()
            if self.options.uuid is not None:
                self._around.search(self.options.uuid)
        self._around.on_presence(self.name)

    def _stand_in_changed(self) -> None:
        ours, theirs = self.stand_in.endpoint, self.stand_in.own_endpoint
        self.bridge.endpoints = (ours.lower(), theirs) if ours and theirs else None
        self._around.on_presence(self.name)

    def dismiss(self, reason: str) -> None:
        """Nobody listens to this scanner any more: tell those who did, and end what it holds."""
        for subscription in self.bridge.subscriptions.all():
            self.audience.end(subscription, SOURCE_CANCELING, reason)
        self._leftovers.leave_all()

    def _lost(self) -> None:
        """The scanner has forgotten our subscription; those for the panel may be gone, too."""
        self.bridge.rebooted()
        self.sink.state = None
        self.stand_in.forget()
        self.panel.doubt()

    def _listening(self, listening: bool) -> None:
        self.bridge.listens(listening)

    def _recovered(self, was_open: bool) -> None:
        """The device was away. A subscription tells whether it forgot us; without one it may have started again."""
        if was_open and not self.bridge.table.listening:
            self.bridge.rebooted()
        if was_open:
            self.stand_in.forget()
        if self.subscription is not None:
            self.subscription.recovered(was_away=was_open)
        self.panel.recovered(was_away=was_open)

    def _learnt(self) -> None:
        self._store_finished()
        if self.bridge.suspects_reboot:
            self.bridge.suspects_reboot = False
            self.check()

    def check(self) -> None:
        """See whether the device still holds our subscription, and reaches us; by itself, clients may all have gone."""
        if self.subscription is not None and self.subscription.listening:
            self.subscription.doubted()
        else:
            self.panel.probe()

    def _check_on(self) -> None:
        """A scanner that has started again, or gone, tells nobody, and those who listen would wait for long."""
        if len(self.bridge.subscriptions):
            self.check()
        if self.options.announced and self._attendance.silent_for() > self.options.check:
            self.stand_in.check()
        self._checking = self._around.reactor.callLater(self.options.check, self._check_on)

    async def stop(self) -> None:
        """Leave the device in peace: end the subscriptions there, close every connection."""
        self._locator.stop()
        self.stand_in.stop()
        self._attendance.stop()
        if self._checking is not None and self._checking.active():
            self._checking.cancel()
        await self.audience.stop()
        leaving = [Deferred.fromCoroutine(self.panel.stop())]
        if self.subscription is not None:
            self.subscription.give_up()
            leaving.append(self.subscription.stop())
        await gatherResults(leaving)
        await gatherResults([client.stop() for client in (self.device, self._leftovers.client) if client is not None])

    # For the admin site.

    @property
    def state(self) -> str | None:
        """Its own state, as it announced it last; None where it did not, or may have started again since."""
        return self.sink.state

    @property
    def labels(self) -> Labels:
        """What the scanner calls itself, as far as it has been asked."""
        return self.stand_in.labels or self._locator.labels or Labels()
