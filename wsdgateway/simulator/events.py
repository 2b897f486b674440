"""The subscriptions to the virtual scanner, and the delivery of notifications.

WS-Eventing 2004/08, sections 3 and 4; WS-Scan, ScanDestinations and ScanAvailableEvent. Each subscriber has its own
queue, which is delivered in order.
"""

import secrets
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import attrs
from lxml import etree
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from wsdgateway.eventing.expiry import read_expires, write_duration
from wsdgateway.eventing.faults import (
    filter_action_not_supported,
    invalid_expiration,
    invalid_message,
    unable_to_process,
    unsupported_expiration,
)
from wsdgateway.net.transport.errors import describe_error
from wsdgateway.scan.operations import EVENTS, JOB_END_STATE, JOB_STATUS, SCAN_AVAILABLE, SUBSCRIBE, action_of, event_of
from wsdgateway.scan.reading import child, tag, text
from wsdgateway.soap.addressing import EndpointReference, read_reference
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.faults import Fault, Refused, invalid_args
from wsdgateway.soap.namespaces import WSCN, WSE
from wsdgateway.soap.parsing import escape, text_of

MAX_QUEUE = 1000
MAX_SUBSCRIPTIONS = 100
DELIVERY_TIMEOUT = 10.0

_WSE = f"{{{WSE}}}"
_ALLOWED = {"all": EVENTS, "jobs": (JOB_STATUS, JOB_END_STATE, SCAN_AVAILABLE), "silent": EVENTS, "none": ()}


@attrs.define(eq=False)
class Subscription:
    """One subscription. `destinations` maps each ClientContext to its DestinationToken, `names` to its name."""

    identifier: str
    notify_to: EndpointReference
    events: tuple[str, ...]
    expires_at: float
    destinations: dict[str, str]
    queue: deque[bytes] = attrs.field(factory=deque)
    sending: bool = False
    names: dict[str, str] = attrs.field(factory=dict)


