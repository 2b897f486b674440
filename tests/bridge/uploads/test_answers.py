"""Tests of bridge.uploads.answers and pauses: what each status means, and the pauses between attempts."""

import pytest

from wsdgateway.bridge.uploads.answers import MAX_RETRY_AFTER, Accepted, Again, Rejected, outcome_of, seconds_of
from wsdgateway.bridge.uploads.pauses import FIRST, LONGEST, pause_after

NOW = 1796040000.0  # 2026-11-30T12:00:00Z


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_accepted(status):
    assert outcome_of(status, "", NOW) == Accepted()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 413, 415, 422, 451])
def test_rejected_for_good(status):
    assert outcome_of(status, "10", NOW) == Rejected(f"the server answered {status}")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    outcome = outcome_of(status, "", NOW)
    assert isinstance(outcome, Rejected) and f"redirects ({status})" in outcome.reason


@pytest.mark.parametrize(("status", "of_server"), [
    (408, False), (429, True), (500, False), (501, False), (502, True), (503, True), (504, True), (599, False)])
def test_sent_again(status, of_server):
    assert outcome_of(status, "", NOW) == Again(f"the server answered {status}", of_server)
    assert outcome_of(status, "7", NOW) == Again(f"the server answered {status}", of_server, 7.0)


@pytest.mark.parametrize(("value", "seconds"), [
    ("", 0.0), ("0", 0.0), (" 30 ", 30.0), ("99999999999999999999", MAX_RETRY_AFTER), ("-5", 0.0), ("1.5", 0.0),
    ("soon", 0.0), ("\u0663", 0.0), ("Mon, 30 Nov 2026 12:02:00 GMT", 120.0), ("Mon, 30 Nov 2026 11:00:00 GMT", 0.0),
    ("Mon, 30 Nov 9999 12:02:00 GMT", MAX_RETRY_AFTER), ("Mon, 99 Nov 2026 12:02:00 GMT", 0.0)])
def test_retry_after(value, seconds):
    assert seconds_of(value, NOW) == seconds


def test_pauses_grow_to_a_bound():
    assert [pause_after(attempts) for attempts in (0, 1, 2, 3, 4)] == [FIRST, FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert pause_after(10) == pause_after(10 ** 9) == LONGEST
