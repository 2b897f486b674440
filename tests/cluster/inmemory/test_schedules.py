"""Whole gateways that share a scanner, in one process: the promises of one gateway hold for all of them together.

The schedules are the same in each run, and so is what happens in them.
"""

import gc
import os
import subprocess
import sys

import pytest
from twisted.internet import reactor

from tests.cluster.inmemory.schedules import Run, digest_of, draw, draw_for_panel

SEEDS, PARTS = 64, 8
PANEL_SEEDS = range(24, 40)
TWICE = (1, 2)  # seeds of both kinds of notification address


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """Fails the test if it leaves a timer to the tests after it; what can be collected is collected before them."""
    before = reactor.getDelayedCalls()
    yield
    gc.collect()
    assert [call for call in reactor.getDelayedCalls() if call not in before] == []


@pytest.mark.parametrize("part", range(PARTS))
def test_promises_are_kept(part):
    for seed in range(part, SEEDS, PARTS):
        broken = Run(seed).take(draw(seed))
        assert not broken, f"seed {seed}: {broken[0]}"


def test_names_are_on_the_panel_once():
    for seed in PANEL_SEEDS:
        broken = Run(seed).take(draw_for_panel(seed))
        assert not broken, f"seed {seed}: {broken[0]}"


def test_a_schedule_runs_in_the_same_way_in_another_process():
    program = ("from tests.cluster.inmemory.schedules import digest_of\n"
               f"print(*map(digest_of, {TWICE}))")
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={
        **os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"})
    assert there.stdout.split() == [str(digest_of(seed)) for seed in TWICE]
