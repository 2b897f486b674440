"""An HTTP server in memory for tests: it receives a client's bytes and returns the answers, with a simulated clock."""

import attrs
from twisted.internet.testing import MemoryReactorClock, StringTransport

from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.layout import layout
from wsdgateway.net.server.protocols import Limits
from wsdgateway.net.server.server import HTTPServer


class MemoryServer:
    """An HTTP server in memory; `log` is its exchange log."""

    def __init__(self, respond=lambda exchange: exchange.answer(200, exchange.request.body), *, log=None,
                 client_connections=2000, repeats=None, **limits):
        self.denied = []
        self.reactor = MemoryReactorClock()
        self.refusals = []
        self.factory = HTTPServer(self.reactor, seconds=self.reactor.seconds, wall=lambda: 0.0, limits=Limits(**limits),
                                 respond=respond, refused=lambda _, refusal: self.refusals.append(refusal),
                                 base=lambda host, port: f"http://{host}:{port}", log=log or ExchangeLog(),
                                 quotas=Quotas(requests=1e6, connections=client_connections, jobs=1, unlimited=()),
                                 denied=lambda reason, _: self.denied.append(reason),
                                 **({} if repeats is None else {
                                     "repeated": repeats.serve, "is_partial": repeats.is_partial}))

    def connect(self, client=None):
        protocol = self.factory.buildProtocol(client)
        transport = StringTransport()
        transport.startReading = transport.resumeProducing
        transport.stopReading = transport.pauseProducing
        transport.setTcpNoDelay = lambda on: None
        transport.loseWriteConnection = lambda: setattr(transport, "half", True)
        protocol.makeConnection(transport)
        return protocol, transport


def is_open(transport):
    """Returns whether the client may send another request on this connection."""
    return not (transport.disconnecting or transport.disconnected or getattr(transport, "half", False))


@attrs.frozen
class ReadAnswer:
    """An answer as read by the client; names of fields are in lower case."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def all(self, name):
        """Returns every value of the fields with that name."""
        return [value for key, value in self.fields if key == name]


def answers(raw, *, to_head=False):
    """Returns all answers in these bytes, interim ones included; fails if anything else is in them."""
    found = []
    while raw:
        head, blank, rest = raw.partition(b"\r\n\r\n")
        assert blank, raw
        status_line, *lines = head.split(b"\r\n")
        assert status_line.startswith(b"HTTP/1.1 "), raw
        status = int(status_line.split(b" ")[1])
        fields = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
        size = 0 if to_head or status < 200 else (layout(raw, request=False).end or 0) - len(raw) + len(rest)
        assert 0 <= size <= len(rest), raw
        found.append(ReadAnswer(status, fields, rest[:size]))
        raw = rest[size:]
    return found
