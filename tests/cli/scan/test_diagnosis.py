"""Tests of cli.scan.diagnosis: the cause of refusals that are repeated."""

import pytest

from wsdgateway.cli.scan.diagnosis import IDLE_CHECKS, Diagnosis
from wsdgateway.cli.scan.outcomes import NO_PAPER, ScanError
from wsdgateway.cli.scan.scanner import ScannerRefusal
from wsdgateway.scan.refusals import NOT_ACCEPTING
from wsdgateway.scan.scannerstatus import IDLE, ScannerStatus


class Scanner:
    """A scanner in states that follow one another, one for each question."""

    def __init__(self, *states):
        self.states = list(states)

    def condition(self):
        return ScannerStatus(self.states.pop(0))


def test_only_idle_states_in_a_row_tell_an_empty_feeder():
    between = [IDLE] * (IDLE_CHECKS - 1)
    scanner = Scanner(*between, "Processing", *between, None, *between, IDLE)
    diagnosis = Diagnosis(scanner, feeder=True, pause=lambda: None)
    while len(scanner.states) > 1:
        assert diagnosis.check(ScannerRefusal(NOT_ACCEPTING, "")) == ""
    with pytest.raises(ScanError, match="The feeder is empty") as caught:
        diagnosis.check(ScannerRefusal(NOT_ACCEPTING, ""))
    assert caught.value.status == NO_PAPER
