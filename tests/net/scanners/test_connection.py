"""Tests of net.scanners.connection: one connection to a device, state by state, on a transport in memory."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.options import scanner_options
from wsdgateway.bridge.health.causes import BROKEN_OFF, NOT_HTTP
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.scanners.failures import Insecure
from wsdgateway.net.scanners.request import FAILED, WAITING, ScannerRequest
from wsdgateway.net.transport.errors import BadDevice, Unavailable
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.scan.operations import CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS
from wsdgateway.tls.trust import Untrusted

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Transport(StringTransport):
    """Transport that records an abort."""

    aborted = False

    def setTcpNoDelay(self, on):
        pass

    def abortConnection(self):
        self.aborted = True

    def getHandle(self):
        return None


class Trusting:
    """Trust that accepts the device, or raises `problem`."""

    problem = ca = None

    def judge(self, handle, host):
        if self.problem is not None:
            raise self.problem


class Owner:
    """Client of a device that records the calls of its connection."""

    def __init__(self, **options):
        self.reactor, self.calls, self.causes, self.completed_answers = Clock(), [], [], 0
        self.post = WriteScheduler(self.reactor)
        self.heads = KnownHeads()
        self.options = scanner_options(trust=Trusting(), **options)

    def reached(self, peer):
        self.calls.append("reached")

    def received(self):
        self.calls.append("received")

    def answered(self):
        self.calls.append("answered")

    def completed(self):
        self.completed_answers += 1

    def broken(self, cause):
        self.causes.append(cause)

    def released(self, connection, *, reusable):
        self.calls.append(f"released {reusable}")

    def closed(self, connection):
        self.calls.append("closed")

    def resend(self, request):
        self.calls.append("resend")


class Wire:
    """Connection over HTTP or HTTPS, with its owner and transport."""

    def __init__(self, url="http://198.51.100.20/scan", **options):
        self.owner, self.transport = Owner(**options), Transport()
        self.connection = DeviceConnection(self.owner, address_of(url))
        self.ready = []
        self.connection.ready.addBoth(self.ready.append)
        self.connection.makeConnection(self.transport)

    def send(self, operation=GET_SCANNER_ELEMENTS):
        """Sends a request and returns it with a list that will contain the body or a failure."""
        request = ScannerRequest(self.connection.address, operation, b"<x/>", [])
        ended = []
        request.answered.addCallback(lambda response: response.whole() if response.ended else response)
        request.answered.addBoth(ended.append)
        self.connection.send(request)
        return request, ended

    def lose(self, reason=None):
        self.connection.connectionLost(Failure(reason or ConnectionDone()))


def error_of(ended):
    [failure] = ended
    return failure.value


def test_exchanges_follow_one_another_on_a_connection():
    wire = Wire()
    assert wire.ready == [wire.connection] and wire.connection.request is None
    for _ in range(2):
        request, ended = wire.send()
        assert wire.connection.request is request
        wire.connection.dataReceived(HEAD + b"hello")
        assert (ended, wire.connection.request) == ([b"hello"], None)
    assert (wire.connection.requests, wire.owner.completed_answers) == (2, 2)
    assert wire.owner.calls == ["reached", *["received", "released True", "answered"] * 2]
    assert wire.transport.value().count(b"POST /scan HTTP/1.1\r\nHost: 198.51.100.20\r\n") == 2
    assert not wire.transport.aborted


def test_data_on_an_idle_connection_aborts_it():
    wire = Wire()
    wire.connection.dataReceived(HEAD)
    assert wire.transport.aborted
    assert wire.owner.calls == ["reached", "received"]


@pytest.mark.parametrize(("operation", "sent", "outcome"), [
    (GET_SCANNER_ELEMENTS, b"", "resend"), (CREATE_SCAN_JOB, b"", None), (GET_SCANNER_ELEMENTS, b"HTTP/1.1 2", None)])
def test_a_connection_that_breaks_before_a_head(operation, sent, outcome):
    wire = Wire()
    request, ended = wire.send(operation)
    if sent:
        wire.connection.dataReceived(sent)
    wire.lose()
    assert ("resend" in wire.owner.calls, request.state is WAITING) == (outcome == "resend", outcome == "resend")
    assert ended == [] if outcome else isinstance(error_of(ended), BadDevice)
    assert wire.owner.calls[-1] == "closed"
    assert wire.owner.causes == ([] if outcome else [BROKEN_OFF])
    assert outcome or error_of(ended).cause is BROKEN_OFF


def test_a_connection_that_breaks_in_a_body_fails_the_answer():
    wire = Wire()
    _, ended = wire.send()
    wire.connection.dataReceived(HEAD + b"hel")
    [response] = ended
    failed = []
    Deferred.fromCoroutine(response.collect()).addErrback(failed.append)
    wire.lose()
    assert isinstance(error_of(failed), BadDevice)
    assert (wire.owner.causes, wire.owner.completed_answers) == ([], 0)  # no lasting problem: it had begun to answer


def test_a_request_that_times_out_is_not_sent_again():
    wire = Wire()
    request, ended = wire.send()
    wire.connection.expire(Unavailable("x", "too long"))
    assert wire.transport.aborted and request.state is FAILED
    assert str(error_of(ended)) and wire.connection.request is None
    wire.lose()
    assert wire.owner.calls == ["reached", "closed"]


def test_an_answer_that_is_not_http_fails_the_request():
    wire = Wire()
    _, ended = wire.send()
    wire.connection.dataReceived(b"SSH-2.0\r\n")
    assert isinstance(error_of(ended), BadDevice) and wire.transport.aborted
    assert wire.owner.causes == [NOT_HTTP]


def test_with_tls_nothing_is_sent_before_the_device_is_trusted():
    wire = Wire("https://198.51.100.20/scan")
    assert wire.ready == [] and wire.owner.calls == []
    wire.connection.handshakeCompleted()
    assert wire.ready == [wire.connection] and wire.owner.calls == ["reached"]
    stranger = Wire("https://198.51.100.20/scan")
    stranger.owner.options.trust.problem = Untrusted("it is another one")
    stranger.connection.handshakeCompleted()
    assert isinstance(error_of(stranger.ready), Insecure)
    assert stranger.transport.aborted and stranger.owner.calls == []


@pytest.mark.parametrize("lenient", [False, True])
def test_an_end_without_close_notify_is_accepted_only_with_lenient(lenient):
    wire = Wire("https://198.51.100.20/scan", lenient=lenient)
    wire.connection.handshakeCompleted()
    _, ended = wire.send()
    wire.connection.dataReceived(b"HTTP/1.1 200 OK\r\n\r\nhello")
    [response] = ended
    wire.lose(ConnectionLost())
    assert response.ended is lenient
    assert lenient is False or response.whole() == b"hello"
