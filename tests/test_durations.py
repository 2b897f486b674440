"""Tests of durations."""

import pytest

from wsdgateway.durations import in_words


@pytest.mark.parametrize(("seconds", "words"), [
    (-3.0, "0 s"), (0.4, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (7200.0, "2 hours"),
    (172799.0, "48 hours"), (172800.0, "2 days"), (864000.0, "10 days")])
def test_the_largest_unit_of_which_two_have_passed(seconds, words):
    assert in_words(seconds) == words
