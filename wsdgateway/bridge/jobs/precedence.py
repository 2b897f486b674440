"""Compares two statuses of one job to find the newer one, since they have no sequence numbers.

WS-Scan, JobState and JobStatus: a finished job stays finished, states have an order, ScansCompleted grows. If these do
not decide, the order of arrival does; if that may be misleading, too, the device is asked.
"""

from enum import Enum

import attrs

from wsdgateway.scan.jobstates import ABORTED, CANCELED, RANK, TERMINATING
from wsdgateway.scan.jobstatus import JobStatus, compare_times


class Verdict(Enum):
    """The result of comparing a newly arrived status with the known one."""

    NEWER = "newer"
    OLDER = "older"
    UNSURE = "unsure"


def is_other_job(known: JobStatus, status: JobStatus) -> bool:
    """Return whether the two belong to different jobs with the same JobId, by their JobCreatedTime."""
    return bool(known.created and status.created and compare_times(known.created, status.created) != 0)


def is_same_end(known: JobStatus, status: JobStatus) -> bool:
    """Return whether two statuses of one JobId report the end of the same job, as far as their times show."""
    return (known.final and status.final and known.state == status.state and not is_other_job(known, status)
            and (not known.completed or not status.completed
                 or compare_times(known.completed, status.completed) in (0, None)))


def compare(known: JobStatus, status: JobStatus) -> Verdict:
    """Compare a newly arrived status with the known one of the same job."""
    if known.final:
        return _after_the_end(known, status)
    if status.final:
        return Verdict.NEWER
    before, after = RANK.get(known.state), RANK.get(status.state)
    if before is None or after is None or known.state != status.state:
        if before is None or after is None or before == after:
            return Verdict.NEWER
        return Verdict.NEWER if after > before else Verdict.OLDER
    return _by_scans(known, status)


def _after_the_end(known: JobStatus, status: JobStatus) -> Verdict:
    if known.state == TERMINATING and status.state in (CANCELED, ABORTED):
        return Verdict.NEWER
    if not status.final or (status.state == TERMINATING and known.state in (CANCELED, ABORTED)):
        return Verdict.OLDER
    if status.state != known.state:
        return Verdict.UNSURE
    return _by_scans(known, status)


def _by_scans(known: JobStatus, status: JobStatus) -> Verdict:
    """Compare by ScansCompleted: a lower count than before is either a late message or a correction."""
    if (known.scans_completed is not None and status.scans_completed is not None
            and status.scans_completed < known.scans_completed):
        return Verdict.UNSURE
    return Verdict.NEWER


def merge(known: JobStatus, status: JobStatus) -> JobStatus:
    """The newer status, with missing values taken from the known one."""
    return attrs.evolve(
        status,
        scans_completed=known.scans_completed if status.scans_completed is None else status.scans_completed,
        created=status.created or known.created,
        completed=status.completed or known.completed,
        reasons=status.reasons or (known.reasons if status.state == known.state else ()),
        vendor=status.vendor or known.vendor,
        ended=status.ended or known.ended,
    )
