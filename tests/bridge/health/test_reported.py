"""Tests of bridge.health.reported: what a scanner reports is learnt in passing, and the newer report wins."""

import pytest

from tests.bridge.bridges import SOAP_TYPE, Bridge
from tests.messages import GATEWAY, announcement, get_job_elements, get_scanner_elements, scanner_elements
from tests.scannerstatuses import cleared_event, condition, condition_event, status_answer, summary_event
from wsdgateway.bridge.decisions import Answer, Forward, Reply
from wsdgateway.bridge.health.causes import PIN_MISMATCH
from wsdgateway.bridge.health.reported import ReportedStatus
from wsdgateway.bridge.replies import MAX_OVERHEARD
from wsdgateway.scan.scannerstatus import MAX_CONDITIONS, DeviceCondition, ScannerStatus
from wsdgateway.scan.statusevents import Cleared
from wsdgateway.soap.envelope import read

JAM = condition("MediaJam", id="7")
UNKNOWN = (None, (), None)


def known(bridge):
    reported = bridge.scanner.reported
    return reported.state, reported.conditions, reported.cause and reported.cause.words


def answered(bridge, answer, asked=None):
    """Has a client ask, and the scanner answer."""
    forward = bridge.ask(asked or get_scanner_elements("ScannerStatus"))
    assert isinstance(forward, Forward)
    if forward.learns:
        return bridge.learn(forward, answer)
    return bridge.scanner.overhear_answer(Reply(200, SOAP_TYPE, answer), bridge.scanner.sending(bridge.now))


def test_nothing_is_known_before_the_first_report(bridge):
    assert known(bridge) == UNKNOWN
    assert not bridge.scanner.reported.is_active


@pytest.mark.parametrize("asked", [
    get_scanner_elements("ScannerStatus"), get_scanner_elements("ScannerDescription", "ScannerStatus"),
    get_scanner_elements("ScannerStatus", "v:Vendor", headers="<v:x xmlns:v='u:v'/>")])
@pytest.mark.parametrize("cache", [True, False])
def test_an_answer_in_passing(asked, cache):
    bridge = Bridge(cache=cache)
    answered(bridge, status_answer("Stopped", "AttentionRequired", "MediaJam", conditions=[JAM]), asked)
    assert known(bridge) == ("Stopped", ("MediaJam", "AttentionRequired"), "paper jam")
    assert bridge.scanner.reported.is_active
    bridge.now += 60.0
    answered(bridge, status_answer("Idle", conditions=[condition("InputTrayEmpty", severity="Warning")]), asked)
    assert known(bridge) == ("Idle", ("InputTrayEmpty",), None)


@pytest.mark.parametrize(("answer", "learns"), [
    (status_answer("Idle"), True), (status_answer("Idle").decode().replace("utf-8", "utf-16").encode("utf-16"), True),
    (status_answer("Idle").replace(b"2006/08/wdp/scan", b"2006/01/wdp/scan"), True),
    (scanner_elements("ScannerDescription"), False),
    (status_answer("Idle") + b" " * MAX_OVERHEARD, False)])
def test_which_answers_that_are_not_shared_are_parsed(bridge, answer, learns):
    sent = bridge.scanner.sending(bridge.now)
    assert bridge.scanner.overhear_answer(Reply(200, SOAP_TYPE, answer), sent) is learns
    assert known(bridge) == (("Idle", (), None) if learns else UNKNOWN)


def test_an_answer_that_is_not_shared_ends_the_misfit(bridge):
    sent = bridge.scanner.sending(bridge.now)
    assert bridge.scanner.overhear_answer(Reply(404, b"text/plain", b"Not here"), sent)
    assert bridge.scanner.misfit is not None
    assert bridge.scanner.overhear_answer(Reply(200, SOAP_TYPE, scanner_elements("ScannerDescription")), sent)
    assert bridge.scanner.misfit is None


def test_answers_without_a_status_or_that_mark_it_as_invalid_say_nothing(bridge):
    answered(bridge, status_answer("Idle"))
    for other in (scanner_elements("ScannerDescription"), scanner_elements("ScannerStatus", valid="false")):
        bridge.now += 60.0
        answered(bridge, other, get_scanner_elements("ScannerStatus", "ScannerDescription"))
    assert known(bridge) == ("Idle", (), None)


def test_a_status_read_answered_here_does_nothing(eventful):
    changes = eventful.scanner.reported.changes
    eventful.tell(summary_event("Idle"))
    assert isinstance(eventful.ask(get_job_elements("99")), Answer)
    assert eventful.scanner.reported.changes == changes + 1


