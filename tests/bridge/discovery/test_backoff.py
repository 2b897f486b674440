"""Tests of bridge.discovery.backoff: the pauses between attempts to reach a scanner."""

import pytest

from wsdgateway.bridge.discovery.backoff import LONGEST_AWAY, Backoff


@pytest.mark.parametrize(("longest", "answered", "pauses"), [
    (60.0, True, [1, 2, 4, 8, 16, 32, 60, 60]), (10.0, True, [1, 2, 4, 8, 10, 10]),
    (60.0, False, [1, 2, LONGEST_AWAY, LONGEST_AWAY])])
def test_pauses_grow_up_to_a_maximum(longest, answered, pauses):
    backoff = Backoff(longest)
    assert [backoff.next(answered=answered) for _ in pauses] == pauses
    backoff.reset()
    assert backoff.next(answered=answered) == 1


def test_pauses_do_not_start_anew_when_an_absent_scanner_answers():
    backoff = Backoff(10.0)
    for _ in range(4):
        backoff.next(answered=False)
    assert backoff.next(answered=True) == 10
