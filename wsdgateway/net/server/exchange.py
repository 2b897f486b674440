"""An exchange: one request on a client's connection, and its answer.

RFC 9112 sections 6 and 9. An answer is written whole, or streamed with the framing that the client understands. After
the client has disconnected, writing does nothing.
"""

from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol

import attrs
from twisted.internet.interfaces import IPushProducer

from wsdgateway.exchangelog.tape import CLIENT, Tape
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.http.messages import LAST_CHUNK, chunk, first, response_head
from wsdgateway.http.requests import Refusal, Request
from wsdgateway.net.transport.accounting import PassedRecord

# RFC 9112 section 6.3: these answers end with their head, and must not have a Content-Length (RFC 9110 section 8.6).
BODILESS = frozenset((204, 304))


class Channel(Protocol):
    """The connection that an exchange writes to."""

    client: str
    peer: str

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""

    @property
    def port(self) -> int:
        """The local TCP port; 0 for a local socket."""

    def write(self, pieces: list[bytes | memoryview]) -> None:
        """Send bytes; they are discarded if the client has disconnected."""

    def exchange_over(self, keep_alive: bool) -> None:
        """End the exchange: read the next request, or close."""

    def abort(self) -> None:
        """Abort the connection, so that the client cannot mistake a partial answer for a complete one."""

    def pending(self) -> int:
        """The number of bytes that the client has not read yet."""

    def unacknowledged(self) -> int:
        """The number of bytes that the client's host has not acknowledged yet; 0 if that is not known."""

    def date(self) -> bytes:
        """The current Date field."""

    def base(self) -> str:
        """The URL, without a path, at which the client reached the gateway."""

    def has_left(self) -> bool:
        """True if the client has closed its sending side, which most clients only do when they disconnect."""


@lru_cache(maxsize=64)
def own_head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The beginning of the head of one of the gateway's own answers. Cached, since there are few different ones."""
    return response_head(status, headers)[:-2]


