"""Tests of bridge.jobs.joblists: statuses learnt from lists of jobs, and detection of outdated lists."""

from tests.bridge.bridges import shown
from tests.messages import (
    SCAN,
    end_event,
    envelope,
    fault,
    get_job_elements,
    listing,
    status_event,
    status_response,
)
from wsdgateway.bridge.decisions import Answer, Forward, Pass


def test_an_outdated_list_is_requested_again(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.tell(status_event("1", "Processing", 4))
    old = listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 3))
    again = eventful.learn(forward, old)
    assert isinstance(again, Forward)
    assert isinstance(eventful.learn(again, listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 4))), Pass)


def history(bridge, *jobs):
    forward = bridge.ask(envelope(f"{SCAN}/GetJobHistory", "<wscn:GetJobHistoryRequest/>"))
    return bridge.learn(forward, listing("GetJobHistory", "JobHistory", *jobs))


def test_lists_are_learnt_from(eventful):
    eventful.tell(status_event("1", "Processing", 2))
    eventful.tell(status_event("2", "Processing", 1))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 3), ("2", "Processing", 1)))
    history(eventful, ("2", "Canceled", 1))
    assert (eventful.read("1"), eventful.read("2")) == (("Processing", 3), ("Canceled", 1))


def test_a_job_that_only_a_list_has_named_is_asked_for_because_a_list_has_no_times(eventful):
    history(eventful, ("2", "Canceled", 1))
    forward = eventful.ask(get_job_elements("2"))
    assert isinstance(forward, Forward)
    created = "2026-08-01T10:00:00Z"
    eventful.learn(forward, status_response("2", "Canceled", 1, created=created))
    history(eventful, ("2", "Canceled", 1))
    answer = eventful.ask(get_job_elements("2"))
    assert isinstance(answer, Answer)
    assert shown(answer.body).created == created


def test_a_job_that_only_a_list_has_named_is_shown_without_times_if_the_scanner_knows_none(eventful):
    history(eventful, ("2", "Canceled", 1), ("3", "Completed", 2))
    eventful.learn(eventful.ask(get_job_elements("2")), status_response("2", "Canceled", 1))
    eventful.learn(eventful.ask(get_job_elements("3")), fault("wscn:ClientErrorJobIdNotFound"), 400)
    history(eventful, ("2", "Canceled", 1), ("3", "Completed", 2))
    assert (eventful.read("2"), eventful.read("3")) == (("Canceled", 1), ("Completed", 2))


def test_a_finished_job_that_is_listed_as_active_may_be_a_new_one(eventful):
    eventful.tell(end_event("1", "Completed", 4))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    assert isinstance(eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs", ("1", "Pending", 0))), Pass)
    assert eventful.scanner.suspects_reboot
    assert eventful.read() is None


def test_a_job_that_was_already_over_when_first_seen_is_not_stored(eventful):
    history(eventful, ("2", "Canceled", 1))
    assert eventful.scanner.table.newly_finished == []
    assert eventful.scanner.table.get("2").final


def test_a_job_missing_from_the_list_needs_a_status_request(eventful):
    eventful.tell(status_event("1", "Processing", 3))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs"))
    assert eventful.read() is None
