"""The exchange of a request that another gateway has passed on, as the owner of the scanner sees it.

It stands for the exchange with the client: it has the client's address, and the URL at which the client reached the
other gateway. The answer is completed when the exchange is recorded, because the record is a part of it: in a field of
the head, or in a trailer if the answer is streamed::

    (begin) ──give──► given ─────────────────── record ──► over
       │                                          ▲
       └───stream──► streaming ──finish──► finished
                         └──abort, or the other gateway disconnects──► broken off
"""

from collections.abc import Callable
from enum import Enum

import attrs
from twisted.internet.interfaces import IPushProducer

from wsdgateway.bridge.cluster.peerfields import (
    BODY,
    CHUNKED,
    LENGTH,
    OWNER,
    RECORD,
    TOKEN,
    Passed,
    Record,
    without_own,
    write_owner,
    write_record,
)
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.http.messages import chunk
from wsdgateway.http.requests import Request
from wsdgateway.net.server.exchange import BODILESS, Exchange, own_head


class _State(Enum):
    """The states of the answer."""

    BEGIN = "nothing is known of it"
    GIVEN = "it is known as a whole, and not written"
    STREAMING = "its head is written"
    FINISHED = "its body is written, and its end is not"
    OVER = "it is written, or broken off"


_BEGIN, _GIVEN, _STREAMING, _FINISHED, _OVER = _State


def fields_of(token: int, body: bytes) -> bytes:
    """The fields of a whole answer: the token of the owner, and the length of the body, which the record follows."""
    return b"%s: %d\r\n%s: %d\r\n" % (TOKEN, token, BODY, len(body))


class PassedExchange(Exchange):
    """The exchange of a passed request; `outer` is the one with the other gateway.

    `client` is the IP address of the client, `peer` the same with its port. `token` returns the token by which this
    gateway owns the scanner. `is_exempt` is true if the request counts against no quota.
    """

    __slots__ = ("_answer", "_base", "_is_exempt", "_outer", "_port", "_refused", "_secure", "_state", "_token")

    def __init__(self, outer: Exchange, request: Request, raw: bytes, passed: Passed, client: str, peer: str, *,
                 token: Callable[[], int], is_exempt: bool) -> None:
        self._outer = outer
        super().__init__(outer.channel, request, None, raw)
        self.client = client
        self.peer = peer
        self._base, self._port, self._secure = passed.base, passed.port, passed.secure
        self._token = token
        self._is_exempt = is_exempt
        self._refused: str | None = None
        self._state = _BEGIN
        self._answer = HTTPAnswer(0, b"")

    # What the connection tells the outer exchange. The base class has these as attributes.

    @property
    def gone(self) -> bool:
        """True if the other gateway has disconnected, as it does when the client has."""
        return self._outer.gone

    @gone.setter
    def gone(self, gone: bool) -> None:
        pass

    @property
    def has_all(self) -> bool:
        """True if the other gateway had received everything when it disconnected."""
        return self._outer.has_all

    @has_all.setter
    def has_all(self, has_all: bool) -> None:
        pass

    @property
    def on_gone(self) -> Callable[[], None] | None:
        """Called if the other gateway disconnects before the answer is complete."""
        return self._outer.on_gone

    @on_gone.setter
    def on_gone(self, on_gone: Callable[[], None] | None) -> None:
        self._outer.on_gone = on_gone

    @property
    def producer(self) -> IPushProducer | None:
        """Produces a streamed answer."""
        return self._outer.producer

    @producer.setter
    def producer(self, producer: IPushProducer | None) -> None:
        self._outer.producer = producer

    @property
    def passed(self) -> "PassedExchange":
        """Takes the record: the exchange itself."""
        return self

    # Where the client is.

    def base(self) -> str:
        """The URL, without a path, at which the client reached the other gateway."""
        return self._base

    @property
    def secure(self) -> bool:
        """True if the client's connection uses TLS."""
        return self._secure

    @property
    def port(self) -> int:
        """The TCP port of the other gateway that the client has connected to."""
        return self._port

    # The answer.

    def give(self, answer: HTTPAnswer) -> None:
        """Answer with a whole answer, which is written with the record."""
        self._answer = answer
        self.status, self.body, self.fault = answer.status, answer.body, answer.fault
        self.written += len(answer.body)
        self._state = _GIVEN

    def stream(self, status: int, reason: bytes, headers: tuple[tuple[bytes, bytes], ...], length: int | None) -> None:
        """Write the head of an answer whose body follows by `write`."""
        self.status = status
        if status in BODILESS:
            self._answer = HTTPAnswer(status, b"", headers, None, reason)
            self._state = _STREAMING
            return
        self._state = _STREAMING
        told = CHUNKED if length is None else b"%d" % length
        self._write([self._passed(status, reason, without_own(headers)),
                     b"%s: %s\r\n%s: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % (LENGTH, told, TOKEN, self._token())])

    def write(self, data: bytes) -> None:
        """Write a piece of the body."""
        if data and self.status not in BODILESS:
            self.written += len(data)
            self._write(chunk(data))

    def finish(self, length: int | None) -> None:
        """End the body; the record follows."""
        self.producer = None
        self._state = _FINISHED

    def abort(self) -> None:
        """Abort the connection, because the body cannot be completed."""
        self._state = _OVER
        super().abort()

    # The record.

    def note_refused(self, reason: str) -> None:
        """Note that the request is refused by a rule or limit; `reason` is a name of `metrics`."""
        self._refused = reason

    def record(self, record: Record) -> None:
        """Complete the answer. Does nothing if it has been broken off, or is complete."""
        state, self._state = self._state, _OVER
        if self.gone or state in (_OVER, _BEGIN, _STREAMING):
            return
        if self._refused is not None or self._is_exempt:
            record = attrs.evolve(record, refused=self._refused, is_exempt=self._is_exempt)
        written = write_record(record)
        keep_alive = self.request.keep_alive
        if state is _FINISHED and self.status not in BODILESS:
            self._write([b"0\r\n%s: %s\r\n\r\n" % (RECORD, written)])
        else:
            status, body, headers, _, reason = self._answer
            head = (own_head(status, headers) + self.channel.date() if reason is None
                    else self._passed(status, reason, without_own(headers)))
            if status in BODILESS:
                fields = b"%s: %d\r\n%s: %s\r\n" % (TOKEN, self._token(), RECORD, written)
                body = written = b""
            else:
                fields = fields_of(self._token(), body) + b"Content-Length: %d\r\n" % (len(body) + len(written))
            self._write([head, fields, self._persistence(keep_alive), b"\r\n", body, written])
        self.channel.exchange_over(keep_alive)


def misdirect(exchange: Exchange, owner: Registration | None) -> None:
    """Answer a passed request with 421, because this gateway is not the owner: nothing has been done with it."""
    fields = () if owner is None else ((OWNER, write_owner(owner)),)
    Exchange.give(exchange, HTTPAnswer(421, b"", fields))
