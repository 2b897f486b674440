"""Tests of bridge.cluster.outage."""

import pytest

from wsdgateway.bridge.cluster.outage import LONG_OUTAGE, RETURN_SECONDS, WORTHWHILE, Outage

LEASE = 4.0


@pytest.fixture
def outage():
    """The server is away since second 10."""
    outage = Outage(LEASE)
    outage.failed(10.0)
    outage.failed(11.0)
    return outage


def test_it_counts_from_the_first_failed_tick(outage):
    assert (outage.is_away, outage.deserted_for(12.0)) == (True, 2.0)


@pytest.mark.parametrize(("grace", "is_owned", "deserted"), [(0.0, False, None), (5.0, True, None), (5.0, False, 3.0)])
def test_in_the_grace_a_scanner_without_an_owner_stays_deserted(outage, grace, is_owned, deserted):
    outage.answered(grace, 13.0, is_owned=is_owned)
    assert (outage.is_away, outage.deserted_for(13.0)) == (False, deserted)


def test_only_the_return_after_a_long_outage_counts(outage):
    outage.answered(0.0, 10.0 + LONG_OUTAGE * LEASE, is_owned=False)
    assert outage.returned_at == float("-inf")
    outage.failed(20.0)
    outage.answered(0.0, 20.1 + LONG_OUTAGE * LEASE, is_owned=False)
    assert outage.returned_at == 20.1 + LONG_OUTAGE * LEASE


def test_a_grace_is_long_while_enough_of_it_is_left(outage):
    outage.answered(20.0, 15.0, is_owned=False)
    assert not outage.is_long_grace(15.0 + RETURN_SECONDS - 0.1)  # a former owner may not have noticed
    assert outage.is_long_grace(15.0 + RETURN_SECONDS)
    assert outage.is_long_grace(35.0 - WORTHWHILE)
    assert not outage.is_long_grace(35.1 - WORTHWHILE)
