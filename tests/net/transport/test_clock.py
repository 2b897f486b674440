"""Tests of net.transport.clock: a reactor whose timers use the monotonic clock."""

import time

from twisted.internet.base import ReactorBase

from wsdgateway.net.transport.clock import keep_time

DAY, NOW = 86400.0, 1.8e9


def test_timers_of_the_reactor_use_the_monotonic_clock(monkeypatch):
    """Twisted's timers use the system time: if it is set back by a day, no timer fires for a day."""
    class Reactor(ReactorBase):
        def installWaker(self):
            """Does nothing: this reactor is never woken up."""

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
