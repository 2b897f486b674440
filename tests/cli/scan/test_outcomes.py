"""Tests of cli.scan.outcomes: causes in words."""

from http.client import IncompleteRead

import pytest

from wsdgateway.cli.scan.outcomes import cause_of


@pytest.mark.parametrize(("error", "words"), [
    (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    (TimeoutError("timed out"), "timed out"),
    (IncompleteRead(b"x", 5), "IncompleteRead(1 bytes read, 5 more expected)"),
    (ConnectionError(), "ConnectionError")])
def test_a_cause_has_no_number(error, words):
    assert cause_of(error) == words
