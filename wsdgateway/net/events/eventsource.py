"""The event source for clients: answers Subscribe, Renew, GetStatus and Unsubscribe.

WS-Eventing 2004/08, sections 3.1 to 3.4; WS-Scan, ScanAvailableEvent. `bridge.events.subscribing` makes the decisions.
A change is written to the store before a client is told of it (or to memory while the store cannot be used). A
Subscribe is not forwarded to the scanner, except for ScanAvailableEvent.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.cluster.alone import NOT_KNOWN, REFUSAL, Alone
from wsdgateway.bridge.decisions import Answer, Pass, Refuse, Reply
from wsdgateway.bridge.events.subscribing import (
    UNKNOWN,
    Unavailable,
    find_named,
    granted_seconds,
    makes_room,
    read_wanted,
    renewed,
    succession,
)
from wsdgateway.bridge.events.subscriptions import Subscription, Subscriptions
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.frontend import EventingRequest
from wsdgateway.bridge.rewriting import relate_reply
from wsdgateway.eventing.faults import unable_to_process, unable_to_renew
from wsdgateway.eventing.source import (
    Lifetime,
    read_renew,
    write_lifetime_response,
    write_subscribe_response,
    write_unsubscribe_response,
)
from wsdgateway.metrics import DEVICE, LOCAL, REFUSED
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.errors import DeviceError, fault_for
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.scan.destinations import write_tokens
from wsdgateway.scan.operations import GET_STATUS, RENEW, SUBSCRIBE
from wsdgateway.soap.faults import Refused, temporary_error
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import IClientSubscriptions

_NOT_STORED = "The gateway cannot write to its store at the moment; see its log, or try again in a minute."
_FAILED = unable_to_process("Internal error of the gateway; see its log.")
_GONE = unable_to_process("The client disconnected before the answer.")

Decision = Answer | Pass | Refuse


class _Declined(Exception):
    """The scanner refused; its answer is forwarded to the client."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@attrs.define(eq=False)
