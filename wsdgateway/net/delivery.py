"""A message to a sink: a connection of its own, the message, the status of the answer.

RFC 9112 section 9; WS-Eventing 2004/08, section 3. Sinks answer with 202 and an empty body, some as HTTP/1.0; what
follows the head of the answer is not waited for. The connection goes to the IP address that was checked when the client
handed the sink in, whatever its name has come to mean since.
"""

from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConnector
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from wsdgateway.bridge.sinks import Sink, parse_sink
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import BadAnswer, Head, ResponseReader
from wsdgateway.net.deadlines import Deadlines
from wsdgateway.net.failures import DeliveryError
from wsdgateway.net.outbox import Outbox, PostOffice
from wsdgateway.soap.envelope import CONTENT_TYPE

DELIVERY_SECONDS = 10.0

_parts = lru_cache(maxsize=4096)(parse_sink)


@lru_cache(maxsize=64)
def _tls(host: str) -> Any:
    return optionsForClientTLS(host)


class Deliveries:
    """Sends messages to sinks, each bounded by `DELIVERY_SECONDS` from the first packet to the head of the answer.

    Not with Twisted's endpoints: their layers are half of the time in which a thousand subscribers are told.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._deadlines = Deadlines(reactor, DELIVERY_SECONDS)
        self._post = PostOffice(reactor)

    def send(self, sink: Sink, message: bytes) -> Deferred[int]:
        """The HTTP status that the sink answers with. Can be cancelled; fails with whatever kept it from arriving."""
        address = _parts(sink.reference.address)
        delivery = _Delivery(request_head(address.target.encode(), [
            (b"Host", address.authority.encode()), (b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway"),
            (b"Content-Length", b"%d" % len(message)), (b"Connection", b"close")]) + message, self._post)
        factory: Any = delivery
        if address.scheme == "https":
            factory = TLSMemoryBIOFactory(_tls(address.host), True, delivery)
        delivery.connector = self._reactor.connectTCP(sink.ip, address.port, factory, timeout=None)
        deadline = self._deadlines.begin(
            lambda: delivery.fail(DeliveryError(f"no answer within {DELIVERY_SECONDS:g} seconds")))

        def ended(result: Any) -> Any:
            deadline.lift()
            return result

        return delivery.status.addBoth(ended)

    def stop(self) -> None:
        """Nothing is bounded any more, for nothing is sent."""
        self._deadlines.stop()


class _Delivery(ClientFactory):
    """One delivery, from the connection on; `status` fires with the answer's."""

    noisy = False
    connector: Any = None

    def __init__(self, request: bytes, post: PostOffice) -> None:
        self.request = request
        self.post = post
        self.status: Deferred[int] = Deferred(lambda _: self._break())

    def buildProtocol(self, addr: object) -> "_Connection":
        return _Connection(self)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._fail(reason)

    def fail(self, error: DeliveryError) -> None:
        """It can't succeed any more."""
        self._fail(Failure(error))
        self._break()

    def _fail(self, failure: Failure) -> None:
        if not self.status.called:
            self.status.errback(failure)

    def _break(self) -> None:
        if self.connector is not None:
            self.connector.disconnect()


class _Connection(Protocol):
    transport: Any

    def __init__(self, delivery: _Delivery) -> None:
        self._delivery = delivery
        self._reader = ResponseReader()

    def connectionMade(self) -> None:
        Outbox(self.transport, self._delivery.post).write(self._delivery.request)

    def dataReceived(self, data: bytes) -> None:
        if self._delivery.status.called:
            return
        try:
            events = self._reader.feed(data)
        except BadAnswer as problem:
            self._delivery.fail(DeliveryError(f"its answer is not HTTP: {problem}"))
            return
        for event in events:
            if isinstance(event, Head):
                self.transport.loseConnection()
                self._delivery.status.callback(event.status)
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._delivery.fail(DeliveryError("it closed the connection without an answer"))
