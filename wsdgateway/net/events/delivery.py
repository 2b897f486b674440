"""A message to a sink: a connection of its own, the message, the status of the answer.

RFC 9112 section 9; WS-Eventing 2004/08, section 3. Sinks answer with 202 and an empty body, some as HTTP/1.0; what
follows the head of the answer is not waited for. The connection goes to the IP address that was checked when the client
handed the sink in, whatever its name has come to mean since.
"""

from collections import Counter, OrderedDict
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

from wsdgateway.bridge.events.sinks import Sink, SinkAddress, parse_sink
from wsdgateway.bridge.roundrobin import RoundRobin
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import BadAnswer, Head, ResponseReader
from wsdgateway.net.transport.coalescing import CoalescedWriter, WriteScheduler
from wsdgateway.net.transport.errors import DeliveryError
from wsdgateway.net.transport.timeouts import Deadline, Deadlines
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.soap.envelope import CONTENT_TYPE

DELIVERY_SECONDS = 10.0
MOST_OF_SCANNER = 0.5  # of all deliveries at once: sinks that hang must not keep those of other scanners waiting
# So many may have begun within so many seconds and not have ended: if all their sinks answer at once, a turn of the
# reactor takes some 10 ms. Slower sinks are told beside them, up to the limit.
MAX_FRESH, FRESH_SECONDS = 256, 0.25
A_STEP = 4  # connections begun between two looks at the time

_parts = lru_cache(maxsize=4096)(parse_sink)


