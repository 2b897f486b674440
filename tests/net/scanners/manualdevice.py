"""Device without a network: the test decides when it accepts connections, answers and refuses."""

import attrs
from twisted.internet import error as neterror
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from tests.options import scanner_options
from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.scan.operations import CREATE_SCAN_JOB

SCANNER = "http://198.51.100.20/scan"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ManualDevice:
    """Device that accepts one connection at a time when told to, and closes it after one answer."""

    def __init__(self, *, timeout=60.0, max_connections=1, source=""):
        self.reactor = MemoryReactorClock()
        self.owned = True
        self.recovered = []
        self.reachable = []
        self.client = DeviceClient(
            self.reactor, attrs.evolve(scanner_options(
                max_connections=max_connections, timeout=timeout, idle_timeout=5.0), source=source),
            holds=lambda: self.owned, seconds=self.reactor.seconds, rate_limit=RateLimit(0.0),
            on_recovered=self.recovered.append,
            on_reachable=lambda: self.reachable.append(self.client.reachable))
        self.sent, self.failed, self.busy = [], [], []
        self.requests = {}
        self.made = 0

    def ask(self, name, client="a", operation=CREATE_SCAN_JOB, *, limited=True, url=SCANNER, **more):
        request = ScannerRequest(address_of(url), operation, b"<x/>", [], client=client,
                    share_of=client if limited and client else None, **more)
        request.on_sent = lambda: self.sent.append(name)
        self.requests[name] = request
        self.client.request(request).addErrback(lambda failure: self.failed.append((name, failure.value)))
        return request

    def connect(self):
        """Accepts the next connection, so that the device receives a request."""
        factory = self.reactor.tcpClients[self.made][2]
        self.made += 1
        protocol = factory.buildProtocol(None)
        transport = StringTransport(peerAddress=self.reactor.connectors[0].getDestination())
        transport.setTcpNoDelay = lambda on: None
        transport.abortConnection = transport.loseConnection = lambda: None
        protocol.makeConnection(transport)
        self.busy.append(protocol)

    def connect_all(self):
        """Accepts every pending connection."""
        while self.made < len(self.reactor.tcpClients):
            self.connect()

    def answer(self):
        """Answers the oldest unanswered request, and closes its connection."""
        protocol = self.busy.pop(0)
        protocol.dataReceived(ANSWER)
        protocol.connectionLost(Failure(neterror.ConnectionDone()))

    def refuse(self, problem=None):
        """Refuses the next connection."""
        factory = self.reactor.tcpClients[self.made][2]
        connector = self.reactor.connectors[self.made]
        self.made += 1
        factory.clientConnectionFailed(connector, Failure(problem or neterror.ConnectionRefusedError()))

    def serve(self, number):
        """Accepts and answers so many requests, one after the other."""
        for _ in range(number):
            self.connect()
            self.answer()

    @property
    def circuit_is_open(self):
        before = len(self.failed)
        probe = self.ask("probe", "probe")
        refused = [value for name, value in self.failed[before:] if name == "probe"]
        self.client.abandon(probe)
        return bool(refused) and "next attempt within" in str(refused[0])
