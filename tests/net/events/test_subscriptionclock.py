"""Tests of net.events.subscriptionclock: changes to the system time do not affect subscriptions."""


import pytest
from twisted.internet.task import Clock

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.net.events.subscriptionclock import DRIFT, SubscriptionClock, WallTimeStore
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage.memory import MemoryStore

DAY, NOW = 86400.0, 1.8e9


class Clocks:
    """A monotonic clock, and a system clock that can be set."""

    def __init__(self):
        self.clock, self.set_by = Clock(), 0.0
        self.subscription_clock = SubscriptionClock(
            self.clock.seconds, lambda: NOW + self.clock.seconds() + self.set_by)


@pytest.fixture
def clocks():
    return Clocks()


def subscription(identifier, expires_at):
    sink = Sink(EndpointReference("http://192.0.2.7/e"), "192.0.2.7")
    return Subscription(identifier, "front-desk", "192.0.2.7", "http://g/s", sink, None, ActionFilter(None), expires_at)


@pytest.mark.parametrize("jump", [DAY, -DAY, 2 * DRIFT])
def test_setting_the_system_clock_does_not_change_the_remaining_time(clocks, jump):
    end = clocks.subscription_clock() + 3600
    clocks.clock.advance(600)
    clocks.set_by = jump
    assert end - clocks.subscription_clock() == 3000
    assert clocks.subscription_clock.on_wall(end) == NOW + 3600 + jump


def test_a_small_difference_between_the_clocks_is_not_a_jump(clocks):
    clocks.set_by = DRIFT / 2
    assert clocks.subscription_clock.on_wall(NOW) == NOW


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_the_store_holds_expiry_in_system_time(clocks, jump):
    """After a restart the process knows only the system time."""
    stored = MemoryStore(10)
    dated = WallTimeStore(stored, clocks.subscription_clock)
    clocks.set_by = jump
    dated.save(subscription("a", NOW + 100))
    dated.save(subscription("b", NOW + 200))
    dated.succeed(subscription("c", NOW + 300), None, "a", None)
    dated.succeed(subscription("d", NOW + 400), None, "b", subscription("b", NOW + 500))
    found = []
    stored.subscriptions().addCallback(found.extend)
    assert {one.identifier: one.expires_at for one in found} == {
        "c": NOW + 300 + jump, "d": NOW + 400 + jump, "b": NOW + 500 + jump}
    dated.forget("b")
    found.clear()
    stored.subscriptions().addCallback(found.extend)
    assert [one.identifier for one in found] == ["c", "d"]
