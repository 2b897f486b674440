"""Hostile notifications: absurd, duplicate and contradictory values, floods, and unknown jobs."""

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import EVENTS
from tests.messages import SCAN, end_event, envelope, get_job_elements, job_status, status_event
from wsdgateway.bridge.jobs.jobrecords import MAX_ACTIVE
from wsdgateway.scan.jobstatus import MAX_REASONS, MAX_VENDOR_ELEMENTS, MAX_VENDOR_SIZE
from wsdgateway.scan.reading import MAX_ID
from wsdgateway.soap.parsing import MAX_NAMESPACES


def event(content, name="JobStatusEvent", body=None):
    """Returns a notification with that content."""
    return envelope(f"{SCAN}/{name}", f"<wscn:{body or name}>{content}</wscn:{body or name}>", message_id=None)


def status(after, scans=1):
    """Returns a JobStatusEvent of job 1 with additional elements at its end."""
    return event(job_status("1", "Processing", scans).replace("</wscn:JobStatus>", f"{after}</wscn:JobStatus>"))


# Job 1 is finished and must stay so, and incomplete messages about other jobs must have no effect.
IGNORED = {
    "revived": event(job_status("1", "Processing", 1)),
    "pending-again": event(job_status("1", "Pending", 0)),
    "unknown-state": event(job_status("1", "Exploded", 1)),
    "empty-state": event(job_status("1", "", 1)),
    "long-state": event(job_status("1", "x" * (MAX_ID + 1), 1)),
    "no-status": event(""),
    "text": event("done"),
    "no-id": event("<wscn:JobStatus><wscn:JobState>Processing</wscn:JobState></wscn:JobStatus>"),
    "no-state": event("<wscn:JobStatus><wscn:JobId>5</wscn:JobId></wscn:JobStatus>"),
    "empty-id": event(job_status("", "Processing")),
    "blank-id": event(job_status(" &#9; ", "Processing")),
    "long-id": event(job_status("9" * (MAX_ID + 1), "Processing")),
    "very-long-id": event(job_status("9" * 500000, "Processing")),
    "other-body": event(job_status("5"), body="JobEndStateEvent"),
    "third-namespace": event(job_status("5")).replace(b'2006/08/wdp/scan"', b'2005/01/wdp/scan"'),
    "ticket": event("<wscn:ScanTicket/>"),
    "nested": event(f"<wscn:X>{job_status('5')}</wscn:X>"),
    "scans-negative": status("<wscn:ScansCompleted>-1</wscn:ScansCompleted>", scans=None),
    "end-no-state": event("<wscn:JobEndState><wscn:JobId>5</wscn:JobId></wscn:JobEndState>", "JobEndStateEvent"),
    "end-as-status": event(job_status("5", "Processing"), "JobEndStateEvent"),
    "end-that-goes-on": event(
        "<wscn:JobEndState><wscn:JobId>5</wscn:JobId><wscn:JobState>Held</wscn:JobState></wscn:JobEndState>",
        "JobEndStateEvent",
    ),
    "status-as-end": event("<wscn:JobEndState><wscn:JobId>5</wscn:JobId></wscn:JobEndState>"),
    "elements-nothing": event("", "ScannerElementsChangeEvent"),
    "summary-nothing": event("", "ScannerStatusSummaryEvent"),
    "summary-absurd": event(
        "<wscn:StatusSummary><wscn:ScannerState>On fire</wscn:ScannerState></wscn:StatusSummary>",
        "ScannerStatusSummaryEvent",
    ),
    "summary-long": event(
        "<wscn:StatusSummary><wscn:ScannerState>Idle</wscn:ScannerState><wscn:ScannerStateReasons><wscn:ScannerStateReason>"
        + "x" * 100000
        + "</wscn:ScannerStateReason></wscn:ScannerStateReasons></wscn:StatusSummary>",
        "ScannerStatusSummaryEvent",
    ),
    "condition-flood": event("<wscn:DeviceCondition/>" * 20000, "ScannerStatusConditionEvent"),
    "available": event(
        "<wscn:ClientContext>Scan</wscn:ClientContext><wscn:ScanIdentifier>x</wscn:ScanIdentifier>",
        "ScanAvailableEvent",
    ),
    "available-long": event(f"<wscn:ClientContext>{'x' * 500000}</wscn:ClientContext>", "ScanAvailableEvent"),
    "no-body": envelope(f"{SCAN}/JobStatusEvent", message_id=None),
    "prefix-flood": status("<a/>" * 50000).replace(
        b"<soap:Envelope ",
        b"<soap:Envelope " + b" ".join(b"xmlns:n%d='u'" % n for n in range(MAX_NAMESPACES - 20)) + b" ",
    ),
}

