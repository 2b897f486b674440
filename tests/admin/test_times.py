"""Tests of admin.times: times without today's date, and durations."""

import pytest

from tests.admin.descriptions import HOSTILE, NOON, html
from wsdgateway.admin.times import lasting, moment


@pytest.mark.parametrize(("written", "precise", "shown", "utc"), [
    ("2026-09-30T10:34:11.123Z", False, "10:34", "2026-09-30 10:34:11 UTC"),
    ("2026-09-30T10:34:11.123Z", True, "10:34:11", "2026-09-30 10:34:11 UTC"),
    ("2026-09-29T23:59:59Z", False, "29 Sep 23:59", "2026-09-29 23:59:59 UTC"),
    ("2025-12-31T23:59:59Z", True, "31 Dec 2025 23:59:59", "2025-12-31 23:59:59 UTC"),
    ("2026-09-30T12:34:11+02:00", False, "10:34", "2026-09-30 10:34:11 UTC")])
def test_a_time_has_a_date_only_if_it_is_not_todays(written, precise, shown, utc):
    found = html(moment(written, NOON, precise=precise))
    assert f">{shown}</time>" in found and f'title="{utc}"' in found
    assert f'datetime="{utc[:10]}T{utc[11:19]}Z"' in found
    assert ('class="precise"' in found) == precise


@pytest.mark.parametrize(("written", "shown"), [
    (None, ""), ("", ""), ("2026-09-30T10:34:11", "2026-09-30 10:34:11"), ("yesterday", "yesterday"),
    ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"), ("9" * 100, "9" * 40 + "…"), (HOSTILE, HOSTILE)])
def test_a_time_of_a_scanner_that_names_no_moment_is_shown_as_it_is(written, shown):
    assert moment(written, NOON) == shown[:41]


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "less than a minute"), (59.9, "less than a minute"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
    (3661, "1 h 1 min"), (86400, "1 d"), (90061, "1 d 1 h"), (8640000, "100 d")])
def test_a_duration_has_at_most_two_units(seconds, words):
    assert lasting(seconds) == words
