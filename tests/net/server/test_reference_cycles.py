"""Exchanges and connections are in no reference cycle, so that they are freed as soon as they end.

Python searches old objects for cycles only once every few hours.
"""

import gc
import weakref

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from tests.httpserver import MemoryServer
from tests.net.server.test_connection import REQUEST
from tests.options import scanner_options
from wsdgateway.http.requests import RequestReader
from wsdgateway.http.responses import ResponseReader
from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.server import connection
from wsdgateway.scan.operations import GET_JOB_ELEMENTS


@pytest.fixture(autouse=True)
def _without_garbage_collection():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("data", [b"", REQUEST, REQUEST[:10], REQUEST[:-1], b"nonsense\r\n\r\n", REQUEST * 2])
def test_a_request_reader_is_freed(data):
    reader = RequestReader(1000)
    reader.feed(data)
    reader.close()
    assert reader.feed(REQUEST) == []
    part = weakref.ref(reader)
    del reader
    assert part() is None


def test_a_connection_that_is_lost_closes_its_reader(monkeypatch):
    made = []
    monkeypatch.setattr(connection, "RequestReader", lambda most: made.append(RequestReader(most)) or made[0])
    protocol, _ = MemoryServer().connect()
    protocol.dataReceived(REQUEST)
    protocol.connectionLost()
    [reader] = made
    assert reader.finished


@pytest.mark.parametrize("said", [b"", REQUEST, REQUEST[:10], b"nonsense\r\n\r\n"])
def test_a_lost_connection_is_freed(said):
    protocol, transport = MemoryServer().connect()
    protocol.dataReceived(said)
    transport.producer = None  # as a real transport does when it is lost
    protocol.connectionLost()
    part = weakref.ref(protocol)
    del protocol
    assert part() is None


@pytest.mark.parametrize("answer", [
    b"Content-Length: 2\r\n\r\nhi", b"Content-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 1000])
def test_a_response_reader_is_freed(answer, size):
    reader, data = ResponseReader(), b"HTTP/1.1 200 OK\r\n" + answer
    for start in range(0, len(data), size):
        reader.feed(data[start:start + size])
    assert reader.ended and reader.reusable and reader.feed(b"more") == [] and not reader.reusable
    part = weakref.ref(reader)
    del reader
    assert part() is None


def test_a_request_is_freed_before_its_connection():
    """Twisted's connectors are in a cycle and live until the next collection; the request must not."""
    reactor = MemoryReactorClock()
    client = DeviceClient(reactor, scanner_options(max_connections=1), seconds=reactor.seconds,
                          rate_limit=RateLimit(0.0))
    call = ScannerRequest(address_of("http://192.0.2.1/"), GET_JOB_ELEMENTS, b"<asked/>", [])
    ended = []
    client.request(call).addCallback(lambda response: ended.append(response.whole()))
    _, _, factory, _, _ = reactor.tcpClients[0]
    protocol, transport = factory.buildProtocol(None), StringTransport()
    transport.setTcpNoDelay = lambda on: None
    protocol.makeConnection(transport)
    protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert ended == [b""]
    part = weakref.ref(call)
    del call
    assert part() is None
    protocol.connectionLost(Failure(ConnectionDone()))
    client.stop()
