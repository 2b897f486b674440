"""The subscriptions that one scanner holds for the gateway.

They are the gateway's own for events, those for clients' names on the panel, and those for destinations.
"""

from collections.abc import Callable, Iterable, Sequence

import attrs
from twisted.internet.defer import Deferred, gatherResults

from wsdgateway.bridge.cluster.alone import Alone
from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.destinations.registering import is_own
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held, LeftBehind
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.context import Context
from wsdgateway.net.destinations.service import PanelDestinations
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.eventingclient import EventingClient, NotifiedSubscription
from wsdgateway.net.events.orphans import Orphans
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.unsubscribing import Unsubscribing
from wsdgateway.net.scanners.address import ServiceLocation
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.soapclient import SoapClient
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.store import IClientSubscriptions


class ScannerSubscriptions:
    """`own` is the gateway's subscription for events, None until the scan service is known.

    `panel` keeps those for clients' names. `destinations` is set by the owner if there are any. `options` gives the
    scanner's current options, `addresses` the subscriptions by the secrets at which they are notified. `on_lost` is
    called when `own` was lost, `on_change` when it has begun or ended, with whether the scanner holds it.
    """

    def __init__(self, context: Context, bridge: ScannerBridge, device: DeviceClient, requests: SoapClient,
                 store: IClientSubscriptions, *, options: Callable[[], ScannerOptions],
                 addresses: Callable[[], dict[str, NotifiedSubscription]], on_lost: Callable[[], None],
                 on_change: Callable[[bool], None]) -> None:
        self._context = context
        self._bridge = bridge
        self._device = device
        self._requests = requests
        self._options = options
        self._addresses = addresses
        self._on_lost = on_lost
        self._on_change = on_change
        self.own: DeviceSubscription | None = None
        self.destinations: PanelDestinations | None = None
        self._is_alone = False
        self._may_subscribe = context.may_subscribe(bridge.name)
        self.panel = ScanDestinations(context.reactor, bridge, store, context.secret, self.check)
        self._orphans = Orphans(
            context.reactor, make_client=device.beside, eventing_client=self._client,
            request=lambda *request: requests.send_by(*request), on_ending=self.panel.add_ending)

    @property
    def is_refused(self) -> bool:
        """True if the scanner has refused the gateway's subscription for events for good."""
        return self.own is not None and self.own.refused

    @property
    def on_panel(self) -> int:
        """The number of subscriptions at the scanner for names on its panel."""
        return len(self.panel) + (0 if self.destinations is None else len(self.destinations.registration))

    def _client(self, where: ServiceLocation) -> EventingClient:
        context = self._context

        async def notify_base() -> str:
            try:
                base = await context.events_base(where.address, self._device.zone)
            except DeviceError as error:
                if error.cause is not None:
                    self._device.unreachable(error.cause)
                raise
            return f"{base}/{self._bridge.name}/events"

        return EventingClient(context.reactor, self._bridge.name, where, self._options().events, self._requests.send,
                              notify_base, context.seconds, context.wall, context.random, context.secret,
                              context.new_id, context.store, self._addresses(), self._orphans.end,
                              lambda: not self._is_alone and self._may_subscribe(), context.holds(self._bridge.name),
                              lambda held: self.leave_behind([LeftBehind(held)]))

    def leave_behind(self, left: Sequence[LeftBehind]) -> None:
        """Have ended what the scanner holds for this gateway, which has stopped bridging it, and for no other."""
        context, endings = self._context, list[Unsubscribing]()
        orphans = Orphans(
            context.reactor, make_client=lambda: self._device.beside(always),
            eventing_client=lambda where: attrs.evolve(self._client(where), store=MemoryStore(0)),
            request=lambda *request: self._requests.send_by(*request), on_ending=endings.append)
        context.on_left(self._bridge.name, left, orphans, endings)

    def inherit(self, held: Iterable[Held]) -> None:
        """Take over the subscriptions of an earlier start, or of the object that this one replaces."""
        self._orphans.restore(held)

    @property
    def inherited_from(self) -> str | None:
        """The scan service at which the gateway's own subscription is inherited, before `begin`; None without one."""
        return self._orphans.address_of("")

    def begin(self, where: ServiceLocation) -> None:
        """Subscribe at the scan service for events, or go on with the inherited subscription."""
        self.panel.client = self._client(where)
        self.own = DeviceSubscription(self.panel.client, on_lost=self._on_lost, on_change=self._on_change)
        held = self._orphans.take("")
        if held is not None:
            self.own.resume(held)
        else:
            self.own.start()

    def show(self, clients: Iterable[Subscription]) -> None:
        """Go on with the names of these clients on the panel, and show the destinations."""
        for one in clients:
            if one.panel:
                self.panel.restore(one, self._orphans.take(one.identifier))
        if self.destinations is not None:
            shown = [one for one in self._orphans.identifiers() if is_own(one)]
            self.destinations.begin([held for one in shown if (held := self._orphans.take(one)) is not None])

    def end_orphans(self) -> list[Deferred[None]]:
        """End the inherited subscriptions that are not needed; each Deferred fires after the first attempt."""
        return self._orphans.end_all()

    def check(self, *, usual: bool = False) -> None:
        """Check that the scanner still holds the gateway's subscription and can reach the gateway.

        `usual` is true for a periodic check, without a reason for doubt.
        """
        if self.own is None or not self.own.listening:
            self.panel.probe(usual=usual)
            if self.destinations is not None and not len(self.panel):
                self.destinations.registration.probe(usual=usual)
        elif usual:
            self.own.checked()
        else:
            self.own.doubted()

    def recovered(self, *, was_away: bool) -> None:
        """Check all of them, since the scanner has become reachable; after an absence it may have forgotten them."""
        if self.own is not None:
            self.own.recovered(was_away=was_away)
        if self.destinations is not None:
            self.destinations.registration.recovered(was_away=was_away)
        self.panel.recovered(was_away=was_away)

    def serve_alone(self, alone: Alone | None) -> None:
        """Make no subscriptions while another gateway may make them; with None, make those that are missing."""
        self._is_alone = alone is not None
        if alone is None:
            self.recovered(was_away=False)

    def doubt(self) -> None:
        """Check all of them, since the scanner may not reach the gateway any more where they say."""
        self.check()
        self.panel.doubt()
        if self.destinations is not None:
            self.destinations.registration.doubt()

    def rebooted(self) -> None:
        """Check the names on the panel, since the scanner has lost the subscription for events."""
        self.panel.doubt()
        if self.destinations is not None:
            self.destinations.rebooted()

    def hand_off(self) -> list[Held]:
        """Stop without ending the subscriptions at the scanner, and return them, for the replacement."""
        own, self.own = self.own, None
        held = own.hand_off() if own is not None else None
        shown = [] if self.destinations is None else self.destinations.registration.hand_off()
        return [*([held] if held is not None else []), *shown, *self.panel.hand_off()]

    async def stop(self) -> None:
        """End all of them at the scanner."""
        ending = [Deferred.fromCoroutine(self.panel.stop())]
        if self.destinations is not None:
            ending.append(Deferred.fromCoroutine(self.destinations.registration.stop()))
        if self.own is not None:
            self.own.give_up()
            ending.append(self.own.stop())
        await gatherResults(ending)

    async def close(self) -> None:
        """Close the connections on which inherited subscriptions were ended."""
        if self._orphans.client is not None:
            await self._orphans.client.stop()
