"""What waits for one device: clients take turns, the bounds hold, and nothing of it is held against the device."""

import errno

import pytest
from twisted.internet import error as neterror
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from tests.options import scanner_options
from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.capacity import LEARNED_SECONDS
from wsdgateway.net.scanners.circuitbreaker import THRESHOLD
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.queue import MAX_AHEAD, MAX_BESIDE, MAX_OF_CLIENT, MAX_QUEUE, MAX_URGENT
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy, Unavailable, fault_for
from wsdgateway.scan.operations import CANCEL_JOB, CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS, RENEW, RETRIEVE_IMAGE

SCANNER = "http://198.51.100.20/scan"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Office:
    """A device that takes one connection at a time, by hand, and closes each after one answer."""

    def __init__(self, *, timeout=60.0, max_connections=1):
        self.reactor = MemoryReactorClock()
        self.recovered = []
        self.reachable = []
        self.client = DeviceClient(
            self.reactor, scanner_options(max_connections=max_connections, timeout=timeout, idle_timeout=5.0),
            seconds=self.reactor.seconds, rate_limit=RateLimit(0.0), on_recovered=self.recovered.append,
            on_reachable=lambda: self.reachable.append(self.client.reachable))
        self.sent, self.failed, self.busy = [], [], []
        self.calls = {}
        self.made = 0

    def ask(self, name, client="a", operation=CREATE_SCAN_JOB, *, limited=True, url=SCANNER, **more):
        call = ScannerRequest(address_of(url), operation, b"<x/>", [], client=client,
                    share_of=client if limited and client else None, **more)
        call.on_sent = lambda: self.sent.append(name)
        self.calls[name] = call
        self.client.request(call).addErrback(lambda failure: self.failed.append((name, failure.value)))
        return call

    def connect(self):
        """The device takes the next connection, and so has a request."""
        factory = self.reactor.tcpClients[self.made][2]
        self.made += 1
        protocol = factory.buildProtocol(None)
        transport = StringTransport(peerAddress=self.reactor.connectors[0].getDestination())
        transport.setTcpNoDelay = lambda on: None
        transport.abortConnection = transport.loseConnection = lambda: None
        protocol.makeConnection(transport)
        self.busy.append(protocol)

    def connect_all(self):
        """The device takes every connection that there is."""
        while self.made < len(self.reactor.tcpClients):
            self.connect()

    def answer(self):
        """The device answers the request that it has had longest, and closes."""
        protocol = self.busy.pop(0)
        protocol.dataReceived(ANSWER)
        protocol.connectionLost(Failure(neterror.ConnectionDone()))

    def refuse(self, problem=None):
        """The next connection is not made."""
        factory = self.reactor.tcpClients[self.made][2]
        connector = self.reactor.connectors[self.made]
        self.made += 1
        factory.clientConnectionFailed(connector, Failure(problem or neterror.ConnectionRefusedError()))

    def serve(self, number):
        """So many requests, one after the other."""
        for _ in range(number):
            self.connect()
            self.answer()

    @property
    def circuit_is_open(self):
        before = len(self.failed)
        probe = self.ask("probe", "probe")
        refused = [value for name, value in self.failed[before:] if name == "probe"]
        self.client.abandon(probe)
        return bool(refused) and "does not take connections" in str(refused[0])


def test_another_client_s_request_is_served_next_after_the_one_that_runs():
    office = Office()
    for number in range(MAX_OF_CLIENT + 1):
        office.ask(f"a{number}")
    office.connect()
    office.ask("b0", "b")
    office.answer()
    office.serve(3)
    assert office.sent == ["a0", "a1", "b0", "a2"]


def test_three_clients_and_the_gateway_take_turns():
    office = Office()
    for number in range(3):
        for client in ("a", "b", "c"):
            office.ask(f"{client}{number}", client)
        office.ask(f"own{number}", "", own=True)
    office.serve(12)
    assert office.sent == [f"{who}{number}" for number in range(3) for who in ("a", "b", "c", "own")]


def test_a_client_has_its_share_of_the_line_and_no_more():
    office = Office()
    for number in range(MAX_OF_CLIENT + 3):
        office.ask(f"a{number}")
    assert [name for name, _ in office.failed] == [f"a{MAX_OF_CLIENT + 1}", f"a{MAX_OF_CLIENT + 2}"]
    assert office.client.waiting == MAX_OF_CLIENT
    fault = fault_for(office.failed[0][1])
    assert fault.subcode == "wscn:ServerErrorTemporaryError" and fault.reason.startswith("The scanner is busy")


def test_one_that_is_not_limited_fills_the_line_and_still_makes_room_for_others():
    office = Office()
    for number in range(MAX_QUEUE + 1):
        office.ask(f"a{number}", limited=False)
    office.ask("b0", "b")
    assert [name for name, _ in office.failed] == [f"a{MAX_QUEUE}"]
    assert office.client.waiting == MAX_QUEUE
    office.ask("a-more", limited=False)
    assert office.failed[-1][0] == "a-more"
    office.serve(3)
    assert office.sent == ["a0", "a1", "b0"]


