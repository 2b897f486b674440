"""Those who listen to one scanner: they come, are told of its events, and go, each in its own time.

WS-Eventing 2004/08, sections 3.4 and 3.5. What a subscription's end takes with it: its row in the store, what waits for
it, and what the scanner holds for it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.events.deliveryqueue import QueuedEvent
from wsdgateway.bridge.events.fanout import prepare
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions
from wsdgateway.eventing.source import DELIVERY_FAILURE, SOURCE_CANCELING, write_subscription_end
from wsdgateway.net.events.distribution import Distribution
from wsdgateway.net.events.notifier import Notifier, Recipient
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.envelope import Envelope
from wsdgateway.storage.store import IClientSubscriptions

MAX_EVENT = 262144
LOOK_SECONDS = 60.0
MAX_EARLY = 64


class Subscribers:
    """The clients' subscriptions to one scanner at work.

    `silence` tells for how many seconds the scanner has said nothing at all; after `max_silence` every subscription
    ends. `now` is the clock that subscriptions last by.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, subscriptions: Subscriptions, panel: ScanDestinations,
                 store: IClientSubscriptions,
                 make_notifier: Callable[[Callable[[str], None]], Notifier],
                 make_distribution: Callable[[Callable[[str], list[Recipient]]], Distribution],
                 now: Callable[[], float], new_id: Callable[[], str], silence: Callable[[], float],
                 max_silence: float) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._subscriptions = subscriptions
        self._panel = panel
        self._store = store
        self._now = now
        self._new_id = new_id
        self._silence = silence
        self.max_silence = max_silence
        self._timer: IDelayedCall | None = None
        self._running = True
        self._leaving: set[Deferred[None]] = set()
        self._early: dict[str, list[Envelope]] = {}
        self.notifier = make_notifier(self._gave_up)
        self.distribution = make_distribution(self._listeners)

    # Coming and going.

    def restore(self, subscriptions: Iterable[Subscription]) -> None:
        """Those of an earlier start."""
        for subscription in subscriptions:
            self._subscriptions.put(subscription)
            self.notifier.open(subscription.identifier, subscription.notify_to)
        self._forget_timer()
        self._look()

    def inherit(self, former: "Subscribers") -> None:
        """Those of another one, with the events that wait for them; it has nobody any more."""
        for subscription in former._subscriptions.all():
            former._subscriptions.remove(subscription.identifier)
            self._subscriptions.put(subscription)
        self.notifier, former.notifier = former.notifier, self.notifier
        self.notifier.on_give_up, former.notifier.on_give_up = self._gave_up, former._gave_up
        self.notifier.queue, self.notifier.give_up_after = former.notifier.queue, former.notifier.give_up_after
        self.distribution, former.distribution = former.distribution, self.distribution
        self.distribution.queue.adjust(former.distribution.queue.rate)
        self.distribution.listeners, former.distribution.listeners = self._listeners, former._listeners
        former._look_soon()
        self._look_soon()

    def join(self, subscription: Subscription) -> None:
        """One more, from now on."""
        self._subscriptions.put(subscription)
        self.notifier.open(subscription.identifier, subscription.notify_to)
        self._look_soon()
        for early in self._early.pop(subscription.identifier, ()):
            self._send(subscription.identifier, early)

    def succeed(self, heir: Subscription, former: str, left: Subscription | None) -> None:
        """One takes a former one's place, with the events that wait for it; or beside what is `left` of it."""
        if left is None:
            self._subscriptions.remove(former)
            self.notifier.hand_over(former, heir.identifier)
        else:
            self._subscriptions.put(left)
            self.notifier.open(heir.identifier, heir.notify_to)
        self._subscriptions.put(heir)
        self._look_soon()

    def withdraw(self, heir: str, former: Subscription, left: Subscription | None) -> None:
        """Undo that, since it could not be written down."""
        if left is None:
            self.succeed(former, heir, None)
        else:
            self._subscriptions.remove(heir)
            self.notifier.close(heir)
            self.change(former)

    def change(self, subscription: Subscription) -> None:
        """The same in another form."""
        self._subscriptions.put(subscription)
        self._look_soon()

    def leave(self, subscription: Subscription) -> Deferred[None]:
        """It is over, at once; fires when that is written down."""
        self._subscriptions.remove(subscription.identifier)
        self.notifier.close(subscription.identifier)
        self.off_panel(subscription.identifier)
        return self._store.forget(subscription.identifier)

    def off_panel(self, identifier: str) -> None:
        """Take a client's names from the panel, if they are there; a stop waits for that."""
        self._early.pop(identifier, None)
        leaving = self._panel.drop(identifier)
        if leaving is not None:
            self._leaving.add(leaving)
            leaving.addBoth(lambda _: self._leaving.discard(leaving))

    def end(self, subscription: Subscription, status: str, reason: str) -> None:
        """End one before its time, and tell its EndTo why. `status` is a URI of WS-Eventing's."""
        self.log.warn("{scanner}: the subscription of {client} at {address} is over: {reason}", scanner=self._scanner,
                      client=subscription.client, address=subscription.notify_to.reference.address, reason=reason)
        self._forgotten(self.leave(subscription))
        if subscription.end_to is not None:
            self.notifier.endings.tell(subscription.end_to, write_subscription_end(
                to=subscription.end_to.reference, manager=subscription.manager,
                identifier=subscription.urn, status=status, reason=reason, message_id=self._new_id()))

    def _forgotten(self, forgetting: Deferred[None]) -> None:
        forgetting.addErrback(lambda failure: self.log.failure(
            "{scanner}: the store does not forget a subscription", failure, scanner=self._scanner))

    def _gave_up(self, identifier: str) -> None:
        subscription = self._subscriptions.get(identifier)
        if subscription is not None:
            self.end(subscription, DELIVERY_FAILURE, "Nothing has reached it for too long.")

    # Time.

    def _look_soon(self) -> None:
        """Look again when the first of them expires, and now and then."""
        self._forget_timer()
        expiry = self._subscriptions.next_expiry()
        if self._running and expiry is not None:
            soonest = min(expiry - self._now(), self.max_silence - self._silence(), LOOK_SECONDS)
            self._timer = self._reactor.callLater(max(soonest, 0.0), self._look)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for subscription in self._subscriptions.expired(self._now()):
            self.log.info("{scanner}: the subscription of {client} at {address} has expired", scanner=self._scanner,
                          client=subscription.client, address=subscription.notify_to.reference.address)
            self._forgotten(self.leave(subscription))
        if self._silence() >= self.max_silence:
            for subscription in self._subscriptions.all():
                self.end(subscription, SOURCE_CANCELING,
                         f"The scanner has said nothing for {self.max_silence:g} seconds.")
        self._look_soon()

    # The way of an event.

    def publish(self, envelope: Envelope, status: JobStatus | None) -> None:
        """Tell everybody who wants this event, whose envelope is used up by that; `status` is the job's in it."""
        if not len(self._subscriptions):
            return
        event = prepare(envelope, status)
        if event.size > MAX_EVENT:
            self._too_large(len(self._subscriptions.listening(event.action, self._now())))
        else:
            self.distribution.publish(event)

    def _listeners(self, action: str) -> list[Recipient]:
        """The recipients of an event with that action."""
        found = (self.notifier.recipient(one.identifier) for one in self._subscriptions.listening(action, self._now()))
        return [recipient for recipient in found if recipient is not None]

    def _too_large(self, listeners: int) -> None:
        self.log.warn("{scanner}: an event of more than {limit} bytes is not passed on", scanner=self._scanner,
                      limit=MAX_EVENT)
        self.notifier.counts.dropped(listeners)

    def publish_to(self, identifier: str, envelope: Envelope) -> None:
        """Tell the one whose name on the panel was chosen; it may be so before its Subscribe has been answered."""
        subscription = self._subscriptions.find(identifier, self._now())
        if subscription is not None:
            self._send(identifier, envelope)
        elif sum(map(len, self._early.values())) < MAX_EARLY:
            self._early.setdefault(identifier, []).append(envelope)

    def _send(self, identifier: str, envelope: Envelope) -> None:
        """Tell one, at once: a person stands at the panel."""
        event, recipient = prepare(envelope), self.notifier.recipient(identifier)
        if event.size > MAX_EVENT:
            self._too_large(1)
        elif recipient is not None:
            recipient.post(QueuedEvent(event, self._new_id()))

    def idle(self) -> Deferred[None]:
        """Fires when every event has been told, and sent as far as that goes without a pause. Can be cancelled."""
        return self.distribution.idle().addCallback(lambda _: self.notifier.idle())

    async def stop(self) -> None:
        """Go on with nothing; the subscriptions stay in the store."""
        self._running = False
        self._look_soon()
        self.distribution.stop()
        self.notifier.stop()
        for leaving in list(self._leaving):
            await leaving
