"""Tests of net.scanners.ratelimit: requests above the rate wait in order, urgent ones do not wait."""

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.options import scanner_options
from wsdgateway.http.urls import address_of
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.queue import MAX_QUEUE
from wsdgateway.net.scanners.ratelimit import DEFAULT_RATE, RateLimit
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy, Unavailable
from wsdgateway.scan.operations import CANCEL_JOB, CREATE_SCAN_JOB, RENEW

SCANNER = "http://198.51.100.20/scan"


class Asking:
    """Client of a device whose connections stay pending, with the requests made."""

    def __init__(self, rate, *, timeout=60.0, max_connections=1000, rate_limit=None):
        self.reactor = MemoryReactorClock()
        self.waited = []
        self.rate_limit = rate_limit or RateLimit(rate, lambda: self.waited.append(self.reactor.seconds()))
        self.options = {"max_rate": rate, "max_connections": max_connections, "timeout": timeout, "idle_timeout": 5.0}
        self.client = DeviceClient(self.reactor, scanner_options(**self.options), seconds=self.reactor.seconds,
                                   rate_limit=self.rate_limit)
        self.failed = []

    def ask(self, operation=CREATE_SCAN_JOB, url=SCANNER, number=1):
        for _ in range(number):
            request = ScannerRequest(address_of(url), operation, b"<x/>", [])
            self.client.request(request).addErrback(lambda failure: self.failed.append(failure.value))

    @property
    def opened(self):
        """The number of connections so far, one for each request."""
        return len(self.reactor.tcpClients)

    def adjust(self, **more):
        self.options.update(more)
        self.client.adjust(scanner_options(**self.options))


def test_one_second_of_requests_goes_at_once_and_the_rest_at_the_rate():
    asking = Asking(4.0)
    asking.ask(number=10)
    assert (asking.opened, asking.client.waiting, len(asking.waited)) == (4, 6, 6)
    asking.reactor.pump([0.25] * 2)
    assert asking.opened == 6
    asking.reactor.advance(1.0)
    assert (asking.opened, asking.client.waiting) == (10, 0)
    asking.reactor.advance(10.0)
    asking.ask(number=4)
    assert asking.opened == 14


def test_every_waiting_request_is_counted_once():
    asking = Asking(1.0)
    asking.ask(number=4)
    asking.reactor.pump([0.5] * 10)
    assert asking.opened == 4
    assert len(asking.waited) == 3


def test_urgent_requests_do_not_wait_but_consume_the_rate():
    asking = Asking(2.0)
    asking.ask(number=3)
    asking.ask(CANCEL_JOB)
    asking.ask(RENEW)
    assert (asking.opened, asking.client.waiting) == (4, 1)
    asking.reactor.advance(0.6)
    assert asking.opened == 4  # two tokens were owed
    asking.reactor.advance(1.0)
    assert asking.opened == 5


def test_a_later_request_does_not_overtake_waiting_ones():
    asking = Asking(1.0)
    urls = [f"http://198.51.100.20:{port}/" for port in (1, 2, 3)]
    for url in urls:
        asking.ask(url=url)
    asking.reactor.rightNow += 1.0  # the token is available, but its timer has not run
    asking.ask(url="http://198.51.100.20:4/")
    asking.reactor.pump([0.0, 1.0, 1.0, 1.0])
    assert [connection[1] for connection in asking.reactor.tcpClients] == [1, 2, 3, 4]


def test_waiting_ends_with_the_timeout():
    asking = Asking(0.1, timeout=5.0)
    asking.ask(number=2)
    asking.reactor.pump([1.0] * 6)
    assert asking.opened == 1
    assert [type(error) for error in asking.failed] == [Unavailable, Busy]
    assert asking.client.waiting == 0


def test_the_number_of_waiting_requests_is_bounded():
    asking = Asking(1.0)
    asking.ask(number=MAX_QUEUE + 2)
    assert asking.client.waiting == MAX_QUEUE
    assert len(asking.failed) == 1


@pytest.mark.parametrize(("rate", "url", "bounded"), [
    (None, SCANNER, True), (None, "http://scanner.example/scan", True), (None, "http://[2001:db8::20]/scan", True),
    (None, "http://127.0.0.1:8018/WDP/SCAN", False), (None, "http://localhost/scan", False),
    (None, "http://[::1]/scan", False), (0.0, SCANNER, False), (5.0, "http://127.0.0.1/scan", True)])
def test_which_scanners_are_rate_limited(rate, url, bounded):
    asking, host = Asking(rate), address_of(url).host
    for _ in range(100):
        asking.rate_limit.spend(host, 0.0)
    assert (asking.rate_limit.wait(host, 0.0) > 0) is bounded
    assert not bounded or asking.rate_limit.wait(host, 0.0) == pytest.approx(1.0 + 1.0 / (rate or DEFAULT_RATE))


def test_several_clients_of_a_device_share_its_rate():
    first = Asking(2.0)
    second = Asking(None, rate_limit=first.rate_limit)
    first.ask(number=2)
    second.ask()
    assert (first.opened, second.opened) == (2, 0)


def test_a_changed_rate_applies_to_waiting_requests():
    asking = Asking(1.0)
    asking.ask(number=5)
    asking.adjust(max_rate=1.0)
    assert asking.opened == 1
    asking.adjust(max_rate=0.0)
    assert asking.opened == 5


def test_a_stop_fails_waiting_requests():
    asking = Asking(1.0)
    asking.ask(number=3)
    asking.client.stop()
    assert not asking.reactor.getDelayedCalls()
    assert len(asking.failed) == 3