def test_two_that_share_the_whole_line_leave_no_third_outside():
    office = Office()
    office.ask("first", "x")
    for number in range(MAX_OF_CLIENT):
        office.ask(f"a{number}", "a")
        office.ask(f"b{number}", "b")
    office.ask("c0", "c")
    assert len(office.failed) == 1 and isinstance(office.failed[0][1], Busy)
    office.serve(4)
    assert set(office.sent) == {"first", "a0", "b0", "c0"}


def test_the_gateway_s_own_requests_have_room_beside_a_full_line():
    office = Office()
    for number in range(MAX_QUEUE + 1):
        office.ask(f"a{number}", limited=False)
    for number in range(MAX_BESIDE):
        office.ask(f"own{number}", "", own=True)
    assert not office.failed
    assert office.client.waiting == MAX_QUEUE + MAX_BESIDE


def test_what_is_urgent_goes_before_all_turns_by_its_own_connection():
    office = Office()
    for number in range(20):
        office.ask(f"a{number}")
    office.connect()
    office.ask("cancel", "b", CANCEL_JOB)
    office.connect()
    assert office.sent == ["a0", "cancel"]
    office.ask("renew", "", RENEW, own=True)
    office.ask("again", "a", CANCEL_JOB)
    office.answer()
    office.serve(2)
    assert office.sent == ["a0", "cancel", "renew", "again"]


def test_a_flood_of_cancel_jobs_stops_neither_other_requests_nor_another_s_cancel_job():
    office = Office()
    office.ask("b0", "b")
    office.ask("b1", "b")
    office.connect()
    for number in range(MAX_URGENT + 3):
        office.ask(f"cancel{number}", "a", CANCEL_JOB)
    assert [name for name, _ in office.failed] == [f"cancel{MAX_URGENT + 1}", f"cancel{MAX_URGENT + 2}"]
    office.ask("cancel-c", "c", CANCEL_JOB)
    for _ in range(MAX_AHEAD + 4):
        office.connect_all()
        office.answer()
    assert "cancel-c" in office.sent[:4]
    assert "b1" in office.sent


def test_a_read_that_another_waits_for_too_goes_in_the_earlier_turn():
    office = Office()
    for number in range(50):
        office.ask(f"a{number}")
    read = office.ask("read", operation=GET_SCANNER_ELEMENTS)
    office.connect()
    office.client.also_for(read, "b")
    office.client.also_for(read, "b")
    office.answer()
    office.serve(3)
    assert office.sent == ["a0", "a1", "read", "a2"]


def test_forty_that_wait_in_vain_say_nothing_about_the_device():
    """Each has the whole time at the device, and a wait for its turn of the same length before."""
    office = Office(timeout=5.0)
    for number in range(40):
        office.ask(f"a{number}", f"client-{number % 8}")
    office.reactor.advance(4.0)
    office.connect()
    office.reactor.advance(0.9)
    office.answer()  # 4.9 seconds after it was asked for, and the next one begins
    office.reactor.advance(0.2)
    assert len(office.failed) == 38
    assert all(isinstance(error, Busy) and "waited 5 seconds" in str(error) for _, error in office.failed)
    assert all(fault_for(error).reason.startswith("The scanner is busy") for _, error in office.failed)
    office.reactor.advance(4.0)
    office.connect()
    office.answer()
    assert (office.sent, office.client.reachable) == (["a0", "a1"], True)
    assert not office.circuit_is_open


def test_a_request_whose_turn_came_late_has_its_whole_time():
    office = Office(timeout=5.0)
    office.ask("a0")
    office.ask("a1")
    office.connect()
    office.reactor.advance(4.9)
    office.answer()
    office.connect()
    office.reactor.advance(4.9)
    assert not office.failed
    office.answer()
    assert office.sent == ["a0", "a1"]


def test_attempts_that_are_cancelled_before_their_time_do_not_open_the_circuit():
    office = Office(timeout=5.0, max_connections=10)
    for number in range(2 * THRESHOLD):
        office.client.abandon(office.ask(f"a{number}"))
    assert len(office.failed) == 2 * THRESHOLD
    assert office.client.reachable is None
    assert not office.circuit_is_open


@pytest.mark.parametrize(("problem", "opens"), [
    (neterror.ConnectionRefusedError(), True), (neterror.TimeoutError(), True), (neterror.NoRouteError(), True),
    (neterror.DNSLookupError(), False), (neterror.ConnectError(osError=errno.EMFILE), False),
    (neterror.ConnectError(osError=errno.EADDRNOTAVAIL), False)])
def test_which_failures_open_the_circuit(problem, opens):
    office = Office()
    if "osError" in vars(problem):
        problem.osError = vars(problem)["osError"]
    for number in range(THRESHOLD):
        office.ask(f"a{number}")
        office.refuse(problem)
    assert office.client.reachable is (False if opens else None)
    assert office.circuit_is_open is opens


