"""Model of ownership: two gateways never own a scanner at once, and one that runs owns it before long.

The rules stop processes, lose messages, and restart, replace or isolate the server, in the world of `world`. Variants
in which the server does too little to exclude two owners must fail, so that it is known that the model finds them.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.net.cluster.world import SETTLING, VARIANTS, World, run

NUMBERS = st.integers(0, 3)


class Model(RuleBasedStateMachine):
    world = None

    @initialize(seed=st.integers(0, 2**32), gateways=st.integers(2, 4), variant=st.sampled_from(("single", "sentinel")))
    def begin(self, seed, gateways, variant):
        self.world = World(seed, gateways, VARIANTS[variant])
        self.world.advance(8.0 + self.world.variant.grace)

    def number(self, number):
        return number % len(self.world.processes)

    @rule(seconds=st.floats(0.0, 8.0))
    def time_passes(self, seconds):
        self.world.advance(seconds)

    @rule(number=NUMBERS, seconds=st.floats(0.0, 9.0))
    def a_process_is_stopped(self, number, seconds):
        self.world.stop_process(self.number(number), seconds)

    @rule(number=NUMBERS, seconds=st.floats(0.0, 6.0))
    def messages_get_lost(self, number, seconds):
        self.world.lose(self.number(number), seconds)

    @rule(number=NUMBERS, seconds=st.floats(0.0, 6.0))
    def a_process_is_killed(self, number, seconds):
        self.world.kill(self.number(number), seconds)

    @rule(number=NUMBERS)
    def the_scanner_is_moved(self, number):
        self.world.wish(self.number(number))

    @rule(data=st.sampled_from(("kept", "older", "empty")), age=st.floats(0.0, 20.0), seconds=st.floats(0.0, 5.0))
    def the_server_restarts(self, data, age, seconds):
        self.world.restart_server(data, age, seconds)

    @rule(seconds=st.floats(0.0, 40.0))
    def the_server_is_away(self, seconds):
        self.world.silence(seconds)

    @rule(number=NUMBERS, seconds=st.floats(0.0, 20.0))
    def a_gateway_does_not_reach_the_others(self, number, seconds):
        self.world.split([self.number(number)], seconds)

    @precondition(lambda self: self.world is not None and self.world.variant.jumps)
    @rule(seconds=st.floats(0.0, 20.0))
    def the_clock_of_the_server_jumps(self, seconds):
        self.world.jump(seconds)

    @precondition(lambda self: self.world is not None and self.world.variant.failovers)
    @rule(lag=st.floats(0.0, 6.0), seconds=st.floats(0.0, 5.0))
    def another_server_becomes_the_master(self, lag, seconds):
        self.world.fail_over(lag, seconds)

    @precondition(lambda self: self.world is not None and self.world.variant.isolation)
    @rule(lag=st.floats(0.0, 6.0), promoted_after=st.floats(0.0, 6.0), cut_off=st.sets(NUMBERS),
          healed_after=st.floats(2.0, 40.0))
    def the_master_is_isolated(self, lag, promoted_after, cut_off, healed_after):
        self.world.isolate(lag, promoted_after, cut_off, healed_after)

    @invariant()
    def nothing_is_violated(self):
        assert self.world is None or not self.world.violations

    def teardown(self):
        if self.world is not None and not self.world.violations:
            self.world.survive(0)
            self.world.advance(SETTLING + self.world.variant.grace)
            assert not self.world.violations
            assert self.world.is_served_by(0)


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
TestOwnership = Model.TestCase


@pytest.mark.parametrize("variant", ["single", "sentinel"])
def test_random_schedules(variant):
    assert [violation for seed in range(25) for violation in run(seed, VARIANTS[variant]).violations] == []


@pytest.mark.parametrize("variant", ["plain lock", "no grace", "short grace", "long isolation", "quick failover"])
def test_a_server_that_excludes_too_little_has_two_owners(variant):
    assert any("two owners" in (what for _, what in run(seed, VARIANTS[variant]).violations) for seed in range(200))
