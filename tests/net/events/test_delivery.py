"""The deliveries of several scanners beside each other, and one delivery from its connection to its status."""

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
    """Deliveries whose connections are begun, and end as the test says."""

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
        """Whose deliveries have begun, in order."""
        return [connecting[0] for connecting in self.reactor.tcpClients]

    def fail(self, position):
        self.reactor.tcpClients[position][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))


def test_sinks_that_hang_leave_room_for_those_of_other_scanners():
    sending = Sending(8)
    sending.send("a", 20)
    assert sending.begun == ["a"] * 4
    sending.send("b", 2)
    assert sending.begun == ["a"] * 4 + ["b"] * 2
    sending.fail(0)
    assert sending.begun[-1] == "a"


def test_those_that_wait_begin_by_turns_of_scanners():
    sending = Sending(2)
    sending.send("x")
    sending.send("y")
    for scanner in "aabbcc":
        sending.send(scanner)
    for position in range(7):
        sending.fail(position)
        sending.reactor.advance(0)
    assert sending.begun[2:] == list("abcabc")


def test_it_is_told_when_the_last_that_waits_has_begun_or_is_not_wanted_any_more():
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


def test_not_more_are_awaited_at_once_than_a_turn_of_the_reactor_can_take():
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


# One delivery.

class Transport(StringTransport):
    """A connection to a sink."""

    aborted = False

    def abortConnection(self):
        self.aborted = True
        self.loseConnection()


def connected(sending):
    """The delivery that has begun last, connected: its protocol, its transport."""
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


def test_the_status_is_known_with_the_head_of_the_answer(sending):
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
def test_an_answer_that_is_none_fails_the_delivery(sending, answer, error):
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


def test_a_sink_that_does_not_answer_is_given_up_in_time(sending):
    failed = []
    status = sending.deliveries.send("a", Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7"), b"x")
    status.addErrback(failed.append)
    protocol, transport = connected(sending)
    sending.reactor.advance(DELIVERY_SECONDS - 1.0)
    assert not failed
    sending.reactor.advance(1.5)
    assert failed[0].check(DeliveryError) and transport.aborted
    ended(sending, protocol)


def test_a_delivery_that_is_cancelled_while_it_is_sent_breaks_off(sending):
    failed = []
    status = sending.deliveries.send("a", Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7"), b"x")
    status.addErrback(failed.append)
    protocol, transport = connected(sending)
    status.cancel()
    assert failed[0].check(CancelledError) and transport.aborted
    ended(sending, protocol)


def test_an_interface_that_has_gone_fails_one_delivery_only(sending, monkeypatch):
    def refuse(*arguments, **more):
        raise OSError("no such device")

    failed = []
    monkeypatch.setattr(sending.reactor, "connectTCP", refuse)
    sink = Sink(EndpointReference("http://[fe80::1]/"), "fe80::1%nowhere0")
    sending.deliveries.send("a", sink, b"x").addErrback(failed.append)
    sending.reactor.advance(0)
    assert failed[0].check(OSError)
    assert sending.deliveries.open == 0