def test_when_the_circuit_opens_all_who_wait_are_told():
    office = Office()
    for number in range(THRESHOLD + 5):
        office.ask(f"a{number}")
    for _ in range(THRESHOLD):
        office.refuse()
    assert len(office.failed) == THRESHOLD + 5
    assert "does not take connections" in str(office.failed[-1][1])
    assert not any(isinstance(error, Busy) for _, error in office.failed)


@pytest.mark.parametrize("operation", [CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS])
def test_a_device_that_refuses_a_second_connection_is_asked_when_it_is_free(operation):
    office = Office(max_connections=2)
    office.ask("long")
    office.connect()
    for number in range(2 * THRESHOLD):
        office.ask(f"a{number}", f"client {number}", operation)
    office.refuse()
    assert (office.made, len(office.reactor.tcpClients)) == (2, 2)  # no further attempt meanwhile
    assert not office.failed and office.client.reachable is not False
    office.answer()
    office.serve(2 * THRESHOLD)
    assert office.sent == ["long", *(f"a{number}" for number in (*range(1, 2 * THRESHOLD), 0))]
    assert not office.failed and not office.circuit_is_open


def test_a_second_connection_is_tried_again_after_a_while():
    office = Office(max_connections=2, timeout=2 * LEARNED_SECONDS)
    office.ask("long")
    office.connect()
    office.ask("a0")
    office.refuse()
    office.reactor.advance(LEARNED_SECONDS)
    office.ask("a1")
    office.connect()
    assert office.sent == ["long", "a1"]


def test_an_urgent_request_does_not_wait_for_a_device_that_refuses_its_connection():
    office = Office(max_connections=2)
    office.ask("long")
    office.connect()
    for number in range(2 * THRESHOLD):
        office.ask(f"cancel{number}", operation=CANCEL_JOB)
        office.refuse()
    assert len(office.failed) == 2 * THRESHOLD
    assert all(isinstance(error, Busy) for _, error in office.failed)
    assert office.client.reachable is not False and not office.circuit_is_open


def test_a_device_that_closes_a_second_connection_at_once_is_asked_when_it_is_free():
    office = Office(max_connections=2)
    office.ask("long")
    office.connect()
    office.ask("read", operation=GET_SCANNER_ELEMENTS)
    office.connect()
    office.busy.pop().connectionLost(Failure(neterror.ConnectionLost()))
    office.ask("job", "b")
    assert len(office.reactor.tcpClients) == 2
    office.answer()
    office.serve(2)
    assert office.sent == ["long", "read", "read", "job"]
    assert not office.failed


@pytest.mark.parametrize("heard", [True, False])
def test_an_attempt_without_an_answer_counts_unless_the_device_spoke_meanwhile(heard):
    office = Office(max_connections=2, timeout=30.0)
    office.ask("long", operation=RETRIEVE_IMAGE)
    office.connect()
    office.ask("a0")
    office.reactor.advance(1.0)
    if heard:
        office.busy[0].dataReceived(b"HTTP/1.1 200 OK\r\n")
    office.refuse(neterror.TimeoutError())
    assert (office.client.reachable is False) is not heard
    assert [name for name, _ in office.failed] == ([] if heard else ["a0"])


def test_attempts_at_a_former_address_say_nothing_about_the_present_one():
    office = Office(max_connections=10)
    for number in range(THRESHOLD):
        office.ask(f"a{number}")
    office.client.moved()
    for _ in range(THRESHOLD):
        office.refuse(neterror.TimeoutError())
    assert office.client.reachable is None
    assert not office.circuit_is_open


def test_a_trial_that_its_client_leaves_is_another_s():
    office = Office()
    for number in range(THRESHOLD):
        office.ask(f"a{number}")
        office.refuse()
    office.reactor.advance(1.0)
    office.client.abandon(office.ask("trial"))
    office.made += 1
    office.ask("next", "b")
    office.serve(1)
    assert office.sent == ["next"]
    assert office.client.reachable


def test_a_device_that_answers_others_is_not_away_for_one_that_hangs():
    office = Office(timeout=5.0, max_connections=2)
    office.ask("a0")
    office.connect()
    office.answer()
    office.ask("hangs")
    office.connect()
    hanging = office.busy.pop()
    office.reactor.advance(3.0)
    office.ask("a1")
    office.connect()
    office.answer()
    office.reactor.advance(2.5)
    assert [name for name, _ in office.failed] == ["hangs"]
    assert type(office.failed[0][1]) is Unavailable and "no complete answer" in str(office.failed[0][1])
    assert office.client.reachable is True
    hanging.connectionLost(Failure(neterror.ConnectionDone()))
    office.ask("hangs too")
    office.connect()
    office.reactor.advance(5.5)
    assert office.client.reachable is False


def test_a_stop_says_nothing_about_the_device():
    office = Office()
    office.ask("a0")
    office.ask("a1")
    office.client.stop()
    assert len(office.failed) == 2
    assert office.reachable == []
