"""Reads and writes JobStatus and JobEndState, and reads lists of jobs.

WS-Scan, JobStatus, JobState, JobStateReasons, JobEndState. Unknown states and reasons are kept unchanged, and so are
vendor elements, as XML.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import attrs
from lxml import etree

from wsdgateway.scan.jobstates import COMPLETED, FINAL
from wsdgateway.scan.operations import GET_ACTIVE_JOBS, GET_JOB_HISTORY
from wsdgateway.scan.reading import MAX_ID, child, identifier, number, tag
from wsdgateway.soap.fragments import fits, write_fragment
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import escape, text_of

MAX_REASONS = 32
MAX_VENDOR_ELEMENTS = 16
MAX_VENDOR_SIZE = 4096  # characters, without namespace declarations

# The element that holds the jobs in the answer to each operation.
JOB_LISTS = {GET_ACTIVE_JOBS.name: "ActiveJobs", GET_JOB_HISTORY.name: "JobHistory"}

_KNOWN = frozenset(map(tag, (
    "JobId", "JobState", "JobStateReasons", "ScansCompleted", "JobCreatedTime", "JobCompletedTime")))


@attrs.frozen
class JobStatus:
    """The status of a job as the device reported it at one moment. Times are in the device's notation.

    `ended` is true once a JobEndStateEvent has arrived, whatever state it contained.
    """

    job_id: str
    state: str
    reasons: tuple[str, ...] = ()
    scans_completed: int | None = None
    created: str | None = None
    completed: str | None = None
    vendor: tuple[str, ...] = ()
    ended: bool = False

    @property
    def final(self) -> bool:
        """True if the job has ended."""
        return self.ended or self.state in FINAL

    def is_complete(self, images: int) -> bool:
        """Return whether the job is completed, and the device counts no more than that number of images."""
        return self.state == COMPLETED and (self.scans_completed or 0) <= images


def compare_times(one: str, other: str) -> int | None:
    """Compare two JobCreatedTimes: -1, 0 or 1 if the first is earlier, the same or later; None if that is unclear."""
    if one == other:
        return 0
    try:
        first, second = datetime.fromisoformat(one), datetime.fromisoformat(other)
    except ValueError:
        return None
    first, second = (time if time.tzinfo else time.replace(tzinfo=UTC) for time in (first, second))
    return (first > second) - (first < second)


def _reasons(element: etree._Element, name: str) -> tuple[str, ...]:
    listed = child(element, name)
    if listed is None:
        return ()
    found = (text_of(reason) for reason in islice(listed.iterfind(tag("JobStateReason")), MAX_REASONS))
    return tuple(reason for reason in found if reason and len(reason) <= MAX_ID)


def read_job_status(element: etree._Element) -> JobStatus | None:
    """The status in a JobStatus element; None without JobId or JobState."""
    status = _read_known(element)
    if status is None:
        return None
    vendor = map(write_fragment, islice(_unknown(element), MAX_VENDOR_ELEMENTS))
    return attrs.evolve(status, vendor=tuple(xml for xml in vendor if fits(xml, MAX_VENDOR_SIZE)))


def _read_known(element: etree._Element) -> JobStatus | None:
    """The status without the elements that are not in the specification."""
    job_id, state = identifier(element, "JobId"), identifier(element, "JobState")
    if job_id is None or state is None:
        return None
    return JobStatus(job_id, state, _reasons(element, "JobStateReasons"), number(element, "ScansCompleted"),
                     identifier(element, "JobCreatedTime"), identifier(element, "JobCompletedTime"))


def _unknown(element: etree._Element) -> Iterator[etree._Element]:
    return (child for child in element.iterchildren(tag=etree.Element) if child.tag not in _KNOWN)


def read_job_end_state(element: etree._Element) -> JobStatus | None:
    """The final status in a JobEndState element; None without JobId or state.

    Some devices write JobState and JobStateReasons there, as in a JobStatus.
    """
    job_id = identifier(element, "JobId")
    state = identifier(element, "JobCompletedState") or identifier(element, "JobState")
    if job_id is None or state is None:
        return None
    reasons = _reasons(element, "JobCompletedStateReasons") or _reasons(element, "JobStateReasons")
    return JobStatus(job_id, state, reasons, number(element, "ScansCompleted"),
                     identifier(element, "JobCreatedTime"), identifier(element, "JobCompletedTime"), ended=True)


def write_job_status(status: JobStatus) -> str:
    """The JobStatus element in the specification's order; the caller declares the prefix `wscn`."""
    reasons = "".join(f"<wscn:JobStateReason>{escape(reason)}</wscn:JobStateReason>"
                      for reason in status.reasons or ("None",))
    parts = [
        f"<wscn:JobStatus><wscn:JobId>{escape(status.job_id)}</wscn:JobId>"
        f"<wscn:JobState>{escape(status.state)}</wscn:JobState>"
        f"<wscn:JobStateReasons>{reasons}</wscn:JobStateReasons>"
    ]
    if status.scans_completed is not None:
        parts.append(f"<wscn:ScansCompleted>{status.scans_completed}</wscn:ScansCompleted>")
    if status.created:
        parts.append(f"<wscn:JobCreatedTime>{escape(status.created)}</wscn:JobCreatedTime>")
    if status.completed:
        parts.append(f"<wscn:JobCompletedTime>{escape(status.completed)}</wscn:JobCompletedTime>")
    parts.extend(status.vendor)
    parts.append("</wscn:JobStatus>")
    return "".join(parts)


def write_job_end_state(status: JobStatus) -> str:
    """The JobEndState element of a job that has ended; the caller declares the prefix `wscn`.

    JobName and JobOriginatingUserName are required there, and empty, because a status does not contain them.
    """
    reasons = "".join(f"<wscn:JobStateReason>{escape(reason)}</wscn:JobStateReason>"
                      for reason in status.reasons or ("None",))
    scans, completed = status.scans_completed, status.completed
    return (f"<wscn:JobEndState><wscn:JobId>{escape(status.job_id)}</wscn:JobId>"
            f"<wscn:JobCompletedState>{escape(status.state)}</wscn:JobCompletedState>"
            f"<wscn:JobCompletedStateReasons>{reasons}</wscn:JobCompletedStateReasons>"
            "<wscn:JobName></wscn:JobName><wscn:JobOriginatingUserName></wscn:JobOriginatingUserName>"
            f"{'' if scans is None else f'<wscn:ScansCompleted>{scans}</wscn:ScansCompleted>'}"
            f"{f'<wscn:JobCompletedTime>{escape(completed)}</wscn:JobCompletedTime>' if completed else ''}"
            "</wscn:JobEndState>")


def read_summaries(element: etree._Element, listed: str) -> tuple[JobStatus, ...] | None:
    """The jobs of a GetActiveJobs (`listed="ActiveJobs"`) or GetJobHistory (`"JobHistory"`) answer.

    None if the list is missing, which is not the same as an empty one.
    """
    jobs = child(element, listed)
    if jobs is None:
        return None
    found = []
    for summary in jobs.iterchildren(f"{{{WSCN}}}JobSummary", f"{{{WSCN}}}Job"):
        status = child(summary, "JobStatus")
        read = _read_known(summary) if status is None else read_job_status(status)
        if read is not None:
            found.append(read)
    return tuple(found)
