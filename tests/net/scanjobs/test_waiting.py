"""Tests of net.scanjobs.waiting: a limited wait that cancels nothing."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsdgateway.net.scanjobs.waiting import first_of


def waiting(seconds=5.0):
    clock, working, results = Clock(), Deferred(), []
    first_of(clock, seconds, working).addBoth(results.append)
    return clock, working, results


def test_the_result_in_time():
    clock, working, results = waiting()
    clock.advance(4.0)
    working.callback("done")
    assert (results, clock.getDelayedCalls()) == (["done"], [])


def test_nothing_is_cancelled_after_the_time():
    clock, working, results = waiting()
    clock.advance(5.0)
    assert results == [None]
    assert not working.called
    working.callback("late")
    assert results == [None]


def test_a_failure_in_time():
    clock, working, results = waiting()
    working.errback(ValueError("x"))
    assert results[0].check(ValueError)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_result_that_is_there_already(seconds):
    clock, working, results = Clock(), Deferred(), []
    working.callback(1)
    first_of(clock, seconds, working).addBoth(results.append)
    assert (results, clock.getDelayedCalls()) == ([1], [])
