"""One request to a device, and its answer while it arrives.

RFC 9110 section 9.2.2 on what may be repeated. The head fires a Deferred; the body is then either
collected, bounded, or relayed piece by piece.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, urlsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.permission import plain_address
from wsdgateway.bridge.sightings import Sighting
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.messages import Headers
from wsdgateway.http.requests import HOST
from wsdgateway.http.responses import Head
from wsdgateway.net.deadlines import Deadline
from wsdgateway.net.failures import BadDevice, DeviceError, Unavailable
from wsdgateway.scan.operations import Operation

PORTS = {"http": 80, "https": 443}
MAX_COLLECTED = 4 * 1024 * 1024
_IN_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986 section 3.3, and escapes that are there already


@attrs.frozen
class Address:
    """Where a device answers. `authority` is what goes into Host, `target` into the request line; `secure`: by TLS."""

    host: str
    port: int
    authority: bytes
    target: bytes
    secure: bool = False

    def is_same_place(self, other: "Address") -> bool:
        """Whether a connection to one is as good as one to the other."""
        return (self.host, self.port, self.secure) == (other.host, other.port, other.secure)


@lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """The parts of an http or https URL, which may come from the network, fit for a request's head.

    Raises `ValueError` for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"neither an http nor an https URL: {url}")
    authority = parts.netloc.rpartition("@")[2].encode("idna")
    if not HOST.fullmatch(authority):
        raise ValueError(f"not a host: {url}")
    target = quote(parts.path or "/", _IN_PATH) + (f"?{quote(parts.query, _IN_PATH + '?')}" if parts.query else "")
    return Address(parts.hostname, parts.port or PORTS[parts.scheme], authority, target.encode(),
                   parts.scheme == "https")


def is_http(url: str) -> bool:
    """Whether that is a URL that can be called."""
    try:
        address_of(url)
    except ValueError:
        return False
    return True


def usable(sighting: Sighting) -> list[str]:
    """The addresses of a device that may be called.

    What was heard on a link can be forged: it must not send us to names, or to what is ours alone.
    """
    urls = [url for url in sighting.xaddrs if is_http(url)]
    return [url for url in urls if sighting.via in ("", "lo") or _is_elsewhere(address_of(url).host)]


def _is_elsewhere(host: str) -> bool:
    """Whether that is the IP address of another host."""
    address = plain_address(host)
    return address is not None and not (
        address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)


def is_link_local(url: str) -> bool:
    """Whether a URL's host is a link-local IPv6 address. Raises `ValueError` for what is no http URL."""
    return address_of(url).host.startswith("fe80:")


def is_ipv6(url: str) -> bool:
    """Whether a URL names its host by an IPv6 address. Raises `ValueError` for what is no http URL."""
    return ":" in address_of(url).host


@attrs.define(eq=False)
class Call:
    """A request on its way. `on_sent` is called each time it is written to a connection, `tape` records it there.

    `went_at`: when it last went to the device, in seconds. `delayed`: it had to wait for the device's rate. `own`: it
    is the gateway's. `taken_back`: the device refused its connection, being occupied, and it waits again. `client` is
    what its client is counted by, empty for the gateway; `share_of` the same where the client has no more than its
    share of the waiting line.
    """

    address: Address
    operation: Operation
    body: bytes
    headers: Headers
    on_sent: Callable[[], None] = lambda: None
    answered: Deferred["Response"] = attrs.field(factory=Deferred)
    deadline: Deadline | None = None
    went_at: float = 0.0
    resent: bool = False
    taken_back: bool = False
    sent: bool = False
    delayed: bool = False
    own: bool = False
    client: str = ""
    share_of: str | None = None
    abandoned: bool = False
    connection: "Connection | None" = None
    tape: Tape | None = None

    def fail(self, error: DeviceError) -> None:
        """End without an answer; once."""
        self.lift_deadline()
        if not self.answered.called:
            self.answered.errback(Failure(error))

    def lift_deadline(self) -> None:
        """The time for the whole exchange no longer runs."""
        if self.deadline is not None:
            self.deadline.lift()


class Connection(Protocol):
    """What an answer needs of the connection that it arrives on."""

    def abort(self) -> None:
        """Close at once; the answer is lost."""

    def read_large(self) -> None:
        """Read in large pieces, for an image."""

    def pause(self) -> None:
        """Read nothing for a while."""

    def resume(self) -> None:
        """Read on."""


