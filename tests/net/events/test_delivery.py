"""Tests of net.events.delivery: concurrent deliveries of several scanners, and the steps of a single delivery."""

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from wsdgateway.bridge.events.deliverylimits import FRESH_SECONDS, MAX_FRESH
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.net.events.delivery import DELIVERY_SECONDS, Deliveries
from wsdgateway.net.transport.errors import DeliveryError
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.soap.addressing import EndpointReference


class Sending:
    """Deliveries whose connections end when the test says so."""

    def __init__(self, limit):
        self.reactor = MemoryReactorClock()
        self.slices = TimeSlices(self.reactor, lambda: 0.0)
        self.deliveries = Deliveries(self.reactor, limit, self.slices)
        self.sending = []

    def send(self, scanner, count=1):
        for _ in range(count):
            sink = Sink(EndpointReference(f"http://192.0.2.7/{scanner}"), scanner)
            sending = self.deliveries.send(scanner, sink, b"x")
            sending.addErrback(lambda failure: None)
            self.sending.append(sending)

    @property
    def begun(self):
        """Scanners whose deliveries have begun, in order."""
        return [connecting[0] for connecting in self.reactor.tcpClients]

    def fail(self, position):
        self.reactor.tcpClients[position][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))


def test_hanging_sinks_leave_room_for_sinks_of_other_scanners():
    sending = Sending(8)
    sending.send("a", 20)
    assert sending.begun == ["a"] * 4
    sending.send("b", 2)
    assert sending.begun == ["a"] * 4 + ["b"] * 2
    sending.fail(0)
    assert sending.begun[-1] == "a"


def test_waiting_deliveries_begin_in_round_robin_of_scanners():
    sending = Sending(2)
    sending.send("x")
    sending.send("y")
    for scanner in "aabbcc":
        sending.send(scanner)
    for position in range(7):
        sending.fail(position)
        sending.reactor.advance(0)
    assert sending.begun[2:] == list("abcabc")


def test_when_begun_calls_back_after_the_last_waiting_delivery_began_or_was_cancelled():
    sending, received = Sending(2), []
    sending.deliveries.when_begun("a", lambda: received.append("none waits"))
    sending.send("a", 3)
    sending.deliveries.when_begun("a", lambda: received.append("begun"))
    assert received == ["none waits"]
    sending.fail(0)
    assert received == ["none waits"]
    sending.fail(1)
    assert received == ["none waits", "begun"]
    sending.send("a", 1)
    sending.deliveries.when_begun("a", lambda: received.append("cancelled"))
    sending.sending[-1].cancel()
    assert received[-1] == "cancelled"


def test_the_number_of_fresh_connections_is_bounded():
    sending = Sending(10 * MAX_FRESH)
    sending.send("a", 2 * MAX_FRESH)
    assert len(sending.begun) == MAX_FRESH
    sending.reactor.advance(FRESH_SECONDS / 2)
    assert len(sending.begun) == MAX_FRESH
    sending.fail(0)
    sending.reactor.advance(0)
    assert len(sending.begun) == MAX_FRESH + 1
    sending.reactor.advance(FRESH_SECONDS)
    assert len(sending.begun) == 2 * MAX_FRESH
    sending.reactor.advance(DELIVERY_SECONDS)
    sending.deliveries.stop()
    sending.slices.stop()
    assert not [call for call in sending.reactor.getDelayedCalls() if call.active()]


# A single delivery.

class Transport(StringTransport):
    """Connection to a sink."""

    aborted = False

    def abortConnection(self):
        self.aborted = True
        self.loseConnection()


def connected(sending):
    """Connects the delivery that began last, and returns its protocol and its transport."""
    protocol = sending.reactor.tcpClients[-1][2].buildProtocol(None)
    transport = Transport()
    protocol.makeConnection(transport)
    sending.reactor.advance(0)
    return protocol, transport


@pytest.fixture
def sending():
    made = Sending(4)
    yield made
    made.deliveries.stop()
    made.slices.stop()


def ended(sending, protocol, reason=ConnectionDone):
    protocol.connectionLost(Failure(reason()))
    assert sending.deliveries.open == 0


def test_the_status_is_known_when_the_answers_head_is_complete(sending):
    status = sending.deliveries.send("a", Sink(EndpointReference("http://h.test:81/e?x"), "192.0.2.7"), b"hello")
    protocol, transport = connected(sending)
    assert sending.reactor.tcpClients[-1][:2] == ("192.0.2.7", 81)
    assert transport.value().startswith(b"POST /e?x HTTP/1.1\r\nHost: h.test:81\r\n")
    assert transport.value().endswith(b"Content-Length: 5\r\n\r\nhello")
    protocol.dataReceived(b"HTTP/1.0 202 Acc")
    assert not status.called
    protocol.dataReceived(b"epted\r\nContent-Length: 7\r\n\r\n")
    assert (status.result, transport.disconnecting, sending.deliveries.open) == (202, True, 1)
    protocol.dataReceived(b"ignored")
    ended(sending, protocol)


@pytest.mark.parametrize(("answer", "error"), [(b"hello", "not HTTP"), (b"", "without an answer")])
def test_an_invalid_or_missing_answer_fails_the_delivery(sending, answer, error):
    sending.send("a")
    failed = []
    status = sending.deliveries.send("b", Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7"), b"x")
    status.addErrback(failed.append)
    protocol, _ = connected(sending)
    if answer:
        protocol.dataReceived(answer + b"\r\n\r\n")
    protocol.connectionLost(Failure(ConnectionDone()))
    [failure] = failed
    assert failure.check(DeliveryError)
    assert error in str(failure.value)
    sending.fail(0)


def test_a_sink_that_does_not_answer_times_out(sending):
    failed = []
    status = sending.deliveries.send("a", Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7"), b"x")
    status.addErrback(failed.append)
    protocol, transport = connected(sending)
    sending.reactor.advance(DELIVERY_SECONDS - 1.0)
    assert not failed
    sending.reactor.advance(1.5)
    assert failed[0].check(DeliveryError) and transport.aborted
    ended(sending, protocol)


def test_cancelling_a_delivery_aborts_its_connection(sending):
    failed = []
    status = sending.deliveries.send("a", Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7"), b"x")
    status.addErrback(failed.append)
    protocol, transport = connected(sending)
    status.cancel()
    assert failed[0].check(CancelledError) and transport.aborted
    ended(sending, protocol)


def test_a_removed_interface_fails_only_its_delivery(sending, monkeypatch):
    def refuse(*arguments, **more):
        raise OSError("no such device")

    failed = []
    monkeypatch.setattr(sending.reactor, "connectTCP", refuse)
    sink = Sink(EndpointReference("http://[fe80::1]/"), "fe80::1%nowhere0")
    sending.deliveries.send("a", sink, b"x").addErrback(failed.append)
    sending.reactor.advance(0)
    assert failed[0].check(OSError)
    assert sending.deliveries.open == 0
