"""Delivers messages to sinks: opens a connection for each, sends the message, and reads the status of the answer.

RFC 9112 section 9; WS-Eventing 2004/08, section 3. Sinks answer with 202 and an empty body, some as HTTP/1.0; a
delivery ends with the head of the answer. The connection goes to the IP address that was checked when the client
subscribed, whatever its name resolves to later.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConnector, IDelayedCall
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from wsdgateway.bridge.events.deliverylimits import DeliveryLimits
from wsdgateway.bridge.events.sinks import Sink, SinkAddress, parse_sink
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import BadAnswer, Head, ResponseReader
from wsdgateway.net.transport.errors import DeliveryError, describe_error
from wsdgateway.net.transport.timeouts import Deadline, Deadlines
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.net.transport.writebatching import CoalescedWriter, WriteScheduler
from wsdgateway.soap.envelope import CONTENT_TYPE

DELIVERY_SECONDS = 10.0
A_STEP = 4  # connections opened between two checks of the time

_parts = lru_cache(maxsize=4096)(parse_sink)


@lru_cache(maxsize=4096)
def _head(address: SinkAddress) -> bytes:
    """Returns the head of a request up to the Content-Length."""
    return request_head(address.target.encode(), [
        (b"Host", address.authority.encode()), (b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway"),
        (b"Connection", b"close")])[:-2]


@lru_cache(maxsize=64)
def _tls(host: str) -> Any:
    return optionsForClientTLS(host)


class Deliveries:
    """Sends messages to sinks, at most `limit` at once, each bounded by `DELIVERY_SECONDS` from its start.

    `bridge.events.deliverylimits` selects the next delivery; as many begin in a turn of the reactor as fit into its
    time slice. Twisted's endpoints are not used: their layers would take half of the time of a thousand deliveries.
    """

    def __init__(self, reactor: Any, limit: int, slices: TimeSlices) -> None:
        self._reactor = reactor
        self._slices = slices
        self._limits: DeliveryLimits[_Delivery] = DeliveryLimits(limit)
        self._retry: IDelayedCall | None = None
        self._is_starting = False
        self._when_begun: dict[str, Callable[[], None]] = {}
        self._deadlines = Deadlines(reactor, DELIVERY_SECONDS)
        self._writes = WriteScheduler(reactor)

    @property
    def open(self) -> int:
        """Number of deliveries that have begun and still have, or try to open, a connection."""
        return self._limits.open

    def send(self, scanner: str, sink: Sink, message: bytes) -> Deferred[int]:
        """Sends a message; fires with the HTTP status of the answer.

        Can be cancelled; fails with any error that prevented the delivery.
        """
        address = _parts(sink.reference.address)
        request = b"%bContent-Length: %d\r\n\r\n%b" % (_head(address), len(message), message)
        delivery = _Delivery(self, scanner, sink.ip, address, request, self._writes)
        self._limits.add(scanner, delivery)
        self._go_on()
        return delivery.status

    def when_begun(self, scanner: str, call: Callable[[], None]) -> None:
        """Calls `call` when no delivery of the scanner waits to begin; a later `call` replaces it."""
        if self._limits.waiting(scanner):
            self._when_begun[scanner] = call
        else:
            call()

    def _go_on(self) -> None:
        if not self._is_starting and self._next() is not None:
            self._is_starting = True
            self._slices.run(self._start_those_that_wait())

    def _next(self) -> "_Delivery | None":
        now = self._reactor.seconds()
        delivery = self._limits.next(now)
        if delivery is None and self._retry is None:
            wait = self._limits.fresh_for(now)
            if wait is not None:
                self._retry = self._reactor.callLater(wait, self._due)
        return delivery

    def _due(self) -> None:
        self._retry = None
        self._go_on()

    def _start_those_that_wait(self) -> Iterator[None]:
        begun = 0
        while (delivery := self._next()) is not None:
            self._limits.begin(delivery, self._reactor.seconds())
            delivery.deadline = self._deadlines.begin(delivery.expire)
            delivery.start(self._reactor)
            self._one_less_waits(delivery.scanner)
            begun += 1
            if not begun % A_STEP:
                yield
        self._is_starting = False

    def _one_less_waits(self, scanner: str) -> None:
        if scanner in self._when_begun and not self._limits.waiting(scanner):
            self._when_begun.pop(scanner)()

    def closed(self, delivery: "_Delivery") -> None:
        """Handles the end of a delivery's connection, which makes room for another."""
        self._limits.close(delivery)
        if delivery.deadline is not None:
            delivery.deadline.lift()
        self._go_on()

    def cancelled(self, delivery: "_Delivery") -> None:
        """Handles the cancellation of a delivery, which may not have begun."""
        if self._limits.remove(delivery):
            self._one_less_waits(delivery.scanner)

    def stop(self) -> None:
        """Starts no more deliveries, and cancels the deadlines of those that have begun."""
        self._limits.clear()
        self._when_begun.clear()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._deadlines.stop()