@implementer(IPushProducer)
class Response:
    """An answer whose head is here. Exactly one of `collect` and `relay` takes its body."""

    def __init__(self, call: Call, head: Head, connection: Connection, reactor: IReactorTime,
                 idle_timeout: float) -> None:
        self.call = call
        self.head = head
        self._connection = connection
        self._reactor = reactor
        self._idle_timeout = idle_timeout
        self._idle: IDelayedCall | None = None
        self._pending: Callable[[], int] = lambda: 0
        self._last_pending = 0
        self._take: Callable[[bytes], None] | None = None
        self._waiting: list[bytes] = []
        self._done: Deferred[None] = Deferred()
        self._error: DeviceError | None = None
        self.ended = False

    @property
    def peer(self) -> str:
        """The device, as messages name it."""
        return f"{self.call.address.host}:{self.call.address.port}"

    async def collect(self) -> bytes:
        """The whole body. Raises `DeviceError`; a body over `MAX_COLLECTED` bytes is one."""
        body = bytearray()  # not in pieces: chunks of two bytes would take twenty times their size

        def take(data: bytes) -> None:
            if len(body) + len(data) > MAX_COLLECTED:
                self.give_up(BadDevice(self.peer, f"it is larger than {MAX_COLLECTED} bytes"))
            else:
                body.extend(data)

        if self.ended:
            return self.whole()
        await self._start(take)
        self.call.lift_deadline()
        return bytes(body)

    def whole(self) -> bytes:
        """The body of an answer that has `ended` before anybody took it: it came with its head, in one read."""
        self.call.lift_deadline()
        return self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)

    async def relay(self, take: Callable[[bytes], None], pending: Callable[[], int]) -> None:
        """Each piece to `take` as it comes; from now on only silence is bounded. Raises `DeviceError`.

        `pending` tells how many bytes the client has not taken yet: while they become fewer, something moves.
        """
        self._pending = pending
        self._connection.read_large()
        self.call.lift_deadline()
        self._idle = self._reactor.callLater(self._idle_timeout, self._silent)
        try:
            await self._start(take)
        finally:
            if self._idle is not None and self._idle.active():
                self._idle.cancel()

    def _start(self, take: Callable[[bytes], None]) -> Deferred[None]:
        self._take = take
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            take(data)
        if self._error is not None and not self._done.called:
            self._done.errback(Failure(self._error))
        elif self.ended and not self._done.called:
            self._done.callback(None)
        return self._done

    def _silent(self) -> None:
        pending = self._pending()
        if 0 < pending < self._last_pending:
            self._last_pending = pending
            self._idle = self._reactor.callLater(self._idle_timeout, self._silent)
            return
        self.call.abandoned = pending > 0
        why = "the client took nothing" if pending > 0 else "nothing came"
        self.fail(Unavailable(self.peer, f"{why} for {self._idle_timeout:g} seconds"))
        self._connection.abort()

    def _still_alive(self) -> None:
        if self._idle is not None and self._idle.active():
            self._idle.reset(self._idle_timeout)

    # Called by the connection.

    def data(self, data: bytes) -> None:
        """A piece of the body."""
        self._still_alive()
        if self._take is None:
            self._waiting.append(data)
        elif self._error is None:
            self._take(data)

    def end(self) -> None:
        """The body is complete."""
        self.ended = True
        if self._take is not None and not self._done.called:
            self._done.callback(None)

    def fail(self, error: DeviceError) -> None:
        """The body will not be completed."""
        if self.ended or self._error is not None:
            return
        self._error = error
        self.call.lift_deadline()
        if self._take is not None and not self._done.called:
            self._done.errback(Failure(error))

    def give_up(self, error: DeviceError) -> None:
        """Take no more of the body, for that reason."""
        if not self.ended:
            self.fail(error)
            self._connection.abort()

    def call_later(self, seconds: float, function: Callable[[], None]) -> IDelayedCall:
        """Call the function after so many seconds, unless that is cancelled before."""
        return self._reactor.callLater(seconds, function)

    # IPushProducer, for the client's transport.

    def pauseProducing(self) -> None:
        self._still_alive()
        self._last_pending = self._pending() + 1
        if not self.ended:
            self._connection.pause()

    def resumeProducing(self) -> None:
        self._still_alive()
        if not self.ended:
            self._connection.resume()

    def stopProducing(self) -> None:
        """Nobody wants the rest."""
        if not self.ended:
            self.call.abandoned = True
            self.fail(Unavailable(self.peer, "the client went away"))
            self._connection.abort()
