"""The job table's record of one job.

WS-Scan, JobStatus.
"""

from math import inf

import attrs

from wsdgateway.scan.jobstatus import JobStatus

MAX_STATES = 50  # in a timeline
NEVER = -1  # a moment before all others


@attrs.frozen
class Job:
    """The record of one job. All integers but `boot` are moments of the job table; times are seconds on one clock.

    `since` is the record's first moment. `status` counts from the moment `as_of`, and may be shown if that is not
    before `needed`; it was last confirmed at the time `confirmed`. Answers to requests from before `floor` concern a
    former job with this JobId; `reused` is true if there was one, `former_created` is its JobCreatedTime, and
    `by_answer` is true if CreateScanJob's answer began the record. `asked` is the moment of the newest request that was
    answered with a status, `asked_at` its time; unreadable events from before `asked` are settled. `closed` is the
    moment at which the scanner refused an image because there are no more, or accepted a CancelJob. `extras` are
    ScanTicket and Documents as XML. `timeline` has each state that became known, with its time.
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
    closed: int = NEVER
    former_created: str | None = None
    by_answer: bool = False
    reused: bool = False
    extras: tuple[tuple[str, str], ...] = ()
    timeline: tuple[tuple[float, str], ...] = ()

    @property
    def final(self) -> bool:
        """True if the job is known to have ended."""
        return self.status is not None and self.status.final

    @property
    def closing(self) -> bool:
        """True if the job gives no more images and its end is not known, so that its state is no longer known, either.

        A scanner without events is not asked for the end of a job while nobody wants to know it.
        """
        return not self.final and self.closed > self.as_of


def with_timeline(job: Job) -> Job:
    """The record with its current state added to the timeline."""
    if job.status is None or len(job.timeline) >= MAX_STATES or (
            job.timeline and job.timeline[-1][1] == job.status.state):
        return job
    return attrs.evolve(job, timeline=(*job.timeline, (job.confirmed, job.status.state)))
