"""The job table: which status a client is shown after which events, answers, cancels and reboots."""

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

# Promise 1: nothing older than what was announced or shown.

def test_late_events_do_not_turn_the_clock_back(eventful):
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:b"))
    eventful.tell(status_event("1", "Pending", 0, message_id="urn:uuid:a"))
    assert eventful.read() == ("Processing", 3)


def test_an_answer_ahead_of_an_event_is_shown(eventful):
    forward = eventful.ask(get_job_elements("1"))
    eventful.tell(status_event("1", "Processing", 3))
    assert isinstance(eventful.learn(forward, status_response("1", "Completed", 4)), Pass)
    assert eventful.read() == ("Completed", 4)


def test_fewer_scans_are_a_correction_or_late_so_the_device_is_asked(eventful):
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:a"))
    eventful.tell(status_event("1", "Processing", 2, message_id="urn:uuid:b"))
    decision = eventful.ask(get_job_elements("1"))
    assert isinstance(eventful.learn(decision, status_response("1", "Processing", 2)), Pass)
    assert eventful.read() == ("Processing", 2)


def test_pending_and_held_go_by_arrival(eventful):
    for number, state in enumerate(("Pending", "Held", "Pending")):
        eventful.tell(status_event("1", state, message_id=f"urn:uuid:{number}"))
        assert eventful.read() == (state, 0)


# Promise 2: the finished stay finished, a re-used JobId is a new job.

@pytest.mark.parametrize("late", [("Processing", 1), ("Pending", 0), ("Terminating", 2), ("Vendor", 9)])
def test_a_finished_job_stays_finished(eventful, late):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.tell(status_event("1", *late, message_id="urn:uuid:late"))
    assert eventful.read() == ("Completed", 2)


def test_an_end_is_final_whatever_it_names_and_terminating_yields(eventful):
    eventful.tell(end_event("1", "Terminating", 2))
    eventful.tell(status_event("1", "Processing", 3, message_id="urn:uuid:late"))
    assert eventful.read() == ("Terminating", 2)
    eventful.tell(status_event("1", "Canceled", 2, message_id="urn:uuid:later"))
    assert eventful.read() == ("Canceled", 2)
    eventful.tell(end_event("1", "Terminating", 2, message_id="urn:uuid:last"))
    assert eventful.read() == ("Canceled", 2)


def test_two_different_ends_are_for_the_device_to_tell(eventful):
    eventful.tell(status_event("1", "Completed", 2, message_id="urn:uuid:a"))
    eventful.tell(status_event("1", "Aborted", 2, message_id="urn:uuid:b"))
    decision = eventful.ask(get_job_elements("1"))
    eventful.learn(decision, status_response("1", "Aborted", 2))
    assert eventful.read() == ("Aborted", 2)


def test_an_answer_does_not_bring_a_finished_job_back(eventful):
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
def test_created_times_tell_jobs_apart(eventful, created, state):
    eventful.tell(status_event("1", "Completed", 2, created="2026-11-22T10:30:00Z"))
    eventful.tell(status_event("1", "Processing", 1, created=created, message_id="urn:uuid:b"))
    assert eventful.read() == state


def test_after_a_reboot_everything_is_asked(eventful):
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
    assert eventful.read("2") == ("Completed", 1)  # whatever has happened to the scanner, that job is over
    assert isinstance(eventful.learn(forward, status_response("1", "Processing", 3)), Pass)
    assert eventful.read("1") == ("Processing", 3)
    eventful.scanner.was_away()
    eventful.tell(status_event("1", "Processing", 4, message_id="urn:uuid:later"))  # it is back, and says so
    assert eventful.read("1") == ("Processing", 4)


def test_an_outage_does_not_make_a_scanner_without_events_be_asked_more_often(bridge):
    ask_and_answer(bridge)
    bridge.scanner.was_away()
    assert [ask_and_answer(bridge) for _ in range(3)] == [0, 0, 0]
    bridge.now += 1.01
    assert ask_and_answer(bridge) == 1


# Promise 3: confirmed every max_age, one request in flight.

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


# Promise 4: nothing from before a cancel.