class _Delivery(ClientFactory):
    """A delivery; `status` fires with the status of the answer, or fails.

    It stays open from `start` until its connection has closed, even if nothing waits for its status any more::

        waiting ──start──► connecting ──────► sent ──────► closing ──────► gone
                                                  answer,          closed
                                                  expire, fail

        waiting ──cancel──► removed; connecting, sent ──cancel──► closing
        connecting ──failed──► gone; sent ──closed by the sink──► gone
    """

    noisy = False
    deadline: Deadline | None = None
    connector: Any = None
    connection: "_Connection | None" = None

    def __init__(self, deliveries: Deliveries, scanner: str, ip: str, address: SinkAddress, request: bytes,
                 writes: WriteScheduler) -> None:
        self._deliveries = deliveries
        self.scanner = scanner
        self._ip = ip
        self._address = address
        self.request = request
        self.writes = writes
        self.status: Deferred[int] = Deferred(lambda _: self._cancel())

    def start(self, reactor: Any) -> None:
        """Opens the connection."""
        factory: Any = self
        try:
            if self._address.scheme == "https":
                factory = TLSMemoryBIOFactory(_tls(self._address.host), True, self)
            self.connector = reactor.connectTCP(self._ip, self._address.port, factory, timeout=None)
        except Exception:
            # The interface is gone, or the name is not valid in a certificate: a problem of one sink only.
            reactor.callLater(0, self._over, Failure())

    def buildProtocol(self, addr: object) -> "_Connection":
        return _Connection(self)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._over(reason)

    def expire(self) -> None:
        """Handles the deadline: no answer came in time, or the connection does not close."""
        self.fail(f"no answer within {DELIVERY_SECONDS:g} s")

    def fail(self, why: str) -> None:
        """Fails the delivery; `why` goes to the log."""
        if not self.status.called:
            self.status.errback(Failure(DeliveryError(why)))
        self._break()

    def _cancel(self) -> None:
        self._deliveries.cancelled(self)
        self._break()

    def _break(self) -> None:
        if self.connection is not None:
            self.connection.transport.abortConnection()
        elif self.connector is not None:
            self.connector.disconnect()

    def lost(self, reason: Failure) -> None:
        """Handles the loss of the connection."""
        why = "" if reason.check(ConnectionDone) else f": {describe_error(reason.value)}"
        self._over(Failure(DeliveryError(f"it closed the connection without an answer{why}")))

    def _over(self, failure: Failure) -> None:
        self.request = b""  # frees memory immediately rather than with the cyclic garbage collector
        self.connector = self.connection = None
        if not self.status.called:
            self.status.errback(failure)
        self._deliveries.closed(self)


class _Connection(Protocol):
    transport: Any

    def __init__(self, delivery: _Delivery) -> None:
        self._delivery = delivery
        self._reader = ResponseReader()

    def connectionMade(self) -> None:
        self._delivery.connection = self
        self._writer = CoalescedWriter(self.transport, self._delivery.writes)
        self._writer.write(self._delivery.request)

    def dataReceived(self, data: bytes) -> None:
        if self._delivery.status.called:
            return
        try:
            events = self._reader.feed(data)
        except BadAnswer as problem:
            self._delivery.fail(str(problem))
            return
        for event in events:
            if isinstance(event, Head):
                self.transport.loseConnection()
                self._delivery.status.callback(event.status)
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._delivery.lost(reason)