class EventSource:
    """Answers clients' requests about one scanner's events.

    `unavailable` returns why the scanner has no events, or None. `wall` returns seconds since 1970, `now`
    the time on the clock for the duration of subscriptions, and `secret` the given number of random bytes. While
    the scanner is served `alone`, nobody can subscribe.
    """

    scanner: str
    subscriptions: Subscriptions
    subscribers: Subscribers
    panel: ScanDestinations
    store: IClientSubscriptions
    policy: SinkPolicy
    options: ScannerOptions
    wall: Callable[[], float]
    now: SteadyClock
    new_id: Callable[[], str]
    secret: Callable[[int], bytes]
    unavailable: Callable[[], Unavailable | None]
    alone: Alone | None = None
    log = Logger()

    def adjust(self, options: ScannerOptions) -> None:
        """Applies changed options."""
        self.options = options

    @property
    def _longest(self) -> float:
        return self.options.events.client_expires

    async def answer(self, request: EventingRequest, base: str, is_gone: Callable[[], bool]) -> tuple[Decision, str]:
        """Returns the decision, and its source for the metrics.

        `base` is the URL at which the client reached this gateway. There is always an answer, because Windows' event
        client does not survive a missing one. If the client `is_gone` by the time the scanner has put its names on the
        panel, it will never learn of them, so they are removed again.
        """
        try:
            if request.operation is SUBSCRIBE:
                return await self._subscribe(request, base, is_gone)
            subscription = self._find(request)
            if request.operation is RENEW:
                return await self._renew(request, subscription), LOCAL
            if request.operation is GET_STATUS:
                return self._status(request, subscription), LOCAL
            return await self._unsubscribe(request, subscription), LOCAL
        except Refused as refused:
            return Refuse(refused.fault), REFUSED
        except DeviceError as error:
            return Refuse(fault_for(error)), DEVICE if error.sent else REFUSED
        except _Declined as declined:
            body = relate_reply(declined.reply.body, request.envelope.message_id)
            return Pass(attrs.evolve(declined.reply, body=body)), DEVICE
        except Exception:
            self.log.failure("{scanner}: {operation} failed", scanner=self.scanner, operation=request.operation.name)
            return Refuse(_FAILED), REFUSED

    def _find(self, request: EventingRequest) -> Subscription:
        """Returns the subscription that a request names. Raises `Refused`.

        A client whose subscription is not known makes another one. It must not if the subscription is merely not known
        here, because this gateway serves the scanner without what the former owner has stored.
        """
        try:
            return find_named(self.subscriptions, request.named, self.now())
        except Refused:
            if self.alone is None or self.alone.is_owner:
                raise
            fault = unable_to_renew if request.operation is RENEW else unable_to_process
            raise Refused(fault(NOT_KNOWN)) from None

    # Subscribe.

    async def _subscribe(self, request: EventingRequest, base: str,
                         is_gone: Callable[[], bool]) -> tuple[Decision, str]:
        if self.alone is not None:
            raise Refused(unable_to_process(REFUSAL))
        now = self.wall()
        subscription, lifetime = await self._wanted(request, base, now)
        responses, source = "", LOCAL
        try:
            if not subscription.panel:
                await self._make_room(subscription)
                await self._keep(subscription)
            else:
                wanted = subscription
                subscription, responses, source = await self.panel.registrations.run(
                    lambda: self._register(wanted, is_gone), client_of(wanted.client))
        finally:
            self.subscriptions.unexpect(subscription.identifier)
        granted = granted_seconds(lifetime, self._longest)
        self.log.info("{scanner}: {client} subscribed for {seconds:g} s, notifications to {address}", seconds=granted,
                      scanner=self.scanner, client=request.client, address=subscription.notify_to.reference.address)
        return Answer(write_subscribe_response(
            manager=subscription.manager, identifier=subscription.urn, expires=granted, absolute=lifetime.absolute,
            now=_time(now), relates_to=request.envelope.message_id, message_id=self.new_id(),
            extension=responses)), source

    async def _wanted(self, request: EventingRequest, base: str, now: float) -> tuple[Subscription, Lifetime]:
        """Returns the requested subscription. Raises `Refused`."""
        wanted = read_wanted(request.envelope, _time(now), unavailable=self.unavailable(),
                             has_panel=self.panel.client is not None)
        notify_to = await self.policy.check("NotifyTo", wanted.notify_to, request.client)
        end_to = None if wanted.end_to is None else await self.policy.check("EndTo", wanted.end_to, request.client)
        identifier = str(UUID(bytes=self.secret(16), version=4))
        return Subscription(
            identifier, self.scanner, request.client, f"{base}/{self.scanner}/subscriptions/{identifier}",
            notify_to, end_to, wanted.filter, self.now() + granted_seconds(wanted.lifetime, self._longest),
            wanted.panel, wanted.destinations), wanted.lifetime

    async def _make_room(self, subscription: Subscription) -> None:
        """Reserves a place for the subscription, ending superseded ones if necessary. Raises `Refused`."""
        while (superseded := makes_room(self.subscriptions)) is not None:
            self.log.warn("{scanner}: {client} has too many subscriptions for {address}; ending the oldest",
                          scanner=self.scanner, client=superseded.client,
                          address=superseded.notify_to.reference.address)
            await self._logged(self.subscribers.leave(superseded))
        self.subscriptions.expect(subscription.identifier)

    async def _logged(self, storing: Deferred[None]) -> None:
        """Waits for a write whose failure is only logged."""
        try:
            await storing
        except Exception:  # a disk can fail in any way
            log_failed_write(self.log, Failure(), "{scanner}: deleting a subscription from the store failed",
                             scanner=self.scanner)

    async def _register(self, subscription: Subscription,
                        is_gone: Callable[[], bool]) -> tuple[Subscription, str, str]:
        """Puts a client's names on the panel.

        Returns the stored subscription, DestinationResponses, and the source of the answer.
        """
        if is_gone():
            raise Refused(_GONE)  # the client disconnected while others were registered
        self.panel.check()
        repeated = self.subscriptions.repeated(subscription)
        if repeated is not None:
            heir = await self._take_over(repeated, subscription)
            return heir, write_tokens((token.context, token.given) for token in heir.tokens), LOCAL
        await self._make_room(subscription)
        registered = await self.panel.register(subscription)
        if isinstance(registered, Reply):
            raise _Declined(registered)
        if is_gone():
            self.subscribers.off_panel(subscription.identifier)
            raise Refused(_GONE)
        try:
            await self._keep(registered.subscription, registered.held)
        except Refused:
            self.subscribers.off_panel(subscription.identifier)
            raise
        self.panel.catch_up(subscription.identifier)
        return registered.subscription, registered.responses, DEVICE

    async def _keep(self, subscription: Subscription, held: Held | None = None) -> None:
        try:
            await self.store.save(subscription, held)
        except Exception:  # a disk can fail in any way
            log_failed_write(self.log, Failure(), "{scanner}: writing a subscription to the store failed",
                             scanner=self.scanner)
            raise Refused(unable_to_process(_NOT_STORED)) from None
        self.subscribers.join(subscription)

    async def _take_over(self, former: Subscription, subscription: Subscription) -> Subscription:
        """Replaces the former subscription by a new one of the same client for the same names."""
        found = succession(former, subscription)
        heir, left = found.heir, found.left
        if left is not None:
            await self._make_room(subscription)
            if self.subscriptions.repeated(subscription) is not former:
                raise Refused(temporary_error("The former registration has just changed; send the Subscribe again."))
        self.panel.hand_over(former.identifier, heir.identifier)
        self.subscribers.succeed(heir, former.identifier, left)
        try:
            await self.store.succeed(heir, self.panel.held_for(heir.identifier), former.identifier, left)
        except Exception:  # a disk can fail in any way
            log_failed_write(self.log, Failure(), "{scanner}: writing a subscription to the store failed",
                             scanner=self.scanner)
            current = self.subscriptions.get(heir.identifier)
            if current is not None:
                self.panel.hand_over(heir.identifier, former.identifier)
                self.subscribers.withdraw(heir.identifier, attrs.evolve(former, tokens=current.tokens), left)
            else:  # it has ended meanwhile, and with it the former one
                await self._logged(self.store.forget(former.identifier))
            raise Refused(unable_to_process(_NOT_STORED)) from None
        return heir

    # The subscription's manager.

    async def _renew(self, request: EventingRequest, subscription: Subscription) -> Answer:
        now = self.wall()
        lifetime = read_renew(request.envelope, _time(now))
        longest = self._longest  # a new configuration may be applied during the write
        prolonged = renewed(subscription, lifetime, ceiling=longest, now=self.now())
        self.subscribers.change(prolonged)
        try:
            await self.store.save(prolonged)
        except Exception:  # a disk can fail in any way
            log_failed_write(self.log, Failure(), "{scanner}: writing a renewal to the store failed",
                             scanner=self.scanner)
            current = self.subscriptions.find(subscription.identifier, self.now())
            if current is not None:
                self.subscribers.change(attrs.evolve(current, expires_at=subscription.expires_at))
            raise Refused(unable_to_renew(_NOT_STORED)) from None
        if self.subscriptions.find(subscription.identifier, self.now()) is None:
            raise Refused(UNKNOWN)  # it ended during the write; its deletion is written next
        return self._lives(request, "Renew", granted_seconds(lifetime, longest), lifetime.absolute, now)

    def _status(self, request: EventingRequest, subscription: Subscription) -> Answer:
        return self._lives(request, "GetStatus", subscription.expires_at - self.now(), False, self.wall())

    def _lives(self, request: EventingRequest, name: str, seconds: float, absolute: bool, now: float) -> Answer:
        return Answer(write_lifetime_response(
            name, expires=seconds, absolute=absolute, now=_time(now), relates_to=request.envelope.message_id,
            message_id=self.new_id()))

    async def _unsubscribe(self, request: EventingRequest, subscription: Subscription) -> Answer:
        try:
            await self.subscribers.leave(subscription)
        except Exception:  # a failed write: the subscription has ended, but will be back after a restart
            log_failed_write(self.log, Failure(), "{scanner}: deleting a subscription from the store failed",
                             scanner=self.scanner)
            raise Refused(unable_to_process(_NOT_STORED)) from None
        self.log.info("{scanner}: {client} unsubscribed, notifications to {address}", scanner=self.scanner,
                      client=request.client, address=subscription.notify_to.reference.address)
        return Answer(write_unsubscribe_response(
            relates_to=request.envelope.message_id, message_id=self.new_id()))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