def test_a_jam_told_by_events(bridge):
    bridge.tell(condition_event("MediaJam", id="7"))
    bridge.tell(summary_event("Stopped", "MediaJam"))
    assert known(bridge) == ("Stopped", ("MediaJam",), "paper jam")
    bridge.tell(cleared_event("7"))
    assert known(bridge) == UNKNOWN  # the scanner had stopped because of it; what follows is not known
    bridge.tell(summary_event("Idle", message_id="urn:uuid:summary-2"))
    assert known(bridge) == ("Idle", (), None)


def test_a_jam_told_by_summaries_alone(bridge):
    bridge.tell(summary_event("Stopped", "AttentionRequired", "MediaJam"))
    assert known(bridge) == ("Stopped", ("AttentionRequired", "MediaJam"), "paper jam")
    bridge.tell(summary_event("Processing", message_id="urn:uuid:summary-2"))
    assert known(bridge) == ("Processing", (), None)


def test_a_summary_ends_conditions_that_would_stop_the_scanner(bridge):
    answered(bridge, status_answer("Stopped", "MediaJam", conditions=[
        JAM, condition("InputTrayEmpty", id="8", severity="Warning")]))
    bridge.now += 10.0
    bridge.tell(summary_event("Idle"))
    assert known(bridge) == ("Idle", ("InputTrayEmpty",), None)


def test_two_conditions_of_one_name_end_one_by_one(bridge):
    for id in ("7", "8"):
        bridge.tell(condition_event("CoverOpen", id=id, message_id=f"urn:uuid:{id}"))
    bridge.tell(cleared_event("7"))
    assert known(bridge) == (None, ("CoverOpen",), "cover open")
    bridge.tell(cleared_event("8", message_id="urn:uuid:9"))
    assert known(bridge) == UNKNOWN


def test_a_changed_condition_replaces_the_one_of_its_id(bridge):
    bridge.tell(condition_event("CoverOpen", id="7", severity="Warning"))
    assert known(bridge) == (None, ("CoverOpen",), None)
    bridge.tell(condition_event("CoverOpen", id="7", message_id="urn:uuid:2"))
    assert known(bridge) == (None, ("CoverOpen",), "cover open")


@pytest.mark.parametrize(("begun", "cleared", "left"), [
    ([("MediaJam", None)], "5", ()),  # the only one without an Id
    ([("MediaJam", None), ("CoverOpen", None)], "5", ("MediaJam", "CoverOpen")),
    ([("MediaJam", None), ("CoverOpen", "4")], "5", ("CoverOpen",)),
    ([("MediaJam", "4")], "5", ("MediaJam",)),  # never told
    ([("MediaJam", "4")], None, ()),
    ([("MediaJam", "4"), ("CoverOpen", "6")], None, ("MediaJam", "CoverOpen")),
    ([("MediaJam", "4"), ("MediaJam", None)], "4", ()),  # the same one, told without its Id
    ([], "5", ()),
])
def test_conditions_without_an_id_and_clearings_of_unknown_ones(bridge, begun, cleared, left):
    for number, (name, id) in enumerate(begun):
        bridge.tell(condition_event(name, id=id, message_id=f"urn:uuid:{number}"))
    bridge.tell(cleared_event(cleared))
    assert bridge.scanner.reported.conditions == left


def test_clearing_ends_what_a_summary_alone_has_told(bridge):
    bridge.tell(summary_event("Stopped", "CoverOpen"))
    bridge.tell(cleared_event("5"))
    assert known(bridge) == UNKNOWN


def test_attention_is_no_longer_required_once_the_jam_is_cleared(bridge):
    answered(bridge, status_answer("Stopped", "AttentionRequired", "MediaJam", conditions=[JAM]))
    bridge.tell(cleared_event("7"))
    assert known(bridge) == UNKNOWN


def test_clearing_a_harmless_condition_leaves_the_state_that_has_another_reason(bridge):
    answered(bridge, status_answer("Stopped", "AttentionRequired", conditions=[
        condition("LampWarming", id="7", severity="Informational")]))
    bridge.tell(cleared_event("7"))
    assert known(bridge) == ("Stopped", ("AttentionRequired",), "needs attention")


def test_one_of_two_jams_is_left(bridge):
    answered(bridge, status_answer("Stopped", "AttentionRequired", "MediaJam", "CoverOpen", conditions=[
        JAM, condition("CoverOpen", id="8")]))
    bridge.tell(cleared_event("7"))
    assert known(bridge) == ("Stopped", ("CoverOpen", "AttentionRequired"), "cover open")


def test_an_answer_counts_from_the_moment_its_request_was_sent(bridge):
    forward = bridge.ask(get_scanner_elements("ScannerStatus"))
    bridge.tell(summary_event("Stopped", "MediaJam"))
    bridge.learn(forward, status_answer("Idle"))
    assert known(bridge) == ("Stopped", ("MediaJam",), "paper jam")


