"""Tests of bridge.events.earlyevents: events for subscriptions whose Subscribe has not been answered yet."""

import pytest

from tests.messages import SCAN, envelope
from wsdgateway.bridge.events.earlyevents import MAX_EARLY, EarlyEvents
from wsdgateway.soap.envelope import read

ONE, TWO, THREE = (read(envelope(f"{SCAN}/ScanAvailableEvent", f"<wscn:ScanAvailableEvent>{number}"
                                 "</wscn:ScanAvailableEvent>")) for number in range(3))


@pytest.fixture
def early():
    return EarlyEvents()


def test_events_are_kept_in_order_for_each_client(early):
    for identifier, event in (("a", ONE), ("b", TWO), ("a", THREE)):
        early.add(identifier, event)
    assert len(early) == 3
    assert early.take("a") == [ONE, THREE]
    assert (early.take("a"), len(early)) == ([], 1)
    assert early.take("b") == [TWO]


def test_the_total_number_of_early_events_is_limited(early):
    for number in range(MAX_EARLY + 5):
        early.add(str(number % 3), ONE)
    assert len(early) == MAX_EARLY
    early.take("0")
    early.add("c", TWO)
    assert early.take("c") == [TWO]
