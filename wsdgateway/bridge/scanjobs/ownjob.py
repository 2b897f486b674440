"""A job of the gateway's own as the store keeps it, so that the next process can cancel it and tell its client.

A client that knows a job's address must not be told that the job has no more pages after the process that had them
has ended. So a job is stored before its client learns of it, and deleted only when its client has nothing to miss.

A CancelJob for a job that it did not know has crashed a scanner. So after a start the scanner is asked first, and
CancelJob is sent only if its answer shows that this very job is active. Any other job is left to the scanner's own
time-out, a minute after the last RetrieveImage (WS-Scan, RetrieveImage).

A JobId alone does not identify a job, because scanners assign it again; the JobCreatedTime does. It is known only when
the scanner has been asked for it, some milliseconds after the JobId. After a crash in between, the scanner's answer
must give a JobCreatedTime, with a time zone, at most `CREATED_SECONDS` from the moment at which CreateScanJob was
answered. A scanner whose clock is wrong, or has no time zone, is left alone. The names in the ticket are no proof: they
are equal for all jobs of a client, and GetJobElements need not return them.
"""

from datetime import datetime

import attrs

from wsdgateway.scan.jobstates import ACTIVE
from wsdgateway.scan.jobstatus import JobStatus, compare_times

CREATED_SECONDS = 10.0


@attrs.frozen
class OwnJob:
    """A job for `scanner`. `id` is the gateway's name for it, `job_id` the scanner's.

    `job_id` is None until the scanner has created the job.
    `created` is its JobCreatedTime if the scanner has given one, else `answered` the time at which CreateScanJob was
    answered, in seconds since 1970. `client` is the address of the client that knows the `id`, empty if there is none.
    """

    scanner: str
    id: str
    job_id: str | None = None
    created: str | None = None
    answered: float | None = None
    client: str = ""


def is_still_active(job: OwnJob, status: JobStatus | None) -> bool:
    """True if the status that the scanner gave for the JobId shows that this job is active."""
    if status is None or job.job_id is None or status.job_id != job.job_id or status.created is None:
        return False
    if status.state not in ACTIVE or status.ended:
        return False
    if job.created is not None:
        return compare_times(job.created, status.created) == 0
    return job.answered is not None and _is_close(status.created, job.answered)


def _is_close(created: str, answered: float) -> bool:
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return False
    return time.tzinfo is not None and abs(time.timestamp() - answered) <= CREATED_SECONDS
