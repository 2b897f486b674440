"""Tests of bridge.events.statussummaries: which ScannerStatus is told as a ScannerStatusSummaryEvent."""

import pytest

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.statussummaries import StatusSummaries
from wsdgateway.bridge.health.reported import ReportedStatus
from wsdgateway.scan.scannerstatus import ScannerStatus
from wsdgateway.soap.addressing import EndpointReference

SINK = Sink(EndpointReference("http://192.0.2.7/"), "192.0.2.7")
IDLE, BUSY, JAM = ScannerStatus("Idle"), ScannerStatus("Processing"), ScannerStatus("Stopped", ("MediaJam",))


class Scanner:
    def __init__(self):
        self.reported, self.summaries, self.moment = ReportedStatus(), StatusSummaries(), 0

    def answers(self, status):
        self.moment += 1
        self.reported.answered(status, self.moment, float(self.moment))
        made = self.summaries.learnt(self.reported.status, self.reported.answers)
        if made is None:
            return None
        made.reached.add(SINK)
        return made.status.state, made.status.state_reasons

    def sends(self, status):
        self.moment += 1
        self.reported.notified(status, self.moment, float(self.moment))
        return SINK not in (self.summaries.announced(status) or ())


@pytest.fixture
def scanner():
    return Scanner()


def test_a_change_is_told_once(scanner):
    assert scanner.answers(IDLE) is None  # as is assumed at first
    assert scanner.answers(JAM) == ("Stopped", ("MediaJam",))
    assert scanner.answers(JAM) is None
    assert scanner.summaries.learnt(JAM, scanner.reported.answers) is None
    assert scanner.answers(IDLE) == ("Idle", ())


def test_an_answer_without_a_state_is_not_told(scanner):
    assert scanner.answers(ScannerStatus(None)) is None


def test_a_scanner_that_sends_such_events_makes_its_own(scanner):
    assert scanner.answers(BUSY) is not None
    assert not scanner.sends(BUSY)  # told already
    assert scanner.answers(JAM) is None
    assert scanner.sends(JAM)
    scanner.summaries.rebooted()
    assert scanner.answers(JAM) is None
    assert scanner.answers(IDLE) == ("Idle", ())
    assert scanner.sends(JAM)
