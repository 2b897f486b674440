"""Tests of net.scanners.client: which requests are sent, when they fail, and what that implies for the device."""

import errno

import pytest
from twisted.internet import error as neterror
from twisted.python.failure import Failure

from tests.net.scanners.manualdevice import ManualDevice
from wsdgateway.bridge.health.causes import SILENT
from wsdgateway.net.scanners.circuitbreaker import THRESHOLD
from wsdgateway.net.transport.errors import NOT_OWNED, Busy, NotOwned, Unavailable, fault_for
from wsdgateway.scan.operations import RETRIEVE_IMAGE, SUBSCRIBE


def test_requests_that_time_out_in_the_queue_do_not_mark_the_device_unreachable():
    """A request has the full time limit at the device, after waiting in the queue for at most the same time."""
    device = ManualDevice(timeout=5.0)
    for number in range(40):
        device.ask(f"a{number}", f"client-{number % 8}")
    device.reactor.advance(4.0)
    device.connect()
    device.reactor.advance(0.9)
    device.answer()  # answered 4.9 seconds after the request, which lets the next one begin
    device.reactor.advance(0.2)
    assert len(device.failed) == 38
    assert all(isinstance(error, Busy) and "waited 5 s" in str(error) for _, error in device.failed)
    assert all(fault_for(error).reason.startswith("The scanner is busy") for _, error in device.failed)
    device.reactor.advance(4.0)
    device.connect()
    device.answer()
    assert (device.sent, device.client.reachable) == (["a0", "a1"], True)
    assert not device.circuit_is_open


def test_a_request_that_waited_in_the_queue_has_its_full_time_limit():
    device = ManualDevice(timeout=5.0)
    device.ask("a0")
    device.ask("a1")
    device.connect()
    device.reactor.advance(4.9)
    device.answer()
    device.connect()
    device.reactor.advance(4.9)
    assert not device.failed
    device.answer()
    assert device.sent == ["a0", "a1"]


def test_attempts_that_are_cancelled_before_their_time_do_not_open_the_circuit():
    device = ManualDevice(timeout=5.0, max_connections=10)
    for number in range(2 * THRESHOLD):
        device.client.abandon(device.ask(f"a{number}"))
    assert len(device.failed) == 2 * THRESHOLD
    assert device.client.reachable is None
    assert not device.circuit_is_open


@pytest.mark.parametrize(("problem", "opens"), [
    (neterror.ConnectionRefusedError(), True), (neterror.TimeoutError(), True), (neterror.NoRouteError(), True),
    (neterror.DNSLookupError(), False), (neterror.ConnectError(osError=errno.EMFILE), False),
    (neterror.ConnectError(osError=errno.EADDRNOTAVAIL), False)])
def test_which_failures_open_the_circuit(problem, opens):
    device = ManualDevice()
    if "osError" in vars(problem):
        problem.osError = vars(problem)["osError"]
    for number in range(THRESHOLD):
        device.ask(f"a{number}")
        device.refuse(problem)
    assert device.client.reachable is (False if opens else None)
    assert device.circuit_is_open is opens


def test_when_the_circuit_opens_all_waiting_requests_fail():
    device = ManualDevice()
    for number in range(THRESHOLD + 5):
        device.ask(f"a{number}")
    for _ in range(THRESHOLD):
        device.refuse()
    assert len(device.failed) == THRESHOLD + 5
    assert "does not accept connections" in str(device.failed[-1][1])
    assert not any(isinstance(error, Busy) for _, error in device.failed)


@pytest.mark.parametrize("heard", [True, False])
def test_a_connect_timeout_counts_unless_the_device_sent_data_meanwhile(heard):
    device = ManualDevice(max_connections=2, timeout=30.0)
    device.ask("long", operation=RETRIEVE_IMAGE)
    device.connect()
    device.ask("a0")
    device.reactor.advance(1.0)
    if heard:
        device.busy[0].dataReceived(b"HTTP/1.1 200 OK\r\n")
    device.refuse(neterror.TimeoutError())
    assert (device.client.reachable is False) is not heard
    assert [name for name, _ in device.failed] == ([] if heard else ["a0"])


def test_failures_at_a_former_address_do_not_count():
    device = ManualDevice(max_connections=10)
    for number in range(THRESHOLD):
        device.ask(f"a{number}")
    device.client.moved()
    for _ in range(THRESHOLD):
        device.refuse(neterror.TimeoutError())
    assert device.client.reachable is None
    assert not device.circuit_is_open


def test_an_abandoned_trial_passes_to_the_next_request():
    device = ManualDevice()
    for number in range(THRESHOLD):
        device.ask(f"a{number}")
        device.refuse()
    device.reactor.advance(1.0)
    device.client.abandon(device.ask("trial"))
    device.made += 1
    device.ask("next", "b")
    device.serve(1)
    assert device.sent == ["next"]
    assert device.client.reachable


