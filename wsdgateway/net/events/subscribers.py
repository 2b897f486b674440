"""Keeps the clients' subscriptions to one scanner: adds them, sends their events, and ends them.

WS-Eventing 2004/08, sections 3.4 and 3.5. Ending a subscription removes its row in the store, its waiting events, and
the subscription held for it at the scanner. `bridge.events.lifetimes` decides when one ends.
"""

from collections.abc import Callable, Collection, Container, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.events.deliveryqueue import QueuedEvent
from wsdgateway.bridge.events.earlyevents import EarlyEvents
from wsdgateway.bridge.events.eventlog import EventID
from wsdgateway.bridge.events.fanout import MAX_EVENT, Event, prepare
from wsdgateway.bridge.events.lifetimes import endings, recheck, seconds_to_next_check
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions
from wsdgateway.config.sections import Events
from wsdgateway.eventing.source import DELIVERY_FAILURE, SOURCE_CANCELING, write_subscription_end
from wsdgateway.net.events.distribution import Distribution
from wsdgateway.net.events.notifier import Notifier, Recipient
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import SUBSCRIBE, action_of
from wsdgateway.soap.envelope import Envelope
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import IClientSubscriptions


class Subscribers:
    """The clients' subscriptions to one scanner.

    `silence` returns the seconds since the last message from the scanner; after `scanner_silence` (a key of `events`,
    the configuration's section), every subscription ends. `now` is the clock for the duration of subscriptions.
    `on_change` is called after a subscription was added or changed.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, subscriptions: Subscriptions, panel: ScanDestinations,
                 store: IClientSubscriptions,
                 make_notifier: Callable[[Callable[[str], None]], Notifier],
                 make_distribution: Callable[[Callable[[Event], list[Recipient]]], Distribution],
                 now: Callable[[], float], new_id: Callable[[], str], silence: Callable[[], float],
                 events: Events) -> None:
        self._reactor = reactor
        self.scanner = scanner
        self._subscriptions = subscriptions
        self._panel = panel
        self._store = store
        self._now = now
        self._new_id = new_id
        self._silence = silence
        self._events = events
        self._timer: IDelayedCall | None = None
        self._running = True
        self._leaving: dict[Deferred[None], None] = {}
        self._early = EarlyEvents()
        self.on_change: Callable[[], None] = lambda: None
        self.notifier = make_notifier(self._gave_up)
        self.distribution = make_distribution(self._listeners)

    @property
    def early(self) -> int:
        """Number of ScanAvailableEvents that wait until the Subscribe of their client has been answered."""
        return len(self._early)

    def adjust(self, options: ScannerOptions) -> None:
        """Applies changed options; existing subscriptions keep the queue size that they began with."""
        self._events = self.notifier.events = options.events
        self.distribution.adjust(options.events)

    def recheck(self, policy: SinkPolicy, permission: Permission) -> None:
        """Ends subscriptions that were allowed at an earlier start, and are forbidden by the configuration now."""
        for one in self._subscriptions.all():
            checked = recheck(one, may_send=policy.still_allows,
                              may_listen=permission.allows(one.client, self.scanner, SUBSCRIBE.name))
            if checked.subscription is not one:
                self._subscriptions.put(checked.subscription)
            if checked.reason is not None:
                self.end(checked.subscription, SOURCE_CANCELING, checked.reason)

    # Begin and end of subscriptions.

    def restore(self, subscriptions: Iterable[Subscription]) -> None:
        """Adds the subscriptions of an earlier start."""
        for subscription in subscriptions:
            self._subscriptions.put(subscription)
            self.notifier.open(subscription.identifier, subscription.notify_to)
        self.look()

    def inherit(self, former: "Subscribers") -> None:
        """Takes over another object's subscriptions with their waiting events, and leaves none there."""
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
        """Adds a subscription."""
        self._subscriptions.put(subscription)
        self.notifier.open(subscription.identifier, subscription.notify_to)
        self._look_soon()
        for early in self._early.take(subscription.identifier):
            self._send(subscription.identifier, early)

    def succeed(self, heir: Subscription, former: str, left: Subscription | None) -> None:
        """Replaces a former subscription by its heir, which gets the waiting events.

        If part of the former one is `left`, the heir is added beside it.
        """
        if left is None:
            self._subscriptions.remove(former)
            self.notifier.hand_over(former, heir.identifier)
        else:
            self._subscriptions.put(left)
            self.notifier.open(heir.identifier, heir.notify_to)
        self._subscriptions.put(heir)
        self._look_soon()

    def withdraw(self, heir: str, former: Subscription, left: Subscription | None) -> None:
        """Reverts a succession that could not be stored."""
        if left is None:
            self.succeed(former, heir, None)
        else:
            self._subscriptions.remove(heir)
            self.notifier.close(heir)
            self.change(former)

    def change(self, subscription: Subscription) -> None:
        """Replaces a subscription by its changed version."""
        self._subscriptions.put(subscription)
        self._look_soon()

    def leave(self, subscription: Subscription) -> Deferred[None]:
        """Ends a subscription immediately; fires when it has been deleted from the store."""
        self._subscriptions.remove(subscription.identifier)
        self.notifier.close(subscription.identifier)
        self.off_panel(subscription.identifier)
        return self._store.forget(subscription.identifier)

    def off_panel(self, identifier: str) -> None:
        """Removes a client's names from the panel, if they are there; a stop waits for that."""
        self._early.take(identifier)
        leaving = self._panel.drop(identifier)
        if leaving is not None:
            self._leaving[leaving] = None
            leaving.addBoth(lambda _: self._leaving.pop(leaving))

    def end(self, subscription: Subscription, status: str, reason: str) -> None:
        """Ends a subscription early, and sends the reason to its EndTo. `status` is a URI defined by WS-Eventing."""
        self.log.warn("{scanner}: ended the subscription of {client}, notifications to {address}: {reason}",
                      scanner=self.scanner,
                      client=subscription.client, address=subscription.notify_to.reference.address, reason=reason)
        self._forgotten(self.leave(subscription))
        if subscription.end_to is not None:
            self.notifier.endings.tell(subscription.end_to, write_subscription_end(
                to=subscription.end_to.reference, manager=subscription.manager,
                identifier=subscription.urn, status=status, reason=reason, message_id=self._new_id()))

    def _forgotten(self, forgetting: Deferred[None]) -> None:
        forgetting.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: deleting a subscription from the store failed", scanner=self.scanner))

    def _gave_up(self, identifier: str) -> None:
        subscription = self._subscriptions.get(identifier)
        if subscription is not None:
            self.end(subscription, DELIVERY_FAILURE, "No notification could be delivered for too long.")

    # Expiry.

    def _look_soon(self) -> None:
        """Schedules the next check for the time when a subscription may end."""
        self._forget_timer()
        self.on_change()
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
        """Ends the subscriptions that have expired, and all of them if the scanner has been silent for too long."""
        self._forget_timer()
        for one in endings(self._subscriptions, now=self._now(), silence=self._silence(),
                           max_silence=self._events.scanner_silence):
            if one.reason is None:
                self._expire(one.subscription)
            else:
                self.end(one.subscription, SOURCE_CANCELING, one.reason)
        self._look_soon()

    def _expire(self, subscription: Subscription) -> None:
        self.log.info("{scanner}: the subscription of {client} has expired, notifications to {address}",
                      scanner=self.scanner,
                      client=subscription.client, address=subscription.notify_to.reference.address)
        self._forgotten(self.leave(subscription))

    # Events.

    def wants(self, *events: str) -> bool:
        """True if a client listens to one of the events with these names."""
        return len(self._subscriptions) > 0 and any(
            self._subscriptions.is_listening(action_of(event), self._now()) for event in events)

    def publish(self, envelope: Envelope, status: JobStatus | None, *, known: Collection[Sink] = (),
                logged: EventID | None = None) -> None:
        """Sends an event to every subscriber that wants it, except to the sinks to which it is `known`.

        Changes the envelope; `status` is the status of the job in it.
        """
        if len(self._subscriptions):
            self.send(prepare(envelope, status, known=known, logged=logged))

    def send(self, event: Event) -> None:
        """Sends an event to every subscriber that wants it."""
        if event.reached is not None and event.job is not None:
            event = attrs.evolve(event, logged=self.notifier.record.made(event))
        if event.is_too_large:
            self._too_large(len(self._subscriptions.listening(event.action, self._now())))
        else:
            self.distribution.publish(event)

    def _listeners(self, event: Event) -> list[Recipient]:
        """Returns the recipients of an event."""
        listening = self._subscriptions.listening(event.action, self._now())
        if event.known:
            for one in listening:
                if one.notify_to in event.known:
                    self.notifier.record.skipped(one.identifier, event)
            listening = [one for one in listening if one.notify_to not in event.known]
        if event.only is not None:
            listening = [one for one in listening if one.identifier in event.only]
        if event.reached is not None:
            event.reached.update(one.notify_to for one in listening)
        found = (self.notifier.recipient(one.identifier) for one in listening)
        return [recipient for recipient in found if recipient is not None]

    def _too_large(self, listeners: int) -> None:
        self.log.warn("{scanner}: an event of more than {limit} bytes was not forwarded", scanner=self.scanner,
                      limit=MAX_EVENT)
        self.notifier.counts.dropped(listeners)

    def publish_to(self, identifier: str, envelope: Envelope, logged: EventID | None = None) -> None:
        """Sends an event to the client whose name was selected, possibly before its Subscribe has been answered."""
        subscription, event = self._subscriptions.find(identifier, self._now()), prepare(envelope, logged=logged)
        if subscription is not None:
            self._send(identifier, event)
        else:
            self._early.add(identifier, event)

    def _send(self, identifier: str, event: Event) -> None:
        """Sends an event to one client without delay, because a person is waiting at the panel."""
        recipient = self.notifier.recipient(identifier)
        if event.is_too_large:
            self._too_large(1)
        elif recipient is not None:
            recipient.post(QueuedEvent(event, self._new_id() if event.logged is None else
                                       event.logged.message_id(identifier)))

    # Events that another gateway has received, and has not delivered before this one took over.

    def identifiers(self) -> list[str]:
        """Returns the identifiers of all subscriptions."""
        return [one.identifier for one in self._subscriptions.all()]

    def is_for(self, identifier: str, action: str) -> bool:
        """True if an event for all subscribers is sent to that one."""
        subscription = self._subscriptions.find(identifier, self._now())
        return subscription is not None and subscription.wants(action)

    def sinks(self, action: str, identifiers: Container[str]) -> list[Sink]:
        """Returns the sinks of those of these subscriptions to which an event is sent."""
        return [one.notify_to for one in self._subscriptions.listening(action, self._now())
                if one.identifier in identifiers]

    def deliver_late(self, envelope: Envelope, status: JobStatus | None, logged: EventID,
                     receivers: Collection[str]) -> None:
        """Sends an event to these subscriptions."""
        event = prepare(envelope, status, logged=logged, only=frozenset(receivers))
        if not event.is_press:
            self.send(event)
            return
        for identifier in receivers:
            self._send(identifier, event)

    def is_waiting_for(self, identifier: str) -> bool:
        """True if an event waits to be sent to a subscription, or may yet be."""
        return not self.distribution.is_idle or self.notifier.state(identifier)[0] > 0

    def idle(self) -> Deferred[None]:
        """Fires when every event has been sent, except to recipients that pause after a failure. Can be cancelled."""
        return self.distribution.idle().addCallback(lambda _: self.notifier.idle())

    async def stop(self) -> None:
        """Stops sending; the subscriptions stay in the store."""
        self._running = False
        self._look_soon()
        self.distribution.stop()
        self.notifier.stop()
        for leaving in list(self._leaving):
            await leaving
