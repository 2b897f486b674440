"""A change to the system time affects neither the timers of the virtual scanner nor its subscriptions."""

import time

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.messages import subscribe
from wsdgateway.simulator.events import Subscribers
from wsdgateway.simulator.settings import Settings
from wsdgateway.simulator.tap import Options, makeService
from wsdgateway.soap.envelope import read


def test_the_timers_use_the_monotonic_clock(monkeypatch):
    from twisted.internet import reactor

    monkeypatch.setattr(reactor, "seconds", time.time)
    options = Options()
    options.settings = Settings()
    makeService(options)
    assert reactor.seconds is time.monotonic


@pytest.mark.parametrize("jump", [86400.0, -86400.0])
def test_a_subscription_lasts_for_its_time(jump):
    reactor, wall = MemoryReactorClock(), [1.8e9]
    subscribers = Subscribers(reactor, mode="all", longest=60.0, wall=lambda: wall[0], new_id=lambda: "urn:uuid:1")
    subscribers.answer("Subscribe", read(subscribe("http://192.0.2.7/e")), "http://192.0.2.8/manager")
    wall[0] += jump
    reactor.advance(59.0)
    assert "PT1S" in subscribers.status("urn:uuid:1")
    reactor.advance(1.0)
    assert not subscribers.has_token("") and not subscribers.held
