"""The client side of the link between gateways: connections, and the requests that wait for them."""

import pytest
from twisted.internet import error as neterror
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.net.cluster import peerconnections
from wsdgateway.net.cluster.peerconnections import NoRoom
from wsdgateway.net.cluster.peerlink import ANSWER_SECONDS, STALL_SECONDS, PeerLink, limits_for

OWNER = Registration("id", "owner", "http://192.0.2.5:5360", "")
HEAD = b"POST /x HTTP/1.1\r\n\r\n"


class Link:
    """A link whose connections are accepted when the test says so."""

    def __init__(self):
        self.reactor = MemoryReactorClock()
        self.link = PeerLink(self.reactor, seconds=self.reactor.seconds, secret=lambda: b"00")
        self.failed, self.answers, self.made, self.why = [], [], [], None

    def call(self, owner=OWNER):
        call = self.link.call(owner, HEAD, b"body", lambda: self.why)
        call.answered.addCallbacks(self.answers.append, lambda failure: self.failed.append(failure.value))
        return call

    def accept(self, number=0):
        protocol = self.reactor.tcpClients[number][2].buildProtocol(None)
        transport = StringTransport(peerAddress=self.reactor.connectors[0].getDestination())
        transport.setTcpNoDelay = lambda on: None
        transport.abortConnection = lambda: protocol.connectionLost(Failure(neterror.ConnectionAborted()))
        protocol.makeConnection(transport)
        self.made.append((protocol, transport))
        return protocol, transport


@pytest.fixture
def link(monkeypatch):
    monkeypatch.setattr(peerconnections, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(peerconnections, "MAX_WAITING", 1)
    return Link()


def test_connections_are_bounded_and_used_again(link):
    for _ in range(3):
        link.call()
    assert len(link.reactor.tcpClients) == 2
    link.call()
    assert [type(error) for error in link.failed] == [NoRoom]
    protocol, transport = link.accept()
    assert transport.value() == HEAD + b"body"
    protocol.dataReceived(b"HTTP/1.1 204 OK\r\n\r\n")
    assert transport.value() == (HEAD + b"body") * 2  # the request that waited
    other, _ = link.accept(1)
    for one in (other, protocol):
        one.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert len(link.answers) == 3
    link.call()
    assert len(link.reactor.tcpClients) == 2


def test_a_request_on_a_connection_that_breaks_is_not_sent_again(link):
    call = link.call()
    protocol, transport = link.accept()
    protocol.connectionLost(Failure(neterror.ConnectionLost()))
    assert call.sent
    assert "closed the connection without an answer" in str(link.failed[0])
    assert len(link.reactor.tcpClients) == 1
    assert transport.value().count(HEAD) == 1


def test_a_request_that_cannot_be_sent_says_so(link):
    call = link.call()
    link.reactor.tcpClients[0][2].clientConnectionFailed(
        link.reactor.connectors[0], Failure(neterror.ConnectionRefusedError()))
    assert not call.sent
    assert "refused" in str(link.failed[0]).lower()
    assert not link.call(Registration("id", "odd", "nonsense", "")).sent
    assert "not an http or https URL" in str(link.failed[1])


def test_an_answer_is_waited_for_as_long_as_another_gateway_does_not_own_the_scanner(link):
    link.call()
    link.accept()
    link.reactor.advance(5.0)
    link.why = "taken over"
    link.reactor.advance(1.0)
    assert not link.failed  # the owner may be handing over
    link.reactor.advance(1.0)
    assert "taken over" in str(link.failed[0])


def test_an_answer_is_waited_for_within_the_time_limit(link):
    link.link.limit(7.0, 9.0)
    link.call()
    link.accept()
    for _ in range(7):
        link.reactor.advance(1.0)
    assert "no answer within 7 s" in str(link.failed[0])
    assert link.link.options.section.idle_timeout == 9.0


def test_the_time_limits_leave_the_owner_its_own():
    assert limits_for([]) == (ANSWER_SECONDS, STALL_SECONDS)
    assert limits_for([ScannerConfig("a"), ScannerConfig("b", timeout=300.0, idle_timeout=100.0)]) == (610.0, 110.0)


def test_a_gateway_that_is_gone_is_forgotten_when_another_one_is_spoken_to(link):
    link.call()
    link.reactor.tcpClients[0][2].clientConnectionFailed(
        link.reactor.connectors[0], Failure(neterror.ConnectionRefusedError()))
    for number in range(3):
        link.call(Registration("id", "other", f"http://192.0.2.6:{number + 1}", ""))
    assert len(link.failed) == 1
    assert len(link.reactor.tcpClients) == 4
