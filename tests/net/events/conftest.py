"""A gateway's subscription at a scanner, with a clock."""

import pytest

from tests.net.events.eventsource import House


@pytest.fixture
def house():
    made = House()
    yield made
    made.subscription.give_up()


@pytest.fixture
def scanner(house):
    return house.scanner


@pytest.fixture
def held(house):
    """A subscription that the scanner and the store hold, and nobody goes on with."""
    house.subscription.start()
    found = house.subscription.hand_off()
    assert house.store.held().result == [found]
    return found
