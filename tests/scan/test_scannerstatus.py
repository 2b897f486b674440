"""Tests of scan.scannerstatus and scan.statusevents: what is read from a scanner's reports about itself."""

import pytest

from tests.messages import SCAN, envelope, status_event
from tests.scannerstatuses import (
    cleared_event,
    condition,
    condition_event,
    scanner_status,
    state,
    status_answer,
    summary_event,
)
from wsdgateway.scan.scannerconfiguration import MAX_VALUE
from wsdgateway.scan.scannerelements import read_elements
from wsdgateway.scan.scannerstatus import MAX_CONDITIONS, DeviceCondition, ScannerStatus, read_status, words_of
from wsdgateway.scan.statusevents import Cleared, read_status_event
from wsdgateway.soap.envelope import read

COPIED = (b"2006/08/wdp/scan", b"2006/01/wdp/scan")


def event(data):
    return read_status_event(read(data).body)


def bare(name, content):
    """Returns an event whose Body contains the inner element alone."""
    return envelope(f"{SCAN}/{name}", content)


def test_a_status_is_read_with_its_conditions():
    answer = status_answer("Stopped", "AttentionRequired", "MediaJam", conditions=(
        condition("MediaJam", id="7"), condition("VendorThing", id=None, severity=None)))
    found = read_status(read_elements(read(answer).body)["ScannerStatus"])
    assert found == ScannerStatus("Stopped", ("AttentionRequired", "MediaJam"), (
        DeviceCondition("MediaJam", "Critical", "7", "ADF"), DeviceCondition("VendorThing", component="ADF")))
    assert found.reasons == ("AttentionRequired", "MediaJam", "VendorThing")


def test_names_are_bounded_in_length_and_number():
    many = [condition(f"C{number}", id=str(number)) for number in range(2 * MAX_CONDITIONS)]
    answer = status_answer("S" * (MAX_VALUE + 1), conditions=(condition("X" * (MAX_VALUE + 1)), *many))
    found = read_status(read_elements(read(answer).body)["ScannerStatus"])
    assert found.state is None
    assert [one.name for one in found.conditions] == [f"C{number}" for number in range(MAX_CONDITIONS)]


JAM = (DeviceCondition("MediaJam", "Critical", "1543", "ADF"),)


@pytest.mark.parametrize(("data", "found"), [
    (summary_event("Idle"), ScannerStatus("Idle")),
    (summary_event("Stopped", "MediaJam"), ScannerStatus("Stopped", ("MediaJam",))),
    (summary_event("Stopped", "MediaJam").replace(*COPIED), ScannerStatus("Stopped", ("MediaJam",))),
    (summary_event("Sleeping", "DeepSleep"), ScannerStatus("Sleeping", ("DeepSleep",))),
    (bare("ScannerStatusSummaryEvent", f"<wscn:StatusSummary>{state('Idle')}</wscn:StatusSummary>"),
     ScannerStatus("Idle")),
    (bare("ScannerStatusSummaryEvent", scanner_status("Stopped", conditions=(condition("CoverOpen"),))),
     ScannerStatus("Stopped", (), (DeviceCondition("CoverOpen", "Critical", "1", "ADF"),))),
    (bare("ScannerStatusSummaryEvent", "<wscn:ScannerStatusSummaryEvent/>"), None),
    (condition_event("MediaJam", id="1543"), JAM),
    (condition_event("MediaJam", id="1543", prefix=""), JAM),
    (condition_event("MediaJam", id="1543").replace(*COPIED), JAM),
    (condition_event("MediaJam", id=None, severity=None), (DeviceCondition("MediaJam", component="ADF"),)),
    (bare("ScannerStatusConditionEvent", condition("LampError")),
     (DeviceCondition("LampError", "Critical", "1", "ADF"),)),
    (condition_event("None"), None),
    (bare("ScannerStatusConditionEvent", "<wscn:ScannerStatusConditionEvent/>"), None),
    (cleared_event("1543"), Cleared("1543")),
    (cleared_event("1543").replace(*COPIED), Cleared("1543")),
    (cleared_event("1543", element="DeviceConditionId"), Cleared("1543")),
    (bare("ScannerStatusConditionClearedEvent", '<wscn:DeviceConditionCleared wscn:Id="5"/>'), Cleared("5")),
    (cleared_event(None), Cleared("")),
    (cleared_event("9" * (MAX_VALUE + 1)), Cleared("")),
    (status_event("1"), None),
])
def test_which_events_are_read(data, found):
    assert event(data) == found


def test_a_message_without_a_body_is_no_event():
    assert read_status_event(None) is None


@pytest.mark.parametrize(("name", "words"), [
    ("MediaJam", "paper jam"), ("CoverOpen", "cover open"), ("LampError", "lamp error"),
    ("CalibrationError", "calibration error"), ("InternalStorageFull", "internal storage full"),
    ("MultipleFeedError", "multiple feed error"), ("ADFCoverOpen", "ADF cover open"), ("Code42", "code42"),
    ("AttentionRequired", "needs attention"), ("x-vendor: 5", "x-vendor: 5"), ("Größe", "Größe")])
def test_names_as_words(name, words):
    assert words_of(name) == words
