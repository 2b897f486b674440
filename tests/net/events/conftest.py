"""Fixtures of the tests of net.events: the gateway's subscription at a scanner, with a clock."""

import pytest

from tests.net.events.eventsource import Subscriber


@pytest.fixture
def subscriber():
    made = Subscriber()
    yield made
    made.subscription.give_up()


@pytest.fixture
def scanner(subscriber):
    return subscriber.scanner


@pytest.fixture
def held(subscriber):
    """A subscription that the scanner and the store hold, after the gateway has handed it off."""
    subscriber.subscription.start()
    found = subscriber.subscription.hand_off()
    assert subscriber.store.held().result == [found]
    return found
