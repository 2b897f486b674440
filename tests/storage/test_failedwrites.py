"""Tests of storage.failedwrites: a write that was refused is one line, a programming error has a traceback."""

import pytest
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.failedwrites import log_failed_write


@pytest.mark.parametrize(("error", "level"), [
    (Fenced("another gateway owns the scanner"), "debug"), (NotNow("no answer"), "error")])
def test_an_error_of_the_store_is_one_line(error, level):
    events = []
    log_failed_write(Logger(observer=events.append), Failure(error), "{scanner}: storing JobId {job_id} failed",
                     scanner="front-desk", job_id="7")
    [event] = events
    assert (event["log_level"].name, event["log_format"].format_map(event)) == (
        level, f"front-desk: storing JobId 7 failed: {error}")
    assert "log_failure" not in event


def test_another_error_has_a_traceback():
    events = []
    log_failed_write(Logger(observer=events.append), Failure(ZeroDivisionError()), "{scanner}: failed", scanner="a")
    assert events[0]["log_failure"].type is ZeroDivisionError
