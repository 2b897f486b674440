"""Tests of bridge.frontends.escl.keptoffer: whether a kept offer is that of another scanner."""

import pytest

from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.metadata.messages import Labels

LABELS = Labels("Desk", "Maker", "1000", "1.2")
KEPT = KeptOffer("a", "http://192.0.2.9/scan", "urn:uuid:1", LABELS, "<x/>")


@pytest.mark.parametrize(("endpoint", "labels", "another"), [
    ("urn:uuid:1", LABELS, False), (None, Labels(), False),
    ("urn:uuid:1", Labels("Hall", "Maker", "1000", "1.2"), False),
    ("urn:uuid:2", Labels(), True), ("urn:uuid:1", Labels("Desk", "Maker", "2000", "1.2"), True),
    (None, Labels("Desk", "Maker", "1000", "1.3"), True), (None, Labels("Desk", "Other", "1000", "1.2"), True)])
def test_another_scanner(endpoint, labels, another):
    assert KEPT.is_of_another(endpoint, labels) is another


def test_nothing_is_known_of_a_scanner_that_gave_no_names():
    kept = KeptOffer("a", "", "urn:uuid:1", Labels("Desk"), "<x/>")
    assert not kept.is_of_another("urn:uuid:1", LABELS)
