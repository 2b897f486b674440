"""Tests of bridge.jobs.jobtable: the status shown to clients after events, answers, cancels and reboots."""

import pytest

from tests.bridge.bridges import EARLY, FAILED, LATE
from tests.messages import (
    create_scan_job,
    created_job,
    end_event,
    envelope,
    fault,
    get_job_elements,
    job_elements,
    job_request,
    job_status,
    status_event,
    status_response,
)
from wsdgateway.bridge.decisions import MAX_ASKS, Answer, Forward, Pass, Refuse
from wsdgateway.bridge.jobs.jobtable import LATE_SECONDS, JobTable
from wsdgateway.scan.jobstatus import JobStatus

# Guarantee 1: a status is never older than one that was announced or shown before.

def test_late_events_do_not_replace_newer_statuses(eventful):
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:b"))
    eventful.tell(status_event("1", "Pending", 0, message_id="urn:uuid:a"))
    assert eventful.read() == ("Processing", 3)


def test_an_answer_ahead_of_an_event_is_shown(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.tell(status_event("1", "Processing", 3))
    assert isinstance(eventful.learn(forward, status_response("1", "Completed", 4)), Pass)
    assert eventful.read() == ("Completed", 4)


def test_fewer_scans_may_be_late_or_a_correction_so_the_device_is_asked(eventful):
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:a"))
    eventful.tell(status_event("1", "Processing", 2, message_id="urn:uuid:b"))
    decision = eventful.ask(get_job_elements("1"))
    assert isinstance(eventful.learn(decision, status_response("1", "Processing", 2)), Pass)
    assert eventful.read() == ("Processing", 2)


def test_pending_and_held_are_ordered_by_arrival(eventful):
    for number, state in enumerate(("Pending", "Held", "Pending")):
        eventful.tell(status_event("1", state, message_id=f"urn:uuid:{number}"))
        assert eventful.read() == (state, 0)


# Guarantee 2: finished jobs stay finished; a reused JobId is a new job.

@pytest.mark.parametrize("late", [("Processing", 1), ("Pending", 0), ("Terminating", 2), ("Vendor", 9)])
def test_a_finished_job_stays_finished(eventful, late):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.tell(status_event("1", *late, message_id="urn:uuid:late"))
    assert eventful.read() == ("Completed", 2)


def test_an_end_event_is_final_and_terminating_yields_to_another_final_state(eventful):
    eventful.tell(end_event("1", "Terminating", 2))
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:late"))
    assert eventful.read() == ("Terminating", 2)
    eventful.tell(status_event("1", "Canceled", 2, message_id="urn:uuid:later"))
    assert eventful.read() == ("Canceled", 2)
    eventful.tell(end_event("1", "Terminating", 2, message_id="urn:uuid:last"))
    assert eventful.read() == ("Canceled", 2)


def test_two_contradicting_ends_need_a_status_request(eventful):
    eventful.tell(status_event("1", "Completed", 2, message_id="urn:uuid:a"))
    eventful.tell(status_event("1", "Aborted", 2, message_id="urn:uuid:b"))
    decision = eventful.ask(get_job_elements("1"))
    eventful.learn(decision, status_response("1", "Aborted", 2))
    assert eventful.read() == ("Aborted", 2)


def test_an_answer_does_not_revive_a_finished_job(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    forward = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    answer = job_elements(("JobStatus", job_status("1", "Processing", 1)))
    for _ in range(MAX_ASKS - 1):
        forward = eventful.learn(forward, answer)
    assert isinstance(eventful.learn(forward, answer), Refuse)
    assert eventful.read() == ("Completed", 2)


def test_a_created_job_is_new(eventful):
    eventful.tell(status_event("1", "Completed", 2, created=EARLY))
    eventful.learn(eventful.ask(create_scan_job()), created_job("1"))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Completed", 2, created=EARLY, message_id="urn:uuid:late"))
    assert eventful.read() is None
    eventful.tell(end_event("1", "Completed", 2, message_id="urn:uuid:whose"))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Processing", 1, created=LATE, message_id="urn:uuid:new"))
    eventful.learn(eventful.ask(get_job_elements("1")), status_response("1", "Processing", 1, created=LATE))
    assert eventful.read() == ("Processing", 1)


def test_events_may_come_before_the_answer_to_create(eventful):
    forward = eventful.ask(create_scan_job())
    eventful.tell(status_event("1", "Pending", 0, created=LATE))
    eventful.learn(forward, created_job("1"))
    assert eventful.read() == ("Pending", 0)


@pytest.mark.parametrize(("created", "state"), [(LATE, ("Processing", 1)), (EARLY, ("Completed", 2))])
def test_jobs_are_distinguished_by_their_created_times(eventful, created, state):
    eventful.tell(status_event("1", "Completed", 2, created="2026-11-22T10:30:00Z"))
    eventful.tell(status_event("1", "Processing", 1, created=created, message_id="urn:uuid:b"))
    assert eventful.read() == state


def test_after_a_reboot_every_job_is_asked_for(eventful):
    eventful.tell(status_event("1", "Completed", 2))
    old = eventful.ask(get_job_elements("2"))
    eventful.scanner.rebooted()
    assert eventful.read("1") is None
    assert isinstance(eventful.learn(old, status_response("2", "Processing", 1)), Forward)
    assert not eventful.scanner.table.eventful
    table = eventful.scanner.table
    states = [(job.status.state, table.is_lost(job)) for job in table.jobs()]
    assert states == [("Processing", True), ("Completed", False)]
    eventful.tell(status_event("1", "Processing", 1, message_id="urn:uuid:late"))
    assert eventful.read("1") is None
    eventful.learn(eventful.ask(get_job_elements("1")), status_response("1", "Completed", 2))
    assert eventful.read("1") == ("Completed", 2)


def test_after_an_outage_an_active_job_is_asked_for(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.tell(end_event("2", "Completed", 1))
    eventful.scanner.was_away()
    forward = eventful.ask(get_job_elements("1"))
    assert isinstance(forward, Forward)
    assert eventful.read("2") == ("Completed", 1)  # that job is finished whatever has happened to the scanner
    assert isinstance(eventful.learn(forward, status_response("1", "Processing", 3)), Pass)
    assert eventful.read("1") == ("Processing", 3)
    eventful.scanner.was_away()
    eventful.tell(status_event("1", "Processing", 4, message_id="urn:uuid:later"))  # an event shows that it is back
    assert eventful.read("1") == ("Processing", 4)


def test_an_outage_causes_no_extra_requests_at_a_scanner_without_events(bridge):
    ask_and_answer(bridge)
    bridge.scanner.was_away()
    assert [ask_and_answer(bridge) for _ in range(3)] == [0, 0, 0]
    bridge.now += 1.01
    assert ask_and_answer(bridge) == 1


# Guarantee 3: a status is confirmed every max_age, with one request in progress.

def test_an_active_job_is_confirmed_after_max_age(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.now += 29.9
    assert eventful.read() == ("Processing", 2)
    eventful.now += 0.2
    assert isinstance(eventful.ask(get_job_elements("1")), Forward)


def test_a_finished_job_is_never_asked_for_again(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.now += 86400
    assert eventful.read() == ("Completed", 2)


# Guarantee 4: no status older than a cancel.

def test_after_a_cancel_the_device_is_asked(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    early = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    cancel = eventful.ask(job_request("CancelJob", "1"))
    assert eventful.read() == ("Processing", 2)
    assert isinstance(eventful.learn(cancel, envelope("x", "<wscn:CancelJobResponse/>")), Pass)
    assert eventful.read() is None
    old = job_elements(("JobStatus", job_status("1", "Processing", 2)), ("Documents", "<wscn:Documents/>"))
    assert isinstance(eventful.learn(early, old), Forward)


def test_an_event_in_transit_does_not_undo_a_cancel(eventful):
    eventful.learn(eventful.ask(job_request("CancelJob", "1")), envelope("x", "<wscn:CancelJobResponse/>"))
    eventful.tell(status_event("1", "Processing", 3))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Terminating", 3, message_id="urn:uuid:t"))
    assert eventful.read() == ("Terminating", 3)


def test_a_cancel_that_failed_may_have_been_effective(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.scanner.fail(eventful.ask(job_request("CancelJob", "1")), FAILED, eventful.now)
    assert eventful.read() is None


def test_a_finished_job_can_not_be_cancelled(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.learn(eventful.ask(job_request("CancelJob", "1")), fault("wscn:ClientErrorJobIdNotFound"))
    assert eventful.read() == ("Completed", 2)


# Guarantee 5: scanners without events.

def ask_and_answer(bridge, state="Processing", scans=0):
    decision = bridge.ask(get_job_elements("1"))
    if isinstance(decision, Forward):
        bridge.learn(decision, status_response("1", state, scans))
        return 1
    return 0


def test_without_events_there_is_one_request_per_poll_interval(bridge):
    assert [ask_and_answer(bridge) for _ in range(10)] == [1] + [0] * 9
    bridge.now += 0.99
    assert ask_and_answer(bridge) == 0
    bridge.now += 0.02
    assert ask_and_answer(bridge) == 1


def test_without_events_a_cancel_permits_one_more_request(bridge):
    ask_and_answer(bridge)
    bridge.learn(bridge.ask(job_request("CancelJob", "1")), envelope("x", "<wscn:CancelJobResponse/>"))
    assert [ask_and_answer(bridge) for _ in range(5)] == [1, 0, 0, 0, 0]


def test_a_device_with_end_state_events_only_counts_as_one_without_events(bridge):
    bridge.tell(end_event("5", "Completed", 1))
    ask_and_answer(bridge)
    bridge.now += 1.01
    assert ask_and_answer(bridge) == 1


def test_events_count_only_while_subscribed(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.scanner.table.listening = False
    eventful.now += 1.01
    assert eventful.read() is None


# Guarantee 6: no status is invented.

def test_an_active_job_forgotten_by_the_device_is_not_answered(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.now += 31
    unknown = fault("wscn:ClientErrorJobIdNotFound")
    assert isinstance(eventful.learn(eventful.ask(get_job_elements("1")), unknown, 500), Pass)
    eventful.now += 2
    assert eventful.read() is None


def test_a_status_of_another_job_is_not_learnt(eventful):
    eventful.learn(eventful.ask(get_job_elements("1")), status_response("2", "Completed", 9))
    assert eventful.scanner.table.get("1") is None
    assert eventful.scanner.table.get("2") is None
    assert isinstance(eventful.ask(get_job_elements("1")), Pass)


def test_the_size_of_the_table_is_limited(eventful):
    for number in range(20):
        eventful.tell(end_event(str(number), "Completed", 1, message_id=f"urn:uuid:{number}"))
    assert len(eventful.scanner.table.jobs()) == 5 + 1
    assert len(eventful.scanner.table.newly_finished) == 20
    for number in range(2000):
        eventful.tell(status_event(f"a{number}", message_id=f"urn:uuid:a{number}"))
    assert len(eventful.scanner.table.jobs()) <= 1005


def test_a_new_job_with_a_reused_id_is_not_shown_as_the_old_one(eventful):
    # JobEndStateEvent has no JobCreatedTime: a later event is late, or belongs to a new job with the same JobId.
    eventful.tell(end_event("2", "Canceled", 0))
    eventful.tell(status_event("2", "Pending", 0, created="2026-11-22T10:00:05Z", message_id="urn:uuid:n"))
    eventful.tell(status_event("2", "Canceled", 0, created="2026-11-22T10:00:02Z", message_id="urn:uuid:o"))
    assert isinstance(eventful.ask(get_job_elements("2")), Forward)


def test_a_late_event_of_a_finished_job_is_recognised_by_the_next_event(eventful):
    eventful.tell(end_event("2", "Completed", 1))
    eventful.tell(status_event("2", "Processing", 0, created="2026-11-22T10:00:05Z", message_id="urn:uuid:n"))
    eventful.tell(status_event("2", "Completed", 1, created="2026-11-22T10:00:05Z", message_id="urn:uuid:o"))
    assert isinstance(eventful.ask(get_job_elements("2")), Answer)


# A takeover from another gateway.


def taken_over(*events, now=100.0):
    """Returns the table of a gateway that has taken over, with the events that were announced to the former one."""
    table = JobTable(max_age=30.0, poll_interval=1.0, history=5)
    table.listening = table.events_seen = True
    for status in events:
        table.announced(status, now)
    table.taken_over(now)
    return table


def test_after_a_takeover_every_job_is_asked_for_before_it_is_shown():
    table = taken_over(JobStatus("1", "Processing"), JobStatus("2", "Completed"))
    assert [table.readable(job_id, 100.0) for job_id in "12"] == [None, None]
    for status in (JobStatus("1", "Processing"), JobStatus("2", "Completed")):
        assert table.answered(status, table.moment(), 100.0)
        assert table.readable(status.job_id, 100.0) == status


def test_after_a_takeover_an_end_that_was_announced_is_not_revived():
    table = taken_over(JobStatus("1", "Completed"))
    assert not table.answered(JobStatus("1", "Processing"), table.moment(), 100.0)
    table.announced(JobStatus("1", "Processing"), 100.0)
    assert table.get("1").status.state == "Completed"


def test_after_a_takeover_a_late_event_of_an_unknown_job_is_doubted_for_a_time():
    table = taken_over()
    table.announced(JobStatus("1", "Pending"), 100.0)  # the former gateway may have shown that it is Processing
    table.announced(JobStatus("2", "Completed"), 100.0)
    assert [table.readable(job_id, 100.0) for job_id in "12"] == [None, None]
    assert [job.job_id for job in table.newly_finished] == ["2"]
    table.announced(JobStatus("3", "Pending"), 100.0 + LATE_SECONDS)
    assert table.readable("3", 100.0 + LATE_SECONDS).state == "Pending"
