"""Tests of net.scanners.capacity: how many connections are opened to a device that accepts fewer than configured."""

import pytest
from twisted.internet import error as neterror
from twisted.python.failure import Failure

from tests.net.scanners.manualdevice import ManualDevice
from wsdgateway.net.scanners.capacity import LEARNED_SECONDS, Capacity
from wsdgateway.net.scanners.circuitbreaker import THRESHOLD
from wsdgateway.net.transport.errors import Busy
from wsdgateway.scan.operations import CANCEL_JOB, CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS


@pytest.mark.parametrize("operation", [CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS])
def test_requests_wait_for_a_device_that_refuses_a_second_connection(operation):
    device = ManualDevice(max_connections=2)
    device.ask("long")
    device.connect()
    for number in range(2 * THRESHOLD):
        device.ask(f"a{number}", f"client {number}", operation)
    device.refuse()
    assert (device.made, len(device.reactor.tcpClients)) == (2, 2)  # no further attempt in the meantime
    assert not device.failed and device.client.reachable is not False
    device.answer()
    device.serve(2 * THRESHOLD)
    assert device.sent == ["long", *(f"a{number}" for number in (*range(1, 2 * THRESHOLD), 0))]
    assert not device.failed and not device.circuit_is_open


def test_a_second_connection_is_tried_again_after_a_while():
    device = ManualDevice(max_connections=2, timeout=2 * LEARNED_SECONDS)
    device.ask("long")
    device.connect()
    device.ask("a0")
    device.refuse()
    device.reactor.advance(LEARNED_SECONDS)
    device.ask("a1")
    device.connect()
    assert device.sent == ["long", "a1"]


def test_an_urgent_request_fails_at_once_if_its_connection_is_refused():
    device = ManualDevice(max_connections=2)
    device.ask("long")
    device.connect()
    for number in range(2 * THRESHOLD):
        device.ask(f"cancel{number}", operation=CANCEL_JOB)
        device.refuse()
    assert len(device.failed) == 2 * THRESHOLD
    assert all(isinstance(error, Busy) for _, error in device.failed)
    assert device.client.reachable is not False and not device.circuit_is_open


def test_requests_wait_for_a_device_that_closes_a_second_connection_at_once():
    device = ManualDevice(max_connections=2)
    device.ask("long")
    device.connect()
    device.ask("read", operation=GET_SCANNER_ELEMENTS)
    device.connect()
    device.busy.pop().connectionLost(Failure(neterror.ConnectionLost()))
    device.ask("job", "b")
    assert len(device.reactor.tcpClients) == 2
    device.answer()
    device.serve(2)
    assert device.sent == ["long", "read", "read", "job"]
    assert not device.failed


@pytest.mark.parametrize(("refused", "urgent", "others_first", "limit"), [
    (None, False, False, 3), (None, True, False, 4), (None, True, True, 3), (None, False, True, 4),
    # the observed capacity limits all but urgent requests
    (1, False, False, 1), (1, False, True, 1), (1, True, False, 4), (0, False, False, 1), (9, False, False, 3)])
def test_the_limit_of_connections(refused, urgent, others_first, limit):
    capacity = Capacity()
    if refused is not None:
        capacity.refused(refused, 10.0)
    assert capacity.limit(3, 11.0, urgent=urgent, others_first=others_first) == limit
    capacity.forget()
    assert capacity.limit(3, 11.0, urgent=False, others_first=False) == 3
