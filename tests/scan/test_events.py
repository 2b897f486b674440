"""Tests of scan.events: job events in the specified form and in others, and the jobs named in unreadable events."""

import pytest

from tests.messages import SCAN, announcement, end_event, envelope, get_job_elements, job_status, status_event
from tests.scan.elements import body
from wsdgateway.scan.events import event_in, jobs_named, jobs_named_in, other_jobs, read_job_event
from wsdgateway.scan.operations import event_of
from wsdgateway.soap.envelope import read

OF_7 = "<wscn:JobId>7</wscn:JobId>"
STATE, COMPLETED_STATE = "<wscn:JobState>{}</wscn:JobState>", "<wscn:JobCompletedState>{}</wscn:JobCompletedState>"


def job_event(event, *around, state=STATE, value="Completed"):
    """Returns what is read of an event with a JobId and a state inside these elements, outermost first."""
    xml = OF_7 + state.format(value)
    for name in reversed(around):
        xml = f"<wscn:{name}>{xml}</wscn:{name}>"
    status = read_job_event(event, body(envelope("x", xml)))
    return None if status is None else (status.job_id, status.state, status.final)


@pytest.mark.parametrize(("event", "around", "state"), [
    ("JobEndStateEvent", ("JobEndStateEvent", "JobEndState"), STATE),
    ("JobEndStateEvent", ("JobEndStateEvent",), COMPLETED_STATE),
    ("JobEndStateEvent", ("JobEndStateEvent",), STATE),
    ("JobEndStateEvent", ("JobEndState",), COMPLETED_STATE),
    ("JobEndStateEvent", ("JobEndStateEvent", "JobStatus"), STATE),
    ("JobEndStateEvent", ("JobStatusEvent", "JobStatus"), STATE),
    ("JobStatusEvent", ("JobStatusEvent",), STATE),
    ("JobStatusEvent", ("JobStatus",), STATE),
    ("JobStatusEvent", ("JobStatusEvent", "JobStatus"), COMPLETED_STATE),
    ("JobStatusEvent", ("JobStatusEvent", "JobEndState"), COMPLETED_STATE),
    ("JobStatusEvent", ("JobEndStateEvent", "JobEndState"), COMPLETED_STATE),
    ("ScannerStatusSummaryEvent", ("JobStatusEvent", "JobStatus"), STATE),
])
def test_an_end_is_read_in_every_form(event, around, state):
    assert job_event(event, *around, state=state) == ("7", "Completed", True)


@pytest.mark.parametrize("around", [("JobStatusEvent", "JobStatus"), ("JobStatusEvent",), ("JobStatus",)])
def test_other_states_are_read_from_status_events(around):
    assert job_event("JobStatusEvent", *around, value="Processing") == ("7", "Processing", False)


@pytest.mark.parametrize(("event", "around", "state", "value"), [
    ("JobEndStateEvent", ("JobEndStateEvent", "JobEndState"), STATE, "Processing"),
    ("JobEndStateEvent", ("JobEndStateEvent", "JobStatus"), STATE, "Processing"),
    ("JobEndStateEvent", ("JobStatusEvent", "JobStatus"), STATE, "Terminating"),
    ("JobStatusEvent", ("JobEndStateEvent", "JobStatus"), STATE, "Pending"),
    ("JobStatusEvent", ("JobEndStateEvent", "JobEndState"), COMPLETED_STATE, "Terminating"),
    ("JobStatusEvent", ("JobStatusEvent", "JobStatus"), COMPLETED_STATE, "Terminating"),
    ("JobStatusEvent", ("ScannerStatusSummaryEvent", "JobStatus"), STATE, "Completed"),
    ("JobStatusEvent", ("JobStatusEvent", "Vendor", "JobStatus"), STATE, "Completed"),
])
def test_a_contradictory_event_is_not_read(event, around, state, value):
    assert job_event(event, *around, state=state, value=value) is None