def test_one_hanging_request_does_not_mark_a_device_unreachable_that_answers_others():
    device = ManualDevice(timeout=5.0, max_connections=2)
    device.ask("a0")
    device.connect()
    device.answer()
    device.ask("hangs")
    device.connect()
    hanging = device.busy.pop()
    device.reactor.advance(3.0)
    device.ask("a1")
    device.connect()
    device.answer()
    device.reactor.advance(2.5)
    assert [name for name, _ in device.failed] == ["hangs"]
    assert type(device.failed[0][1]) is Unavailable and "no complete answer" in str(device.failed[0][1])
    assert device.client.reachable is True
    hanging.connectionLost(Failure(neterror.ConnectionDone()))
    device.ask("hangs too")
    device.connect()
    device.reactor.advance(5.5)
    assert device.client.reachable is False


def test_a_stop_does_not_change_the_devices_reachability():
    device = ManualDevice()
    device.ask("a0")
    device.ask("a1")
    device.client.stop()
    assert len(device.failed) == 2
    assert device.reachable == []


def test_a_request_that_is_given_up_frees_its_place_for_another_one():
    device = ManualDevice(timeout=60.0)
    first = device.ask("first")
    device.client.give_up(first, silent_since=0.0)  # it has not been sent yet
    assert device.failed == []
    device.connect()
    device.reactor.advance(8.0)
    device.client.give_up(first, silent_since=0.0)
    assert [(name, str(error)) for name, error in device.failed] == [
        ("first", "198.51.100.20: it does not answer (no answer within 8 s)")]
    assert device.reachable == []
    device.busy.pop().connectionLost(Failure(neterror.ConnectionDone()))
    device.ask("second")
    device.connect()
    device.answer()
    assert device.client.reachable is True


def test_a_device_whose_requests_are_given_up_becomes_unreachable_after_the_usual_time():
    device = ManualDevice(timeout=60.0)
    device.ask("before")
    device.connect()
    device.answer()
    last = device.ask("last")
    device.connect()
    device.reactor.advance(8.0)
    device.client.give_up(last, silent_since=-52.0)
    assert (device.client.reachable, device.client.contact.cause) == (False, SILENT)


def test_nothing_is_sent_while_another_gateway_owns_the_scanner():
    device = ManualDevice()
    device.ask("connecting")
    device.ask("waiting")
    device.owned = False
    device.ask("new")
    device.connect()
    assert device.sent == []
    assert [(name, type(error)) for name, error in device.failed] == [
        ("new", NotOwned), ("connecting", NotOwned), ("waiting", NotOwned)]
    assert all(fault_for(error) is NOT_OWNED for _, error in device.failed)
    assert device.client.reachable is None
    assert not device.circuit_is_open


def test_requests_that_wait_are_given_back_when_the_scanner_gets_another_owner():
    device = ManualDevice()
    for name in ("running", "a", "b"):
        device.ask(name)
    device.connect()
    device.client.disowned()
    assert [(name, type(error)) for name, error in device.failed] == [("a", NotOwned), ("b", NotOwned)]
    device.answer()
    assert device.sent == ["running"]


@pytest.mark.parametrize(("source", "url", "bound"), [
    ("", "http://198.51.100.20/", None), ("198.51.100.9", "http://198.51.100.20/", ("198.51.100.9", 0)),
    ("2001:db8::9", "http://198.51.100.20/", None), ("198.51.100.9", "http://[2001:db8::1]/", None),
    ("2001:db8::9", "http://[2001:db8::1]/", ("2001:db8::9", 0))])
def test_the_address_that_the_device_is_spoken_to_from(source, url, bound):
    device = ManualDevice(source=source)
    device.ask("a", url=url)
    assert device.reactor.tcpClients[0][4] == bound
    device.client.stop()


def test_the_device_is_not_quiet_while_an_answer_leads_to_another_request():
    device, quiet = ManualDevice(), []
    device.ask("first")
    device.connect()
    device.client.quiet().addCallback(quiet.append)
    device.answer()  # the caller has it only now, and asks again
    device.ask("second")
    device.reactor.advance(0)
    assert not quiet
    device.connect()
    device.answer()
    device.reactor.advance(0)
    assert quiet == [None]


def test_breaking_off_leaves_a_subscribe_whose_answer_tells_how_it_is_ended():
    device = ManualDevice()
    device.ask("subscribe", operation=SUBSCRIBE)
    device.connect()
    device.client.break_off()
    device.answer()
    assert device.failed == [] and device.requests["subscribe"].answered.called


def test_what_breaking_off_leaves_is_an_image():
    device = ManualDevice(max_connections=3)
    device.ask("image", operation=RETRIEVE_IMAGE)
    device.connect()
    device.ask("job")
    device.connect()
    device.ask("connecting", operation=RETRIEVE_IMAGE)
    device.ask("waiting")
    device.client.break_off()
    assert sorted(name for name, _ in device.failed) == ["connecting", "job", "waiting"]
    assert {name for name, error in device.failed if "another gateway" in str(error)} == {"job"}
    assert {name for name, error in device.failed if isinstance(error, NotOwned)} == {"connecting", "waiting"}
    quiet = []
    device.client.quiet().addCallback(quiet.append)
    assert not quiet
    device.busy[0].dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert device.requests["image"].answered.called and ("image", None) not in device.failed
