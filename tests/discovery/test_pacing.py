"""Tests of discovery.pacing: announcements are sent at a limited rate."""

from itertools import pairwise

import pytest

from wsdgateway.discovery.pacing import MAX_WAITING, Pacing


def spent(pacing, now, until):
    """Returns (time, data) of everything sent until that time."""
    sent = []
    while (wait := pacing.wait(now)) is not None and now + wait <= until:
        now += wait
        data = pacing.take(now)
        if data is not None:
            sent.append((now, data))
    return sent


def test_announcements_are_spread():
    pacing = Pacing(20, lambda: 0.5)
    for number in range(30):
        assert pacing.put(str(number), lambda number=number: b"%d" % number)
    sent = spent(pacing, 0.0, 100.0)
    assert len(sent) == 60
    assert sorted(data for _, data in sent) == sorted(b"%d" % number for number in range(30) for _ in range(2))
    times = [time for time, _ in sent]
    assert all(later - earlier >= 0.0499 for earlier, later in pairwise(times))
    assert pacing.wait(100.0) is None


def test_one_announcement_and_its_repeat():
    pacing = Pacing(20, lambda: 0.5)
    pacing.put("x", lambda: b"x")
    assert spent(pacing, 10.0, 11.0) == [(10.0, b"x"), (pytest.approx(10.15), b"x")]


def test_hurry_sends_everything_in_time():
    pacing = Pacing(1, lambda: 0.0)
    for number in range(100):
        pacing.put(str(number), lambda: b"x")
    pacing.hurry(2.0)
    assert len(spent(pacing, 0.0, 2.2)) == 200
    pacing.put("x", lambda: b"x")
    pacing.clear()
    assert pacing.wait(3.0) is None


def test_the_number_of_waiting_announcements_is_limited():
    pacing = Pacing(1, lambda: 0.0)
    assert all(pacing.put(str(number), lambda: b"old") for number in range(MAX_WAITING))
    assert not pacing.put("another", lambda: b"")
    assert pacing.put("0", lambda: b"new")
    assert pacing.take(0.0) == b"new"