@pytest.mark.parametrize(("content", "jobs"), [
    ("", None),
    ("<v:Details xmlns:v='urn:v'><v:JobState>3</v:JobState></v:Details>", None),
    (job_status("7", "Held"), ("7",)),
    (job_status("8", "Held"), ("8",)),
    ("<wscn:JobId>8</wscn:JobId>", ("8",)),
    (job_status("8", "Held") + job_status("7", "Held") + job_status("9", "Held"), ("7", "8", "9")),
    ("<wscn:JobStatus><wscn:JobState>Held</wscn:JobState></wscn:JobStatus>", ()),
    ("".join(job_status(job, "Held") for job in range(20, 40)), ()),
])
def test_the_jobs_in_the_unread_part_of_an_event(content, jobs):
    event = body(envelope("x", f"<wscn:JobStatusEvent>{job_status('7', 'Processing')}{content}</wscn:JobStatusEvent>"))
    assert other_jobs(read_job_event("JobStatusEvent", event), event.getparent()) == jobs


@pytest.mark.parametrize("state", ["Terminating", "VendorState", "Completed"])
def test_any_state_in_a_job_end_state_ends_the_job(state):
    assert job_event("JobEndStateEvent", "JobEndStateEvent", "JobEndState", value=state) == ("7", state, True)


def test_the_reasons_of_a_job_end_state_may_have_either_name():
    message = end_event("7").replace(b"JobCompletedState", b"JobState")
    assert read_job_event("JobEndStateEvent", body(message)).reasons == ("None",)


def test_events_in_the_namespace_of_the_specifications_web_pages_are_read():
    copied = b"2006/01/wdp/scan"
    message = status_event("7", "Processing", 3).replace(b"2006/08/wdp/scan", copied)
    assert event_of(read(message).action) == "JobStatusEvent"
    assert read_job_event("JobStatusEvent", body(message)).scans_completed == 3
    assert body(message).tag.endswith("2006/01/wdp/scan}JobStatusEvent")  # clients get it unchanged
    half = status_event("7", "Held").replace(b"<wscn:JobState>", b"<o:JobState>").replace(
        b"</wscn:JobState>", b"</o:JobState>").replace(b"<soap:Body>", b"<soap:Body xmlns:o='%s'>" % (
            SCAN.encode().replace(b"2006/08", b"2006/01")))
    assert read_job_event("JobStatusEvent", body(half)).state == "Held"


def test_the_event_in_a_body():
    assert event_in(body(status_event())) == "JobStatusEvent"
    assert event_in(body(status_event().replace(b"2006/08", b"2006/01"))) == "JobStatusEvent"
    assert event_in(body(announcement("ScannerStatusSummaryEvent"))) == "ScannerStatusSummaryEvent"
    assert event_in(body(get_job_elements())) is None
    assert event_in(None) is None


@pytest.mark.parametrize(("xml", "named"), [
    ("<wscn:JobStatusEvent/>", ()),
    (f"<wscn:X>{OF_7}</wscn:X>", ("7",)),
    (f"<wscn:X><v:JobId xmlns:v='urn:v'> 8 </v:JobId>{OF_7}{OF_7}</wscn:X>", ("8", "7")),
    (f"<wscn:X><wscn:JobId/><wscn:JobId>{'9' * 257}</wscn:JobId></wscn:X>", ()),
    ("<wscn:X>" + "".join(f"<wscn:JobId>{n}</wscn:JobId>" for n in range(17)) + "</wscn:X>", ()),
])
def test_the_jobs_that_a_body_names(xml, named):
    message = envelope("x", xml)
    assert jobs_named(body(message)) == named
    assert jobs_named_in(message.replace(b"</soap:Body>", b"<")) == named


@pytest.mark.parametrize(("data", "named"), [
    (b"", ()), (b"\x00<JobId>7</JobId>", ("7",)), (b"<JobId  a='b'>\n7 8\t</ JobId>", ("7 8",)),
    (b"<JobId>7", ()), (b"<NoJobId>7</NoJobId>", ()), (b"<JobId>&#55;</JobId>", ()), (b"<JobId>\xff</JobId>", ()),
    ("<JobId>7</JobId>".encode("utf-16"), ()), (b"<x:JobId>" * 100000, ()), (b"<JobId>" + b"7 " * 500000, ())])
def test_the_jobs_that_broken_bytes_name(data, named):
    assert jobs_named_in(data) == named


def test_status_events():
    assert read_job_event("JobStatusEvent", body(status_event("7", "Processing", 3))).scans_completed == 3
    assert read_job_event("ScannerStatusSummaryEvent", body(envelope(
        "x", "<wscn:ScannerStatusSummaryEvent/>"))) is None
    assert read_job_event("JobStatusEvent", body(envelope("x", "<wscn:JobStatusEvent/>"))) is None
    assert read_job_event("JobStatusEvent", None) is None
