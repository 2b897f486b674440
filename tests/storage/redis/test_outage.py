"""Tests of storage.redis.outage: pauses between attempts, and what is logged."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.redis.outage import FIRST_PAUSE, LONGEST_PAUSE, Outage


class Writing:
    """Counts the attempts, which fail while `away`; with `waits` they take until that fires."""

    def __init__(self):
        self.away, self.attempts, self.waits = True, 0, None

    async def __call__(self):
        self.attempts += 1
        if self.waits is not None:
            await self.waits
        if self.away:
            raise NotNow(f"r: away {self.attempts}")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def writing():
    return Writing()


@pytest.fixture
def outage(clock, writing):
    return Outage(clock, "r", writing)


def test_pauses_grow_and_each_problem_is_logged_once(clock, writing, outage, said):
    returned = []
    outage.on_return = lambda: returned.append(clock.seconds())
    assert outage.warning() is None
    outage.begin(NotNow("r: away"))
    outage.begin(NotNow("r: away"))
    assert outage.warning().startswith("r: away. Meanwhile the gateway works from memory")
    pause, times = FIRST_PAUSE, []
    for _ in range(7):
        times.append(pause)
        before = writing.attempts
        clock.advance(pause - 0.01)
        assert writing.attempts == before
        clock.advance(0.01)
        assert writing.attempts == before + 1
        pause = min(2 * pause, LONGEST_PAUSE)
    assert times[0] == FIRST_PAUSE and times[-1] == LONGEST_PAUSE
    writing.away = False
    clock.advance(LONGEST_PAUSE)
    assert outage.warning() is None and len(returned) == 1 and clock.getDelayedCalls() == []
    assert [line.partition(". Meanwhile")[0] for line in said if line.startswith("r: ")] == [
        "r: away", "r: the store is in use again, and everything is written"]
    outage.begin(NotNow("r: away"))
    assert clock.getDelayedCalls()[0].getTime() == clock.seconds() + FIRST_PAUSE
    clock.getDelayedCalls()[0].cancel()


def test_retry_does_not_wait_and_only_one_attempt_is_made_at_a_time(clock, writing, outage):
    outage.begin(NotNow("r: away"))
    writing.waits, writing.away, ended = Deferred(), False, []
    for _ in range(2):
        outage.retry().addCallback(ended.append)
    assert writing.attempts == 1 and clock.getDelayedCalls() == [] and ended == []
    writing.waits.callback(None)
    assert ended == [None, None] and outage.warning() is None


@pytest_twisted.ensureDeferred
async def test_the_end_makes_one_attempt_if_something_waits(clock, writing, outage):
    await outage.close(False)
    assert writing.attempts == 0
    outage.begin(NotNow("r: away"))
    await outage.close(True)
    assert writing.attempts == 1 and clock.getDelayedCalls() == [] and outage.warning() is not None


@pytest.mark.logs_failure
def test_an_error_of_the_program_is_logged_and_tried_again(clock, writing, outage):
    outage.begin(NotNow("r: away"))
    writing.waits = Deferred()
    outage.retry()
    writing.waits.errback(ZeroDivisionError())
    assert outage.warning() is not None and len(clock.getDelayedCalls()) == 1
    clock.getDelayedCalls()[0].cancel()
