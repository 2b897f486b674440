"""Tests of net.events.walltimestore."""

import pytest

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.net.events.walltimestore import WallTimeStore
from wsdgateway.net.transport.steadyclock import SteadyClock
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage.memory import MemoryStore

DAY, NOW = 86400.0, 1.8e9


def subscription(identifier, expires_at):
    sink = Sink(EndpointReference("http://192.0.2.7/e"), "192.0.2.7")
    return Subscription(identifier, "front-desk", "192.0.2.7", "http://g/s", sink, None, ActionFilter(None), expires_at)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_the_store_holds_expiry_in_system_time(jump):
    """After a restart the process knows only the system time."""
    stored, wall = MemoryStore(10), [NOW]
    dated = WallTimeStore(stored, SteadyClock(lambda: 0.0, lambda: wall[0]))
    wall[0] += jump
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