def test_after_a_cancel_the_device_is_asked(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    early = eventful.ask(get_job_elements("1", ("wscn:JobStatus", "wscn:Documents")))
    cancel = eventful.ask(job_request("CancelJob", "1"))
    assert eventful.read() == ("Processing", 2)
    assert isinstance(eventful.learn(cancel, envelope("x", "<wscn:CancelJobResponse/>")), Pass)
    assert eventful.read() is None
    old = job_elements(("JobStatus", job_status("1", "Processing", 2)), ("Documents", "<wscn:Documents/>"))
    assert isinstance(eventful.learn(early, old), Forward)


def test_an_event_on_its_way_does_not_undo_a_cancel(eventful):
    eventful.learn(eventful.ask(job_request("CancelJob", "1")), envelope("x", "<wscn:CancelJobResponse/>"))
    eventful.tell(status_event("1", "Processing", 3))
    assert eventful.read() is None
    eventful.tell(status_event("1", "Terminating", 3, message_id="urn:uuid:t"))
    assert eventful.read() == ("Terminating", 3)


def test_a_cancel_that_broke_may_have_worked(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.scanner.fail(eventful.ask(job_request("CancelJob", "1")), FAILED, eventful.now)
    assert eventful.read() is None


def test_a_finished_job_can_not_be_cancelled(eventful):
    eventful.tell(end_event("1", "Completed", 2))
    eventful.learn(eventful.ask(job_request("CancelJob", "1")), fault("wscn:ClientErrorJobIdNotFound"))
    assert eventful.read() == ("Completed", 2)


# Promise 5: without events.

def ask_and_answer(bridge, state="Processing", scans=0):
    decision = bridge.ask(get_job_elements("1"))
    if isinstance(decision, Forward):
        bridge.learn(decision, status_response("1", state, scans))
        return 1
    return 0


def test_without_events_one_request_in_an_interval(bridge):
    assert [ask_and_answer(bridge) for _ in range(10)] == [1] + [0] * 9
    bridge.now += 0.99
    assert ask_and_answer(bridge) == 0
    bridge.now += 0.02
    assert ask_and_answer(bridge) == 1


def test_and_one_more_after_a_cancel(bridge):
    ask_and_answer(bridge)
    bridge.learn(bridge.ask(job_request("CancelJob", "1")), envelope("x", "<wscn:CancelJobResponse/>"))
    assert [ask_and_answer(bridge) for _ in range(5)] == [1, 0, 0, 0, 0]


def test_an_end_state_event_alone_does_not_make_it_a_device_with_events(bridge):
    bridge.tell(end_event("5", "Completed", 1))
    ask_and_answer(bridge)
    bridge.now += 1.01
    assert ask_and_answer(bridge) == 1


def test_events_count_only_while_subscribed(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.scanner.table.listening = False
    eventful.now += 1.01
    assert eventful.read() is None


# Promise 6: nothing is invented.

def test_an_active_job_that_the_device_forgot_is_not_answered_for(eventful):
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


def test_the_table_is_bounded(eventful):
    for number in range(20):
        eventful.tell(end_event(str(number), "Completed", 1, message_id=f"urn:uuid:{number}"))
    assert len(eventful.scanner.table.jobs()) == 5 + 1
    assert len(eventful.scanner.table.newly_finished) == 20
    for number in range(2000):
        eventful.tell(status_event(f"a{number}", message_id=f"urn:uuid:a{number}"))
    assert len(eventful.scanner.table.jobs()) <= 1005


def test_a_job_that_began_under_an_old_id_is_not_shown_as_the_old_one(eventful):
    # JobEndStateEvent names no JobCreatedTime: what comes after it is late, or of a new job with the same JobId.
    eventful.tell(end_event("2", "Canceled", 0))
    eventful.tell(status_event("2", "Pending", 0, created="2026-11-22T10:00:05Z", message_id="urn:uuid:n"))
    eventful.tell(status_event("2", "Canceled", 0, created="2026-11-22T10:00:02Z", message_id="urn:uuid:o"))
    assert isinstance(eventful.ask(get_job_elements("2")), Forward)


def test_a_late_event_of_a_job_that_is_over_is_asked_about_and_no_more(eventful):
    eventful.tell(end_event("2", "Completed", 1))
    eventful.tell(status_event("2", "Processing", 0, created="2026-11-22T10:00:05Z", message_id="urn:uuid:n"))
    eventful.tell(status_event("2", "Completed", 1, created="2026-11-22T10:00:05Z", message_id="urn:uuid:o"))
    assert isinstance(eventful.ask(get_job_elements("2")), Answer)
