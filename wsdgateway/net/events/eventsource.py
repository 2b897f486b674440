"""The event source that clients subscribe to: Subscribe, Renew, GetStatus and Unsubscribe.

WS-Eventing 2004/08, sections 3.1 to 3.4; WS-Scan, ScanAvailableEvent. What a client is told has been handed to the
store first, and is written, or in memory while the store can't be used. A Subscribe never reaches the scanner, except
for ScanAvailableEvent.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.decisions import Answer, Pass, Refuse, Reply
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION, URN, Subscription, Subscriptions
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.wsscan import EventingRequest
from wsdgateway.bridge.rewriting import related
from wsdgateway.eventing.faults import invalid_message, unable_to_process, unable_to_renew
from wsdgateway.eventing.source import (
    Lifetime,
    read_renew,
    read_subscribe,
    write_lifetime_response,
    write_subscribe_response,
    write_unsubscribe_response,
)
from wsdgateway.metrics import DEVICE, LOCAL, REFUSED
from wsdgateway.net.events.scandestinations import ScanDestinations
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.net.events.subscriptionclock import SubscriptionClock
from wsdgateway.net.transport.errors import DeviceError, fault_for
from wsdgateway.scan.destinations import MAX_DESTINATIONS, MAX_XML, read_destinations, write_tokens
from wsdgateway.scan.operations import EVENT_SPELLINGS, GET_STATUS, RENEW, SUBSCRIBE
from wsdgateway.soap.faults import Refused, temporary_error
from wsdgateway.soap.fragments import fits
from wsdgateway.storage.store import IClientSubscriptions

_UNKNOWN = invalid_message(
    "There is no such subscription here, or it has ended; send Subscribe to the scan service anew.")
_NOT_STORED = "The gateway can't write it down at the moment, and its log says why; try again in a minute."
_FULL = unable_to_process("The scanner has as many subscribers as the gateway takes; end those that are not needed, or "
                          "raise max_subscriptions in [events] of the gateway.")
_FAILED = unable_to_process("The gateway made a mistake, and its log says which; tell its makers.")
_GONE = unable_to_process("The client has closed its connection before it was answered.")
_TOO_MANY_NAMES = invalid_message(f"A Subscribe may hold at most {MAX_DESTINATIONS} ScanDestinations; send fewer.")

Decision = Answer | Pass | Refuse


class _Declined(Exception):
    """The scanner itself refused; its answer is the client's."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@attrs.define(eq=False)
