"""Tests of scan.jobstatus: JobStatus and lists of jobs are written strictly and read liberally."""

import attrs
import pytest

from tests.messages import end_event, envelope, job_status, listing
from tests.scan.elements import FULL, MANY, body, element
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobstatus import (
    JobStatus,
    compare_times,
    read_job_end_state,
    read_job_status,
    read_summaries,
    write_job_end_state,
    write_job_status,
)
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import parse


@pytest.mark.parametrize("status", [
    FULL, JobStatus("1", "Pending", ("None",), 0), JobStatus("a&b", "<Held>", ("x",), None),
    JobStatus("1", "VendorState", ("None",), 999999999, vendor=('<v:x xmlns:v="u:v">1</v:x>',)),
])
def test_a_written_status_is_read_back_unchanged(status):
    again = read_job_status(element(write_job_status(status)))
    assert attrs.evolve(again, vendor=()) == attrs.evolve(status, vendor=())
    assert len(again.vendor) == len(status.vendor)


def test_a_written_end_has_the_elements_of_the_specification_in_its_order():
    end = element(write_job_end_state(JobStatus("5", "Aborted", ("x",), 2, completed="2026-11-22T10:00:00Z")))
    assert [one.tag.rpartition("}")[2] for one in end] == [
        "JobId", "JobCompletedState", "JobCompletedStateReasons", "JobName", "JobOriginatingUserName",
        "ScansCompleted", "JobCompletedTime"]
    assert read_job_end_state(end) == JobStatus("5", "Aborted", ("x",), 2, None, "2026-11-22T10:00:00Z", ended=True)


def test_a_vendor_element_is_kept_with_only_the_prefixes_it_uses():
    status = parse(f"<r xmlns:wscn='{WSCN}' {MANY}>{job_status('5')}</r>".replace(
        "</wscn:JobStatus>", f"<v3:Toner level='v4:low'>{'x' * 4000}</v3:Toner></wscn:JobStatus>").encode())[0]
    [vendor] = read_job_status(status).vendor
    assert set(parse(vendor.encode()).nsmap) == {"v3", "v4"}
    [again] = read_job_status(element(write_job_status(read_job_status(status)))).vendor
    assert again == vendor


def test_the_size_of_a_vendor_element_is_limited():
    status = element(job_status("5").replace("</wscn:JobStatus>", f"<v>{'x' * 4097}</v></wscn:JobStatus>"))
    assert read_job_status(status).vendor == ()


def test_elements_are_written_in_the_order_of_the_specification():
    names = [child.tag.rpartition("}")[2] for child in element(write_job_status(FULL))]
    assert names == ["JobId", "JobState", "JobStateReasons", "ScansCompleted", "JobCreatedTime", "JobCompletedTime"]


@pytest.mark.parametrize("xml", [
    f"<JobStatus xmlns='{WSCN}'><JobId> 5\n</JobId><JobState>\tHeld </JobState><JobStateReasons><JobStateReason> None "
    "</JobStateReason><JobStateReason/></JobStateReasons><ScansCompleted> 2 </ScansCompleted></JobStatus>",
    f"<q:JobStatus xmlns:q='{WSCN}'><!-- c --><q:ScansCompleted>2</q:ScansCompleted><q:JobState>Held</q:JobState>"
    "<q:JobStateReasons><q:JobStateReason>None</q:JobStateReason></q:JobStateReasons><q:JobId>5</q:JobId></q:JobStatus>",
])
def test_statuses_are_read_liberally(xml):
    assert read_job_status(parse(xml.encode())) == JobStatus("5", "Held", ("None",), 2)


@pytest.mark.parametrize("count", ["-1", "x", "1.5", "1234567890", "", "٣"])
def test_an_invalid_count_is_unknown(count):
    status = read_job_status(element(
        f"<wscn:JobStatus><wscn:JobId>1</wscn:JobId><wscn:JobState>Held</wscn:JobState><wscn:ScansCompleted>{count}"
        "</wscn:ScansCompleted></wscn:JobStatus>"))
    assert status.scans_completed is None
    assert "ScansCompleted" not in write_job_status(status)


@pytest.mark.parametrize("xml", ["<wscn:JobStatus/>", "<wscn:JobStatus><wscn:JobId>1</wscn:JobId></wscn:JobStatus>"])
def test_without_id_or_state_there_is_no_status(xml):
    assert read_job_status(element(xml)) is None
    assert read_job_end_state(element(xml)) is None


@pytest.mark.parametrize(("state", "final"), [
    ("Completed", True), ("Canceled", True), ("Aborted", True), ("Terminating", False), ("Processing", False),
    ("Vendor", False)])
def test_final_states(state, final):
    assert JobStatus("1", state).final is final


def test_an_end_makes_any_state_final():
    status = read_job_event("JobEndStateEvent", body(end_event("7", "Terminating", 3)))
    assert status == JobStatus("7", "Terminating", ("None",), 3, None, "2026-11-22T10:00:09Z", (), ended=True)
    assert status.final


def test_lists_of_jobs():
    active = read_summaries(body(listing("GetActiveJobs", "ActiveJobs", ("1", "Held", 0), ("2", "Processing", 3))),
                            "ActiveJobs")
    assert active == (JobStatus("1", "Held", (), 0), JobStatus("2", "Processing", (), 3))
    assert read_summaries(body(listing("GetActiveJobs", "ActiveJobs")), "ActiveJobs") == ()
    assert read_summaries(body(envelope("x", "<wscn:X/>")), "ActiveJobs") is None


def test_a_status_within_a_list_has_its_vendor_elements():
    """Some devices put a whole JobStatus there. It may be shown, so it must have what GetJobElements would have."""
    whole = job_status("5").replace("</wscn:JobStatus>", "<v xmlns='u:v'>1</v></wscn:JobStatus>")
    listed = envelope("x", f"<wscn:GetActiveJobsResponse><wscn:ActiveJobs><wscn:JobSummary>{whole}</wscn:JobSummary>"
                           "</wscn:ActiveJobs></wscn:GetActiveJobsResponse>")
    [status] = read_summaries(body(listed), "ActiveJobs")
    assert len(status.vendor) == 1


@pytest.mark.parametrize(("one", "other", "order"), [
    ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000+00:00", 0), ("2026-11-22T10:00:00", "2026-11-22T10:00:01Z", -1),
    ("2026-11-22T12:00:00+01:00", "2026-11-22T10:00:01Z", 1), ("x", "x", 0), ("x", "y", None)])
def test_times(one, other, order):
    assert compare_times(one, other) == order
