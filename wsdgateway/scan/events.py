"""The events of WS-Scan that speak of jobs, or of the scanner's state.

WS-Scan, JobStatusEvent, JobEndStateEvent and ScannerStatusSummaryEvent.
"""

from lxml import etree

from wsdgateway.scan.jobstatus import JobStatus, read_job_end_state, read_job_status
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS
from wsdgateway.scan.reading import child, tag, text

SCANNER_STATES = ("Idle", "Processing", "Stopped")
MAX_REASON = 64


def read_job_event(event: str, body: etree._Element | None) -> JobStatus | None:
    """The status that a job event announces; None where it is another event or says nothing readable."""
    if body is None or body.tag != tag(event):
        return None
    if event == JOB_STATUS:
        element = child(body, "JobStatus")
        return None if element is None else read_job_status(element)
    if event == JOB_END_STATE:
        element = child(body, "JobEndState")
        return None if element is None else read_job_end_state(element)
    return None


def read_scanner_state(body: etree._Element | None) -> str | None:
    """The scanner's state in a ScannerStatusSummaryEvent, with the first of its reasons; None where it tells none."""
    summary = None if body is None else child(body, "StatusSummary")
    state = None if summary is None else text(summary, "ScannerState")
    if summary is None or state not in SCANNER_STATES:
        return None
    reasons = child(summary, "ScannerStateReasons")
    reason = None if reasons is None else text(reasons, "ScannerStateReason")
    return state if reason is None or reason == "None" else f"{state}: {reason[:MAX_REASON]}"
