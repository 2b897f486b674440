"""Where one scanner notifies us: who may, what it says, and what follows.

WS-Eventing 2004/08, sections 3 and 3.5. Each subscription at the scanner has an unguessable address of its own.
Media type, envelope and action are checked, then the sender, then 202 goes out; the rest follows. The job table learns
every event at once, which takes some 60 microseconds; what listeners are told of a storm of events,
`net.events.distribution` bounds. A notification of the scanner's that can't be read, or is refused, makes the gateway
ask for the jobs that it may be about. Of a storm from an address that is not the scanner's, at most `MAX_STRANGE`
messages a second are read.
"""

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.events.intake import Notification, Unread, read_notification, unread_of
from wsdgateway.bridge.frontends.wsscan import Rejected
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.eventing.messages import is_end
from wsdgateway.http.messages import NOT_SOAP, charset_of, is_soap, media_type
from wsdgateway.metrics import Metrics
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.events import read_scanner_state
from wsdgateway.scan.operations import SCAN_AVAILABLE, SCANNER_STATUS_SUMMARY
from wsdgateway.soap.faults import Fault, invalid_args
from wsdgateway.tokenbucket import TokenBucket

MAX_STRANGE = 20.0

# What some devices call a notification; it is taken if an event can be read in it.
_OTHER_TYPES = (b"text/xml", b"application/xml", b"")


class EventSink:
    """Takes a scanner's notifications. `after_learning` is called when jobs may have changed.

    `state` is the scanner's own, as it announced it last. `addresses` leads from each secret to the subscription that
    it belongs to.
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
        self._strange = TokenBucket(MAX_STRANGE)
        self.addresses: dict[str, DeviceSubscription] = {}
        self.state: str | None = None

    def adjust(self, options: ScannerOptions) -> None:
        """Go by other options from now on."""
        self._options = options

    def place(self, secret: str) -> Callable[[Exchange], None] | None:
        """What takes the notifications under this secret; None if it is nobody's."""
        subscription = self.addresses.get(secret)
        return partial(self._notify, subscription) if subscription is not None else None

    def _notify(self, subscription: DeviceSubscription, turn: Exchange) -> None:
        started = self._accounting.now()
        may_notify = self.may_notify(turn.client)
        if not may_notify and not self._may_be_read():
            turn.refuse(self._not_from(turn.client), None, self._new_id())
            self._accounting.event(turn, "other", started, None, None)
            return
        content_type = turn.request.content_type
        notification = read_notification(turn.request.body, charset_of(content_type))
        if not is_soap(content_type) and (
                isinstance(notification, Rejected) or media_type(content_type) not in _OTHER_TYPES):
            turn.answer(415, NOT_SOAP, b"text/plain; charset=utf-8")
            self._accounting.event(turn, "other", started, None, None)
            self._refused(subscription, turn, notification,
                          f"its Content-Type is {(content_type or b'missing')[:100].decode('latin-1')}")
            return
        if isinstance(notification, Rejected):
            turn.refuse(notification.fault, notification.relates_to, self._new_id())
            self._accounting.event(turn, "other", started, notification.envelope, None)
            self._refused(subscription, turn, notification, notification.fault.reason)
            return
        if not may_notify:
            turn.refuse(self._not_from(turn.client), notification.message_id, self._new_id())
        else:
            turn.answer(202, b"", b"")
        status = notification.status
        self._accounting.event(turn, notification.event or "SubscriptionEnd", started, notification.envelope,
                             None if status is None else status.job_id)
        if turn.status == 202:
            self._device.received()
            subscription.heard()
            if subscription.identifier:
                self._take_for_panel(subscription, notification)
            else:
                self._take(subscription, notification)

    def _may_be_read(self) -> bool:
        """Whether a message from somebody else than the scanner may be looked at; if so it is counted."""
        now = self._seconds()
        if self._strange.wait(now) > 0.0:
            return False
        self._strange.spend(now)
        return True

    def _not_from(self, client: str) -> Fault:
        """The fault for a client that is not the scanner."""
        if self._throttle.allows(client_of(client), self._seconds()):
            self.log.warn("{scanner}: a notification from {client} is refused, for that is none of the scanner's "
                          "addresses; if it is the scanner, add it to event_sources (said once a minute)",
                          scanner=self._bridge.name, client=client.removeprefix("::ffff:"))
        return invalid_args(
            f"Notifications are not taken from {client}; add its network to event_sources of the scanner.")

    def _refused(self, subscription: DeviceSubscription, turn: Exchange, refused: Notification | Rejected,
                 why: str) -> None:
        """A message was refused. From the scanner it may be an event, and what that was about has to be asked for.

        It may tell of the subscription's end, too: then the scanner is asked whether it still holds it.
        """
        if self.may_notify(turn.client):
            self._bridge.unread(unread_of(refused, turn.request.body), self._seconds())
            self._say_unread(why)
            if refused.envelope is not None and is_end(refused.envelope.body):
                subscription.doubted()

    def unread(self, secret: str, client: str) -> None:
        """A message to this address broke off, or was refused before it was whole."""
        if secret in self.addresses and self.may_notify(client):
            self._bridge.unread(Unread(), self._seconds())
            self._say_unread("it did not come whole, or is too large")

    def _say_unread(self, why: str) -> None:
        if self._throttle.allows("", self._seconds()):
            self.log.warn("{scanner}: a notification can't be read: {why}; the scanner is asked for its jobs instead "
                          "(said once a minute)", scanner=self._bridge.name, why=why)

    def _take(self, subscription: DeviceSubscription, notification: Notification) -> None:
        """What the gateway's own subscription brings: for the job table, and for everybody who wants it."""
        if not self._bridge.notified(notification, self._seconds()):
            return
        if notification.unread is not None and notification.status is None:
            self._say_unread(f"the {notification.event} says nothing certain of a job's state")
        self._metrics.event(self._bridge.name, notification.event or "other")
        self._after_learning()
        if notification.event == SCANNER_STATUS_SUMMARY:
            self.state = read_scanner_state(notification.envelope.body)
        if notification.event is None:
            subscription.ended()
        elif notification.event != SCAN_AVAILABLE:
            self._subscribers.publish(notification.envelope, notification.status)

    def _take_for_panel(self, subscription: DeviceSubscription, notification: Notification) -> None:
        """What a client's subscription to the panel brings. Other events than its own are learnt, and told to nobody.

        Those who listen are told of them when they come as above.
        """
        if not subscription.seen.is_new(notification.message_id):
            return
        self._bridge.overheard(notification, self._seconds())
        if notification.event not in (None, SCAN_AVAILABLE):
            self._after_learning()
            return
        self._metrics.event(self._bridge.name, notification.event or "other")
        if notification.event is None:
            subscription.ended()
        else:
            self._subscribers.publish_to(subscription.identifier, notification.envelope)

    def may_notify(self, client: str) -> bool:
        """Whether notifications are taken from that IP address."""
        if client in self._device.peers or client == urlsplit(self._bridge.device or "").hostname:
            return True
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None and str(mapped) in self._device.peers:
            return True
        return any(candidate in network for network in self._options.section.event_sources
                   for candidate in (address, mapped) if candidate is not None)
