"""Carries out what the upstream state machine says: Subscribe, Renew, Unsubscribe, and waiting.

WS-Eventing 2004/08, section 3. Each Subscribe gets a new unguessable address, so that notifications
of a subscription that is over are not taken for ours. What is held goes to the store, so that the next start renews it.
"""

import secrets
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.upstream import FILTERS, TEMPORARY, Upstream
from wsdgateway.bridge.events.upstreamcommands import Command, Held, Lost, Renew, Replace, Subscribe, Unsubscribe, Wake
from wsdgateway.eventing.messages import Granted
from wsdgateway.net.events.eventingclient import EventingClient, Said
from wsdgateway.net.events.outstanding import Outstanding
from wsdgateway.net.events.unsubscribing import Ending, Unsubscribing
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.seen import Seen

SECRET_BYTES = 24
LEAVE_SECONDS = 10.0


class DeviceSubscription:
    """One subscription at one scanner: the gateway's own, or the one for a client's names on the panel.

    `on_lost` is called when the scanner may have started again, `on_change` after every step with whether it is held,
    `on_granted` with the answer to a Subscribe. `extension` is XML for the Subscribe.
    """

    log = Logger()

    def __init__(self, side: EventingClient, *, identifier: str = "", filters: tuple[tuple[str, ...], ...] = FILTERS,
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
        self._outstanding = Outstanding(side.reactor, lambda failure: self.log.failure(
            "{scanner}: subscription", failure, scanner=side.scanner))
        self._number = 0
        self._notify_to = ""
        self._unsubscribing = Unsubscribing(side, self._outstanding.run, self._released)
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
    def holding(self) -> bool:
        """Whether the scanner may hold it: also while it is being replaced."""
        return self._machine.holding

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
        self._outstanding.run(self._resume(held))

    async def _resume(self, held: Held) -> None:
        try:
            base = await self._side.notify_base()
        except DeviceError:
            base = held.notify_to.rpartition("/")[0]  # nobody knows better at the moment
        if self._machine.state != "idle":
            return  # stopped meanwhile
        if held.address != self._side.address and not self._side.where.follows:
            self._side.leave(held)
            self.start()
            return
        now = self._side.seconds()
        expires_at = now + held.expires_at - self._side.wall()
        self._listen_at(held.notify_to)
        if held.notify_to.rpartition("/")[0] == base:
            self._do(self._machine.resumed(held.manager, expires_at, now))
        else:
            self._do(self._machine.superseded(held.manager, expires_at))

    async def begin(self) -> tuple[Granted | None, Reply]:
        """Subscribe once, for somebody who waits; if that is granted, keep it so. Raises `DeviceError`."""
        beginning: Deferred[None] = Deferred()
        self._outstanding.add(beginning)
        try:
            reply = await self._request(self._machine.once())
            granted = self._side.hear(reply).granted
            if granted is None:
                return None, reply
            self._do(self._machine.adopted(granted, self._side.seconds()))
            if not self.listening and granted.manager is not None:  # stopped meanwhile
                left = granted.expires or self._side.expires
                self._stored(self._side.store.hold(attrs.evolve(
                    self.held, manager=granted.manager, expires_at=self._side.wall() + left)))
                self._unsubscribing.begin(Ending(granted.manager, self._side.address, self._notify_to))
            return granted, reply
        finally:
            if not self.listening:
                self._listen_at("")
            self._outstanding.discard(beginning)

    def leave(self, held: Held) -> None:
        """End what an earlier start has left, at the scanner as it was known then; for one that was never begun."""
        self._do(self._machine.stop())
        left = held.expires_at - self._side.wall()
        self._unsubscribing.begin(Ending(held.manager, held.address, held.notify_to, self._side.seconds() + left))

    def hand_off(self) -> Held | None:
        """Somebody else goes on from here, as after a restart: what the scanner holds, None if it holds nothing."""
        held = self.held if self.holding else None
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

    def heard(self) -> None:
        """The device has notified us at the address of this subscription."""
        if self._machine.is_uncertain:
            self._do(self._machine.heard(self._side.seconds()))
            self._stored(self._side.store.hold(self.held))

    def doubted(self) -> None:
        """The device behaves as if it had been away: does it still know us?"""
        self._do(self._machine.doubted(self._side.seconds()))

    def checked(self) -> None:
        """The time of the usual check has come: does the device still know us?"""
        self._do(self._machine.checked(self._side.seconds()))

    def recovered(self, *, was_away: bool) -> None:
        """The device takes connections again after it did not."""
        self._unsubscribing.hurry()
        self._do(self._machine.recovered(self._side.seconds(), was_away=was_away))

    def stop(self) -> Deferred[None]:
        """Say goodbye to the device; fires when that is done or has taken `LEAVE_SECONDS`."""
        self._cancel_timer()
        self._do(self._machine.stop())
        self._take_no_more()
        return self._outstanding.settled(LEAVE_SECONDS)  # what hangs ends when the device's client is closed after that

    # What it takes.

    def _listen_at(self, notify_to: str) -> None:
        """Notifications arrive at this address from now on, and at no other."""
        self._side.addresses.pop(self.secret, None)
        self._notify_to = notify_to
        if notify_to:
            self._side.addresses[self.secret] = self

    def _take_no_more(self) -> None:
        """No notifications arrive at the address any more; it still names the subscription in the store."""
        self._side.addresses.pop(self.secret, None)

    def _released(self, notify_to: str) -> None:
        """Record the end of the subscription that notified us there."""
        self._stored(self._side.store.release(self._side.scanner, self.identifier, notify_to))

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
                self._released(former)
                if command.forgotten:
                    self._on_lost()
            elif isinstance(command, Unsubscribe):
                self._cancel_timer()
                self._unsubscribing.begin(Ending(command.manager, self._side.address, self._notify_to,
                                                 self._machine.expires_at))
            else:
                self._cancel_timer()
                self._number += 1
                self._outstanding.run(self._send(command, self._number))
        self._on_change(self._machine.listening)

    def _due(self) -> None:
        self._timer = None
        self._do(self._machine.due())

    async def _send(self, command: Subscribe | Renew | Replace, number: int) -> None:
        """Send, and tell the machine what came of it, unless it has gone on meanwhile."""
        what, scanner = "Unsubscribe" if isinstance(command, Replace) else type(command).__name__, self._side.scanner
        try:
            if isinstance(command, Renew) and await self._is_reached_elsewhere():
                if number == self._number and self.state == "renewing":
                    self.log.info("{scanner}: the gateway has another address, and subscribes anew", scanner=scanner)
                    self._do(self._machine.moved())
                return
            reply = await self._request(command)
            said = self._side.hear(reply)
        except Exception as error:  # whatever happens, the machine must hear of it: it waits
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: {what}", scanner=scanner, what=what)
            self.log.warn("{scanner}: {what} failed: {error}", scanner=scanner, what=what, error=str(error))
            if number == self._number:
                self._do(self._unanswered(command, error))
            return
        if self.state in ("leaving", "stopped"):
            self._take_no_more()
        if number == self._number:
            self._take(command, said, what)
        elif isinstance(command, Subscribe) and said.granted is not None and said.granted.manager is not None:
            self._unsubscribing.begin(Ending(said.granted.manager, self._side.address, ""))  # nobody will renew it

    def _unanswered(self, command: Subscribe | Renew | Replace, error: Exception) -> list[Command]:
        """The commands that follow where no answer came. The scanner may have taken an Unsubscribe that was sent."""
        now = self._side.seconds()
        if isinstance(command, Replace) and getattr(error, "sent", False):
            return self._machine.unsubscribed(now, accepted=False)
        return self._machine.unreachable(now)

    def _take(self, command: Subscribe | Renew | Replace, said: Said, what: str) -> None:
        """Tell the machine what the scanner answered."""
        now, scanner, before = self._side.seconds(), self._side.scanner, self._machine.renews
        if isinstance(command, Replace):
            if said.name in TEMPORARY and now < self._machine.expires_at:
                self._do(self._machine.unreachable(now))
            else:
                self._do(self._machine.unsubscribed(now, accepted=not said.name))
        elif said.granted is not None:
            commands = self._machine.granted(said.granted, now)
            self._stored(self._side.store.hold(self.held))  # also what is to be ended: the next start can, if we can't
            self._do(commands)
            if isinstance(command, Subscribe) and said.envelope is not None:
                self.log.info("{scanner}: subscribed to {what}", scanner=scanner,
                              what="the panel for a client" if self.identifier else "its events")
                self._on_granted(said.envelope)
        elif said.name:
            self.log.warn("{scanner}: the scanner refused {what}: {name}", scanner=scanner, what=what, name=said.name)
            self._do(self._machine.refused(said.name, now))
        else:
            self.log.warn("{scanner}: the scanner answered {what} with a success that cannot be read",
                          scanner=scanner, what=what)
            self._do(self._machine.unreadable(now))
        if self._machine.renews is False and before is not False:
            self.log.warn("{scanner}: the scanner does not renew subscriptions; the gateway replaces them in time",
                          scanner=scanner)

    async def _is_reached_elsewhere(self) -> bool:
        """Whether the scanner notifies us at an address that is ours no more."""
        base = await self._side.notify_base()
        return base != self._notify_to.rpartition("/")[0]

    def give_up(self) -> None:
        """The process ends: what has not been said is left to the next start, which has it from the store."""
        self._unsubscribing.give_up()
        self._cancel_timer()

    @property
    def is_gone(self) -> bool:
        """Whether it has been stopped, and everything has been said."""
        return self.state == "stopped" and not self._outstanding and not self._unsubscribing.waits

    async def _request(self, command: Subscribe | Renew | Replace) -> Reply:
        if isinstance(command, Subscribe):
            base = await self._side.notify_base()
            self._listen_at(f"{base}/{secrets.token_urlsafe(SECRET_BYTES)}")
            return await self._side.subscribe(self._notify_to, command.actions, self._extension)
        if isinstance(command, Renew):
            return await self._side.renew(command.manager)
        return await self._side.unsubscribe(command.manager)
