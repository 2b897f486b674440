"""Receives the notifications of one scanner: answers them, and passes on their content.

WS-Eventing 2004/08, sections 3 and 3.5. Each subscription at the scanner has an unguessable address of its own.

Media type, envelope and action are checked first, then the sender; then 202 is sent, and the rest follows. Every event
is entered into the job table at once, which takes some 60 microseconds. If a notification of the scanner cannot be
read, or is refused, the gateway asks the scanner for the jobs that it may concern.

Where several gateways share the scanner, an event is entered into the job table, then into the `record` for the gateway
that takes over, and only then answered and passed on.

`bridge.events.intake` decides who may notify, how many messages of unknown senders are read, how a message is
interpreted, and what follows from it; `net.events.distribution` limits what subscribers are sent during a storm of
events.
"""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.events.eventlog import EventID, LoggedEvent
from wsdgateway.bridge.events.intake import (
    Effect,
    Notification,
    RefusedNotification,
    UnknownSenders,
    Unread,
    effect_of,
    examine,
    may_notify,
    unknown_sender,
    unread_of,
)
from wsdgateway.bridge.frontends.soaphttp import NOT_SOAP, soap_fault
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.metrics import Metrics
from wsdgateway.net.events.eventingclient import NotifiedSubscription
from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.operations import SCAN_AVAILABLE
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import Fault
from wsdgateway.soap.seen import Seen
from wsdgateway.storage.coordination import Fenced


