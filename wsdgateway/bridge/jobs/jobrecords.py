"""Holds the records of one scanner's jobs, and limits their number.

Records of an earlier boot are listed but never read. Finished jobs of earlier boots and starts are in
`bridge.jobs.pastjobs`.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from wsdgateway.bridge.jobs.job import NEVER, Job, with_timeline
from wsdgateway.bridge.jobs.pastjobs import PastJobs
from wsdgateway.scan.jobstatus import JobStatus

MAX_ACTIVE = 1000
MAX_TOUCHED = 1000


class JobRecords:
    """The records of jobs; `history` is the number of finished jobs to keep.

    `changed` is the moment of the last known change that a list of jobs would show. `newly_finished` and `reused`
    (JobIds that another, finished job had) are emptied by the caller that stores them. `touched` has the JobIds that
    requests and answers were about, in order and at most `MAX_TOUCHED`, with True if an answer contained the status;
    the caller that makes events of it empties it.
    """

    def __init__(self, history: int) -> None:
        self._history = history
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._former: deque[Job] = deque(maxlen=history)
        self._past = PastJobs(history)
        self._moment = 0
        self._booted = NEVER
        self.changed = NEVER
        self.boot = 0
        self.newly_finished: list[Job] = []
        self.reused: list[str] = []
        self.touched: dict[str, bool] = {}

    def touch(self, job_id: str, *, confirmed: bool = False) -> None:
        """Record that a request or an answer has told something of this job; `confirmed`: the answer had its status."""
        if job_id in self.touched:
            confirmed = self.touched.pop(job_id) or confirmed
        elif len(self.touched) >= MAX_TOUCHED:
            del self.touched[next(iter(self.touched))]
        self.touched[job_id] = confirmed

    def limit(self, history: int) -> None:
        """Change the number of finished jobs to keep, and drop the oldest ones beyond it."""
        self._history = history
        self._former = deque(self._former, maxlen=history)
        self._past.adjust(history)
        self._drop_oldest()

    def moment(self) -> int:
        """A new moment, later than all before it."""
        self._moment += 1
        return self._moment

    def get(self, job_id: str) -> Job | None:
        """The record of a job of this boot, or None."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.boot == self.boot else None

    def job_ids(self) -> set[str]:
        """The JobIds of all records, including those of earlier boots."""
        return set(self._jobs)

    def current(self) -> list[Job]:
        """The records of this boot, oldest first."""
        return [job for job in self._jobs.values() if job.boot == self.boot]

    def jobs(self) -> list[Job]:
        """All jobs that were created or announced, oldest first, also those of reused JobIds and earlier boots."""
        return [job for job in (*self._former, *self._jobs.values()) if job.status is not None or job.by_answer]

    def is_lost(self, job: Job) -> bool:
        """Return whether the scanner rebooted before the job's end."""
        return job.boot != self.boot and not job.final

    def remember(self, statuses: Iterable[JobStatus]) -> None:
        """Add jobs that finished in earlier starts of the gateway, oldest first, one for each JobId."""
        for status in statuses:
            if status.job_id not in self._jobs:
                self._past.add(Job(status.job_id, self.boot, since=NEVER, status=status))

    def rebooted(self) -> None:
        """Record that the device restarted, or may have: finished jobs become past jobs of an earlier boot."""
        for job in self._jobs.values():
            if job.final and job.boot == self.boot:
                self._past.add(job)
        self.boot += 1
        self._booted = self.changed = self.moment()

    def _begin(self, job: Job) -> None:
        """Add the record of a new job."""
        self._reused(job.job_id)
        self._replace(job)

    def _reused(self, job_id: str) -> None:
        """Record that this JobId now belongs to another job; the gateway no longer answers for the earlier one."""
        old = self._jobs.get(job_id)
        if self._past.drop(job_id) is not None or (old is not None and old.final):
            self.reused.append(job_id)

    def _replace(self, job: Job, *, was_final: bool = False) -> None:
        old = self._jobs.pop(job.job_id, None)
        if old is not None and old.final and not (job.final and old.status == job.status):
            self._former.append(old)
        self._finished.pop(job.job_id, None)
        self.changed = self.moment()
        job = self._jobs[job.job_id] = with_timeline(job)
        self._settle(job, was_final=was_final or (old is not None and old.status == job.status))

    def _store(self, job: Job) -> None:
        old = self._jobs[job.job_id]
        was_final = old.final
        if job.status != old.status or job.needed != old.needed:
            self.changed = self.moment()
        job = self._jobs[job.job_id] = with_timeline(job)
        self._settle(job, was_final=was_final)

    def _drop_oldest(self) -> None:
        """Drops the oldest finished jobs beyond the history."""
        while len(self._finished) > self._history:
            job_id, _ = self._finished.popitem(last=False)
            del self._jobs[job_id]

    def _settle(self, job: Job, *, was_final: bool) -> None:
        if job.final and not was_final:
            self.newly_finished.append(job)
        if job.final and job.job_id not in self._finished:
            self._finished[job.job_id] = None
            self._drop_oldest()
        if len(self._jobs) - len(self._finished) > MAX_ACTIVE:
            oldest = next(job_id for job_id in self._jobs if job_id not in self._finished)
            del self._jobs[oldest]
