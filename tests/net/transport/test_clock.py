"""A reactor whose timers go by the monotonic clock."""

import time

from twisted.internet.base import ReactorBase

from wsdgateway.net.transport.clock import keep_time

DAY, NOW = 86400.0, 1.8e9


def test_timers_of_a_reactor_go_by_a_clock_that_nobody_sets(monkeypatch):
    """Twisted's go by the one on the wall: set back by a day, no time-out ends for a day."""
    class Reactor(ReactorBase):
        def installWaker(self):
            """Nothing is to be woken up."""

    reactor, monotonic, fired = Reactor(), [1000.0], []
    monkeypatch.setattr(time, "monotonic", lambda: monotonic[0])
    keep_time(reactor)
    reactor.callLater(5.0, fired.append, "first")
    monkeypatch.setattr(time, "time", lambda: NOW + DAY)
    reactor.runUntilCurrent()
    assert not fired and reactor.timeout() == 5.0
    monotonic[0] += 6.0
    monkeypatch.setattr(time, "time", lambda: NOW - DAY)
    reactor.runUntilCurrent()
    assert fired == ["first"]