# The values that are read from each status of an unknown job: (state, scans, reasons, created).
LEARNT = {
    "unknown-state": (job_status("{id}", "Exploded", 3), ("Exploded", 3, ("None",), None)),
    "long-state": (job_status("{id}", "x" * MAX_ID, 3), ("x" * MAX_ID, 3, ("None",), None)),
    "markup": (job_status("{id}", "&lt;b&gt;"), ("<b>", 0, ("None",), None)),
    "right-to-left": (job_status("{id}", "\u202e"), ("\u202e", 0, ("None",), None)),
    **{
        f"scans-{number[:12]}": (job_status("{id}", scans=number), ("Processing", None, ("None",), None))
        for number in ("-1", "9999999999", "9" * 5000, "1e3", "NaN", "1.0", "0x1", "many", "\uff11", "1 2", "+1")
    },
    "scans-empty": (job_status("{id}", scans=""), ("Processing", None, ("None",), None)),
    "scans-twice": (
        job_status("{id}", scans="1</wscn:ScansCompleted><wscn:ScansCompleted>2"),
        ("Processing", 1, ("None",), None),
    ),
    "created-absurd": (job_status("{id}", created="yesterday"), ("Processing", 0, ("None",), "yesterday")),
    "created-long": (job_status("{id}", created="9" * 100000), ("Processing", 0, ("None",), None)),
    "completed-before-created": (
        job_status("{id}", created="2026-01-02T00:00:00Z", completed="2026-01-01T00:00:00Z"),
        ("Processing", 0, ("None",), "2026-01-02T00:00:00Z"),
    ),
    "no-reasons": (job_status("{id}", reasons=()), ("Processing", 0, (), None)),
    "many-reasons": (job_status("{id}", reasons=["x"] * 20000), ("Processing", 0, ("x",) * MAX_REASONS, None)),
    "long-reasons": (job_status("{id}", reasons=["x" * 500000, "y"]), ("Processing", 0, ("y",), None)),
    "empty-reasons": (job_status("{id}", reasons=["", " ", "y"]), ("Processing", 0, ("y",), None)),
    "id-twice": (job_status("{id}</wscn:JobId><wscn:JobId>1"), ("Processing", 0, ("None",), None)),
    "status-of-two": (job_status("{id}") + job_status("1"), ("Processing", 0, ("None",), None)),
    "blanks": (job_status(" \n{id}\t", " Pending\r\n"), ("Pending", 0, ("None",), None)),
}

CONTRADICTING = {
    "state-twice": job_status("{id}", "Pending</wscn:JobState><wscn:JobState>Completed"),
    "status-twice": job_status("{id}", "Pending") + job_status("{id}", "Completed"),
}


@pytest.mark.parametrize("message", IGNORED.values(), ids=IGNORED)
@pytest_twisted.ensureDeferred
async def test_useless_notifications_change_nothing(attacked, message):
    outcome = await attacked.send(EVENTS, message)
    assert (outcome.status, outcome.body, outcome.reached) == (202, b"", ())


