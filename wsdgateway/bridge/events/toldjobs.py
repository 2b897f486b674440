"""The jobs of one scanner without events, and what subscribers were told of each.

A job's record::

    CreateScanJob, an image, an active status ──► active ── the end was told ──► told
                                                    │
                                                    ├── neither the scanner nor its GetJobHistory knows it,
                                                    │   nor did an earlier owner ──► dropped
                                                    └── it was over before anybody listened ──► dropped
"""

from collections import OrderedDict
from math import inf

import attrs

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.scan.jobstatus import JobStatus

MAX_JOBS = 1000  # that are remembered


@attrs.frozen(eq=False)
class MadeEvent:
    """An event to be made of a job's status. `reached` collects the sinks that it is sent to."""

    name: str
    status: JobStatus
    reached: set[Sink] = attrs.field(factory=set)


@attrs.define(eq=False)
class ToldJob:
    """A job, and what subscribers were told of it.

    `made` are the gateway's events about `status`, by name; empty if the scanner's own event told it. `since` is the
    first moment of the record in the job table. Times are in seconds: `sign` of the last change, `asked_at` of the last
    question, `earliest` of the next one. `is_end_told`: its JobEndStateEvent was sent. `owes_end`: that event is made,
    because the scanner's own may have been sent to a gateway that has failed: at `end_due`, or once the scanner has
    confirmed an end of which an earlier owner was told.
    """

    job_id: str
    since: int
    sign: float
    earliest: float
    status: JobStatus | None = None
    made: dict[str, MadeEvent] = attrs.field(factory=dict)
    asked_at: float = -inf
    failures: int = 0
    is_urgent: bool = False
    seeks_history: bool = True
    is_end_told: bool = False
    owes_end: bool = False
    end_due: float = -inf

    @property
    def awaits_own_end(self) -> bool:
        """True until `end_due` if the scanner's own JobEndStateEvent may still come; nothing is asked until then."""
        return self.owes_end and self.end_due > -inf


class ToldJobs:
    """The jobs of one scanner, at most `MAX_JOBS`. `active` are those whose end is not known, or was not told."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, ToldJob] = OrderedDict()
        self.active: dict[str, ToldJob] = {}

    def begin(self, job: ToldJob) -> None:
        """Add an active job. One with the same JobId is forgotten, and the oldest one if there are too many."""
        self.known.pop(job.job_id, None)
        self.known[job.job_id] = self.active[job.job_id] = job
        if len(self.known) > MAX_JOBS:
            oldest = next((one for one in self.known if one not in self.active), next(iter(self.known)))
            del self.known[oldest]
            self.active.pop(oldest, None)

    def told(self, job: ToldJob, status: JobStatus) -> None:
        """Record that subscribers were told a status."""
        job.status = status
        if status.final:
            job.owes_end = False
            self.active.pop(job.job_id, None)
        else:
            self.active[job.job_id] = job

    def owe_end(self, job: ToldJob) -> None:
        """Record that the job's JobEndStateEvent is to be made, unless the scanner sends it before."""
        job.owes_end = job.is_urgent = True
        self.active[job.job_id] = job
