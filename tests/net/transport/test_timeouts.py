"""Tests of net.transport.timeouts: many deadlines of one length share one delayed call."""

from twisted.internet.task import Clock

from wsdgateway.net.transport.timeouts import SLACK, Deadlines


def test_deadlines_expire_in_time_and_in_order():
    clock, ended = Clock(), []
    deadlines = Deadlines(clock, 10.0)
    deadlines.begin(lambda: ended.append("a"))
    clock.advance(4)
    lifted = deadlines.begin(lambda: ended.append("b"))
    clock.advance(4)
    deadlines.begin(lambda: ended.append("c"))
    lifted.lift()
    lifted.lift()
    clock.advance(1.9)
    assert ended == []
    clock.advance(0.2)
    assert ended == ["a"]
    clock.advance(7.8)
    assert ended == ["a"]
    clock.advance(0.2)
    assert ended == ["a", "c"]
    assert not clock.getDelayedCalls()


def test_lifted_deadlines_do_not_accumulate():
    clock = Clock()
    deadlines = Deadlines(clock, 60.0)
    keep = deadlines.begin(lambda: None)
    for _ in range(10000):
        deadlines.begin(lambda: None).lift()
    assert len(deadlines) <= 2 + SLACK + 1
    assert keep.ended is not None
    assert len(clock.getDelayedCalls()) == 1
    deadlines.stop()
    assert not clock.getDelayedCalls()


def test_an_expired_deadline_may_begin_another():
    clock, ended = Clock(), []
    deadlines = Deadlines(clock, 1.0)
    deadlines.begin(lambda: deadlines.begin(lambda: ended.append(1)))
    clock.advance(1)
    clock.advance(1)
    assert ended == [1]
