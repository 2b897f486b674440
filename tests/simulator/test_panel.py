"""Tests of simulator.panel: the ScanIdentifiers of scans that were started at the panel."""

import pytest

from tests.messages import SCAN, envelope
from wsdgateway.scan.operations import SCAN_AVAILABLE
from wsdgateway.simulator.events import Subscription
from wsdgateway.simulator.panel import MAX_PRESSED, Panel
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused


class Destinations:
    """Replaces the subscribers: one with two names on the panel."""

    def __init__(self):
        self.identifiers = []
        self.held = {"s": Subscription("s", EndpointReference("http://192.0.2.1/"), (SCAN_AVAILABLE,), 0.0,
                                       {"A": "token-a", "B": "token-b"})}

    def notify(self, subscription, event, body):
        message = read(envelope("x", body)).body
        self.identifiers.append(message.findtext(".//{*}ScanIdentifier"))

    def has_token(self, token):
        return token == "token-a"


def create(identifier):
    return read(envelope(f"{SCAN}/CreateScanJob", "<wscn:CreateScanJobRequest>"
                         f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier></wscn:CreateScanJobRequest>")).body


def test_an_identifier_is_valid_once():
    destinations = Destinations()
    panel = Panel(destinations, wall=lambda: 1.0)
    assert panel.press("B") == 1
    panel.check(create(destinations.identifiers[0]))
    panel.check(create(destinations.identifiers[0]))  # the first one was refused, because the scanner was busy
    panel.use_up(create(destinations.identifiers[0]))
    with pytest.raises(Refused, match="not currently valid"):
        panel.check(create(destinations.identifiers[0]))


def test_the_identifiers_are_different_and_bounded():
    destinations = Destinations()
    panel = Panel(destinations, wall=lambda: 1.0)
    for _ in range(MAX_PRESSED):
        assert panel.press() == 2
    assert len(set(destinations.identifiers)) == 2 * MAX_PRESSED
    with pytest.raises(Refused):
        panel.check(create(destinations.identifiers[MAX_PRESSED - 1]))
    panel.check(create(destinations.identifiers[MAX_PRESSED]))
    panel.check(create(destinations.identifiers[-1]))