@pytest.mark.parametrize(("xml", "learnt"), LEARNT.values(), ids=LEARNT)
@pytest_twisted.ensureDeferred
async def test_the_status_of_an_unknown_job_is_bounded_and_affects_no_other_job(gateway, request, xml, learnt):
    job_id = f"job {request.node.callspec.id}"
    before = gateway.state()
    outcome = await gateway.send(EVENTS, event(xml.replace("{id}", job_id)))
    assert (outcome.status, outcome.body) == (202, b"")
    status = gateway.scanner.bridge.table.get(job_id).status
    assert (status.state, status.scans_completed, status.reasons, status.created) == learnt
    answer = await gateway.send("/front-desk/scan", get_job_elements(job_id))
    assert (answer.status, answer.code, answer.reached) == (200, None, ())
    jobs, *others = gateway.state()
    assert (jobs.pop(job_id), [jobs, *others]) == (status, list(before))
    await gateway.check(gateway.state())


@pytest.mark.parametrize("xml", CONTRADICTING.values(), ids=CONTRADICTING)
@pytest_twisted.ensureDeferred
async def test_contradictory_states_cause_a_status_check(gateway, request, xml):
    job_id = f"job {request.node.callspec.id}"
    assert (await gateway.send(EVENTS, event(xml.replace("{id}", job_id)))).status == 202
    assert gateway.scanner.bridge.table.get(job_id).status.state == "Pending"
    answer = await gateway.send("/front-desk/scan", get_job_elements(job_id))
    assert [job_id.encode() in asked.body for asked in answer.reached] == [True]
    await gateway.check(gateway.state())


@pytest_twisted.ensureDeferred
async def test_vendor_elements_are_kept_within_bounds(gateway):
    vendor = "".join(f"<wse:x n='{n}'/>" for n in range(5000))
    for job_id, extra, kept in (
        ("v1", vendor, MAX_VENDOR_ELEMENTS),
        ("v2", f"<v:x xmlns:v='urn:v'>{'x' * MAX_VENDOR_SIZE}</v:x>", 0),
    ):
        message = event(job_status(job_id).replace("</wscn:JobStatus>", f"{extra}</wscn:JobStatus>"))
        assert (await gateway.send(EVENTS, message)).status == 202
        assert len(gateway.scanner.bridge.table.get(job_id).status.vendor) == kept
    await gateway.check(gateway.state())


@pytest.mark.parametrize(
    "name",
    [
        "NoSuchEvent",
        "jobstatusevent",
        "GetJobElements",
        "JobStatusEvent/",
        "",
        "../JobStatusEvent",
        "CreateScanJobResponse",
    ],
)
@pytest_twisted.ensureDeferred
async def test_other_actions_are_refused(attacked, name):
    message = status_event("1").replace(b"scan/JobStatusEvent<", f"scan/{name}<".encode())
    outcome = await attacked.send(EVENTS, message)
    assert (outcome.status, outcome.code) == (400, "ActionNotSupported")


@pytest.mark.parametrize(
    ("content_type", "status"), [(b"text/plain", 415), (b"application/json", 415), (b"multipart/related", 415)]
)
@pytest_twisted.ensureDeferred
async def test_other_media_types_are_refused(attacked, content_type, status):
    assert (await attacked.send(EVENTS, status_event("1"), content_type=content_type)).status == status


@pytest_twisted.ensureDeferred
async def test_a_job_end_event_with_a_state_that_is_not_final_ends_the_job(gateway):
    assert (await gateway.send(EVENTS, end_event("e1", "Terminating", 1))).status == 202
    assert (await gateway.send(EVENTS, status_event("e1", "Processing", 9, message_id=None))).status == 202
    assert gateway.scanner.bridge.table.get("e1").status.final
    await gateway.check(gateway.state())


@pytest_twisted.ensureDeferred
async def test_a_flood_of_jobs_is_bounded(gateway):
    table = gateway.scanner.bridge.table
    from wsdgateway.bridge.events.intake import read_notification

    for number in range(MAX_ACTIVE + 100):
        notification = read_notification(status_event(f"flood {number}", message_id=None))
        gateway.scanner.bridge.notifications.received(notification, 0.0)
    assert len([job for job in table.jobs() if not job.final]) <= MAX_ACTIVE
    assert table.get("1").final
    await gateway.check(gateway.state())
