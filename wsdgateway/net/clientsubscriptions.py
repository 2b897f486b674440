"""The subscriptions that clients hold at the gateway for the events of one scanner.

`net.scannersubscriptions` has those that the scanner holds for the gateway.
"""

from collections.abc import Callable, Iterable
from functools import partial

import attrs
from twisted.internet.defer import gatherResults
from twisted.logger import Logger

from wsdgateway.bridge.cluster.alone import Alone
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.bridge.events.subscribing import Unavailable, events_unavailable
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.eventing.source import SOURCE_CANCELING
from wsdgateway.net.context import Context
from wsdgateway.net.events.deliveryrecord import NOT_RECORDED
from wsdgateway.net.events.distribution import Distribution
from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.net.events.eventsource import EventSource
from wsdgateway.net.events.notifier import Notifier, Recipient
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import IClientSubscriptions


class ClientSubscriptions:
    """`subscribers` keeps the subscriptions and sends the events, `source` answers Subscribe and what follows.

    `panel` keeps the names on the scanner's panel, `store` the subscriptions over restarts, `record` what each of them
    was given, for the next owner of the scanner. `is_refused` tells whether the scanner has refused the gateway's own
    subscription for good.
    """

    log = Logger()

    def __init__(self, context: Context, bridge: ScannerBridge, device: DeviceClient, panel: ScanDestinations,
                 store: IClientSubscriptions, options: ScannerOptions, record: EventRecord | None,
                 is_refused: Callable[[], bool]) -> None:
        self._context = context
        self._bridge = bridge
        self._device = device
        self._options = options
        self._record = record
        self._is_refused = is_refused
        self._store = store
        subscribers = self.subscribers = Subscribers(
            context.reactor, scanner=bridge.name, subscriptions=bridge.subscriptions, panel=panel, store=store,
            make_notifier=self._make_notifier, make_distribution=self._make_distribution,
            now=context.steady_clock, new_id=context.new_id, silence=self._silence, events=options.events)
        self.source = EventSource(
            bridge.name, bridge.subscriptions, subscribers, panel, store, context.policy, options, context.wall,
            context.steady_clock, context.new_id, context.secret, self._no_events)
        if record is not None:
            record.is_idle = lambda subscription: not subscribers.is_waiting_for(subscription)

    def _make_notifier(self, on_give_up: Callable[[str], None]) -> Notifier:
        context, name = self._context, self._bridge.name
        return Notifier(context.reactor, scanner=name, seconds=context.seconds, events=self._options.events,
                        counts=context.metrics.deliveries(name), send=partial(context.deliveries.send, name),
                        on_give_up=on_give_up, random=context.random, holds=context.holds(name),
                        record=self._record or NOT_RECORDED)

    def _make_distribution(self, listeners: Callable[[Event], list[Recipient]]) -> Distribution:
        context, name = self._context, self._bridge.name
        return Distribution(
            context.reactor, scanner=name, seconds=context.seconds, events=self._options.events,
            slices=context.slices, new_id=context.new_id, listeners=listeners,
            when_begun=partial(context.deliveries.when_begun, name), left_out=context.metrics.left_out(name))

    def _silence(self) -> float:
        """The seconds for which the scanner has not answered; 0 if it answered its last request."""
        return 0.0 if self._device.reachable else self._context.seconds() - self._device.last_received

    def _no_events(self) -> Unavailable | None:
        options = self._options
        return events_unavailable(
            is_subscribed_to=options.section.is_subscribed_to, silence=self._silence(),
            max_silence=options.events.scanner_silence, is_refused=self._is_refused(),
            synthesizes=options.events.synthesize)

    def adjust(self, options: ScannerOptions) -> None:
        """Apply changed options; a client's queue keeps its size."""
        self._options = options
        self.source.adjust(options)
        self.subscribers.adjust(options)

    def recheck(self) -> None:
        """End the subscriptions that the configuration does not permit any more."""
        self.subscribers.recheck(self._context.policy, self._context.permission)

    def serve_alone(self, alone: Alone | None) -> None:
        """Accept no subscriptions while the scanner is served without the server that gateways share."""
        self.source.alone = alone

    def restore(self, subscriptions: Iterable[Subscription]) -> None:
        """Go on with subscriptions from the store."""
        clock = self._context.steady_clock
        self.subscribers.restore(attrs.evolve(one, expires_at=clock.from_wall(one.expires_at)) for one in subscriptions)

    async def store_again(self) -> None:
        """Write the subscriptions again if the system time was set, since the next start knows only that."""
        if self._context.steady_clock.set_by and self._context.holds(self._bridge.name)():
            writes = [self._store.save(one).addErrback(lambda failure: log_failed_write(
                self.log, failure, "{scanner}: writing a subscription to the store failed", scanner=self._bridge.name))
                for one in self._bridge.subscriptions.all()]
            await gatherResults(writes)

    def end_all(self, reason: str) -> None:
        """End every subscription, with the reason."""
        for subscription in self._bridge.subscriptions.all():
            self.subscribers.end(subscription, SOURCE_CANCELING, reason)
