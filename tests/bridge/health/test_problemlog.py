"""Tests of bridge.health.problemlog: which changes of a problem are logged."""

from wsdgateway.bridge.health.health import Problem
from wsdgateway.bridge.health.problemlog import IN_SECONDS, MAX_LINES, Change, ProblemLog

OFF, SILENT = Problem("does not accept connections", 100.0), Problem("does not answer", 130.0)


def test_a_problem_is_logged_when_it_begins_changes_and_ends():
    log = ProblemLog()
    assert log.change(None, 90.0) is None
    assert log.change(OFF, 100.0) == Change(None, OFF)
    assert log.change(OFF, 110.0) is None
    assert log.change(SILENT, 130.0) == Change(OFF, SILENT)
    assert log.change(None, 150.0) == Change(SILENT, None)
    assert log.change(None, 160.0) is None


def test_a_scanner_that_fails_every_second_request_does_not_fill_the_log():
    log = ProblemLog()
    lines = [log.change(Problem("x", float(number)) if number % 2 == 0 else None, 100.0) for number in range(100)]
    assert sum(line is not None for line in lines) == MAX_LINES
    last = Problem("x", 101.0)
    assert log.change(last, 101.0) is None
    assert log.change(last, 100.0 + IN_SECONDS) == Change(None, last)  # caught up
    assert log.change(None, 101.0 + IN_SECONDS) == Change(last, None)


def test_a_problem_that_ended_and_began_again_unlogged_is_one():
    log = ProblemLog()
    assert log.change(OFF, 100.0) is not None
    assert log.change(Problem(OFF.cause, 105.0), 105.0) is None
