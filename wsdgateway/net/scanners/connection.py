"""A connection to a device, with one exchange at a time.

RFC 9112 section 9. Its owner decides what the connection is used for and when it is closed. Its states are::

    connecting ──TCP, or TLS and verified──► idle ──send──► exchanging ──end of the answer──► idle
        │                                     │                 │
        └─ the device cannot be trusted ──────┴── it sends ─────┴─ it sends no HTTP, or closes, or time is up
                                                  unasked       │
                                                                ▼
                                                              broken ──connectionLost──► lost

The states of an exchange are::

    asked ──head──► answering ──end──► over
      │                 └──broken──► the answer fails
      └──broken──► sent once more, if it is repeatable and nothing of an answer has arrived; else failed
"""

from functools import lru_cache
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.health.causes import BROKEN_OFF, NOT_HTTP, Cause
from wsdgateway.exchangelog.tape import DEVICE
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import BadAnswer, Data, End, Head, ResponseReader
from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.failures import Insecure
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.request import ANSWERED, SENT, WAITING, ScannerRequest
from wsdgateway.net.transport.errors import BadDevice, DeviceError, Unavailable
from wsdgateway.net.transport.writebatching import CoalescedWriter, WriteScheduler
from wsdgateway.tls.trust import Untrusted

# Twisted reads 64 KiB at a time. Images are read in larger pieces, which would make small answers a fifth slower.
SMALL_READ, LARGE_READ = 65536, 524288


@lru_cache(maxsize=64)
def _head(target: bytes, authority: bytes, fields: tuple[tuple[bytes, bytes], ...], length: int) -> bytes:
    """The head of a request. Cached, since a client's requests have the same."""
    return request_head(target, [(b"Host", authority), *fields, (b"Content-Length", b"%d" % length)])


class Owner(Protocol):
    """The interface of the client that owns a connection."""

    reactor: Any
    options: ScannerOptions
    post: WriteScheduler
    heads: KnownHeads[Head]

    def reached(self, peer: str) -> None:
        """Notes that a connection was made to that IP address."""

    def received(self) -> None:
        """Notes that the device has sent something."""

    def answered(self) -> None:
        """Notes that the head of an answer has arrived."""

    def completed(self) -> None:
        """Notes that an answer has arrived completely."""

    def broken(self, cause: Cause) -> None:
        """Notes that the device gave no answer of HTTP on a connection that it had accepted."""

    def released(self, connection: "DeviceConnection", *, reusable: bool) -> None:
        """Handles the end of an exchange."""

    def closed(self, connection: "DeviceConnection") -> None:
        """Handles the loss of the connection."""

    def resend(self, request: ScannerRequest) -> None:
        """Sends a repeatable request again after its connection broke."""


@attrs.define(eq=False)
class _Exchange:
    """A request that was sent, and its answer; `response` is None until the head of the answer has arrived."""

    request: ScannerRequest
    reader: ResponseReader
    response: Response | None = None


