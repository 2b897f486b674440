"""An exchange: one request on a client's connection, and the writing of its answer.

RFC 9112 sections 6 and 9. An answer is written whole, or streamed with the framing that the client
understands; once the client has gone, writing does nothing.
"""

from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol

from twisted.internet.interfaces import IPushProducer

from wsdgateway.exchangelog.tape import CLIENT, Tape
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.http.messages import LAST_CHUNK, Headers, chunk, first, response_head
from wsdgateway.http.requests import Refusal, Request

# RFC 9112 section 6.3: these end with their head, and a length would be a lie (RFC 9110 section 8.6).
_BODILESS = frozenset((204, 304))


class Channel(Protocol):
    """The connection that an exchange writes to."""

    client: str
    peer: str

    def write(self, pieces: list[bytes | memoryview]) -> None:
        """Send bytes; dropped once the client is gone."""

    def exchange_over(self, keep_alive: bool) -> None:
        """The answer is complete; read the next request, or close."""

    def abort(self) -> None:
        """Close so that the client can't take what it has for the whole."""

    def pending(self) -> int:
        """Bytes that the client has not taken yet."""

    def date(self) -> bytes:
        """The Date field for now."""

    def base(self) -> str:
        """The URL, without a path, under which the client reached us."""

    def has_left(self) -> bool:
        """Whether the client has closed its side, which most do only when they go."""


@lru_cache(maxsize=64)
def _own_head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The beginning of the head of an answer of our own; most answers have one of few."""
    return response_head(status, headers)[:-2]


def refusal_answer(refusal: Refusal, date: bytes) -> list[bytes | memoryview]:
    """The last answer on a connection whose client has sent what can't be read; `date` is its Date field."""
    return [response_head(refusal.status, [
        (b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", b"%d" % len(refusal.body)),
        (b"Connection", b"close")])[:-2], date, b"\r\n", refusal.body]


def http_date(seconds: float) -> bytes:
    """Wall-clock seconds since 1970 as a Date field. RFC 9110 section 6.6.1."""
    return b"Date: %s\r\n" % formatdate(seconds, usegmt=True).encode()


class Exchange:
    """An exchange with a client: a request and its answer.

    `on_gone` is called if the client leaves before the answer is complete. `client` is the client's IP address, `peer`
    the same with its port. `status`, `fault` (its name) and `body` hold what was answered, as far as it was in one
    piece; `status` is None where there was no answer, or it broke off. `tape` records both as they are on the wire.
    """

    __slots__ = ("_channel", "_chunked", "body", "client", "fault", "gone", "on_gone", "peer", "producer", "request",
                 "status", "tape", "written")

    def __init__(self, channel: Channel, request: Request, tape: Tape | None = None) -> None:
        self._channel = channel
        self._chunked = False
        self.client = channel.client
        self.peer = channel.peer
        self.request = request
        self.gone = False
        self.tape = tape
        self.status: int | None = None
        self.fault: str | None = None
        self.body = b""
        self.written = 0
        self.on_gone: Callable[[], None] | None = None
        self.producer: IPushProducer | None = None

    def base(self) -> str:
        """The URL, without a path, under which the client reached us, or what it is to be told instead."""
        return self._channel.base()

    def has_left(self) -> bool:
        """Whether the client has closed at least its side of the connection."""
        return self.gone or self._channel.has_left()

    def answer(self, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """An answer of our own, whole."""
        self.give(HTTPAnswer(status, body, headers))

    def give(self, answer: HTTPAnswer) -> None:
        """Answer, whole; a scanner's answer keeps its own fields."""
        self.status, body, headers, self.fault, reason = answer
        if reason is None:
            self._whole(_own_head(self.status, headers) + self._channel.date(), body)
        else:
            self._whole(self._passed(self.status, reason, headers), body)

    def _passed(self, status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The beginning of a device's head; where it has no Date, ours. RFC 9110 section 6.6.1."""
        head = response_head(status, headers, reason)[:-2]
        return head if first(headers, b"date") is not None else head + self._channel.date()

    def _whole(self, head: bytes, body: bytes) -> None:
        self.written += len(body)
        self.body = body
        self._write([head, b"" if self.status in _BODILESS else b"Content-Length: %d\r\n" % len(body),
                             self._persistence(self.request.keep_alive),
                             b"\r\n", b"" if self.request.method == b"HEAD" else body])
        self._channel.exchange_over(self.request.keep_alive)

    def _persistence(self, keep_alive: bool) -> bytes:
        if not keep_alive:
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if self.request.http10 else b""

    def stream(self, status: int, reason: bytes, headers: Headers, length: int | None) -> None:
        """The head of an answer whose body follows by `write`: chunked without a `length`, for HTTP/1.0 until close."""
        self._chunked = length is None and not self.request.http10
        framing = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % length if length is not None else (
            b"Transfer-Encoding: chunked\r\n" if self._chunked else b"")
        keep_alive = self.request.keep_alive and (length is not None or self._chunked)
        self.status = status
        self._write([self._passed(status, reason, headers), framing, self._persistence(keep_alive), b"\r\n"])

    def pending(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._channel.pending()

    def write(self, data: bytes) -> None:
        """A piece of the body."""
        if data:
            self.written += len(data)
            self._write(chunk(data) if self._chunked else [data])

    def finish(self, length: int | None) -> None:
        """The body is complete."""
        self.producer = None
        if self._chunked:
            self._write([LAST_CHUNK])
        self._channel.exchange_over(self.request.keep_alive and (length is not None or self._chunked))

    def abort(self) -> None:
        """The body will not be completed: close, so that a part is not taken for the whole."""
        self.producer = None
        self.status = None
        self._channel.abort()

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        if self.tape is not None and not self.gone:
            self.tape.response(CLIENT, *pieces)
        self._channel.write(pieces)
