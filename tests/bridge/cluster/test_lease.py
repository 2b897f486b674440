"""Tests of bridge.cluster.lease: by the boot clock, a lease holds for three quarters of its length from the sending."""

import pytest

from wsdgateway.bridge.cluster.lease import ALONE_SECONDS, PROMPT_SECONDS, Lease, Leases, always

LEASE = 4.0


@pytest.fixture
def time():
    return [100.0]


@pytest.fixture
def lease(time):
    return Lease(lambda: time[0])


def test_a_lease_holds_for_three_quarters_from_the_sending(lease, time):
    assert not lease.holds()
    time[0] = 101.0
    lease.grant(7, 100.0, LEASE)
    assert (lease.token, lease.holds(), lease.is_valid, lease.is_alone) == (7, True, True, False)
    time[0] = 102.99
    assert lease.holds()
    time[0] = 103.0
    assert (lease.holds(), lease.is_valid) == (False, False)


def test_an_owner_goes_on_alone_as_long_as_ticks_fail_in_time(lease, time):
    lease.grant(7, 100.0, LEASE)
    for sent in (101.0, 102.0, 103.0, 104.0):
        time[0] = sent + 1.0
        lease.go_on_alone(sent)
        assert lease.holds()
    assert lease.is_alone
    time[0] = 104.0 + ALONE_SECONDS
    assert not lease.holds()
    assert not lease.is_alone


def test_a_tick_that_failed_late_does_not_count(lease, time):
    lease.grant(7, 100.0, LEASE)
    time[0] = 103.0 + PROMPT_SECONDS + 0.01
    lease.go_on_alone(103.0)
    assert not lease.holds()


def test_a_grant_ends_the_time_alone(lease, time):
    time[0] = 101.0
    lease.go_on_alone(100.5)
    assert lease.is_alone
    lease.grant(7, 97.0, LEASE)
    assert not lease.holds()


def test_the_token_outlives_the_end(lease):
    lease.grant(7, 100.0, LEASE)
    lease.end()
    assert (lease.holds(), lease.token) == (False, 7)


def test_leases_by_name(time):
    leases = Leases(lambda: time[0])
    leases.of("desk").grant(7, 100.0, LEASE)
    assert leases.of("desk").token == 7
    assert leases.of("hall").token == 0
    leases.forget("desk")
    assert leases.of("desk").token == 0


def test_a_gateway_without_others_owns_everything():
    assert always()
