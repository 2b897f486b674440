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
