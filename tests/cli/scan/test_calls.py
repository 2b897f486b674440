"""Tests of cli.scan.calls: one deadline for all calls, and one notice for an answer that takes long."""

from queue import Empty

import pytest

from wsdgateway.cli.scan.calls import CANCEL_TIMEOUT, LATE_ANSWER, NOTICE, Calls, Deadline, TimeOver, Times
from wsdgateway.cli.scan.outcomes import BUSY


class World:
    """A clock, and answers that arrive after given times; `waits` are the times that were waited.

    During the first `moves` waits, a part of the answer arrives.
    """

    def __init__(self, timeout=None, delays=(), moves=0):
        self.moves, self.now, self.delays, self.waits, self.notices = moves, 100.0, list(delays), [], []
        self.calls = Calls(Times(lambda: self.now, self._sleep, self._get), Deadline(timeout, lambda: self.now),
                           self.notices.append)

    def _sleep(self, seconds):
        self.now += seconds

    def _get(self, answers, seconds):
        self.waits.append(seconds)
        if len(self.waits) <= self.moves:
            self.calls.moved()
        delay = self.delays[0] if self.delays else 0.0
        if isinstance(delay, BaseException):
            raise self.delays.pop(0)
        if seconds is not None and delay > seconds:
            self.delays[0] -= seconds
            self.now += seconds
            raise Empty
        self.delays = self.delays[1:]
        self.now += delay
        return answers.get(timeout=60)


def test_a_result_and_an_exception_come_from_the_thread():
    world = World()
    assert world.calls(lambda: 7, "x", 10.0) == 7
    with pytest.raises(ZeroDivisionError):
        world.calls(lambda: 1 // 0, "x", 10.0)
    assert world.notices == []


def test_one_line_says_what_is_waited_for():
    world = World(delays=[30.0, 30.0])
    assert world.calls(lambda: 7, "an answer", 20.0) == 7
    assert world.calls(lambda: 8, "another", 20.0) == 8
    assert world.notices == ["Waiting for an answer, for up to 15 s more"]
    assert world.waits == [NOTICE, None, None]


def test_a_moving_answer_needs_no_notice():
    world = World(delays=[4 * NOTICE], moves=2)
    world.calls(lambda: 7, "x", 20.0)
    assert (world.waits, len(world.notices)) == ([NOTICE, NOTICE, NOTICE, None], 1)


@pytest.mark.parametrize(("timeout", "waits", "notices"), [
    (3.0, [3.0], []), (8.0, [NOTICE, 3.0], ["Waiting for x, for up to 3 s more"])])
def test_the_time_of_the_whole_command_ends_a_call(timeout, waits, notices):
    world = World(timeout, delays=[60.0])
    with pytest.raises(TimeOver) as caught:
        world.calls(lambda: 7, "x", 20.0)
    assert caught.value.status == BUSY
    assert str(caught.value) == f"Stopped after {timeout:g} s (--timeout) while waiting for x"
    assert (world.waits, world.notices) == (waits, notices)
    with pytest.raises(TimeOver):
        world.calls(lambda: 8, "y", 20.0)


def test_the_time_of_the_whole_command_ends_a_pause():
    world = World(1.5)
    world.calls.pause(1.0, "resting")
    with pytest.raises(TimeOver, match="while resting"):
        world.calls.pause(1.0, "resting")
    assert world.now == 101.5


def test_a_late_result_is_passed_on_after_an_interruption():
    world, late = World(delays=[KeyboardInterrupt()]), []
    with pytest.raises(KeyboardInterrupt):
        world.calls(lambda: 7, "x", 20.0, late.append)
    assert (late, world.waits) == ([7], [NOTICE, LATE_ANSWER])
    world = World(3.0, delays=[60.0])
    with pytest.raises(TimeOver):
        world.calls(lambda: 7, "x", 20.0, late.append)
    assert late == [7]


def test_the_last_call_has_a_moment_although_the_time_is_over():
    world = World(delays=[60.0])
    assert not world.calls.at_the_end(lambda: None)
    assert world.waits == [CANCEL_TIMEOUT]
    world = World(1.0)
    world.now += 5.0
    assert world.calls.at_the_end(lambda: None)
    assert world.waits == [0.5]
    with pytest.raises(ZeroDivisionError):
        world.calls.at_the_end(lambda: 1 // 0)