@implementer(IHandshakeListener)
class DeviceConnection(TwistedProtocol):
    """A connection, from its opening to its loss.

    `requests` counts the requests written to it. `ready` fires with the connection once it may be used; with TLS, after
    the device has been verified.
    """

    transport: Any

    def __init__(self, owner: Owner, address: Address) -> None:
        self._owner = owner
        self.address = address
        self._exchange: _Exchange | None = None
        self.lost = False
        self.requests = 0
        self.ready: Deferred[DeviceConnection] = Deferred(lambda _: self.abort())

    @property
    def request(self) -> ScannerRequest | None:
        """The request in progress, or None."""
        return None if self._exchange is None else self._exchange.request

    # connecting

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._writer = CoalescedWriter(self.transport, self._owner.post)
        if not self.address.secure:
            self._admitted()

    def handshakeCompleted(self) -> None:
        """Verifies the device; nothing has been sent so far."""
        try:
            self._owner.options.trust.judge(self.transport.getHandle(), self.address.host)
        except Untrusted as problem:
            self._not_ready(problem)
        else:
            self._admitted()

    def _admitted(self) -> None:
        self._owner.reached(self.transport.getPeer().host)
        if not self.ready.called:
            self.ready.callback(self)

    def _not_ready(self, problem: BaseException) -> None:
        if not self.ready.called:
            self.ready.errback(Failure(Insecure(
                problem, has_authority=self._owner.options.trust.ca is not None)))
        self.abort()

    # idle, exchanging

    def send(self, request: ScannerRequest) -> None:
        """Writes a request, and starts to read its answer."""
        request.connection = self
        request.state = SENT
        request.times_sent += 1
        self.requests += 1
        self._exchange = _Exchange(request, ResponseReader(
            self._owner.options.section.quirks.loose_framing, self._owner.heads))
        self.transport.bufferSize = SMALL_READ
        request.on_sent()
        head = request.head or _head(
            request.address.target, request.address.authority, tuple(request.headers), len(request.body))
        if request.tape is not None:
            request.tape.request(DEVICE, head + request.body)
        self._writer.write(head + request.body)

    def dataReceived(self, data: bytes) -> None:
        self._owner.received()
        exchange = self._exchange
        if exchange is None:
            self.abort()  # data from an idle device is unexpected
            return
        if exchange.request.tape is not None:
            exchange.request.tape.response(DEVICE, data)
        try:
            events = exchange.reader.feed(data)
        except BadAnswer as problem:
            self._broken(BadDevice(self._peer(), str(problem)), cause=NOT_HTTP)
            return
        self._pass_on(exchange, events)

    def _pass_on(self, exchange: _Exchange, events: list[Head | Data | End]) -> None:
        """Passes on received events.

        A head is passed on after the data that came with it, so a whole answer is read without a pause.
        """
        answered: Response | None = None
        for event in events:
            if isinstance(event, Data):
                assert exchange.response is not None
                exchange.response.data(event.data)
            elif isinstance(event, Head):
                answered = exchange.response = Response(exchange.request, event, self, self._owner.reactor,
                                                        self._owner.options.section.idle_timeout)
                if exchange.request.answered.called:
                    self.abort()
                    return
            else:
                self._finished(exchange)
        if answered is not None:
            self._owner.answered()
            exchange.request.state = ANSWERED
            exchange.request.answered.callback(answered)

    def _finished(self, exchange: _Exchange) -> None:
        assert exchange.response is not None
        self._exchange = None
        self.resume()
        # The connection is returned first, so that the reader of the answer can send its next request at once. A
        # connection on which the device has answered without reading the whole request cannot be reused.
        self._owner.completed()
        self._owner.released(
            self, reusable=exchange.reader.reusable and not self.lost and not self._writer.pending)
        exchange.response.trailers = exchange.reader.trailers
        exchange.response.end()

    # broken, lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        self._not_ready(reason.value)
        if (self._exchange is not None and self.address.secure and not reason.check(ConnectionDone)
                and not self._owner.options.section.quirks.unannounced_end):
            # RFC 9112 section 9.8: an end without close_notify may have been caused by an attacker.
            self._broken(BadDevice(self._peer(), "it closed the connection before the end of its answer"),
                         cause=BROKEN_OFF)
        if self._exchange is not None:
            try:
                self._pass_on(self._exchange, self._exchange.reader.eof())
            except BadAnswer as problem:
                self._broken(BadDevice(self._peer(), str(problem)), cause=BROKEN_OFF)
        self._owner.closed(self)

    def _broken(self, error: DeviceError, retry: bool = True, cause: Cause | None = None) -> None:
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is None:
            return
        request = exchange.request
        if exchange.response is not None:
            exchange.response.fail(error)
        elif retry and not exchange.reader.started and request.operation.repeatable and request.times_sent == 1:
            request.state = WAITING
            self._owner.resend(request)
        else:
            error.cause = cause
            if cause is not None and not request.answered.called:
                self._owner.broken(cause)
            request.fail(error)

    def expire(self, error: Unavailable) -> None:
        """Ends an exchange that took too long."""
        self._broken(error, retry=False, cause=error.cause)

    def _peer(self) -> str:
        return f"{self.address.host}:{self.address.port}"

    # For the reader of the answer.

    def abort(self) -> None:
        """Closes the connection immediately."""
        if not self.lost:
            self.transport.abortConnection()

    def read_large(self) -> None:
        """Reads in larger pieces, because an image follows."""
        self.transport.bufferSize = LARGE_READ

    def pause(self) -> None:
        """Stops reading until `resume`."""
        if not self.lost:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Continues reading."""
        if not self.lost and not self.transport.disconnecting:
            self.transport.resumeProducing()
