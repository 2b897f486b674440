"""The names that clients have on the scanner's panel: for each, a subscription to ScanAvailableEvent at the scanner.

WS-Scan, ScanDestinations and DestinationResponses. It is renewed as long as the client's own subscription lives and
ended with it, so that the panel shows no dead names; after a loss it is made anew, and the client's tokens lead to the
new ones.
"""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION, Subscription, paired
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.transport.errors import BadDevice, Unavailable
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.scan.destinations import read_tokens, write_responses
from wsdgateway.scan.operations import SUBSCRIBE, Operation
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.storage.store import IClientSubscriptions

TOKEN_BYTES = 8


@attrs.frozen(eq=False)
class Registered:
    """A name is on the panel: the subscription with its tokens, what is held for it, DestinationResponses as XML."""

    subscription: Subscription
    held: Held
    responses: str


class ScanDestinations:
    """The registrations at one scanner. `side` is set as soon as its address is known.

    `registrations` run one at a time, by turns of clients; that keeps two requests of one client from making two of
    them.
    """

    log = Logger()

    def __init__(self, reactor: Any, bridge: ScannerBridge, store: IClientSubscriptions,
                 on_lost: Callable[[], None]) -> None:
        self._bridge = bridge
        self._on_lost = on_lost
        self._store = store
        self._kept: dict[str, DeviceSubscription] = {}
        self._beginning: set[DeviceSubscription] = set()
        self._stopped = False
        self._subscribes, self._renewals = SerialQueue(reactor), SerialQueue(reactor)
        self._leaving: list[DeviceSubscription] = []
        self._early: dict[str, Envelope] = {}
        self.side: EventingClient | None = None
        self.registrations = SerialQueue(reactor)

    def __len__(self) -> int:
        return sum(kept.listening for kept in self._kept.values())

    def state(self, identifier: str) -> str | None:
        """The state of what is held for a client's subscription, a plain word; None if nothing ever is."""
        kept = self._kept.get(identifier)
        return kept.state if kept is not None else None

    def check(self) -> EventingClient:
        """The scanner's side, if names can be registered there at all. Raises `DeviceError`."""
        if self._stopped:
            raise Unavailable(self._bridge.name, "the gateway is stopping")
        if self.side is None:
            raise Unavailable(self._bridge.name, "its address is not known yet")
        return self.side

    def _make(self, subscription: Subscription) -> DeviceSubscription:
        destinations = subscription.destinations
        kept = DeviceSubscription(
            attrs.evolve(self.check(), own=self._own), identifier=subscription.identifier,
            filters=((SCAN_AVAILABLE_ACTION,),),
            extension=destinations.xml if destinations is not None else "",
            on_lost=self._on_lost, on_change=lambda listening: self._changed(kept, listening),
            on_granted=lambda answer: self._granted(kept, answer))
        return kept

    async def _own(self, url: str, operation: Operation, body: bytes) -> Reply:
        """One Subscribe at a time, and beside it one Renew or Unsubscribe.

        A hundred names after a reboot must not stand before the clients' requests.
        """
        assert self.side is not None
        own = self.side.own

        async def ask() -> Reply:
            if self._stopped and operation is SUBSCRIBE:
                raise Unavailable(self._bridge.name, "the gateway is stopping")
            return await own(url, operation, body)

        return await (self._subscribes if operation is SUBSCRIBE else self._renewals).run(ask)

    def _changed(self, kept: DeviceSubscription, listening: bool) -> None:
        if listening:
            self._bridge.off_panel.discard(kept.identifier)
        elif kept.identifier in self._kept:
            self._bridge.off_panel.add(kept.identifier)

    def _granted(self, kept: DeviceSubscription, answer: Envelope) -> None:
        """Subscribed anew: the tokens that the client has stand for the scanner's new ones from now on."""
        subscription = self._bridge.subscriptions.get(kept.identifier)
        if subscription is None:
            self._early[kept.identifier] = answer
            return
        changed = attrs.evolve(subscription, tokens=paired(subscription.tokens, read_tokens(answer.body)))
        self._bridge.subscriptions.put(changed)
        self._store.save(changed).addErrback(lambda failure: self.log.failure(
            "{scanner}: the store does not keep new tokens", failure, scanner=self._bridge.name))

    def catch_up(self, identifier: str) -> None:
        """A registration is written down; it may have been made anew while that was done."""
        answer, kept = self._early.pop(identifier, None), self._kept.get(identifier)
        if answer is not None and kept is not None:
            self._granted(kept, answer)

    async def register(self, subscription: Subscription) -> Registered | Reply:
        """Put a client's names on the panel, or say how the scanner refused that. Raises `DeviceError`."""
        kept = self._make(subscription)
        self._beginning.add(kept)
        try:
            granted, reply = await kept.begin()
        finally:
            self._beginning.discard(kept)
        if granted is None:
            return self._refusal(reply)
        if not kept.listening:
            raise Unavailable(self._bridge.name, "the gateway is stopping")
        answer = read(reply.body, reply.charset).body
        tokens = self._bridge.subscriptions.tokens_for(
            read_tokens(answer), iter(partial(secrets.token_hex, TOKEN_BYTES), ""))
        self._kept[subscription.identifier] = kept
        return Registered(attrs.evolve(subscription, tokens=tokens), kept.held,
                          write_responses(answer, {token.current: token.given for token in tokens}))

    def _refusal(self, reply: Reply) -> Reply:
        """What the scanner said instead of granting. A success that is none would be no answer to a Subscribe."""
        if reply.status < 400 and reply.fault is None:
            error = BadDevice(self._bridge.name, "it answered Subscribe with neither SubscribeResponse nor fault")
            error.sent = True
            raise error
        return reply

    def restore(self, subscription: Subscription, held: Held | None) -> None:
        """A subscription of an earlier start: renew what is held for it, or register it anew."""
        kept = self._kept[subscription.identifier] = self._make(subscription)
        self._bridge.off_panel.add(subscription.identifier)
        if held is not None:
            kept.resume(held)
        else:
            kept.start()

    def hand_over(self, old: str, new: str) -> None:
        """What is held for a client's subscription is held for its next one from now on."""
        kept = self._kept[new] = self._kept.pop(old)
        kept.hand_over(new)
        self._bridge.off_panel.discard(old)
        self._changed(kept, kept.listening)

    def held(self, identifier: str) -> Held | None:
        """What the scanner holds for a client's subscription at the moment."""
        kept = self._kept.get(identifier)
        return kept.held if kept is not None and kept.holding else None

    def drop(self, identifier: str) -> Deferred[None] | None:
        """The client's subscription is over: take its names from the panel, when the scanner can be reached at last."""
        kept = self._kept.pop(identifier, None)
        self._bridge.off_panel.discard(identifier)
        self._early.pop(identifier, None)
        if kept is None:
            return None
        self.see_off(kept)
        return kept.stop()

    def see_off(self, leaving: DeviceSubscription) -> None:
        """It is over, and what can't be said of that at once will be said later, or by the next start."""
        self._leaving = [*(one for one in self._leaving if not one.is_gone), leaving]

    def doubt(self) -> None:
        """The scanner may have forgotten us all."""
        for kept in list(self._kept.values()):
            kept.doubted()

    def probe(self, *, usual: bool) -> None:
        """Ask the scanner for one of them, whether it still is there; `usual`: nothing has given reason to doubt it."""
        held = next((kept for kept in self._kept.values() if kept.listening), None)
        if held is not None:
            held.checked() if usual else held.doubted()

    def recovered(self, *, was_away: bool) -> None:
        """The scanner takes connections again after it did not."""
        for kept in [*self._kept.values(), *self._leaving]:
            kept.recovered(was_away=was_away)

    def hand_off(self) -> list[Held]:
        """Somebody else goes on with these registrations; what the scanner holds of them."""
        self._stopped = True
        kept, self._kept = self._kept, {}
        return [held for held in (one.hand_off() for one in kept.values()) if held is not None]

    async def stop(self) -> None:
        """Leave; the clients' subscriptions stay in the store."""
        self._stopped = True
        kept, self._kept = self._kept, {}
        for one in (*self._leaving, *kept.values()):
            one.give_up()
        await gatherResults([one.stop() for one in (*kept.values(), *self._beginning)])
