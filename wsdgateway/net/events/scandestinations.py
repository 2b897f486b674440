"""Clients' names on the scanner's panel: keeps a ScanAvailableEvent subscription at the scanner for each client.

WS-Scan, ScanDestinations and DestinationResponses. The subscription is renewed as long as the client's subscription
lives and ended with it, so that the panel shows no dead names. If it is lost, it is made again, and the client's tokens
are mapped to the new ones.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.subscriptions import SCAN_AVAILABLE_ACTION, Subscription, paired
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.scanner import ScannerBridge, describe_missing
from wsdgateway.net.events.devicesubscription import DeviceSubscription
from wsdgateway.net.events.eventingclient import EventingClient
from wsdgateway.net.events.unsubscribing import Unsubscribing
from wsdgateway.net.transport.errors import STOPPING, BadDevice, Unavailable
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.scan.destinations import read_tokens, write_responses
from wsdgateway.scan.operations import SUBSCRIBE, UNSUBSCRIBE, Operation
from wsdgateway.soap.envelope import Envelope
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import IClientSubscriptions

TOKEN_BYTES = 8


@attrs.frozen(eq=False)
class Registered:
    """A successful registration.

    `subscription` has its tokens, `held` is the subscription at the scanner for it, and `responses` is
    DestinationResponses as XML.
    """

    subscription: Subscription
    held: Held
    responses: str


class ScanDestinations:
    """The registrations at one scanner. `client` is set as soon as the scanner's address is known.

    `registrations` run one at a time, in turn for each client, so that two requests of one client cannot register its
    names twice. The states of a registration, identified by the client's subscription, are::

               register              granted
        absent ──────────► beginning ─────────► held ───────► ending ──► absent
          ▲                    │                 ▲    drop           the scanner has answered, or never will
          └────────────────────┘   restore       │
                refused               absent ────┘

    After `hand_off` or `stop` there are no registrations here, and no new ones begin.
    """

    log = Logger()

    def __init__(self, reactor: Any, bridge: ScannerBridge, store: IClientSubscriptions, secret: Callable[[int], bytes],
                 on_lost: Callable[[], None]) -> None:
        self._bridge = bridge
        self._on_lost = on_lost
        self._store = store
        self._secret = secret
        self._held: dict[str, DeviceSubscription] = {}
        self._beginning: dict[DeviceSubscription, None] = {}
        self._stopped = self._is_handed_off = False
        self._subscribes, self._renewals = SerialQueue(reactor), SerialQueue(reactor)
        self._ending: list[Unsubscribing] = []
        self._early: dict[str, Envelope] = {}
        self.client: EventingClient | None = None
        self.registrations = SerialQueue(reactor)

    def __len__(self) -> int:
        return sum(held.listening for held in self._held.values())

    @property
    def held(self) -> list[DeviceSubscription]:
        """The subscriptions at the scanner that are kept for clients, including those that are currently lost."""
        return list(self._held.values())

    @property
    def beginning(self) -> int:
        """Number of registrations that wait for the scanner's answer."""
        return len(self._beginning)

    @property
    def ending(self) -> list[Unsubscribing]:
        """The subscriptions that are still to be ended at the scanner."""
        return [one for one in self._ending if not one.is_done]

    def state(self, identifier: str) -> str | None:
        """Returns the state of the subscription held for a client's subscription as a word; None if there is none."""
        held = self._held.get(identifier)
        return held.state if held is not None else None

    def check(self) -> EventingClient:
        """Returns the scanner's client if names can be registered at all. Raises `DeviceError`."""
        if self._stopped:
            raise Unavailable(self._bridge.name, STOPPING)
        if self.client is None:
            raise Unavailable(self._bridge.name, describe_missing(self._bridge.missing), cause=self._bridge.missing)
        return self.client

    def _make(self, subscription: Subscription) -> DeviceSubscription:
        destinations = subscription.destinations
        made = DeviceSubscription(
            self.client_in_turn(), identifier=subscription.identifier,
            filters=((SCAN_AVAILABLE_ACTION,),), purpose="the panel, for a client",
            extension=destinations.xml if destinations is not None else "",
            on_lost=self._on_lost, on_change=lambda listening: self._changed(made, listening),
            on_granted=lambda answer: self._granted(made, answer))
        return made

    def client_in_turn(self) -> EventingClient:
        """Returns the scanner's client, which sends requests for names on the panel in turn. Raises `DeviceError`."""
        return attrs.evolve(self.check(), send=self._send)

    async def _send(self, url: str, operation: Operation, body: bytes) -> Reply:
        """Sends one Subscribe at a time, and in parallel one Renew or Unsubscribe.

        A hundred names after a reboot must not delay the clients' requests. After `hand_off` an Unsubscribe waits for
        no other: it ends a subscription that was granted late, which is not in the store, so nobody else can end it. A
        hand-over waits for requests that the device knows of when the Subscribe has been answered.
        """
        assert self.client is not None
        send = self.client.send
        if self._is_handed_off and operation is UNSUBSCRIBE:
            return await send(url, operation, body)

        async def request() -> Reply:
            if self._stopped and operation is SUBSCRIBE:
                raise Unavailable(self._bridge.name, STOPPING)
            return await send(url, operation, body)

        return await (self._subscribes if operation is SUBSCRIBE else self._renewals).run(request)

    def _changed(self, held: DeviceSubscription, listening: bool) -> None:
        if listening:
            self._bridge.off_panel.discard(held.identifier)
        elif held.identifier in self._held:
            self._bridge.off_panel.add(held.identifier)

    def _granted(self, held: DeviceSubscription, answer: Envelope) -> None:
        """Handles a new Subscribe's answer: maps the client's tokens to the scanner's new ones."""
        subscription = self._bridge.subscriptions.get(held.identifier)
        if subscription is None:
            self._early[held.identifier] = answer
            return
        changed = attrs.evolve(subscription, tokens=paired(subscription.tokens, read_tokens(answer.body)))
        self._bridge.subscriptions.put(changed)
        self._store.save(changed).addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: writing new tokens to the store failed", scanner=self._bridge.name))

    def catch_up(self, identifier: str) -> None:
        """Completes a registration that has been stored; it may have been repeated during the write."""
        answer, held = self._early.pop(identifier, None), self._held.get(identifier)
        if answer is not None and held is not None:
            self._granted(held, answer)

    async def register(self, subscription: Subscription) -> Registered | Reply:
        """Puts a client's names on the panel, or returns the scanner's refusal. Raises `DeviceError`."""
        made = self._make(subscription)
        self._beginning[made] = None
        try:
            granted, reply = await made.begin()
        finally:
            self._beginning.pop(made, None)
        if granted is None:
            return self._refusal(reply)
        if not made.listening:
            raise Unavailable(self._bridge.name, STOPPING)
        answer = reply.read().body
        tokens = self._bridge.subscriptions.tokens_for(
            read_tokens(answer), iter(lambda: self._secret(TOKEN_BYTES).hex(), ""))
        self._held[subscription.identifier] = made
        return Registered(attrs.evolve(subscription, tokens=tokens), made.held,
                          write_responses(answer, {token.current: token.given for token in tokens}))

    def _refusal(self, reply: Reply) -> Reply:
        """Returns a reply that granted nothing. A success without a grant is no valid answer to a Subscribe."""
        if reply.status < 400 and reply.fault is None:
            error = BadDevice(self._bridge.name, "it answered Subscribe with neither a SubscribeResponse nor a fault")
            error.sent = True
            raise error
        return reply

    def restore(self, subscription: Subscription, held: Held | None) -> None:
        """Restores a subscription of an earlier start: renews the one held for it, or registers it again."""
        made = self._held[subscription.identifier] = self._make(subscription)
        self._bridge.off_panel.add(subscription.identifier)
        if held is not None:
            made.resume(held)
        else:
            made.start()

    def hand_over(self, old: str, new: str) -> None:
        """Transfers the subscription held for a client's subscription to its successor."""
        held = self._held[new] = self._held.pop(old)
        held.hand_over(new)
        self._bridge.off_panel.discard(old)
        self._changed(held, held.listening)

    def held_for(self, identifier: str) -> Held | None:
        """Returns the subscription that the scanner currently holds for a client's subscription."""
        held = self._held.get(identifier)
        return held.held if held is not None and held.holding else None

    def drop(self, identifier: str) -> Deferred[None] | None:
        """Removes the names of a client's ended subscription from the panel, as soon as the scanner can be reached."""
        held = self._held.pop(identifier, None)
        self._bridge.off_panel.discard(identifier)
        self._early.pop(identifier, None)
        if held is None:
            return None
        self.add_ending(held.unsubscribing)
        return held.stop()

    def add_ending(self, unsubscribing: Unsubscribing) -> None:
        """Tracks subscriptions to be ended later, when the scanner can be reached, or by the next start."""
        self._ending = [*self.ending, unsubscribing]

    def doubt(self) -> None:
        """Asks for all of them, because the scanner may have forgotten them."""
        for held in self.held:
            held.doubted()

    def probe(self, *, usual: bool) -> None:
        """Asks the scanner whether it still holds one of them.

        `usual`: the question is a routine check, without a particular reason.
        """
        found = next((held for held in self._held.values() if held.listening), None)
        if found is not None:
            found.checked() if usual else found.doubted()

    def recovered(self, *, was_away: bool) -> None:
        """Renews, repeats or ends registrations after the scanner has become reachable."""
        for held in self.held:
            held.recovered(was_away=was_away)
        for unsubscribing in self._ending:
            unsubscribing.hurry()

    def hand_off(self) -> list[Held]:
        """Stops, so that another object can continue; returns the subscriptions held at the scanner."""
        self._stopped = self._is_handed_off = True
        subscriptions, self._held = self._held, {}
        return [held for held in (one.hand_off() for one in subscriptions.values()) if held is not None]

    async def stop(self) -> None:
        """Ends them at the scanner; the clients' subscriptions stay in the store."""
        self._stopped = True
        subscriptions, self._held = self._held, {}
        for unsubscribing in self._ending:
            unsubscribing.give_up()
        for one in subscriptions.values():
            one.give_up()
        await gatherResults([one.stop() for one in (*subscriptions.values(), *self._beginning)])
