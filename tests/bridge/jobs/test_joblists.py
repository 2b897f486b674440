"""Tests of bridge.jobs.joblists: statuses learnt from lists of jobs, and detection of outdated lists."""


from tests.messages import (
    SCAN,
    end_event,
    envelope,
    listing,
    status_event,
)
from wsdgateway.bridge.decisions import Forward, Pass


def test_an_outdated_list_is_requested_again(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.tell(status_event("1", "Processing", 4))
    old = listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 3))
    again = eventful.learn(forward, old)
    assert isinstance(again, Forward)
    assert isinstance(eventful.learn(again, listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 4))), Pass)


def test_lists_are_learnt_from(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs", ("1", "Processing", 3)))
    forward = eventful.ask(envelope(f"{SCAN}/GetJobHistory", "<wscn:GetJobHistoryRequest/>"))
    eventful.learn(forward, listing("GetJobHistory", "JobHistory", ("2", "Canceled", 1)))
    assert (eventful.read("1"), eventful.read("2")) == (("Processing", 3), ("Canceled", 1))


def test_a_finished_job_that_is_listed_as_active_may_be_a_new_one(eventful):
    eventful.tell(end_event("1", "Completed", 4))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    assert isinstance(eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs", ("1", "Pending", 0))), Pass)
    assert eventful.scanner.suspects_reboot
    assert eventful.read() is None


def test_a_job_that_was_already_over_when_first_seen_is_not_stored(eventful):
    forward = eventful.ask(envelope(f"{SCAN}/GetJobHistory", "<wscn:GetJobHistoryRequest/>"))
    eventful.learn(forward, listing("GetJobHistory", "JobHistory", ("2", "Canceled", 1)))
    assert eventful.scanner.table.newly_finished == []
    assert eventful.read("2") == ("Canceled", 1)


def test_a_job_missing_from_the_list_needs_a_status_request(eventful):
    eventful.tell(status_event("1", "Processing", 3))
    forward = eventful.ask(envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetActiveJobsRequest/>"))
    eventful.learn(forward, listing("GetActiveJobs", "ActiveJobs"))
    assert eventful.read() is None
