"""Keeps the clients' subscriptions to one scanner: they begin, get its events, and end.

WS-Eventing 2004/08, sections 3.4 and 3.5. With a subscription end its row in the store, the events that wait for it,
and what the scanner holds for it. `bridge.events.lifetimes` decides when one ends.
"""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.events.deliveryqueue import QueuedEvent
from wsdgateway.bridge.events.earlyevents import EarlyEvents
from wsdgateway.bridge.events.fanout import MAX_EVENT, prepare
from wsdgateway.bridge.events.lifetimes import endings, recheck, seconds_to_next_check
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions
from wsdgateway.config.sections import Events
from wsdgateway.eventing.source import DELIVERY_FAILURE, SOURCE_CANCELING, write_subscription_end
from wsdgateway.net.events.distribution import Distribution
from wsdgateway.net.events.notifier import Notifier, Recipient
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import SUBSCRIBE
from wsdgateway.soap.envelope import Envelope
from wsdgateway.storage.store import IClientSubscriptions


class Subscribers:
    """The clients' subscriptions to one scanner.

    `silence` gives the seconds since the scanner has sent anything at all; after `scanner_silence` of `events`, a
    section of the configuration, every subscription ends. `now` is the clock that subscriptions last by.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, subscriptions: Subscriptions, panel: ScanDestinations,
                 store: IClientSubscriptions,
                 make_notifier: Callable[[Callable[[str], None]], Notifier],
                 make_distribution: Callable[[Callable[[str], list[Recipient]]], Distribution],
                 now: Callable[[], float], new_id: Callable[[], str], silence: Callable[[], float],
                 events: Events) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._subscriptions = subscriptions
        self._panel = panel
        self._store = store
        self._now = now
        self._new_id = new_id
        self._silence = silence
        self._events = events
        self._timer: IDelayedCall | None = None
        self._running = True
        self._leaving: set[Deferred[None]] = set()
        self._early = EarlyEvents()
        self.notifier = make_notifier(self._gave_up)
        self.distribution = make_distribution(self._listeners)

    @property
    def early(self) -> int:
        """How many ScanAvailableEvents wait for the Subscribe of their client to be answered."""
        return len(self._early)

    def adjust(self, options: ScannerOptions) -> None:
        """Go by other options from now on; a client's queue stays as it is as long as its subscription."""
        self._events = self.notifier.events = options.events
        self.distribution.adjust(options.events)

    def recheck(self, policy: SinkPolicy, permission: Permission) -> None:
        """End what the configuration allowed at an earlier start, and forbids now."""
        for one in self._subscriptions.all():
            checked = recheck(one, may_send=policy.still_allows,
                              may_listen=permission.allows(one.client, self._scanner, SUBSCRIBE.name))
            if checked.subscription is not one:
                self._subscriptions.put(checked.subscription)
            if checked.reason is not None:
                self.end(checked.subscription, SOURCE_CANCELING, checked.reason)

    # Subscriptions that begin and end.

    def restore(self, subscriptions: Iterable[Subscription]) -> None:
        """Add those of an earlier start."""
        for subscription in subscriptions:
            self._subscriptions.put(subscription)
            self.notifier.open(subscription.identifier, subscription.notify_to)
        self.look()

    def inherit(self, former: "Subscribers") -> None:
        """Take over another object's subscriptions, with the events that wait for them; it has none any more."""
        for subscription in former._subscriptions.all():
            former._subscriptions.remove(subscription.identifier)
            self._subscriptions.put(subscription)
        self.notifier, former.notifier = former.notifier, self.notifier
        self.notifier.on_give_up, former.notifier.on_give_up = self._gave_up, former._gave_up
        self.notifier.events = former.notifier.events
        self.distribution, former.distribution = former.distribution, self.distribution
        self.distribution.queue.adjust(former.distribution.queue.rate)
        self.distribution.listeners, former.distribution.listeners = self._listeners, former._listeners
        former._look_soon()
        self._look_soon()

    def join(self, subscription: Subscription) -> None:
        """Add a subscription."""
        self._subscriptions.put(subscription)
        self.notifier.open(subscription.identifier, subscription.notify_to)
        self._look_soon()
        for early in self._early.take(subscription.identifier):
            self._send(subscription.identifier, early)

    def succeed(self, heir: Subscription, former: str, left: Subscription | None) -> None:
        """Let a subscription take a former one's place, with the events that wait for it, or beside what is `left`."""
        if left is None:
            self._subscriptions.remove(former)
            self.notifier.hand_over(former, heir.identifier)
        else:
            self._subscriptions.put(left)
            self.notifier.open(heir.identifier, heir.notify_to)
        self._subscriptions.put(heir)
        self._look_soon()

    def withdraw(self, heir: str, former: Subscription, left: Subscription | None) -> None:
        """Undo a succession that the store could not keep."""
        if left is None:
            self.succeed(former, heir, None)
        else:
            self._subscriptions.remove(heir)
            self.notifier.close(heir)
            self.change(former)

    def change(self, subscription: Subscription) -> None:
        """Replace a subscription by its changed self."""
        self._subscriptions.put(subscription)
        self._look_soon()

    def leave(self, subscription: Subscription) -> Deferred[None]:
        """End a subscription at once; fires when the store has forgotten it."""
        self._subscriptions.remove(subscription.identifier)
        self.notifier.close(subscription.identifier)
        self.off_panel(subscription.identifier)
        return self._store.forget(subscription.identifier)

    def off_panel(self, identifier: str) -> None:
        """Remove a client's names from the panel, if they are there; a stop waits for that."""
        self._early.take(identifier)
        leaving = self._panel.drop(identifier)
        if leaving is not None:
            self._leaving.add(leaving)
            leaving.addBoth(lambda _: self._leaving.discard(leaving))

    def end(self, subscription: Subscription, status: str, reason: str) -> None:
        """End a subscription before its time, and tell its EndTo why. `status` is a URI of WS-Eventing's."""
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
        """Look again when a subscription may end."""
        self._forget_timer()
        pause = seconds_to_next_check(self._subscriptions, now=self._now(), silence=self._silence(),
                                      max_silence=self._events.scanner_silence)
        if self._running and pause is not None:
            self._timer = self._reactor.callLater(pause, self._due)

    def _due(self) -> None:
        self._timer = None
        self.look()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """End the subscriptions whose time is over, and all of them if the scanner has been silent for too long."""
        self._forget_timer()
        for one in endings(self._subscriptions, now=self._now(), silence=self._silence(),
                           max_silence=self._events.scanner_silence):
            if one.reason is None:
                self._expire(one.subscription)
            else:
                self.end(one.subscription, SOURCE_CANCELING, one.reason)
        self._look_soon()

    def _expire(self, subscription: Subscription) -> None:
        self.log.info("{scanner}: the subscription of {client} at {address} has expired", scanner=self._scanner,
                      client=subscription.client, address=subscription.notify_to.reference.address)
        self._forgotten(self.leave(subscription))

    # Events.

    def publish(self, envelope: Envelope, status: JobStatus | None) -> None:
        """Send an event to every subscriber that wants it. Changes the envelope; `status` is the job's in it."""
        if not len(self._subscriptions):
            return
        event = prepare(envelope, status)
        if event.is_too_large:
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
        """Send an event to the client whose name was chosen, perhaps before its Subscribe has been answered."""
        subscription = self._subscriptions.find(identifier, self._now())
        if subscription is not None:
            self._send(identifier, envelope)
        else:
            self._early.add(identifier, envelope)

    def _send(self, identifier: str, envelope: Envelope) -> None:
        """Send an event to one client, at once: a person stands at the panel."""
        event, recipient = prepare(envelope), self.notifier.recipient(identifier)
        if event.is_too_large:
            self._too_large(1)
        elif recipient is not None:
            recipient.post(QueuedEvent(event, self._new_id()))

    def idle(self) -> Deferred[None]:
        """Fires when every event has been sent, as far as that goes without a pause. Can be cancelled."""
        return self.distribution.idle().addCallback(lambda _: self.notifier.idle())

    async def stop(self) -> None:
        """Send nothing more; the subscriptions stay in the store."""
        self._running = False
        self._look_soon()
        self.distribution.stop()
        self.notifier.stop()
        for leaving in list(self._leaving):
            await leaving