@lru_cache(maxsize=64)
def _passed_head(status: int, reason: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> tuple[bytes, bool]:
    """The beginning of a device's head, and whether it has a Date field. Cached for all answers of one second."""
    return response_head(status, headers, reason)[:-2], first(headers, b"date") is not None


def persistence(keep_alive: bool, *, http10: bool) -> bytes:
    """The Connection field of an answer; empty if none is needed. RFC 9112 section 9.3."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"Connection: keep-alive\r\n" if http10 else b""


def refusal_answer(refusal: Refusal, date: bytes, *, bare: bool = False) -> list[bytes | memoryview]:
    """The last answer on a connection whose client has sent unreadable data; `date` is its Date field.

    It has no body if `bare`.
    """
    body = b"" if bare else refusal.body
    kind = () if bare else ((b"Content-Type", b"text/plain; charset=utf-8"),)
    return [response_head(refusal.status, [
        *kind, (b"Content-Length", b"%d" % len(body)), (b"Connection", b"close")])[:-2], date, b"\r\n", body]


def http_date(seconds: float) -> bytes:
    """Format wall-clock seconds since 1970 as a Date field. RFC 9110 section 6.6.1."""
    return b"Date: %s\r\n" % formatdate(seconds, usegmt=True).encode()


class Exchange:
    """An exchange with a client: a request and its answer.

    `on_gone` is called if the client disconnects before the answer is complete. `client` is the client's IP address,
    `peer` the same with its port. `status`, `fault` (its name) and `body` are those of the answer, `body` only if it
    was written whole; `status` is None if there was no answer, or it broke off. `tape` records both messages as they
    are on the wire. `has_all` is true for a client that has hung up after it had received everything written so far.
    `raw` is the whole request as it arrived, empty if it did not arrive alone.
    """

    __slots__ = ("_chunked", "body", "channel", "client", "fault", "gone", "has_all", "on_gone", "peer", "producer",
                 "raw", "request", "status", "tape", "written")

    def __init__(self, channel: Channel, request: Request, tape: Tape | None = None, raw: bytes = b"") -> None:
        self.channel = channel
        self._chunked = False
        self.client = channel.client
        self.peer = channel.peer
        self.request = request
        self.raw = raw
        self.gone = False
        self.has_all = False
        self.tape = tape
        self.status: int | None = None
        self.fault: str | None = None
        self.body = b""
        self.written = 0
        self.on_gone: Callable[[], None] | None = None
        self.producer: IPushProducer | None = None

    @property
    def passed(self) -> PassedRecord | None:
        """Takes the record of a request that another gateway has passed on, else None."""
        return None

    def base(self) -> str:
        """The URL, without a path, at which the client reached the gateway, or the one to advertise instead."""
        return self.channel.base()

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""
        return self.channel.secure

    @property
    def port(self) -> int:
        """The local TCP port that the client has connected to; 0 for a local socket."""
        return self.channel.port

    def has_left(self) -> bool:
        """True if the client has closed at least its sending side."""
        return self.gone or self.channel.has_left()

    def answer(self, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Answer with a whole answer of the gateway's own."""
        self.give(HTTPAnswer(status, body, headers))

    def give(self, answer: HTTPAnswer) -> None:
        """Answer with a whole answer. A scanner's answer keeps its own fields."""
        self.status, body, headers, self.fault, reason = answer
        if reason is None:
            self._whole(own_head(self.status, headers) + self.channel.date(), body)
        else:
            self._whole(self._passed(self.status, reason, headers), body)

    def _passed(self, status: int, reason: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
        """The beginning of a device's head, with a Date field added if it has none. RFC 9110 section 6.6.1."""
        head, has_date = _passed_head(status, reason, headers)
        return head if has_date else head + self.channel.date()

    def _whole(self, head: bytes, body: bytes) -> None:
        self.written += len(body)
        self.body = body
        self._write([head, b"" if self.status in BODILESS else b"Content-Length: %d\r\n" % len(body),
                             self._persistence(self.request.keep_alive),
                             b"\r\n", b"" if self.request.method == b"HEAD" else body])
        self.channel.exchange_over(self.request.keep_alive)

    def _persistence(self, keep_alive: bool) -> bytes:
        return persistence(keep_alive, http10=self.request.http10)

    def stream(self, status: int, reason: bytes, headers: tuple[tuple[bytes, bytes], ...], length: int | None) -> None:
        """Write the head of an answer whose body follows by `write`.

        Without a `length` the body is chunked, or for HTTP/1.0 ended by closing.
        """
        self._chunked = length is None and not self.request.http10
        framing = b"" if status in BODILESS else b"Content-Length: %d\r\n" % length if length is not None else (
            b"Transfer-Encoding: chunked\r\n" if self._chunked else b"")
        keep_alive = self.request.keep_alive and (length is not None or self._chunked)
        self.status = status
        self._write([self._passed(status, reason, headers), framing, self._persistence(keep_alive), b"\r\n"])

    def pending(self) -> int:
        """The number of bytes that the client has not read yet."""
        return self.channel.pending()

    def unacknowledged(self) -> int:
        """The number of bytes that the client's host has not acknowledged yet; 0 if that is not known."""
        return 0 if self.gone else self.channel.unacknowledged()

    def write(self, data: bytes) -> None:
        """Write a piece of the body."""
        if data:
            self.written += len(data)
            self._write(chunk(data) if self._chunked else [data])

    def finish(self, length: int | None) -> None:
        """End the body."""
        self.producer = None
        if self._chunked:
            self._write([LAST_CHUNK])
        self.channel.exchange_over(self.request.keep_alive and (length is not None or self._chunked))

    def abort(self) -> None:
        """Abort the connection because the body cannot be completed, so that it is not mistaken for a complete one."""
        self.producer = None
        self.status = None
        self.channel.abort()

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        if self.tape is not None and not self.gone:
            self.tape.response(CLIENT, *pieces)
        self.channel.write(pieces)


@attrs.frozen(eq=False)
class Repetition:
    """A request that is known without being read in full, and the function that serves it in an exchange."""

    request: Request
    serve: Callable[[Exchange], None]
