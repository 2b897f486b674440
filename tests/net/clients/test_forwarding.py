"""Tests of net.clients.forwarding: the records of requests that have failed."""

import attrs
import pytest

from tests.options import scanner_options
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.metrics import Metrics
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy, NotOwned, Unavailable
from wsdgateway.scan.operations import GET_JOB_ELEMENTS


@attrs.define
class Exchange:
    client: str
    tape = None


@pytest.fixture
def failed():
    """Records that a request of a client has failed; returns whether the scanner counts as in trouble."""
    def record(client, error):
        troubles = []
        bridge = ScannerBridge(scanner_options("front-desk"), new_id=lambda: "urn:uuid:own")
        forwarder = Forwarder(bridge, None, Metrics(), seconds=lambda: 1.0, after_learning=lambda: None,
                              on_trouble=lambda: troubles.append(error))
        request = ScannerRequest(("192.0.2.1", 80, "/scan"), GET_JOB_ELEMENTS, b"", [])
        request.client = client
        forwarder.failed(request, Exchange(client), error)
        return bool(troubles)

    return record


@pytest.mark.parametrize(("client", "named"), [
    ("192.0.2.9", "GetJobElements of client 192.0.2.9"), ("", "the gateway's own GetJobElements")])
def test_the_log_names_the_client_or_says_that_there_is_none(failed, said, client, named):
    failed(client, Unavailable("192.0.2.1", "Connection refused"))
    assert said == [f"front-desk: {named} failed: 192.0.2.1: Connection refused (logged at most once a minute)"]


@pytest.mark.parametrize(("error", "expected"), [
    (Unavailable("192.0.2.1", "timed out"), True), (Busy("192.0.2.1", "the queue is full"), False),
    (NotOwned("192.0.2.1"), False)])
def test_only_the_scanner_can_be_in_trouble(failed, error, expected):
    assert failed("192.0.2.9", error) is expected
