"""A job of the gateway's own as the store keeps it, so that a start after a crash can cancel it.

A CancelJob for a job that it did not know has crashed a scanner. So after a start the scanner is asked first, and
CancelJob is sent only if its answer shows that this very job is active. Any other job is left to the scanner's own
time-out, a minute after the last RetrieveImage (WS-Scan, RetrieveImage).
"""

import attrs

from wsdgateway.scan.jobstates import ACTIVE
from wsdgateway.scan.jobstatus import JobStatus, compare_times


@attrs.frozen
class OwnJob:
    """A job that the gateway has created at `scanner`; `created` is its JobCreatedTime if the scanner gives one."""

    scanner: str
    job_id: str
    created: str | None = None


def is_still_active(job: OwnJob, status: JobStatus | None) -> bool:
    """Whether the status that the scanner gave for the JobId shows that this job is active.

    A JobId alone does not identify a job, because scanners assign it again.
    """
    return (status is not None and status.job_id == job.job_id and status.state in ACTIVE and not status.ended
            and job.created is not None and status.created is not None
            and compare_times(job.created, status.created) == 0)
