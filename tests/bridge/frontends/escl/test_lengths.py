"""Tests of bridge.frontends.escl.lengths: the two units, and rounding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdgateway.bridge.frontends.escl.lengths import largest, smallest, to_thousandths


@pytest.mark.parametrize(("escl", "wsd"), [
    (0, 0), (1, 3), (2, 7), (3, 10), (300, 1000), (2480, 8267), (3508, 11693), (2550, 8500), (3300, 11000),
    (3510, 11700)])
def test_regions_are_rounded_to_the_nearest(escl, wsd):
    assert to_thousandths(escl) == wsd


@pytest.mark.parametrize(("wsd", "most", "fewest"), [
    (8500, 2550, 2550), (11700, 3510, 3510), (11690, 3507, 3507), (8503, 2550, 2551), (14016, 4204, 4205),
    (1969, 590, 591), (10, 3, 3), (1, 1, 1), (3, 1, 1), (4, 1, 2), (0, 1, 1)])
def test_sizes_are_rounded_inwards_and_never_0(wsd, most, fewest):
    assert (largest(wsd), smallest(wsd)) == (most, fewest)


@settings(derandomize=True, database=None)
@given(st.integers(4, 10**9))
def test_what_is_offered_is_inside_the_scanners_own(wsd):
    assert to_thousandths(largest(wsd)) <= wsd <= to_thousandths(smallest(wsd)) + 1
    assert abs(to_thousandths(largest(wsd)) - wsd) <= 3
