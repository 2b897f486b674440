"""Tests of bridge.health.health and contact: which cause is the problem, and since when."""

import pytest

from wsdgateway.bridge.health.causes import (
    BROKEN_OFF,
    LEFT,
    PIN_MISMATCH,
    REFUSED,
    SILENT,
    SUBSCRIPTION_LOST,
    UNKNOWN_AUTHORITY,
    Cause,
    not_a_scanner,
    not_found,
    subscription_refused,
    unresolved,
)
from wsdgateway.bridge.health.contact import Contact
from wsdgateway.bridge.health.health import Facts, Health, HealthRecord, Problem, diagnose

JAM = Cause("paper jam", "", reached=True)
NOT_FOUND, NO_EVENTS = not_found("urn:uuid:1"), subscription_refused("InvalidMessage")


@pytest.mark.parametrize(("facts", "cause"), [
    (Facts(), None),
    (Facts(True, state="Idle", conditions=("InputTrayEmpty",)), None),
    (Facts(False, contact=REFUSED), REFUSED),
    (Facts(False, contact=SILENT), SILENT),
    (Facts(False, contact=LEFT), LEFT),
    (Facts(False, contact=unresolved("scanner.example")), unresolved("scanner.example")),
    (Facts(False, contact=PIN_MISMATCH), PIN_MISMATCH),
    (Facts(False, location=UNKNOWN_AUTHORITY), UNKNOWN_AUTHORITY),
    (Facts(True, contact=not_a_scanner("it answered 404")), not_a_scanner("it answered 404")),
    (Facts(location=NOT_FOUND), NOT_FOUND),
    (Facts(True, reported=JAM), JAM),
    (Facts(True, subscription=NO_EVENTS), NO_EVENTS),
    (Facts(True, subscription=SUBSCRIPTION_LOST), SUBSCRIPTION_LOST),
    (Facts(False, contact=REFUSED, reported=JAM, subscription=NO_EVENTS), REFUSED),
    (Facts(True, reported=JAM, subscription=NO_EVENTS), JAM),
    (Facts(False, contact=SILENT, location=NOT_FOUND), SILENT),
])
def test_which_cause_is_the_problem(facts, cause):
    assert diagnose(facts) == cause


def test_a_problem_lasts_until_its_cause_changes():
    record = HealthRecord()
    assert record.health == Health()
    off = Facts(False, contact=REFUSED)
    begun = Problem("does not accept connections", 100.0)
    for now in (100.0, 130.0):
        record.update(off, now)
        assert record.health == Health(False, problem=begun)
    record.update(Facts(False, contact=SILENT), 140.0)
    assert record.health == Health(False, problem=Problem("does not answer", 140.0))
    record.update(Facts(True), 150.0)
    assert record.health == Health(True, 150.0)


def test_reachable_since():
    record = HealthRecord()
    for now, reachable in ((1.0, None), (2.0, True), (3.0, True), (4.0, False), (5.0, True), (6.0, True)):
        record.update(Facts(reachable), now)
        assert record.health.reachable is reachable
        assert record.health.reachable_since == {2.0: 2.0, 3.0: 2.0, 5.0: 5.0, 6.0: 5.0}.get(now)


def test_what_a_scanner_reported_is_not_shown_while_it_cannot_be_reached():
    record = HealthRecord()
    facts = {"state": "Stopped", "conditions": ("MediaJam",), "reported": JAM}
    record.update(Facts(True, **facts), 1.0)
    assert (record.health.state, record.health.conditions) == ("Stopped", ("MediaJam",))
    record.update(Facts(False, contact=SILENT, **facts), 2.0)
    assert record.health == Health(False, problem=Problem("does not answer", 2.0))


def test_the_last_outcome_decides_about_the_contact():
    contact = Contact()
    assert (contact.reachable, contact.cause) == (None, None)
    assert contact.failed(REFUSED)
    assert not contact.failed(REFUSED)
    assert (contact.reachable, contact.cause) == (False, REFUSED)
    assert contact.failed(SILENT)
    assert contact.answered()
    assert not contact.answered()
    assert (contact.reachable, contact.cause) == (True, None)


def test_a_connection_that_breaks_off_says_nothing_about_whether_the_scanner_can_be_reached():
    contact = Contact()
    assert contact.failed(BROKEN_OFF)
    assert (contact.reachable, contact.cause) == (None, BROKEN_OFF)
    contact.answered()
    assert (contact.reachable, contact.cause) == (True, BROKEN_OFF)  # this answer may break off, too
    assert contact.completed()
    assert not contact.completed()
    assert (contact.reachable, contact.cause) == (True, None)


def test_at_a_new_address_nothing_has_failed_yet():
    contact = Contact()
    contact.failed(REFUSED)
    contact.moved()
    assert (contact.reachable, contact.cause) == (None, None)
    contact.completed()
    contact.moved()
    assert (contact.reachable, contact.cause) == (True, None)
