"""Tests of bridge.cluster.state: how scanners are counted, and their numbers in words."""

import pytest

from wsdgateway.bridge.cluster.state import ALONE, FOLLOWING, LEAVING, OWNING, TAKING, Ownership, in_words


@pytest.mark.parametrize(("ownership", "counted_as", "elsewhere"), [
    (OWNING, OWNING, False), (ALONE, ALONE, False), (LEAVING, OWNING, False), (TAKING, FOLLOWING, True),
    (FOLLOWING, FOLLOWING, True)])
def test_each_state_is_counted_as_one_of_three(ownership, counted_as, elsewhere):
    one = Ownership("front-desk", ownership)
    assert (one.counted_as, one.is_elsewhere) == (counted_as, elsewhere)


def test_the_numbers_in_words():
    assert in_words([]) == "0 owned, 0 followed"
    states = (OWNING, LEAVING, FOLLOWING, TAKING, FOLLOWING)
    assert in_words([Ownership(str(at), one) for at, one in enumerate(states)]) == "2 owned, 3 followed"
    assert in_words([Ownership("a", ALONE), Ownership("b", FOLLOWING)]) == (
        "0 owned, 1 served without Redis, 1 followed")
