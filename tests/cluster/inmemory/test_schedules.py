"""Whole gateways that share a scanner, in one process: the promises of one gateway hold for all of them together."""

import pytest

from tests.cluster.inmemory.schedules import Run, draw

SEEDS, PARTS = 64, 8


@pytest.mark.parametrize("part", range(PARTS))
def test_promises_are_kept(part):
    for seed in range(part, SEEDS, PARTS):
        broken = Run(seed).take(draw(seed))
        assert not broken, f"seed {seed}: {broken[0]}"