def test_a_summary_soon_after_an_answer_may_be_older(bridge):
    reported = bridge.scanner.reported
    answered(bridge, status_answer("Stopped", "MediaJam"))
    for state in ("Processing", "Idle"):
        bridge.now += 1.0
        bridge.tell(summary_event(state, message_id=f"urn:uuid:{state}"))
        assert (known(bridge), reported.is_doubtful) == (("Stopped", ("MediaJam",), "paper jam"), True)
    answered(bridge, status_answer("Idle"))
    assert (known(bridge), reported.is_doubtful) == (("Idle", (), None), False)


def test_a_later_summary_or_one_that_agrees_is_believed(bridge):
    answered(bridge, status_answer("Stopped", "MediaJam"))
    bridge.now += 1.0
    bridge.tell(summary_event("Stopped", "CoverOpen"))
    assert (known(bridge)[:2], bridge.scanner.reported.is_doubtful) == (("Stopped", ("CoverOpen",)), False)
    bridge.now += 4.0
    bridge.tell(summary_event("Idle", message_id="urn:uuid:summary-2"))
    assert (known(bridge), bridge.scanner.reported.is_doubtful) == (("Idle", (), None), False)


def test_the_answer_to_the_later_request_wins():
    reported = ReportedStatus()
    reported.answered(ScannerStatus("Stopped"), moment=5, at=5.0)
    reported.answered(ScannerStatus("Idle"), moment=4, at=4.0)
    assert (reported.state, reported.at) == ("Stopped", 5.0)
    reported.answered(ScannerStatus("Idle"), moment=6, at=6.0)
    assert (reported.state, reported.at) == ("Idle", 6.0)


def test_events_without_content_change_nothing(bridge):
    bridge.tell(summary_event("Idle"))
    for event in ("ScannerStatusSummaryEvent", "ScannerStatusConditionEvent", "ScannerStatusConditionClearedEvent"):
        bridge.tell(announcement(event, message_id=f"urn:{event}"))
    assert known(bridge) == ("Idle", (), None)


def test_a_restart_makes_everything_unknown(bridge):
    forward = bridge.ask(get_scanner_elements("ScannerStatus"))
    bridge.tell(condition_event("MediaJam"))
    bridge.scanner.rebooted()
    assert known(bridge) == UNKNOWN
    again = bridge.learn(forward, status_answer("Stopped", "MediaJam"))  # asked before the restart
    assert known(bridge) == UNKNOWN
    bridge.learn(again, status_answer("Idle"))
    assert known(bridge) == ("Idle", (), None)


def test_a_long_absence_makes_everything_unknown(bridge):
    bridge.tell(condition_event("MediaJam"))
    bridge.scanner.forget_status()
    assert known(bridge) == UNKNOWN


def test_a_status_that_the_gateway_has_asked_for_itself(bridge):
    sent = bridge.scanner.sending(bridge.now)
    data = status_answer("Stopped", "CoverOpen")
    bridge.scanner.learn_status(read(data), Reply(200, b"application/soap+xml", data), sent)
    assert known(bridge) == ("Stopped", ("CoverOpen",), "cover open")


@pytest.mark.parametrize(("status", "body", "cause"), [
    (200, b"<html><br></html>", "is not a scanner: its answer is not SOAP"),
    (404, b"not here", "is not a scanner: it answered 404"), (405, b"", "is not a scanner: it answered 405"),
    (503, b"busy", None), (500, b"", None), (400, b"bad", None)])
def test_an_answer_that_is_not_soap(bridge, status, body, cause):
    bridge.learn(bridge.ask(get_scanner_elements("ScannerStatus")), body, status)
    assert (bridge.scanner.misfit and bridge.scanner.misfit.words) == cause
    answered(bridge, status_answer("Idle"))
    assert bridge.scanner.misfit is None


def test_the_number_of_conditions_is_bounded():
    reported = ReportedStatus()
    for number in range(3 * MAX_CONDITIONS):
        reported.notified((DeviceCondition(f"C{number}", "Critical", str(number)),), number, 0.0)
    assert len(reported.conditions) == MAX_CONDITIONS
    assert reported.conditions[-1] == f"C{3 * MAX_CONDITIONS - 1}"
    reported.notified(Cleared("0"), 1000, 0.0)
    assert len(reported.conditions) == MAX_CONDITIONS


def test_the_fault_says_why_the_address_is_not_known(bridge):
    bridge.scanner.device, bridge.scanner.missing = None, PIN_MISMATCH
    refused = bridge.ask(get_scanner_elements("ScannerStatus", to=GATEWAY))
    assert refused.fault.reason == ("The scanner's address is not known yet: its certificate does not match the pin. "
                                    "Try again in a few seconds.")
