"""What the job table holds of one job.

WS-Scan, JobStatus.
"""

from math import inf

import attrs

from wsdgateway.scan.jobstatus import JobStatus

MAX_STATES = 50  # of a timeline
NEVER = -1  # a moment before all others


@attrs.frozen
class Job:
    """One job. A status may be shown if it counts from `needed` or later; `since` is the record's first moment.

    Answers to requests from before `floor` speak of a former job with this JobId; `reused` says that there was one,
    `by_answer` that CreateScanJob's answer began the record.
    `asked` is the moment of the newest request that was answered with a status, `asked_at` the same in seconds; events
    from before `asked` that could not be read are settled.
    `confirmed` is in seconds on the caller's clock. `extras` are ScanTicket and Documents as XML. `timeline` has each
    state that became known, and when, in seconds on the same clock.
    """

    job_id: str
    boot: int
    since: int
    floor: int = NEVER
    status: JobStatus | None = None
    as_of: int = NEVER
    needed: int = NEVER
    confirmed: float = 0.0
    asked: int = NEVER
    asked_at: float = -inf
    former_created: str | None = None
    by_answer: bool = False
    reused: bool = False
    extras: tuple[tuple[str, str], ...] = ()
    timeline: tuple[tuple[float, str], ...] = ()

    @property
    def final(self) -> bool:
        """Whether the job is known to be over."""
        return self.status is not None and self.status.final


def traced(job: Job) -> Job:
    """The same, its state in its timeline."""
    if job.status is None or len(job.timeline) >= MAX_STATES or (
            job.timeline and job.timeline[-1][1] == job.status.state):
        return job
    return attrs.evolve(job, timeline=(*job.timeline, (job.confirmed, job.status.state)))
