"""Tests of net.transport.steadyclock: changes to the system time do not affect durations."""

import pytest
from twisted.internet.task import Clock

from wsdgateway.net.transport.steadyclock import DRIFT, SteadyClock

DAY, NOW = 86400.0, 1.8e9


class Clocks:
    """A monotonic clock, a system clock that can be set, and the steady clock made from both."""

    def __init__(self):
        self.clock, self.set_by = Clock(), 0.0
        self.steady = SteadyClock(self.clock.seconds, lambda: NOW + self.clock.seconds() + self.set_by)


@pytest.fixture
def clocks():
    return Clocks()


@pytest.mark.parametrize("jump", [DAY, -DAY, 2 * DRIFT])
def test_setting_the_system_clock_does_not_change_the_remaining_time(clocks, jump):
    end = clocks.steady() + 3600
    clocks.clock.advance(600)
    clocks.set_by = jump
    assert end - clocks.steady() == 3000
    assert clocks.steady.on_wall(end) == NOW + 3600 + jump
    assert clocks.steady.from_wall(NOW + 3600 + jump) == end


def test_a_small_difference_between_the_clocks_is_not_a_jump(clocks):
    clocks.set_by = DRIFT / 2
    assert clocks.steady.on_wall(NOW) == NOW
