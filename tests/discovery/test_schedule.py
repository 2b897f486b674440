"""Tests of discovery.schedule: the times at which datagrams are sent and repeated."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.discovery.schedule import sending_times


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.integers(0, 6))
def test_the_retransmission_schedule(chances, repeats):
    times = sending_times(iter(chances).__next__, first=0.5, repeats=repeats)
    assert len(times) == repeats + 1
    assert 0 <= times[0] <= 0.5
    pauses = [later - earlier for earlier, later in pairwise(times)]
    if pauses:
        assert 0.0499 <= pauses[0] <= 0.2501
    for former, pause in pairwise(pauses):
        assert pause == pytest.approx(min(former * 2, 0.5))
