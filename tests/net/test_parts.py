"""The small parts of net that need no socket."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.doors import Door
from wsdgateway.http.requests import Refusal
from wsdgateway.http.urls import address_of
from wsdgateway.net.presence.metadata import endpoint_of
from wsdgateway.net.scanners.address import reachable
from wsdgateway.net.scanners.circuitbreaker import FIRST_PAUSE, LONGEST_PAUSE, THRESHOLD, CircuitBreaker
from wsdgateway.net.transport.coalescing import CoalescedWriter, WriteScheduler
from wsdgateway.net.transport.errors import BadDevice, Unavailable, fault_for
from wsdgateway.net.transport.localaddress import OpenPort, base_url
from wsdgateway.net.transport.timeouts import SLACK, Deadlines


def test_the_circuit_opens_after_failures_in_a_row():
    circuit = CircuitBreaker()
    for _ in range(THRESHOLD - 1):
        circuit.failed(0.0)
        assert circuit.admits(0.0)
    assert circuit.succeeded() == THRESHOLD - 1
    for _ in range(THRESHOLD):
        assert not circuit.is_open
        circuit.failed(0.0)
    assert circuit.is_open
    assert not circuit.admits(FIRST_PAUSE - 0.01)


def test_one_trial_at_a_time_and_pauses_grow_to_five_seconds():
    circuit, now, pauses = CircuitBreaker(), 0.0, []
    for _ in range(THRESHOLD):
        circuit.failed(now)
    for _ in range(8):
        began = now
        while not circuit.admits(now):
            now += 0.01
        pauses.append(round(now - began, 1))
        assert not circuit.admits(now + 100)
        circuit.failed(now)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(pauses) == LONGEST_PAUSE == 5.0
    assert circuit.admits(now + 5.01)
    circuit.succeeded()
    assert circuit.admits(now + 5.01)


def test_deadlines_end_in_time_and_in_order():
    clock, ended = Clock(), []
    deadlines = Deadlines(clock, 10.0)
    deadlines.begin(lambda: ended.append("a"))
    clock.advance(4)
    lifted = deadlines.begin(lambda: ended.append("b"))
    clock.advance(4)
    deadlines.begin(lambda: ended.append("c"))
    lifted.lift()
    lifted.lift()
    clock.advance(1.9)
    assert ended == []
    clock.advance(0.2)
    assert ended == ["a"]
    clock.advance(7.8)
    assert ended == ["a"]
    clock.advance(0.2)
    assert ended == ["a", "c"]
    assert not clock.getDelayedCalls()


def test_lifted_deadlines_do_not_pile_up():
    clock = Clock()
    deadlines = Deadlines(clock, 60.0)
    keep = deadlines.begin(lambda: None)
    for _ in range(10000):
        deadlines.begin(lambda: None).lift()
    assert len(deadlines._queue) <= 2 + SLACK + 1
    assert keep.ended is not None
    assert len(clock.getDelayedCalls()) == 1
    deadlines.stop()
    assert not clock.getDelayedCalls()


def test_an_ended_deadline_may_begin_another():
    clock, ended = Clock(), []
    deadlines = Deadlines(clock, 1.0)
    deadlines.begin(lambda: deadlines.begin(lambda: ended.append(1)))
    clock.advance(1)
    clock.advance(1)
    assert ended == [1]


@pytest.mark.parametrize(("error", "code"), [
    (Unavailable("x", "y"), "wscn:ServerErrorTemporaryError"), (BadDevice("x", "y"), "wscn:ServerErrorInternalError")])
def test_the_class_of_an_error_decides_the_fault(error, code):
    fault = fault_for(error)
    assert (fault.subcode, fault.status, fault.code) == (code, 500, "Receiver")
    assert "y" in fault.reason


@pytest.mark.parametrize(("url", "parts"), [
    ("http://198.51.100.20:80/WDP/SCAN", ("198.51.100.20", 80, b"198.51.100.20:80", b"/WDP/SCAN")),
    ("http://scanner/", ("scanner", 80, b"scanner", b"/")), ("http://x:8018?a=b", ("x", 8018, b"x:8018", b"/?a=b")),
    ("http://[2001:db8::1]:5357/a", ("2001:db8::1", 5357, b"[2001:db8::1]:5357", b"/a")),
    ("https://scanner/a", ("scanner", 443, b"scanner", b"/a")),
    # what can't stand in a request line, from whoever says so
    ("http://x/a b%20/\xe4?c d", ("x", 80, b"x", b"/a%20b%20/%C3%A4?c%20d"))])
def test_addresses(url, parts):
    address = address_of(url)
    assert (address.host, address.port, address.authority, address.target) == parts
    assert address.secure is url.startswith("https:")


@pytest.mark.parametrize("url", ["ftp://x/", "urn:x", "http://", "", "http://x:port/", "http://x y/"])
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match=r"neither an http nor|port|not a host"):
        address_of(url)


@pytest.mark.parametrize(("local", "listeners", "url"), [
    ("198.51.100.5", [("192.0.2.5", 1), ("198.51.100.5", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("192.0.2.5", 1), ("0.0.0.0", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("192.0.2.5", 1)], "http://192.0.2.5:1"), ("2001:db8::1", [("::", 1)], "http://[2001:db8::1]:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True), ("192.0.2.5", 2)], "https://198.51.100.5:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True), ("0.0.0.0", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("198.51.100.5", 1, True)], "https://198.51.100.5:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True, True)], None), ("198.51.100.5", [], None)])
def test_where_a_device_reaches_us(local, listeners, url):
    assert base_url(local, [OpenPort(*listener) for listener in listeners]) == url



@pytest.mark.parametrize(("given", "url"), [
    ("http://198.51.100.20:5357/m?x=1", "http://198.51.100.20:5357/m?x=1"),
    ("http://10.0.0.9:5357/m", "http://198.51.100.20:5357/m"), ("http://printer.local/m", "http://198.51.100.20/m"),
    ("urn:uuid:5", "http://198.51.100.20:80/scan"), ("", "http://198.51.100.20:80/scan")])
def test_a_devices_addresses_are_reached_where_it_is_known(given, url):
    assert reachable(given, "http://198.51.100.20:80/scan") == url


@pytest.mark.parametrize(("url", "endpoint"), [
    ("http://x/37f86d35-e6ac-4241-964f-1d9ae46fb366", "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366"),
    ("http://x/wsd", "http://x/wsd"), ("http://x/zzzzzzzz-e6ac-4241-964f-1d9ae46fb366", None)])
def test_a_devices_endpoint(url, endpoint):
    assert endpoint_of(url) == (endpoint or url)


def test_an_outbox_on_another_transport_writes_at_once():
    transport = StringTransport()
    outbox = CoalescedWriter(transport, WriteScheduler(Clock()))
    outbox.write(b"a")
    outbox.write(b"b")
    assert transport.value() == b"ab"


REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


def test_a_date_is_told():
    protocol, transport = Door().connect()
    protocol.dataReceived(REQUEST)
    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in transport.value()


def test_while_one_answer_is_awaited_the_next_request_waits_unread():
    turns = []
    protocol, transport = Door(turns.append).connect()
    protocol.dataReceived(REQUEST * 3)
    assert len(turns) == 1
    assert transport.producerState == "paused"
    for _ in range(3):
        turns[-1].answer(200, b"x")
    assert len(turns) == 3
    assert transport.value().count(b"HTTP/1.1 200 OK") == 3
    assert transport.producerState == "producing"


def test_a_slow_body_ends_with_408_and_a_running_answer_is_not_hurried():
    door, turns = Door(lambda turn: turns.append(turn), header_timeout=5.0, keepalive_timeout=7.0), []
    slow, slow_transport = door.connect()
    slow.dataReceived(REQUEST[:-1])
    busy, busy_transport = door.connect()
    busy.dataReceived(REQUEST)
    door.reactor.pump([1.0] * 60)
    assert slow_transport.value().startswith(b"HTTP/1.1 408 ")
    assert door.refusals == [Refusal(408, "The request took too long.")]
    assert not busy_transport.disconnecting
    turns[0].answer(200, b"")
    door.reactor.pump([1.0] * 8)
    assert busy_transport.disconnecting


def test_the_clock_of_a_new_request_begins_with_its_first_byte():
    door = Door(header_timeout=5.0, keepalive_timeout=60.0)
    protocol, transport = door.connect()
    protocol.dataReceived(REQUEST)
    door.reactor.pump([1.0] * 50)
    protocol.dataReceived(REQUEST[:10])
    door.reactor.pump([1.0] * 4)
    assert not getattr(transport, "half", False)
    door.reactor.pump([1.0] * 2)
    assert b"HTTP/1.1 408 " in transport.value()
    assert transport.half
    door.reactor.pump([1.0] * 3)
    assert transport.disconnecting or transport.disconnected
