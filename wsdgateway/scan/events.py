"""The events of WS-Scan that speak of jobs.

WS-Scan, JobStatusEvent and JobEndStateEvent.
"""

from lxml import etree

from wsdgateway.scan.jobstatus import JobStatus, read_job_end_state, read_job_status
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS
from wsdgateway.scan.reading import child, tag


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
