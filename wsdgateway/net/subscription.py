"""Carries out what the upstream state machine says: Subscribe, Renew, Unsubscribe, and waiting.

WS-Eventing 2004/08, section 3. Each Subscribe gets a new unguessable address, so that notifications
of a subscription that is over are not taken for ours.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.upstream import Command, Lost, Renew, Subscribe, Unsubscribe, Upstream, Wake
from wsdgateway.eventing.messages import Granted, read_granted, write_renew, write_subscribe, write_unsubscribe
from wsdgateway.http.messages import first
from wsdgateway.net.failures import DeviceError
from wsdgateway.scan.operations import RENEW, SUBSCRIBE, UNSUBSCRIBE, Operation
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

SECRET_BYTES = 24
LEAVE_SECONDS = 5.0


class Own(Protocol):
    """Sends a request of the gateway's own to the device."""

    def __call__(self, url: str, operation: Operation, body: bytes) -> Awaitable[Reply]:
        """The whole answer. Raises `DeviceError`."""


class DeviceSubscription:
    """The one subscription at one scanner.

    `notify_base` gives the URL under which the scanner reaches us, without the secret; `on_lost` is
    called when the scanner may have started again, `on_change` after every step.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, address: str, expires: float, own: Own,
                 notify_base: Callable[[], Awaitable[str]], seconds: Callable[[], float], wall: Callable[[], float],
                 random: Callable[[], float], new_id: Callable[[], str], on_lost: Callable[[], None],
                 on_change: Callable[[bool], None]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._address = address
        self._expires = expires
        self._own = own
        self._notify_base = notify_base
        self._seconds = seconds
        self._wall = wall
        self._new_id = new_id
        self._on_lost = on_lost
        self._on_change = on_change
        self._machine = Upstream(address=address, expires=expires, random=random)
        self._timer: IDelayedCall | None = None
        self._running: set[Deferred[None]] = set()
        self._number = 0
        self.secret = ""

    @property
    def state(self) -> str:
        """The state of the subscription, a plain word."""
        return self._machine.state

    def start(self) -> None:
        """Subscribe, and keep it so."""
        self._do(self._machine.start())

    def ended(self) -> None:
        """The device sent SubscriptionEnd."""
        self.log.info("{scanner}: the scanner ended the subscription", scanner=self._scanner)
        self._do(self._machine.ended(self._seconds()))

    def doubted(self) -> None:
        """The device behaves as if it had been away: does it still know us?"""
        self._do(self._machine.doubted(self._seconds()))

    def recovered(self, *, was_away: bool) -> None:
        """The device takes connections again after it did not."""
        self._do(self._machine.recovered(self._seconds(), was_away=was_away))

    def stop(self) -> Deferred[None]:
        """Say goodbye to the device; fires when that is done or has taken `LEAVE_SECONDS`."""
        self._cancel_timer()
        self._do(self._machine.stop())
        done: Deferred[None] = Deferred()
        if not self._running:
            done.callback(None)
            return done
        # What hangs ends when the device's client is closed, right after this.
        limit = self._reactor.callLater(LEAVE_SECONDS, lambda: None if done.called else done.callback(None))

        def look(result: object) -> object:
            if not self._running and not done.called:
                limit.cancel()
                done.callback(None)
            return result

        for running in list(self._running):
            running.addBoth(look)
        return done

    def _wakes_within(self, seconds: float) -> bool:
        return self._timer is not None and self._timer.getTime() - self._reactor.seconds() <= seconds

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
                self._timer = self._reactor.callLater(command.after, self._due)
            elif isinstance(command, Lost):
                self.secret = ""  # what still comes is of a subscription that is over
                self._on_lost()
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
        running.addErrback(lambda failure: self.log.failure("{scanner}: subscription", failure, scanner=self._scanner))
        running.addBoth(lambda _: self._running.discard(running))

    async def _send(self, command: Subscribe | Renew | Unsubscribe, number: int) -> None:
        """Send, and tell the machine what came of it, unless it has gone on meanwhile."""
        what = type(command).__name__
        try:
            reply = await self._request(command)
            granted, name = self._read(reply)
        except Exception as error:  # whatever happens, the machine must hear of it: it waits
            if not isinstance(error, DeviceError):
                self.log.failure("{scanner}: {what}", scanner=self._scanner, what=what)
            self.log.warn("{scanner}: {what} failed: {error}", scanner=self._scanner, what=what, error=str(error))
            if number == self._number:
                self._do(self._machine.unreachable(self._seconds()))
            return
        if isinstance(command, Unsubscribe):
            return
        if number != self._number:
            if granted is not None and isinstance(command, Subscribe) and granted.manager is not None:
                await self._request(Unsubscribe(granted.manager))  # nobody will renew it
        elif granted is not None:
            if isinstance(command, Subscribe):
                self.log.info("{scanner}: subscribed to its events", scanner=self._scanner)
            self._do(self._machine.granted(granted, self._seconds()))
        else:
            self.log.warn("{scanner}: the scanner refused {what}: {name}", scanner=self._scanner, what=what, name=name)
            self._do(self._machine.refused(name, self._seconds()))

    async def _request(self, command: Subscribe | Renew | Unsubscribe) -> Reply:
        if isinstance(command, Subscribe):
            base = await self._notify_base()
            self.secret = secrets.token_urlsafe(SECRET_BYTES)
            return await self._own(self._address, SUBSCRIBE, write_subscribe(
                to=self._address, message_id=self._new_id(), notify_to=f"{base}/{self.secret}",
                actions=command.actions, expires=self._expires))
        url = reachable(command.manager.address, self._address)
        if isinstance(command, Renew):
            return await self._own(url, RENEW, write_renew(
                manager=command.manager, message_id=self._new_id(), expires=self._expires))
        return await self._own(url, UNSUBSCRIBE, write_unsubscribe(
            manager=command.manager, message_id=self._new_id()))

    def _read(self, reply: Reply) -> tuple[Granted | None, str]:
        """What the device granted, or the name of its refusal: the fault's, or the status of a bare answer."""
        try:
            envelope = read(reply.body)
        except Malformed:
            return None, str(reply.status)
        granted = read_granted(envelope, self._device_time(reply)) if reply.status < 400 else None
        return granted, fault_of(envelope) or str(reply.status)

    def _device_time(self, reply: Reply) -> datetime:
        """The device's clock where it tells it, else ours: a point in time in Expires is on the device's."""
        date = first(list(reply.headers), b"date")
        if date is not None:
            try:
                told = parsedate_to_datetime(date.decode("latin-1"))
                return told if told.tzinfo else told.replace(tzinfo=UTC)
            except (ValueError, OverflowError):
                pass  # a clock that nobody can read
        return datetime.fromtimestamp(self._wall(), UTC)


def reachable(address: str, device: str) -> str:
    """The URL for an address that the device gave: on the host where we know it, since devices name others."""
    known = urlsplit(device)
    try:
        given = urlsplit(address)
        usable = given.scheme in ("http", "https") and bool(given.hostname) and given.port != 0
    except ValueError:
        usable = False
    if not usable:
        return device
    host = f"[{known.hostname}]" if ":" in (known.hostname or "") else known.hostname
    authority = f"{host}:{given.port}" if given.port else f"{host}"
    return urlunsplit(("http", authority, given.path or "/", given.query, ""))