class Subscribers:
    """The subscriptions of the virtual scanner. `mode` selects the events that can be subscribed to, and are sent."""

    log = Logger()

    def __init__(self, reactor: Any, *, mode: str, longest: float, wall: Callable[[], float],
                 new_id: Callable[[], str]) -> None:
        self._reactor = reactor
        pool = HTTPConnectionPool(reactor, persistent=False)
        pool._factory.noisy = False  # it would log two lines for every event
        self._agent = Agent(reactor, connectTimeout=DELIVERY_TIMEOUT, pool=pool)
        self._longest = longest
        self._wall = wall
        self._new_id = new_id
        self._running: set[Deferred[Any]] = set()
        self._stopped = False
        self.mode = mode
        self.held: dict[str, Subscription] = {}

    def answer(self, name: str, envelope: Envelope, manager: str) -> str:
        """The content of the answer to the eventing operation of that name. Raises `Refused`."""
        if envelope.body is None:
            raise Refused(invalid_args("The Body is empty."))
        if name == SUBSCRIBE.name:
            return self.subscribe(envelope.body, manager)
        identifier = text_of(envelope.root.find(f".//{{{WSE}}}Identifier"))
        if name == "Renew":
            return self.renew(identifier, envelope.body)
        if name == "GetStatus":
            return self.status(identifier)
        self.unsubscribe(identifier)
        return ""

    def subscribe(self, body: etree._Element, manager: str) -> str:
        """The content of the SubscribeResponse. `manager` is the address of the subscription manager."""
        if self.mode == "none":
            raise Refused(Fault("Sender", "wsa:ActionNotSupported", "This scanner does not provide events.", 400))
        delivery = body.find(_WSE + "Delivery")
        element = None if delivery is None else delivery.find(_WSE + "NotifyTo")
        notify_to = None if element is None else read_reference(element)
        if notify_to is None:
            raise Refused(invalid_message("The Subscribe contains no NotifyTo."))
        self._expire()
        if len(self.held) >= MAX_SUBSCRIPTIONS:
            raise Refused(unable_to_process("Too many subscriptions."))
        events = self._wanted(body.find(_WSE + "Filter"))
        lifetime = self._lifetime(body)
        identifier = self._new_id()
        destinations = self.destinations_in(body)
        self.held[identifier] = Subscription(
            identifier, notify_to, events, self._reactor.seconds() + lifetime,
            {context: token for context, (_, token) in destinations.items()},
            names={context: name for context, (name, _) in destinations.items()})
        return (
            f"<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>{escape(manager)}</wsa:Address>"
            f"<wsa:ReferenceParameters><wse:Identifier>{identifier}</wse:Identifier></wsa:ReferenceParameters>"
            f"</wse:SubscriptionManager><wse:Expires>{write_duration(lifetime)}</wse:Expires>"
            f"{self._responses(destinations)}</wse:SubscribeResponse>")

    def _wanted(self, element: etree._Element | None) -> tuple[str, ...]:
        actions = (text_of(element) or "").split() if element is not None else [action_of(event) for event in EVENTS]
        events = tuple(event_of(action) or "" for action in actions)
        if not set(events) <= set(_ALLOWED[self.mode]):
            raise Refused(filter_action_not_supported())
        return events

    def _lifetime(self, body: etree._Element) -> float:
        asked = text_of(body.find(_WSE + "Expires"))
        seconds = self._longest if asked is None else read_expires(asked, datetime.fromtimestamp(self._wall(), UTC))
        if seconds is None:
            raise Refused(unsupported_expiration())
        if seconds <= 0:
            raise Refused(invalid_expiration())
        return min(seconds, self._longest)

    def destinations_in(self, body: etree._Element) -> dict[str, tuple[str, str]]:
        """The destinations that a Subscribe asks for, by their ClientContext: the name on the panel, and its token."""
        listed = child(body, "ScanDestinations")
        if listed is None:
            return {}
        return {text(element, "ClientContext") or "": (text(element, "ClientDisplayName") or "", secrets.token_hex(8))
                for element in listed.iterfind(tag("ScanDestination"))}

    def _responses(self, destinations: dict[str, tuple[str, str]]) -> str:
        if not destinations:
            return ""
        return "<wscn:DestinationResponses>" + "".join(
            f"<wscn:DestinationResponse><wscn:ClientContext>{escape(context)}</wscn:ClientContext>"
            f"<wscn:DestinationToken>{token}</wscn:DestinationToken></wscn:DestinationResponse>"
            for context, (_, token) in destinations.items()) + "</wscn:DestinationResponses>"

    def find(self, identifier: str | None) -> Subscription:
        """The subscription with that identifier. Raises `Refused`."""
        self._expire()
        found = self.held.get(identifier or "")
        if found is None:
            raise Refused(invalid_message("There is no such subscription."))
        return found

    def renew(self, identifier: str | None, body: etree._Element) -> str:
        """The content of the RenewResponse."""
        subscription = self.find(identifier)
        lifetime = self._lifetime(body)
        subscription.expires_at = self._reactor.seconds() + lifetime
        return f"<wse:RenewResponse><wse:Expires>{write_duration(lifetime)}</wse:Expires></wse:RenewResponse>"

    def status(self, identifier: str | None) -> str:
        """The content of the GetStatusResponse."""
        left = self.find(identifier).expires_at - self._reactor.seconds()
        return f"<wse:GetStatusResponse><wse:Expires>{write_duration(left)}</wse:Expires></wse:GetStatusResponse>"

    def unsubscribe(self, identifier: str | None) -> None:
        """End a subscription."""
        del self.held[self.find(identifier).identifier]

    def _expire(self) -> None:
        now = self._reactor.seconds()
        for identifier in [key for key, held in self.held.items() if held.expires_at <= now]:
            del self.held[identifier]

    def has_token(self, token: str) -> bool:
        """True if a live destination has this DestinationToken."""
        self._expire()
        return any(token in held.destinations.values() for held in self.held.values())

    def publish(self, event: str, body: str) -> int:
        """Queue an event for every subscriber to it, and return their number."""
        if self.mode == "silent":
            return 0
        self._expire()
        told = 0
        for subscription in list(self.held.values()):
            if event in subscription.events:
                self.notify(subscription, event, body)
                told += 1
        return told

    def publish_message(self, event: str, write: Callable[[Subscription], bytes]) -> int:
        """Queue a ready message for every subscriber to an event, and return their number.

        `write` makes each message.
        """
        self._expire()
        listening = [held for held in self.held.values() if event in held.events]
        for subscription in listening:
            self._queue(subscription, write(subscription))
        return len(listening)

    def notify(self, subscription: Subscription, event: str, body: str) -> None:
        """Queue one notification."""
        sink = subscription.notify_to
        self._queue(subscription, compose(
            action=action_of(event), message_id=self._new_id(), to=sink.address, headers=sink.headers, body=body,
            namespaces={"wscn": WSCN, "wse": WSE}))

    def _queue(self, subscription: Subscription, message: bytes) -> None:
        if self._stopped or len(subscription.queue) >= MAX_QUEUE:
            return
        subscription.queue.append(message)
        if not subscription.sending:
            subscription.sending = True
            running = Deferred.fromCoroutine(self._deliver(subscription))
            self._running.add(running)
            running.addErrback(lambda failure: self.log.failure("Notifying a subscriber failed", failure))
            running.addBoth(lambda _: self._running.discard(running))

    async def _deliver(self, subscription: Subscription) -> None:
        try:
            while subscription.queue and not self._stopped:
                message = subscription.queue.popleft()
                sending = self._agent.request(
                    b"POST", subscription.notify_to.address.encode(),
                    Headers({b"Content-Type": [b"application/soap+xml"]}), FileBodyProducer(BytesIO(message)))
                sending.addTimeout(DELIVERY_TIMEOUT, self._reactor)
                try:
                    response = await sending
                    if response.length:  # a 202 without a body has no connection left to read from
                        await readBody(response).addTimeout(DELIVERY_TIMEOUT, self._reactor)
                except Exception as error:
                    self.log.warn("a notification to {address} was not delivered: {error}",
                                  address=subscription.notify_to.address, error=describe_error(error))
        finally:
            subscription.sending = False

    def forget(self) -> None:
        """Drop every subscription without notice, as a reboot does."""
        for held in self.held.values():
            held.queue.clear()
        self.held.clear()

    def stop(self) -> None:
        """Stop all deliveries."""
        self._stopped = True
        self.forget()
        for running in list(self._running):
            running.cancel()
