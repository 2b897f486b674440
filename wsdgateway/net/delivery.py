"""One message to one sink: a connection of its own, the message, the status of the answer.

RFC 9112 section 9; WS-Eventing 2004/08, section 3. Sinks answer with 202 and an empty body, some as HTTP/1.0; what
follows the head of the answer is not waited for. The connection goes to the IP address that was checked when the client
handed the sink in, whatever its name has come to mean since.
"""

from functools import lru_cache
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.python.failure import Failure

from wsdgateway.bridge.sinks import Sink, SinkAddress
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import BadAnswer, Head, ResponseReader
from wsdgateway.net.failures import DeliveryError
from wsdgateway.soap.envelope import CONTENT_TYPE

DELIVERY_SECONDS = 10.0


class _Delivery(Protocol):
    """The connection of one delivery; `status` fires with the answer's."""

    transport: Any

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._reader = ResponseReader()
        self.status: Deferred[int] = Deferred(lambda _: self.transport.abortConnection())

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self.status.called:
            return
        try:
            events = self._reader.feed(data)
        except BadAnswer as problem:
            self.status.errback(Failure(DeliveryError(f"its answer is not HTTP: {problem}")))
            self.transport.abortConnection()
            return
        for event in events:
            if isinstance(event, Head):
                self.transport.loseConnection()
                self.status.callback(event.status)
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.status.called:
            self.status.errback(Failure(DeliveryError("it closed the connection without an answer")))


@lru_cache(maxsize=64)
def _tls(host: str) -> Any:
    return optionsForClientTLS(host)


def _endpoint(reactor: Any, address: SinkAddress, ip: str) -> IStreamClientEndpoint:
    kind = TCP6ClientEndpoint if ":" in ip else TCP4ClientEndpoint
    endpoint = kind(reactor, ip, address.port, DELIVERY_SECONDS)
    return wrapClientTLS(_tls(address.host), endpoint) if address.scheme == "https" else endpoint


def deliver(reactor: Any, sink: Sink, message: bytes) -> Deferred[int]:
    """Send a message: the HTTP status that the sink answers with, within `DELIVERY_SECONDS`. Can be cancelled.

    Fails with whatever kept it from arriving.
    """
    address = sink.address
    request = request_head(address.target.encode(), [
        (b"Host", address.authority.encode()), (b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway"),
        (b"Content-Length", b"%d" % len(message)), (b"Connection", b"close")]) + message
    factory = Factory.forProtocol(lambda: _Delivery(request))
    factory.noisy = False
    connecting: Deferred[Any] = _endpoint(reactor, address, sink.ip).connect(factory)
    connecting.addCallback(lambda connection: connection.status)
    connecting.addTimeout(DELIVERY_SECONDS, reactor)
    return connecting
