"""Two gateways in memory that get the same bytes: one answers repeated reads at once, the other reads each in full."""

import itertools
import re

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from tests.httpserver import MemoryServer, is_open
from tests.messages import scanner_elements
from tests.options import scanner_options
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.responses import Head
from wsdgateway.metrics import Metrics
from wsdgateway.net.clients.authorization import Authorization
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.clients.proxy import Proxy
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.clients.router import Router
from wsdgateway.net.repeatedrequests import RepeatedRequests
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.envelope import read

SOAP_TYPE = b"application/soap+xml"
_OWN_ID = re.compile(rb"urn:uuid:own-\d+")


class Scanner:
    """Stands in for the scanner: answers every request at once with its elements, or fails."""

    fails = False

    def __init__(self):
        self.asked = []

    def request(self, request):
        self.asked.append((request.operation.name, request.body))
        if self.fails:
            return fail(Unavailable("192.0.2.1", "switched off"))
        answer = scanner_elements("ScannerStatus", relates_to=read(request.body).message_id)
        head = Head(200, b"OK", [(b"Content-Type", SOAP_TYPE)], len(answer), True, True)
        response = Response(request, head, None, None, 1.0)
        response.data(answer)
        response.end()
        return succeed(response)


class RepeatingGateway:
    """A gateway with one scanner, whose job 1 is active and job 2 has ended; `now` is its clock.

    Without `fast`, it reads each request in full.
    """

    name = "front-desk"

    def __init__(self, *, fast):
        self.now = 100.0
        self.permission = Permission()
        self.quotas = Quotas(requests=1000.0, connections=1000, jobs=5, unlimited=())
        self.log = ExchangeLog()
        self.metrics = Metrics()
        self.scanner = Scanner()
        self.repeats = RepeatedRequests(self.permission, self.quotas, self.metrics, self.log, seconds=self.seconds)
        ids = itertools.count()
        bridge = self.bridge = ScannerBridge(scanner_options(self.name, max_age=30.0, poll_interval=1.0, history=5),
                                             new_id=lambda: f"urn:uuid:own-{next(ids):06}", quotas=self.quotas)
        bridge.device = "http://192.0.2.1/scan"
        bridge.listens(True)
        bridge.table.events_seen = True
        self.announce("1", "Processing")
        self.announce("2", "Completed")
        forwarder = Forwarder(bridge, self.scanner, self.metrics, seconds=self.seconds, after_learning=lambda: None,
                              on_trouble=lambda: None)
        accounting = self._accounting(self.name)
        proxy = Proxy(WSScan(Endpoint.SCAN, lambda: "urn:uuid:own-000000"), bridge, forwarder, None, None, None,
                      self.metrics, accounting, Authorization(self.name, self.permission, accounting), self.repeats,
                      seconds=self.seconds, written=lambda: succeed(None))
        self.resources = {b"scan": Resource(proxy.serve)}
        router = Router(self._accounting(None), self.quotas, self.repeats.clear)
        router.add(self)
        self._server = MemoryServer(router.respond, log=self.log, repeats=self.repeats if fast else None)
        self._connections = {}

    def seconds(self):
        return self.now

    def _accounting(self, scanner):
        return Accounting(scanner, self.metrics, self.log, seconds=self.seconds, wall=self.seconds)

    def announce(self, job_id, state):
        self.bridge.table.announced(JobStatus(job_id, state), self.now)

    def limit_bodies(self, size):
        """Applies another limit to the bodies of requests on new connections."""
        self._server.factory.limits = attrs.evolve(self._server.factory.limits, request_body=size)

    def send(self, client, *pieces):
        """Sends pieces on the connection of a client, which is opened if it is not, and returns the bytes it receives.

        Message ids of the gateway are replaced.
        """
        protocol, transport = self._connections.get(client) or self._connect(client)
        for piece in pieces:
            protocol.dataReceived(piece)
        received = transport.value()
        transport.clear()
        if not is_open(transport):
            self.close(client)
        return _OWN_ID.sub(b"urn:uuid:own", received)

    def _connect(self, client):
        connection = self._connections[client] = self._server.connect(IPv4Address("TCP", client, 50000))
        return connection

    def is_connected(self, client):
        return client in self._connections

    def close(self, client):
        """Closes the connection of a client."""
        connection = self._connections.pop(client, None)
        if connection is not None:
            connection[0].connectionLost(Failure(ConnectionDone()))

    def records(self):
        """Returns everything that is recorded about the exchanges: metrics, log entries and messages."""
        kept = [self.log.get(one.number) for one in self.log.since(0)]
        return self.metrics.render(), [
            (one.entry, one.request, _OWN_ID.sub(b"urn:uuid:own", one.response)) for one in kept], self.scanner.asked
