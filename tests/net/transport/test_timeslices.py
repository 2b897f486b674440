"""Tests of net.transport.timeslices: long work in small steps, by round robin, with less time for endless work."""

import pytest
from twisted.internet.task import Clock

from wsdgateway.net.transport.timeslices import PAUSE_SECONDS, SLICE_SECONDS, SPRINT, TimeSlices

TURN = 0.001


class Turning(Clock):
    """Clock on which calls without delay happen in the next turn of the reactor."""

    def callLater(self, delay, act, *arguments, **named):
        return super().callLater(max(delay, TURN), act, *arguments, **named)


class Work:
    """Tasks whose steps cost processor time; `done` lists the steps in order."""

    def __init__(self, step):
        self.clock, self.spent, self.step, self.done = Turning(), 0.0, step, []
        self.slices = TimeSlices(self.clock, lambda: self.spent)

    def task(self, name, steps):
        for number in range(steps):
            self.spent += self.step
            self.done.append(f"{name}{number}")
            yield


def test_a_short_task_is_done_at_once():
    work = Work(SLICE_SECONDS / 10)
    work.slices.run(work.task("a", 3))
    assert work.done == ["a0", "a1", "a2"]
    work.clock.advance(TURN)
    assert not work.clock.getDelayedCalls()


def test_tasks_share_one_slice_per_turn_by_round_robin():
    work = Work(SLICE_SECONDS * 0.26)
    work.slices.run(work.task("a", 6))
    assert work.done == ["a0", "a1", "a2", "a3"]
    work.slices.run(work.task("b", 3))
    assert len(work.done) == 4
    work.clock.advance(TURN)
    assert work.done[4:] == ["a4", "b0", "a5", "b1"]
    work.clock.advance(TURN)
    assert work.done[8:] == ["b2"]


@pytest.mark.logs_failure
def test_a_task_may_begin_another_and_a_failure_stops_only_its_task():
    work = Work(0.0)

    def fails():
        work.slices.run(work.task("b", 1))
        yield
        raise ValueError("no")

    work.slices.run(fails())
    assert work.done == ["b0"]
    work.slices.run(work.task("c", 1))
    assert work.done == ["b0", "c0"]


def test_endless_work_gets_fewer_slices_until_it_pauses():
    work = Work(SLICE_SECONDS)
    work.slices.run(work.task("a", SPRINT + 2))
    for _ in range(SPRINT):
        work.clock.advance(TURN)
    assert len(work.done) == SPRINT + 1
    work.clock.advance(PAUSE_SECONDS / 2)
    assert len(work.done) == SPRINT + 1
    work.clock.advance(PAUSE_SECONDS / 2)
    assert len(work.done) == SPRINT + 2
    work.clock.advance(PAUSE_SECONDS)
    work.clock.advance(PAUSE_SECONDS)
    work.slices.run(work.task("b", 2))
    work.clock.advance(TURN)
    assert work.done[-2:] == ["b0", "b1"]


def test_a_stop_runs_no_further_step():
    work = Work(SLICE_SECONDS)
    work.slices.run(work.task("a", 9))
    work.slices.stop()
    assert not work.clock.getDelayedCalls() and work.done == ["a0"]
