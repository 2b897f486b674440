"""Tests of `ScannerBridge.replay`: what the next owner of a scanner learns from the events of the one before."""

import pytest

from tests.bridge.bridges import EARLY, Bridge
from tests.messages import end_event, get_job_elements, status_event, status_response
from wsdgateway.bridge.events.eventlog import MAX_AGE
from wsdgateway.bridge.events.intake import read_notification
from wsdgateway.scan.jobstatus import JobStatus

END = end_event("1", "Completed", 1, message_id="urn:uuid:e3")
# The store may have the job as finished, or the former owner may have failed before that.
STORED = {"in the store": [JobStatus("1", "Completed", scans_completed=1, created=EARLY)], "not in the store": []}


def taken_over(stored, *more, age=0.0):
    """Returns the bridge of the next owner: the job's final status was announced, and these events."""
    bridge = Bridge()
    bridge.scanner.table.remember(stored)
    told = [status_event("1", state, scans, created=EARLY, message_id=f"urn:uuid:{state}")
            for state, scans in (("Pending", 0), ("Completed", 1))]
    for event in (*told, *more):
        bridge.scanner.notifications.replay(read_notification(event), bridge.now, at=bridge.now - age, is_own=True)
    bridge.scanner.notifications.taken_over(bridge.now)
    return bridge


def made(bridge):
    """Returns the events that are made after the scanner was asked for the job by a client."""
    forward = bridge.ask(get_job_elements("1"))
    bridge.learn(forward, status_response("1", "Completed", 1, created=EARLY))
    return [(one.name, one.status.state) for one in bridge.scanner.synthesis.learnt(bridge.now)]


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
class TestAnEnd:
    def test_that_the_former_owner_may_have_missed_is_made(self, stored):
        bridge = taken_over(stored)
        assert bridge.scanner.synthesis.questions.needs_answer("1")
        assert made(bridge) == [("JobEndStateEvent", "Completed")]

    def test_that_was_announced_is_not_made(self, stored):
        assert made(taken_over(stored, END)) == []

    def test_of_long_ago_is_not_made(self, stored):
        assert made(taken_over(stored, age=MAX_AGE)) == []