class EventSource:
    """Answers what clients ask of one scanner's events. `ceiling` is the longest subscription, in seconds.

    `unavailable` says why the scanner has no events to give, or None; `wall` gives seconds since 1970, and `now` those
    that subscriptions last by.
    """

    scanner: str
    subscriptions: Subscriptions
    subscribers: Subscribers
    panel: ScanDestinations
    store: IClientSubscriptions
    policy: SinkPolicy
    ceiling: float
    wall: Callable[[], float]
    now: SubscriptionClock
    new_id: Callable[[], str]
    unavailable: Callable[[], str | None]
    log = Logger()

    async def answer(self, request: EventingRequest, base: str, is_gone: Callable[[], bool]) -> tuple[Decision, str]:
        """What the client gets, and where that came from. `base` is the URL under which it reached this gateway.

        There always is an answer, since Windows' event client does not survive silence. A client that `is_gone` when
        the scanner has put its names on the panel will never learn of that, so they are taken off again.
        """
        try:
            if request.operation is SUBSCRIBE:
                return await self._subscribe(request, base, is_gone)
            subscription = self._named(request)
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
            body = related(declined.reply.body, request.envelope.message_id)
            return Pass(attrs.evolve(declined.reply, body=body)), DEVICE
        except Exception:
            self.log.failure("{scanner}: {operation}", scanner=self.scanner, operation=request.operation.name)
            return Refuse(_FAILED), REFUSED

    def _granted(self, lifetime: Lifetime) -> float:
        return self.ceiling if lifetime.seconds is None else min(lifetime.seconds, self.ceiling)

    def _named(self, request: EventingRequest) -> Subscription:
        found = self.subscriptions.find((request.named or "").removeprefix(URN), self.now())
        if found is None:
            raise Refused(_UNKNOWN)
        return found

    # Subscribe.

    async def _subscribe(self, request: EventingRequest, base: str,
                         is_gone: Callable[[], bool]) -> tuple[Decision, str]:
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
        granted = self._granted(lifetime)
        self.log.info("{scanner}: {client} subscribes for {seconds:g} s, to be told at {address}", seconds=granted,
                      scanner=self.scanner, client=request.client, address=subscription.notify_to.reference.address)
        return Answer(write_subscribe_response(
            manager=subscription.manager, identifier=subscription.urn, expires=granted, absolute=lifetime.absolute,
            now=_time(now), relates_to=request.envelope.message_id, message_id=self.new_id(),
            extension=responses)), source

    async def _wanted(self, request: EventingRequest, base: str, now: float) -> tuple[Subscription, Lifetime]:
        """The subscription that is asked for. Raises `Refused`."""
        wanted = read_subscribe(request.envelope, _time(now), EVENT_SPELLINGS)
        assert request.envelope.body is not None
        destinations = read_destinations(request.envelope.body)
        if destinations is not None and (
                len(destinations.listed) > MAX_DESTINATIONS or not fits(destinations.xml, MAX_XML)):
            raise Refused(_TOO_MANY_NAMES)
        on_panel = destinations is not None or wanted.filter.names(SCAN_AVAILABLE_ACTION)
        reason = self.unavailable()
        if reason is not None and not (on_panel and self.panel.side is not None):
            raise Refused(unable_to_process(reason))
        self.policy.refuse_impossible("NotifyTo", wanted.notify_to)
        self.policy.refuse_impossible("EndTo", wanted.end_to)
        notify_to = await self.policy.check("NotifyTo", wanted.notify_to, request.client)
        end_to = None if wanted.end_to is None else await self.policy.check("EndTo", wanted.end_to, request.client)
        identifier = str(uuid.uuid4())
        return Subscription(
            identifier, self.scanner, request.client, f"{base}/{self.scanner}/subscriptions/{identifier}",
            notify_to, end_to, wanted.filter, self.now() + self._granted(wanted.lifetime), on_panel, destinations,
        ), wanted.lifetime

    async def _make_room(self, subscription: Subscription) -> None:
        """Keep a place. A client that subscribes again and again, and never leaves, must not keep the others out."""
        while self.subscriptions.full:
            superseded = self.subscriptions.superseded()
            if superseded is None:
                raise Refused(_FULL)
            self.log.warn("{scanner}: {client} has subscribed again and again for {address}; the first of these makes "
                          "room", scanner=self.scanner, client=superseded.client,
                          address=superseded.notify_to.reference.address)
            await self._unheard(self.subscribers.leave(superseded))
        self.subscriptions.expect(subscription.identifier)

    async def _unheard(self, storing: Deferred[None]) -> None:
        """Something that no client is told of."""
        try:
            await storing
        except Exception:  # whatever a disk can do
            self.log.failure("{scanner}: the store does not forget a subscription", scanner=self.scanner)

    async def _register(self, subscription: Subscription,
                        is_gone: Callable[[], bool]) -> tuple[Subscription, str, str]:
        """Put a client's names on the panel: the subscription as it is kept, DestinationResponses, who gave them."""
        if is_gone():
            raise Refused(_GONE)  # while others were registered
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
        except Exception:  # whatever a disk can do
            self.log.failure("{scanner}: the store does not keep a subscription", scanner=self.scanner)
            raise Refused(unable_to_process(_NOT_STORED)) from None
        self.subscribers.join(subscription)

    async def _take_over(self, former: Subscription, subscription: Subscription) -> Subscription:
        """The same client asks for the same names again: its new subscription gets what the former one has.

        Asking the scanner again would make another entry on its panel, and kill the tokens that the client has. What
        the former one was for beside that stays with it; if there is nothing, it ends.
        """
        heir = attrs.evolve(subscription, tokens=former.tokens)
        left = None if heir.filter == former.filter else attrs.evolve(former, panel=False, destinations=None, tokens=())
        if left is not None:
            await self._make_room(subscription)
            if self.subscriptions.repeated(subscription) is not former:
                raise Refused(temporary_error("The former registration has just changed; send the Subscribe again."))
        self.panel.hand_over(former.identifier, heir.identifier)
        self.subscribers.succeed(heir, former.identifier, left)
        try:
            await self.store.succeed(heir, self.panel.held(heir.identifier), former.identifier, left)
        except Exception:  # whatever a disk can do
            self.log.failure("{scanner}: the store does not keep a subscription", scanner=self.scanner)
            current = self.subscriptions.get(heir.identifier)
            if current is not None:
                self.panel.hand_over(heir.identifier, former.identifier)
                self.subscribers.withdraw(heir.identifier, attrs.evolve(former, tokens=current.tokens), left)
            else:  # it has ended meanwhile, and the former one with it
                await self._unheard(self.store.forget(former.identifier))
            raise Refused(unable_to_process(_NOT_STORED)) from None
        return heir

    # The subscription's manager.

    async def _renew(self, request: EventingRequest, subscription: Subscription) -> Answer:
        now = self.wall()
        lifetime = read_renew(request.envelope, _time(now))
        granted = self._granted(lifetime)
        renewed = attrs.evolve(subscription, expires_at=self.now() + granted)
        self.subscribers.change(renewed)
        try:
            await self.store.save(renewed)
        except Exception:  # whatever a disk can do
            self.log.failure("{scanner}: the store does not keep a renewal", scanner=self.scanner)
            current = self.subscriptions.find(subscription.identifier, self.now())
            if current is not None:
                self.subscribers.change(attrs.evolve(current, expires_at=subscription.expires_at))
            raise Refused(unable_to_renew(_NOT_STORED)) from None
        if self.subscriptions.find(subscription.identifier, self.now()) is None:
            raise Refused(_UNKNOWN)  # it ended while this was written; that is written after it
        return self._lives(request, "Renew", granted, lifetime.absolute, now)

    def _status(self, request: EventingRequest, subscription: Subscription) -> Answer:
        return self._lives(request, "GetStatus", subscription.expires_at - self.now(), False, self.wall())

    def _lives(self, request: EventingRequest, name: str, seconds: float, absolute: bool, now: float) -> Answer:
        return Answer(write_lifetime_response(
            name, expires=seconds, absolute=absolute, now=_time(now), relates_to=request.envelope.message_id,
            message_id=self.new_id()))

    async def _unsubscribe(self, request: EventingRequest, subscription: Subscription) -> Answer:
        try:
            await self.subscribers.leave(subscription)
        except Exception:  # whatever a disk can do; here it is over all the same, and after a start it is not
            self.log.failure("{scanner}: the store does not forget a subscription", scanner=self.scanner)
            raise Refused(unable_to_process(_NOT_STORED)) from None
        self.log.info("{scanner}: {client} ends the subscription of {address}", scanner=self.scanner,
                      client=request.client, address=subscription.notify_to.reference.address)
        return Answer(write_unsubscribe_response(
            relates_to=request.envelope.message_id, message_id=self.new_id()))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
