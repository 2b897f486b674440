"""Tests of app.jsonlines: what a line of JSON holds of each kind of log event."""

import json
from datetime import UTC, datetime

import pytest
from twisted.logger import Logger, LogLevel
from twisted.python import log as legacy
from twisted.python.failure import Failure

from tests.logs import logged
from wsdgateway.app.jsonlines import json_line

NOON = datetime(2026, 11, 29, 12, 0, 0, 250000, UTC).timestamp()


def line(**event):
    """Returns the line of an event as an object, after checking that it is one line."""
    written = json_line({"log_time": NOON, "log_level": LogLevel.warn, "log_namespace": "wsdgateway.x", **event})
    assert written.endswith("\n") and "\n" not in written[:-1]
    return json.loads(written)


def test_time_level_logger_message_and_fields():
    assert line(log_format="{scanner}: {count} left after {seconds:g} s", scanner="front-desk", count=3,
                seconds=0.5) == {
        "time": "2026-11-29T12:00:00.250Z", "level": "warn", "logger": "wsdgateway.x",
        "message": "front-desk: 3 left after 0.5 s", "scanner": "front-desk", "count": 3, "seconds": 0.5}


def test_only_plain_values_become_fields():
    written = line(log_format="x", log_source=object(), thing=object(), listed=[1], on=True, none=None)
    assert {key: written[key] for key in written if key not in ("time", "level", "logger")} == {
        "message": "x", "on": True, "none": None}


def test_fields_do_not_replace_those_of_the_line():
    written = line(log_format="{level} {message}", level="high", message="m", time=1, logger="l", traceback="t")
    assert (written["level"], written["message"], written["logger"]) == ("warn", "high m", "wsdgateway.x")
    assert "traceback" not in written


def test_a_field_that_is_the_whole_message_is_left_out():
    assert "line" not in line(log_format="{line}", line="[admin] endpoint: no token")


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", "\ud800", "\x00\x1b[0m", "f\u00fcr"])
def test_any_text_is_kept_in_one_line(text):
    assert line(log_format="<{text}>", text=text)["message"] == f"<{text}>"


def test_numbers_that_json_does_not_know_become_text():
    assert line(log_format="x", ratio=float("inf"))["ratio"] == "inf"


def test_an_integer_that_cannot_be_written_is_left_out():
    assert {"id", "small"} & set(line(log_format="x", id=1 << 20000, small=1 << 64)) == {"small"}


def test_a_failure_has_its_traceback_in_one_field():
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        failure = Failure()
    written = line(log_format="Reading failed", log_failure=failure, log_level=LogLevel.critical)
    assert (written["level"], written["message"]) == ("critical", "Reading failed")
    assert written["traceback"].startswith("Traceback")
    assert "ZeroDivisionError: by zero" in written["traceback"]


def test_a_failure_whose_traceback_cannot_be_made_is_logged():
    class Broken:
        def getTraceback(self):
            raise ValueError

    assert line(log_format="x", log_failure=Broken())["traceback"] == "(the traceback cannot be shown: ValueError)"


def test_events_of_both_of_twisteds_loggers():
    with logged(json_line) as lines:
        Logger("wsdgateway.y").info("{scanner}: found", scanner="front-desk")
        legacy.msg("Site starting on", 8357)
    new, old = map(json.loads, lines)
    assert (new["logger"], new["message"], new["scanner"]) == ("wsdgateway.y", "front-desk: found", "front-desk")
    assert (old["level"], old["message"]) == ("info", "Site starting on 8357")
    assert set(old) == {"time", "level", "logger", "message"}
