"""Tests of admin.connections: the limits on the number of connections to the admin site and on their time."""

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from wsdgateway.admin.access import Access
from wsdgateway.admin.connections import CLOSING_SECONDS, AdminLimits
from wsdgateway.admin.overview import Overview
from wsdgateway.admin.resources import MAX_FORM
from wsdgateway.admin.site import AdminSite
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
STREAM = b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Stuck(StringTransportWithDisconnection):
    """A transport whose client reads nothing: only an abort closes it."""

    def loseConnection(self):
        self.disconnecting = True

    def abortConnection(self):
        self.aborting = True
        self.connected = False
        self.protocol.connectionLost()


class Gateway:
    """An admin site without a gateway, with a simulated clock."""

    def __init__(self, **limits):
        self.clock = Clock()
        overview = Overview("x", [], [], Metrics(), ExchangeLog(), lambda name: succeed([]), lambda: 1e9,
                            self.clock.seconds)
        self.site = AdminSite(self.clock, overview, Access(None, (), self.clock.seconds), "1",
                              AdminLimits(**{"header_timeout": 15.0, "keepalive_timeout": 60.0, **limits}), None)

    def connect(self, kind=StringTransportWithDisconnection):
        transport = kind(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
        transport.protocol = self.site.buildProtocol(None)
        transport.protocol.makeConnection(transport)
        return transport

    def ask(self, transport, request=GET):
        transport.clear()
        transport.protocol.dataReceived(request)
        return transport.value()


def test_a_request_that_arrives_byte_by_byte_is_refused_after_header_timeout():
    gateway = Gateway()
    client = gateway.connect()
    for byte in GET * 100:
        client.protocol.dataReceived(bytes([byte]))
        gateway.clock.advance(1.0)
        if not client.connected:
            break
    assert gateway.clock.seconds() == 15.0
    assert client.value().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert not gateway.clock.getDelayedCalls()


def test_the_time_limit_includes_the_body():
    gateway = Gateway()
    client = gateway.connect()
    client.protocol.dataReceived(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(14):
        gateway.clock.advance(1.0)
        client.protocol.dataReceived(b"x")
    assert client.connected
    gateway.clock.advance(1.0)
    assert not client.connected and b"408" in client.value()


def test_a_silent_new_connection_is_closed_without_an_answer():
    gateway = Gateway()
    client = gateway.connect()
    gateway.clock.advance(14.9)
    assert client.connected
    gateway.clock.advance(0.2)
    assert not client.connected and client.value() == b""


def test_keepalive_timeout_applies_between_requests_and_each_request_has_its_own_time():
    gateway = Gateway()
    client = gateway.connect()
    gateway.ask(client)
    for _ in range(5):
        gateway.clock.advance(50.0)
        client.protocol.dataReceived(GET[:10])
        gateway.clock.advance(10.0)
        assert b"200 OK" in gateway.ask(client, GET[10:])
    gateway.clock.advance(59.9)
    assert client.connected
    gateway.clock.advance(0.2)
    assert not client.connected


def test_pipelined_bytes_belong_to_the_next_request():
    gateway = Gateway()
    client = gateway.connect()
    assert gateway.ask(client, GET + GET + GET[:20]).count(b"200 OK") == 2
    client.protocol.dataReceived(GET[20:-1])
    gateway.clock.advance(15.1)
    assert not client.connected and b"408" in client.value()


def test_a_stream_has_no_time_limit():
    gateway = Gateway()
    client = gateway.connect()
    assert b"text/event-stream" in gateway.ask(client, STREAM)
    gateway.clock.pump([1.0] * 100)
    assert client.connected


@pytest.mark.parametrize("request_", [GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), GET])
def test_a_connection_that_reads_no_answer_is_aborted(request_):
    gateway = Gateway()
    client = gateway.connect(Stuck)
    gateway.ask(client, request_)
    gateway.clock.advance(60.0)
    gateway.clock.advance(CLOSING_SECONDS)
    assert client.aborting and len(gateway.site.connections) == 0


def test_the_longest_idle_connection_is_closed_to_make_room():
    gateway = Gateway(connections=3)
    first, second, third = (gateway.connect() for _ in range(3))
    for client in (second, third, first):
        gateway.ask(client)
    fourth = gateway.connect()
    assert [one.connected for one in (first, second, third, fourth)] == [True, False, True, True]
    assert b"200 OK" in gateway.ask(fourth)
    assert len(gateway.site.connections) == 3


def test_a_flood_of_silent_connections_stays_within_the_limit():
    gateway = Gateway(connections=10)
    clients = [gateway.connect() for _ in range(1100)]
    assert [client.connected for client in clients] == [False] * 1090 + [True] * 10
    assert len(gateway.site.connections) == 10
    late = gateway.connect()
    assert b"200 OK" in gateway.ask(late)


def test_if_all_connections_are_busy_a_new_one_is_closed_at_once():
    gateway = Gateway(connections=3)
    streams = [gateway.connect() for _ in range(3)]
    for client in streams:
        gateway.ask(client, STREAM)
    late = gateway.connect()
    assert not late.connected and late.value() == b""
    assert all(client.connected for client in streams)
    streams[0].protocol.connectionLost()
    assert gateway.connect().connected


def test_a_lowered_limit_applies_to_new_connections():
    gateway = Gateway(connections=10)
    clients = [gateway.connect() for _ in range(10)]
    gateway.site.connections.limits = AdminLimits(2)
    assert all(client.connected for client in clients)
    late = gateway.connect()
    assert late.connected and sum(client.connected for client in clients) == 1


def test_stopping_closes_idle_connections_and_ends_streams():
    gateway = Gateway()
    waiting, silent, stream = (gateway.connect() for _ in range(3))
    gateway.ask(waiting)
    gateway.ask(stream, STREAM)
    gateway.site.stop()
    assert not waiting.connected and not silent.connected and stream.value().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(("head", "status"), [
    (b"Content-Length: %d" % (MAX_FORM + 1), b"413"), (b"Transfer-Encoding: chunked", b"411"),
    (b"Content-Length: 999999999999999999999", b"413"), (b"Content-Length: -1", b"400")])
def test_a_body_that_is_too_large_or_has_no_length_is_refused(head, status):
    gateway = Gateway()
    client = gateway.connect()
    answer = gateway.ask(client, b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n\r\n" + b"x" * 100000)
    assert answer.startswith(b"HTTP/1.1 " + status) and answer.count(b"HTTP/1.1") == 1
    assert not client.connected


@pytest.mark.parametrize("fields", [
    b"X: " + b"a" * 40000, b"X: " + b"a" * 16384, b"\r\n".join([b"X: " + b"a" * 1000] * 20)])
def test_a_header_block_that_is_too_large_is_refused(fields):
    gateway = Gateway()
    client = gateway.connect()
    assert gateway.ask(client).startswith(b"HTTP/1.1 200 ")
    answer = gateway.ask(client, GET[:-2] + fields + b"\r\n\r\n" + GET)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n") and answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"The header block is larger than 16384 bytes.\n") and not client.connected


def test_a_header_block_as_large_as_permitted_is_accepted_in_each_request():
    gateway = Gateway()
    client = gateway.connect()
    request = GET[:-2] + b"X: " + b"a" * (16384 - len(GET) - len("X: \r\n")) + b"\r\n\r\n"
    assert len(request) == 16384
    assert gateway.ask(client, request + request).count(b"HTTP/1.1 200 ") == 2
    assert gateway.ask(client, request).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"])
@pytest.mark.parametrize("path", [
    b"/nothing", b"/metrics/x", b"/metrics/", b"/healthz/x", b"/readyz/x/y", b"/api/scanners/x", b"/api/jobs/1",
    b"/api/stream/x", b"/api", b"/api/", b"/login/x", b"/logout/", b"/static/../healthz", b"/static/", b"/static/x.js",
    b"/static/live.js/x", b"/jobs/", b"/jobs/1", b"/subscriptions/1", b"/exchanges/", b"/exchanges/1/2", b"/scanners/",
    b"/scanners/front-desk/x", b"//", b"/healthz%2Fx", b"/healthz;x"])
def test_unknown_paths_are_not_found_even_below_known_ones(path, method):
    gateway = Gateway()
    answer = gateway.ask(gateway.connect(), method + b" " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
