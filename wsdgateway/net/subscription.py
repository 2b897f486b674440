"""Carries out what the upstream state machine says: Subscribe, Renew, Unsubscribe, and waiting.

WS-Eventing 2004/08, section 3. Each Subscribe gets a new unguessable address, so that notifications
of a subscription that is over are not taken for ours. What is held goes to the store, so that the next start renews it.
"""

import secrets
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.holding import Command, Held, Lost, Renew, Subscribe, Unsubscribe, Wake
from wsdgateway.bridge.upstream import FILTERS, TEMPORARY, Upstream
from wsdgateway.eventing.messages import Granted
from wsdgateway.net.deviceside import DeviceSide
from wsdgateway.net.failures import DeviceError
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.seen import Seen

SECRET_BYTES = 24
LEAVE_SECONDS = 10.0
FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0


@attrs.frozen
class _Goodbye:
    """What is to be ended, at the scanner as it was known then; `expires_at` on the clock of the process."""

    manager: EndpointReference
    address: str
    notify_to: str
    expires_at: float


class DeviceSubscription:
    """One subscription at one scanner: the gateway's own, or the one for a client's names on the panel.

    `on_lost` is called when the scanner may have started again, `on_change` after every step with whether it is held,
    `on_granted` with the answer to a Subscribe. `extension` is XML for the Subscribe.
    """

    log = Logger()

    def __init__(self, side: DeviceSide, *, identifier: str = "", filters: tuple[tuple[str, ...], ...] = FILTERS,
                 extension: str = "", on_lost: Callable[[], None] = lambda: None,
                 on_change: Callable[[bool], None] = lambda listening: None,
                 on_granted: Callable[[Envelope], None] = lambda answer: None) -> None:
        self._side = side
        self.identifier = identifier
        self._extension = extension
        self._on_lost = on_lost
        self._on_change = on_change
        self._on_granted = on_granted
        self._machine = Upstream(address=side.address, expires=side.expires, random=side.random, filters=filters)
        self._timer: IDelayedCall | None = None
        self._running: set[Deferred[None]] = set()
        self._number = 0
        self._notify_to = ""
        self._retry = 0.0
        self._given_up = False
        self._is_moving = False
        self._gone: Deferred[None] = Deferred()
        self._limit: IDelayedCall | None = None
        self.seen = Seen()

    @property
    def state(self) -> str:
        """The state of the subscription, a plain word."""
        return self._machine.state

    @property
    def listening(self) -> bool:
        """Whether the scanner holds it, as far as we know."""
        return self._machine.listening

    @property
    def refused(self) -> bool:
        """Whether the scanner says that it has no such events."""
        return self._machine.refusing and not self._machine.listening

    @property
    def secret(self) -> str:
        """The last part of the address where the scanner notifies us; empty while there is none."""
        return self._notify_to.rpartition("/")[2]

    @property
    def held(self) -> Held:
        """The subscription as the store keeps it."""
        side = self._side
        return Held(side.scanner, self.identifier, side.address, self._notify_to, self._machine.manager,
                    side.wall() + self._machine.expires_at - side.seconds())

    # Its life.

    def start(self) -> None:
        """Subscribe, and keep it so."""
        self._do(self._machine.start())

    def resume(self, held: Held) -> None:
        """Renew what an earlier start has left, if the scanner can still notify us there; else begin anew."""
        self._run(self._resume(held))

    async def _resume(self, held: Held) -> None:
        try:
            base = await self._side.notify_base()
        except DeviceError:
            base = held.notify_to.rpartition("/")[0]  # nobody knows better at the moment
        if self._machine.state != "idle":
            return  # stopped meanwhile
        is_there = held.address == self._side.address or self._side.where.follows
        if is_there and held.notify_to.rpartition("/")[0] == base:
            self._listen_at(held.notify_to)
            left = held.expires_at - self._side.wall()
            self._do(self._machine.resumed(held.manager, self._side.seconds() + left))
        else:
            self._side.leave(held)
            self.start()

    async def begin(self) -> tuple[Granted | None, Reply]:
        """Subscribe once, for somebody who waits; if that is granted, keep it so. Raises `DeviceError`."""
        beginning: Deferred[None] = Deferred()
        self._running.add(beginning)  # a stop waits for it
        try:
            reply = await self._request(self._machine.once())
            granted = self._side.hear(reply).granted
            if granted is None:
                return None, reply
            self._do(self._machine.adopted(granted, self._side.seconds()))
            if not self.listening and granted.manager is not None:
                self._run(self._bid(_Goodbye(granted.manager, self._side.address, self._notify_to, 0.0)))  # stopped
            return granted, reply
        finally:
            if not self.listening:
                self._listen_at("")
            self._ended(beginning)

    def leave(self, held: Held) -> None:
        """End what an earlier start has left, at the scanner as it was known then; for one that was never begun."""
        self._do(self._machine.stop())
        left = held.expires_at - self._side.wall()
        self._run(self._bid(_Goodbye(held.manager, held.address, held.notify_to, self._side.seconds() + left)))

    def hand_off(self) -> Held | None:
        """Somebody else goes on from here, as after a restart: what the scanner holds, None if it holds nothing."""
        held = self.held if self.listening else None
        self.give_up()
        self._number += 1  # what is answered now is nothing any more to go on with
        return held

    def hand_over(self, identifier: str) -> None:
        """It is held for another client's subscription from now on."""
        self.identifier = identifier

    def ended(self) -> None:
        """The device sent SubscriptionEnd."""
        self.log.info("{scanner}: the scanner ended the subscription", scanner=self._side.scanner)
        self._do(self._machine.ended(self._side.seconds()))

    def doubted(self) -> None:
        """The device behaves as if it had been away: does it still know us?"""
        self._do(self._machine.doubted(self._side.seconds()))

    def recovered(self, *, was_away: bool) -> None:
        """The device takes connections again after it did not."""
        if self.state == "stopped":
            if self._timer is not None:
                self._timer.reset(0)
            return
        self._do(self._machine.recovered(self._side.seconds(), was_away=was_away))

    def stop(self) -> Deferred[None]:
        """Say goodbye to the device; fires when that is done or has taken `LEAVE_SECONDS`."""
        self._cancel_timer()
        self._do(self._machine.stop())
        self._listen_at("")
        self._gone = Deferred()
        if not self._running:
            self._gone.callback(None)
        else:  # what hangs ends when the device's client is closed, right after this
            self._limit = self._side.reactor.callLater(LEAVE_SECONDS, self._gone.callback, None)
        return self._gone

    def _ended(self, running: Deferred[None]) -> None:
        """A request has been answered; the last one, perhaps, that a stop waits for."""
        self._running.discard(running)
        if self._limit is not None and self._limit.active() and not self._running:
            self._limit.cancel()
            self._gone.callback(None)

    # What it takes.

    def _listen_at(self, notify_to: str) -> None:
        """Notifications arrive at this address from now on, and at no other."""
        self._side.addresses.pop(self.secret, None)
        self._notify_to = notify_to
        if notify_to:
            self._side.addresses[self.secret] = self

    def _stored(self, storing: Deferred[None]) -> None:
        storing.addErrback(lambda failure: self.log.failure(
            "{scanner}: the store does not keep the subscription at the scanner", failure, scanner=self._side.scanner))

    def _wakes_within(self, seconds: float) -> bool:
        return self._timer is not None and self._timer.getTime() - self._side.reactor.seconds() <= seconds

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _do(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Wake):
                if command.sooner and self._wakes_within(command.after):
                    continue
                self._cancel_timer()
                self._timer = self._side.reactor.callLater(command.after, self._due)
            elif isinstance(command, Lost):
                former = self._notify_to
                self._listen_at("")  # what still comes is of a subscription that is over
                self._stored(self._side.store.release(self._side.scanner, self.identifier, former))
                if not self._is_moving:
                    self._on_lost()
            elif isinstance(command, Unsubscribe):
                self._cancel_timer()
                self._run(self._bid(_Goodbye(command.manager, self._side.address, self._notify_to,
                                             self._machine.expires_at)))
            else:
                self._cancel_timer()
                self._number += 1
                self._run(self._send(command, self._number))
        self._on_change(self._machine.listening)

    def _due(self) -> None:
        self._timer = None
        self._do(self._machine.due())

    def _run(self, sending: Any) -> None:
        running: Deferred[None] = Deferred.fromCoroutine(sending)
        self._running.add(running)
        running.addErrback(lambda failure: self.log.failure(
            "{scanner}: subscription", failure, scanner=self._side.scanner))
        running.addBoth(lambda _: self._ended(running))

    async def _send(self, command: Subscribe | Renew, number: int) -> None:
        """Send, and tell the machine what came of it, unless it has gone on meanwhile."""
        what, scanner = type(command).__name__, self._side.scanner
        try:
            if isinstance(command, Renew) and await self._is_reached_elsewhere():
                if number == self._number and self.state == "renewing":
                    self._begin_anew(command.manager)
                return
            reply = await self._request(command)
            said = self._side.hear(reply)
        except Exception as error:  # whatever happens, the machine must hear of it: it waits
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: {what}", scanner=scanner, what=what)
            self.log.warn("{scanner}: {what} failed: {error}", scanner=scanner, what=what, error=str(error))
            if number == self._number:
                self._do(self._machine.unreachable(self._side.seconds()))
            return
        if self._machine.state == "stopped":
            self._listen_at("")
        if number != self._number:
            if said.granted is not None and isinstance(command, Subscribe) and said.granted.manager is not None:
                # Nobody will renew it.
                self._run(self._bid(_Goodbye(said.granted.manager, self._side.address, "", 0.0)))
        elif said.granted is not None:
            self._do(self._machine.granted(said.granted, self._side.seconds()))
            if isinstance(command, Subscribe) and said.envelope is not None:
                self.log.info("{scanner}: subscribed to {what}", scanner=scanner,
                              what="the panel for a client" if self.identifier else "its events")
                self._on_granted(said.envelope)
            if self._machine.listening:
                self._stored(self._side.store.hold(self.held))
        else:
            self.log.warn("{scanner}: the scanner refused {what}: {name}", scanner=scanner, what=what, name=said.name)
            self._do(self._machine.refused(said.name, self._side.seconds()))

    async def _is_reached_elsewhere(self) -> bool:
        """Whether the scanner notifies us at an address that is ours no more."""
        base = await self._side.notify_base()
        return base != self._notify_to.rpartition("/")[0]

    def _begin_anew(self, manager: EndpointReference) -> None:
        """Subscribe once more, for another address of ours, and end what notifies us at the former."""
        self.log.info("{scanner}: the gateway has another address, and subscribes anew", scanner=self._side.scanner)
        self._run(self._bid(_Goodbye(manager, self._side.address, self._notify_to, 0.0)))
        self._is_moving = True
        self._do(self._machine.ended(self._side.seconds()))
        self._is_moving = False

    async def _bid(self, goodbye: "_Goodbye") -> None:
        """Say goodbye, again and again as long as the scanner may hold it: else a dead name stays on its panel.

        It is released only then: what could not be ended is in the store still, and the next start renews or ends it.
        """
        side = self._side
        try:
            refusal = side.hear(await side.unsubscribe(goodbye.manager, goodbye.address)).name
        except Exception as error:  # whatever happens, it is to be tried again
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: Unsubscribe", scanner=side.scanner)
            refusal = str(error)
        else:
            if refusal not in TEMPORARY:
                self._stored(side.store.release(side.scanner, self.identifier, goodbye.notify_to))
                return
        self.log.warn("{scanner}: Unsubscribe failed: {error}", scanner=side.scanner, error=refusal)
        if not self._given_up and side.seconds() < goodbye.expires_at:
            self._retry = min(self._retry * 2, LONGEST_RETRY) if self._retry else FIRST_RETRY
            self._timer = side.reactor.callLater(self._retry, self._bid_again, goodbye)

    def _bid_again(self, goodbye: "_Goodbye") -> None:
        self._timer = None
        self._run(self._bid(goodbye))

    def give_up(self) -> None:
        """The process ends: what has not been said is left to the next start, which has it from the store."""
        self._given_up = True
        self._cancel_timer()

    @property
    def is_gone(self) -> bool:
        """Whether it has been stopped, and everything has been said."""
        return self.state == "stopped" and not self._running and self._timer is None

    async def _request(self, command: Subscribe | Renew) -> Reply:
        if isinstance(command, Subscribe):
            base = await self._side.notify_base()
            self._listen_at(f"{base}/{secrets.token_urlsafe(SECRET_BYTES)}")
            return await self._side.subscribe(self._notify_to, command.actions, self._extension)
        return await self._side.renew(command.manager)
