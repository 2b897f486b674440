"""Events for a subscription that is being set up."""

import pytest

from tests.messages import SCAN, envelope
from wsdgateway.bridge.events.earlyevents import MAX_EARLY, EarlyEvents
from wsdgateway.soap.envelope import read

ONE, TWO, THREE = (read(envelope(f"{SCAN}/ScanAvailableEvent", f"<wscn:ScanAvailableEvent>{number}"
                                 "</wscn:ScanAvailableEvent>")) for number in range(3))


@pytest.fixture
def early():
    return EarlyEvents()


def test_they_are_kept_in_their_order_for_their_own_client(early):
    for identifier, event in (("a", ONE), ("b", TWO), ("a", THREE)):
        early.add(identifier, event)
    assert len(early) == 3
    assert early.take("a") == [ONE, THREE]
    assert (early.take("a"), len(early)) == ([], 1)
    assert early.take("b") == [TWO]


def test_of_all_clients_together_so_many_are_kept(early):
    for number in range(MAX_EARLY + 5):
        early.add(str(number % 3), ONE)
    assert len(early) == MAX_EARLY
    early.take("0")
    early.add("c", TWO)
    assert early.take("c") == [TWO]
