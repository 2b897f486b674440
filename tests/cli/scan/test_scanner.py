"""Tests of cli.scan.scanner: refusals of a scan service."""

from wsdgateway.cli.scan.scanner import ScannerRefusal
from wsdgateway.net.transport.errors import Busy, Unavailable, fault_for


def test_the_gateways_fault_for_an_unreachable_scanner_is_recognised():
    fault = fault_for(Unavailable("192.0.2.1", "connection failed: refused"))
    assert ScannerRefusal("ServerErrorTemporaryError", fault.reason).unreachable
    fault = fault_for(Busy("192.0.2.1", "100 requests are waiting already"))
    assert not ScannerRefusal("ServerErrorTemporaryError", fault.reason).unreachable
    assert not ScannerRefusal("ServerErrorTemporaryError", "Warming up").unreachable


def test_the_cause_of_the_gateway_is_one_sentence():
    reason = "The scanner's address is not known yet: it was not found (urn:uuid:1). Try again in a few seconds."
    assert ScannerRefusal("ServerErrorTemporaryError", reason).cause() == (
        "The gateway cannot reach the scanner: its address is not known yet: it was not found (urn:uuid:1)")


def test_what_a_gateway_says_of_the_gateways_is_not_said_of_the_scanner():
    reason = ("The gateways share their scanners through a Redis server, which cannot be reached. Try again in a few "
              "seconds.")
    assert ScannerRefusal("ServerErrorTemporaryError", reason).cause() == (
        "The gateways share their scanners through a Redis server, which cannot be reached")


def test_a_long_reason_ends_with_a_sign_that_it_was_cut():
    assert ScannerRefusal("ServerErrorTemporaryError", "word " * 100).cause().endswith(" word …")
    assert ScannerRefusal("ServerErrorTemporaryError", "short").cause() == "The scanner is busy: short"