class EventSink:
    """Receives a scanner's notifications. `after_learning` is called when jobs may have changed.

    `addresses` maps each secret to its subscription.
    """

    log = Logger()

    def __init__(self, bridge: ScannerBridge, device: DeviceClient, subscribers: Subscribers, metrics: Metrics,
                 accounting: Accounting, *, options: ScannerOptions, seconds: Callable[[], float],
                 new_id: Callable[[], str], after_learning: Callable[[], None]) -> None:
        self._bridge = bridge
        self._device = device
        self._subscribers = subscribers
        self._metrics = metrics
        self._accounting = accounting
        self._options = options
        self._seconds = seconds
        self._new_id = new_id
        self._after_learning = after_learning
        self._throttle = LogThrottle()
        self._unknown_senders = UnknownSenders()
        self.addresses: dict[str, NotifiedSubscription] = {}
        self.record: EventRecord | None = None
        self._replayed = Seen()
        # For the identifier of a subscription of the gateway's own destinations: takes a ScanAvailableEvent.
        self.own_press: Callable[[str], Callable[[Envelope], None] | None] = lambda identifier: None

    def adjust(self, options: ScannerOptions) -> None:
        """Applies changed options."""
        self._options = options

    def place(self, secret: str) -> Callable[[Exchange], None] | None:
        """Returns the handler for notifications under this secret; None if no subscription has it."""
        subscription = self.addresses.get(secret)
        return partial(self._notify, subscription) if subscription is not None else None

    def may_notify(self, client: str) -> bool:
        """True if notifications are accepted from that IP address."""
        return may_notify(client, peers=self._device.peers, device=self._bridge.device,
                          sources=self._options.section.event_sources)

    def _notify(self, subscription: NotifiedSubscription, exchange: Exchange) -> None:
        started = self._accounting.now()
        is_scanner = self.may_notify(exchange.client)
        if not is_scanner and not self._unknown_senders.may_be_read(self._seconds()):
            exchange.give(soap_fault(self._unknown_sender(exchange.client), None, self._new_id()))
            self._accounting.event(exchange, "other", started, None, None)
            return
        found = examine(exchange.request.body, exchange.request.content_type)
        if isinstance(found, RefusedNotification):
            if found.fault is None:
                exchange.give(NOT_SOAP)
            else:
                exchange.give(soap_fault(found.fault, found.relates_to, self._new_id()))
            self._accounting.event(exchange, "other", started, None if found.fault is None else found.envelope, None)
            if is_scanner:
                self._refused(subscription, found, exchange.request.body)
            return
        if not is_scanner:
            exchange.give(soap_fault(self._unknown_sender(exchange.client), found.message_id, self._new_id()))
            self._account(exchange, found, started)
        elif self.record is None:
            self._accept(exchange, found, started)
            follow = self._receive(subscription, found)
            if follow is not None:
                follow(None)
        else:
            follow = self._receive(subscription, found)
            recording = self.record.settled() if follow is None else self._append(
                self.record, exchange, found, subscription)
            recording.addCallbacks(self._recorded, self._not_recorded, callbackArgs=(exchange, found, started, follow),
                                   errbackArgs=(exchange, found, started))
            recording.addErrback(lambda failure: self.log.failure(
                "{scanner}: passing on an event failed", failure, scanner=self._bridge.name))

    def _accept(self, exchange: Exchange, notification: Notification, started: float) -> None:
        exchange.answer(202, b"")
        self._account(exchange, notification, started)

    def _account(self, exchange: Exchange, notification: Notification, started: float) -> None:
        status = notification.status
        self._accounting.event(exchange, notification.event or "SubscriptionEnd", started, notification.envelope,
                               None if status is None else status.job_id)

    def _receive(self, subscription: NotifiedSubscription, notification: Notification) -> "_Follow | None":
        """Learns from a notification. Returns the function that passes it on, None if it has arrived before."""
        self._device.received()
        subscription.notified()
        take = self._take_for_panel if subscription.identifier else self._take
        return take(subscription, notification)

    # Several gateways.

    def _append(self, record: EventRecord, exchange: Exchange, notification: Notification,
                subscription: NotifiedSubscription) -> "Deferred[LoggedEvent | None]":
        if notification.event is None:
            return record.settled()
        request = exchange.request
        return record.append(request.body, request.content_type or b"", subscription.identifier, once=bool(
            subscription.identifier) and notification.event == SCAN_AVAILABLE)

    def _recorded(self, logged: LoggedEvent | None, exchange: Exchange, notification: Notification, started: float,
                  follow: "_Follow | None") -> None:
        self._accept(exchange, notification, started)
        if follow is not None:
            follow(None if logged is None else logged.identifier)

    def _not_recorded(self, failure: Failure, exchange: Exchange, notification: Notification, started: float) -> None:
        """Lets the scanner send the notification again, to the gateway that owns it now."""
        failure.trap(Fenced)
        exchange.abort()
        self._account(exchange, notification, started)

    def replayed(self, identifier: str, message_id: str | None) -> None:
        """Records that an earlier owner has received a message to the subscription held for that client's names."""
        if message_id is not None:
            self._replayed.is_new(f"{identifier} {message_id}")

    def _unknown_sender(self, client: str) -> Fault:
        if self._throttle.allows(client_of(client), self._seconds()):
            self.log.warn("{scanner}: refused a notification from {client}, which is not an address of the scanner; "
                          "if it is the scanner, add it to event_sources (logged at most once a minute)",
                          scanner=self._bridge.name, client=client.removeprefix("::ffff:"))
        return unknown_sender(client)

    def _refused(self, subscription: NotifiedSubscription, refusal: RefusedNotification, data: bytes) -> None:
        """Asks for the jobs that a refused message of the scanner may concern.

        If the message may concern the subscription's end, the scanner is also asked whether it still holds the
        subscription.
        """
        self._bridge.notifications.unread(unread_of(refusal, data), self._seconds())
        self._log_unread(refusal.reason)
        if refusal.is_end:
            subscription.doubted()

    def unread(self, secret: str, client: str) -> None:
        """Handles a message to this address that was cut off, or refused before it was complete."""
        if secret in self.addresses and self.may_notify(client):
            self._bridge.notifications.unread(Unread(), self._seconds())
            self._log_unread("it was incomplete or too large")

    def _log_unread(self, why: str) -> None:
        if self._throttle.allows("", self._seconds()):
            self.log.warn("{scanner}: a notification cannot be read: {why}; the scanner will be asked for its jobs "
                          "instead (logged at most once a minute)", scanner=self._bridge.name, why=why)

    def _take(self, subscription: NotifiedSubscription, notification: Notification) -> "_Follow | None":
        """Processes a notification to the gateway's subscription: for the job table, and for all subscribers."""
        if not self._bridge.notifications.received(notification, self._seconds()):
            return None
        if notification.unread is not None and notification.status is None:
            self._log_unread(f"the {notification.event} does not give a reliable job state")
        self._metrics.event(self._bridge.name, notification.event or "other")
        effect = effect_of(notification.event, is_panel=False)
        known = self._bridge.notifications.known_to(notification, self._seconds()) if effect is Effect.PUBLISHED else ()
        self._after_learning()
        if effect is Effect.ENDED:
            subscription.ended()
        if effect is not Effect.PUBLISHED:
            return _nowhere
        return lambda logged: self._subscribers.publish(
            notification.envelope, notification.status, known=known, logged=logged)

    def _take_for_panel(self, subscription: NotifiedSubscription, notification: Notification) -> "_Follow | None":
        """Processes a notification to the subscription for a client's names.

        Events other than ScanAvailableEvent only update the job table; subscribers get them by the gateway's own
        subscription.
        """
        if not subscription.seen.is_new(notification.message_id) or self._was_replayed(subscription, notification):
            return None
        self._bridge.notifications.overheard(notification, self._seconds())
        effect = effect_of(notification.event, is_panel=True)
        if effect is Effect.NONE:
            self._after_learning()
            return _nowhere
        self._metrics.event(self._bridge.name, notification.event or "other")
        press = self.own_press(subscription.identifier)
        if effect is Effect.ENDED:
            subscription.ended()
            return _nowhere
        if press is not None:
            return lambda logged: press(notification.envelope)
        return lambda logged: self._subscribers.publish_to(subscription.identifier, notification.envelope, logged)

    def _was_replayed(self, subscription: NotifiedSubscription, notification: Notification) -> bool:
        message_id = notification.message_id
        return message_id is not None and f"{subscription.identifier} {message_id}" in self._replayed


_Follow = Callable[[EventID | None], None]


def _nowhere(logged: EventID | None) -> None:
    """Passes on a notification that goes to no client."""
