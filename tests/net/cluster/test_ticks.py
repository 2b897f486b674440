"""Tests of net.cluster.ticks."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from wsdgateway.net.cluster.ticks import SHORTEST_PAUSE, Ticks
from wsdgateway.net.transport.tasks import Tasks


class Ticking:
    def __init__(self):
        self.clock = Clock()
        self.sent, self.ended, self.answers = [], [], []
        self.tasks = Tasks("ticks")
        self.ticks = Ticks(self.clock, self.tasks, self.clock.seconds, self.send,
                           lambda: self.ended.append(self.clock.seconds()))

    async def send(self, sent):
        self.sent.append(sent)
        answer = Deferred()
        self.answers.append(answer)
        await answer

    def answer(self):
        self.answers.pop(0).callback(None)


@pytest.fixture
def ticking():
    made = Ticking()
    made.ticks.start()
    return made


def test_the_earliest_time_counts(ticking):
    for at in (4.0, 3.0, 5.0):
        ticking.ticks.at(at)
    ticking.clock.pump([1.0] * 6)
    assert ticking.sent == [3.0]
    ticking.answer()
    assert ticking.ended == [6.0]


def test_a_pause_follows_each_tick(ticking):
    ticking.ticks.soon()
    ticking.clock.advance(0.0)
    ticking.answer()
    ticking.ticks.soon()
    ticking.clock.advance(SHORTEST_PAUSE / 2)
    assert ticking.sent == [0.0]
    ticking.clock.advance(SHORTEST_PAUSE)
    assert len(ticking.sent) == 2


def test_one_tick_is_under_way_at_a_time(ticking):
    ticking.ticks.soon()
    ticking.clock.advance(0.0)
    ticking.ticks.at(1.0)
    ticking.clock.advance(1.0)
    assert ticking.sent == [0.0]
    now = Deferred.fromCoroutine(ticking.ticks.now())
    ticking.answer()
    assert ticking.sent == [0.0, 1.0] and not now.called
    ticking.answer()
    assert now.called and ticking.ended == [1.0, 1.0]


def test_none_is_sent_before_the_start_and_after_the_stop():
    ticking = Ticking()
    ticking.ticks.soon()
    ticking.ticks.start()
    ticking.ticks.soon()
    ticking.ticks.stop()
    ticking.ticks.soon()
    ticking.clock.advance(10.0)
    assert ticking.sent == []
