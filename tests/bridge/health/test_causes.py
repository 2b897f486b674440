"""Tests of bridge.health.causes: which reports of a scanner are a problem, and how causes are worded."""

import pytest

from wsdgateway.bridge.health.causes import (
    PIN_MISMATCH,
    REFUSED,
    condition_cause,
    not_a_scanner,
    not_found,
    subscription_refused,
    told,
    unresolved,
)
from wsdgateway.scan.scannerstatus import DeviceCondition, ScannerStatus


def status(state, *reasons, conditions=()):
    return ScannerStatus(state, reasons, tuple(DeviceCondition(*one) for one in conditions))


@pytest.mark.parametrize(("reported", "words"), [
    (status("Idle"), None),
    (status(None), None),
    (status("Processing"), None),
    (status("Idle", conditions=[("InputTrayEmpty", "Warning", "1")]), None),
    (status("Stopped", conditions=[("InputTrayEmpty", "Critical", "1")]), None),
    (status("Idle", "LampWarming", conditions=[("LampWarming",)]), None),
    (status("Stopped", "Calibrating"), None),
    (status("Stopped", "MediaJam"), "paper jam"),
    (status("Stopped", "AttentionRequired", conditions=[("MediaJam", "Critical", "1")]), "paper jam"),
    (status("Idle", conditions=[("MediaJam",)]), "paper jam"),
    (status("Idle", conditions=[("CoverOpen", "Critical", "2")]), "cover open"),
    (status("Idle", "CoverOpen", conditions=[("CoverOpen", "Warning", "2")]), None),
    (status("Stopped", conditions=[("CoverOpen", "Warning", "2")]), "cover open"),
    (status("Idle", conditions=[("MediaJam", "Informational", "2")]), None),
    (status("Stopped", "LampError"), "lamp error"),
    (status("Idle", conditions=[("CalibrationError",)]), "calibration error"),
    (status("Idle", "PowerSaving"), None),
    (status("Idle", conditions=[("TonerLow",)]), None),
    (status("Idle", conditions=[("GlassDirty", "Critical")]), "glass dirty"),
    (status("Stopped", "GlassDirty"), "glass dirty"),
    (status("Stopped"), "needs attention"),
    (status("Stopped", "AttentionRequired"), "needs attention"),
    (status("Stopped", "Paused"), "paused"),
    (status("Stopped", "AttentionRequired", "InterlockOpen"), "interlock open"),
])
def test_what_a_scanner_reports(reported, words):
    cause = condition_cause(reported)
    assert (cause and cause.words) == words


@pytest.mark.parametrize(("cause", "words", "clause"), [
    (REFUSED, "does not accept connections", "it does not accept connections"),
    (PIN_MISMATCH, "certificate does not match the pin", "its certificate does not match the pin"),
    (unresolved("scanner.example"), "its name cannot be resolved (scanner.example)",
     "its name cannot be resolved (scanner.example)"),
    (not_found("urn:uuid:1"), "not found by WS-Discovery (urn:uuid:1)",
     "it was not found by WS-Discovery (urn:uuid:1)"),
    (not_a_scanner("it answered 404"), "is not a scanner: it answered 404", "it is not a scanner: it answered 404"),
    (subscription_refused("404"), "refuses the gateway's subscription to its events (404)",
     "it refuses the gateway's subscription to its events (404)"),
    (told("its ca must be a file"), "ca must be a file", "its ca must be a file"),
    (told("another device is there"), "another device is there", "another device is there"),
])
def test_a_cause_alone_and_in_a_sentence(cause, words, clause):
    assert (cause.words, cause.clause) == (words, clause)
