"""Tests of eventing.expiry: durations and points in time."""

import pytest

from tests.eventing.requests import NOW
from wsdgateway.eventing.expiry import LONGEST, read_expires, write_duration


@pytest.mark.parametrize(("text", "seconds"), [
    ("PT1H", 3600), (" PT30M ", 1800), ("P1D", 86400), ("P1Y", 365 * 86400), ("P1M", 30 * 86400), ("PT1.5S", 1.5),
    ("P1DT1H1M1S", 90061), ("-PT5S", -5), ("PT0S", 0), ("P99999999D", LONGEST),
    ("2026-11-22T11:00:00Z", 3600), ("2026-11-22T10:00:30.5Z", 30.5), ("2026-11-22T12:00:00+01:00", 3600),
    ("2026-11-22T09:59:00Z", -60), ("2026-11-22T10:01:00", 60),
    ("PT99999999999S", LONGEST), ("P9999Y", LONGEST), ("PT" + "9" * 4000 + "S", LONGEST), ("-PT99999999999S", -LONGEST),
    ("PT0.0000000001S", 1e-10), ("PT.5S", 0.5), ("PT1.S", 1), ("99999-01-01T00:00:00Z", LONGEST),
    ("9999-12-31T23:59:59-14:00", LONGEST), ("0000-01-01T00:00:00Z", -LONGEST), ("-0044-03-15T12:00:00Z", -LONGEST),
    ("2026-11-22T24:00:00Z", 14 * 3600), ("2026-11-22T10:00:30.123456789Z", 30.123456),
    ("99999-13-01T00:00:00Z", None), ("2026-11-22T25:00:00Z", None), ("PT" + "9" * 5000 + "S", None),
    ("PT٣S", None), ("P1.5D", None), ("+PT5S", None),
    ("P", None), ("PT", None), ("1H", None), ("", None), ("tomorrow", None), ("P1H", None), ("PTxS", None),
])
def test_expires(text, seconds):
    assert read_expires(text, NOW) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(3600, "PT3600S"), (0.2, "PT1S"), (59.6, "PT60S")])
def test_durations(seconds, text):
    assert write_duration(seconds) == text