@lru_cache(maxsize=4096)
def _head(address: SinkAddress) -> bytes:
    """The head of a request, up to where its length is told."""
    return request_head(address.target.encode(), [
        (b"Host", address.authority.encode()), (b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway"),
        (b"Connection", b"close")])[:-2]


@lru_cache(maxsize=64)
def _tls(host: str) -> Any:
    return optionsForClientTLS(host)


class Deliveries:
    """Sends messages to sinks, at most `limit` at once, each bounded by `DELIVERY_SECONDS` from its first packet on.

    Those that wait begin by turns of scanners, as many in a turn of the reactor as there is time for in its slice.
    Not with Twisted's endpoints: their layers are half of the time in which a thousand subscribers are told.
    """

    def __init__(self, reactor: Any, limit: int, slices: TimeSlices) -> None:
        self._reactor = reactor
        self._limit = limit
        self._most = max(1, int(limit * MOST_OF_SCANNER))
        self._slices = slices
        self._open = 0
        self._open_of: Counter[str] = Counter()
        self._waiting: RoundRobin[_Delivery] = RoundRobin()
        self._fresh: OrderedDict[_Delivery, float] = OrderedDict()  # when each began
        self._aging: IDelayedCall | None = None
        self._is_starting = False
        self._begun: dict[str, Callable[[], None]] = {}
        self._deadlines = Deadlines(reactor, DELIVERY_SECONDS)
        self._post = WriteScheduler(reactor)

    def send(self, scanner: str, sink: Sink, message: bytes) -> Deferred[int]:
        """The HTTP status that the sink answers with. Can be cancelled; fails with whatever kept it from arriving."""
        address = _parts(sink.reference.address)
        request = b"%bContent-Length: %d\r\n\r\n%b" % (_head(address), len(message), message)
        delivery = _Delivery(self, scanner, sink.ip, address, request, self._post)
        self._waiting.add(scanner, delivery)
        self._go_on()
        return delivery.status

    def when_begun(self, scanner: str, call: Callable[[], None]) -> None:
        """Call that when no delivery of the scanner waits to begin; a later one takes its place."""
        if self._waiting.count(scanner):
            self._begun[scanner] = call
        else:
            call()

    def _go_on(self) -> None:
        if not self._is_starting and self._next() is not None:
            self._is_starting = True
            self._slices.run(self._start_those_that_wait())

    def _next(self) -> "_Delivery | None":
        """The one that is to begin now; None if there is no room for any that waits."""
        if self._open >= self._limit or not self._waiting or self._are_too_many_fresh():
            return None
        return next((first for first in self._waiting.firsts() if self._open_of[first.scanner] < self._most), None)

    def _are_too_many_fresh(self) -> bool:
        now = self._reactor.seconds()
        while self._fresh and next(iter(self._fresh.values())) <= now - FRESH_SECONDS:
            self._fresh.popitem(last=False)
        if len(self._fresh) < MAX_FRESH:
            return False
        if self._aging is None:
            oldest = next(iter(self._fresh.values()))
            self._aging = self._reactor.callLater(max(0.0, oldest + FRESH_SECONDS - now), self._aged)
        return True

    def _aged(self) -> None:
        self._aging = None
        self._go_on()

    def _start_those_that_wait(self) -> Iterator[None]:
        begun = 0
        while (delivery := self._next()) is not None:
            self._waiting.serve(delivery)
            self._start(delivery)
            self._one_less_waits(delivery.scanner)
            begun += 1
            if not begun % A_STEP:
                yield
        self._is_starting = False

    def _one_less_waits(self, scanner: str) -> None:
        if scanner in self._begun and not self._waiting.count(scanner):
            self._begun.pop(scanner)()

    def _start(self, delivery: "_Delivery") -> None:
        self._open += 1
        self._open_of[delivery.scanner] += 1
        self._fresh[delivery] = self._reactor.seconds()
        delivery.deadline = self._deadlines.begin(delivery.expire)
        delivery.start(self._reactor)

    def closed(self, delivery: "_Delivery") -> None:
        """Its connection is gone, and there is room for another."""
        self._open -= 1
        self._fresh.pop(delivery, None)
        self._open_of[delivery.scanner] -= 1
        if not self._open_of[delivery.scanner]:
            del self._open_of[delivery.scanner]
        if delivery.deadline is not None:
            delivery.deadline.lift()
        self._go_on()

    def cancelled(self, delivery: "_Delivery") -> None:
        """Nobody wants it any more; it may not have begun."""
        if self._waiting.remove(delivery):
            self._one_less_waits(delivery.scanner)

    def stop(self) -> None:
        """Nothing is bounded any more, for nothing is sent."""
        self._waiting.clear()
        self._begun.clear()
        if self._aging is not None:
            self._aging.cancel()
            self._aging = None
        self._deadlines.stop()


class _Delivery(ClientFactory):
    """One delivery, from the connection on; `status` fires with the answer's."""

    noisy = False
    deadline: Deadline | None = None
    connector: Any = None
    connection: "_Connection | None" = None

    def __init__(self, deliveries: Deliveries, scanner: str, ip: str, address: SinkAddress, request: bytes,
                 post: WriteScheduler) -> None:
        self._deliveries = deliveries
        self.scanner = scanner
        self._ip = ip
        self._address = address
        self.request = request
        self.post = post
        self.status: Deferred[int] = Deferred(lambda _: self._cancel())

    def start(self, reactor: Any) -> None:
        """Connect."""
        factory: Any = self
        try:
            if self._address.scheme == "https":
                factory = TLSMemoryBIOFactory(_tls(self._address.host), True, self)
            self.connector = reactor.connectTCP(self._ip, self._address.port, factory, timeout=None)
        except Exception:  # an interface that has gone, a name that no certificate can have: one sink's trouble only
            reactor.callLater(0, self._over, Failure())

    def buildProtocol(self, addr: object) -> "_Connection":
        return _Connection(self)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._over(reason)

    def expire(self) -> None:
        """It has taken too long, or its connection does not close."""
        self.fail(f"no answer within {DELIVERY_SECONDS:g} seconds")

    def fail(self, why: str) -> None:
        """It can't succeed any more."""
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
        """The connection is gone."""
        why = "" if reason.check(ConnectionDone) else f": {reason.getErrorMessage()}"
        self._over(Failure(DeliveryError(f"it closed the connection without an answer{why}")))

    def _over(self, failure: Failure) -> None:
        self.request = b""  # not to wait for a look for cycles
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
        self._writer = CoalescedWriter(self.transport, self._delivery.post)
        self._writer.write(self._delivery.request)

    def dataReceived(self, data: bytes) -> None:
        if self._delivery.status.called:
            return
        try:
            events = self._reader.feed(data)
        except BadAnswer as problem:
            self._delivery.fail(f"its answer is not HTTP: {problem}")
            return
        for event in events:
            if isinstance(event, Head):
                self.transport.loseConnection()
                self._delivery.status.callback(event.status)
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._delivery.lost(reason)
