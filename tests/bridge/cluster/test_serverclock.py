"""Tests of bridge.cluster.serverclock: a server's clock that runs ahead of the boot clock."""

import pytest

from wsdgateway.bridge.cluster.serverclock import ServerClock

LEASE = 4.0


@pytest.mark.parametrize(("later", "trusted_from"), [
    (1.0, float("-inf")),
    (1.5, float("-inf")),  # the first tick may have been answered at once, the second late
    (1.7, 101.1 + LEASE),
    (600.0, 101.1 + LEASE),
    (-600.0, float("-inf")),
])
def test_nobody_takes_a_scanner_for_a_lease_after_the_clock_ran_ahead(later, trusted_from):
    clock = ServerClock(LEASE)
    clock.observe(1e9, sent=100.0, now=100.1)
    assert clock.trusted_from == float("-inf")
    clock.observe(1e9 + later, sent=101.0, now=101.1)
    assert clock.trusted_from == trusted_from


def test_after_an_outage_clocks_may_have_run_at_different_speeds():
    clock = ServerClock(LEASE)
    clock.observe(1e9, sent=100.0, now=100.0)
    clock.observe(1e9 + 3603.0, sent=3700.0, now=3700.0)
    assert clock.trusted_from == float("-inf")


def test_the_next_tick_is_compared_with_the_last():
    clock = ServerClock(LEASE)
    clock.observe(1e9, sent=100.0, now=100.0)
    clock.observe(1e9 + 600.0, sent=101.0, now=101.0)
    clock.observe(1e9 + 601.0, sent=102.0, now=102.0)
    assert clock.trusted_from == 101.0 + LEASE
