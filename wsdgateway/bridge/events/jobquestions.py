"""Decides which job of a scanner without events is asked for next, and when.

Only active jobs are asked for, and only while somebody listens (`net.events.jobpolling`).
"""

from wsdgateway.bridge.events.toldjobs import ToldJob, ToldJobs
from wsdgateway.bridge.jobs.jobtable import JobTable

CALM = 30.0  # a job that has not changed for a time is asked for after this fraction of it: every 10 s after 5 min
# Seconds after the last sign of a job, after which its first known end is no news any more, and `max_age` no longer
# limits the pause: some scanners report ended jobs as active for ever, and these must not add up to a load.
STALE = 3600.0
RECENT = 30.0  # seconds after a job's last image, in which its end is asked for on behalf of a new listener
MAX_FAILURES = 10  # questions without a status, after which a scanner that refuses them is asked no more
SLACK = 0.01  # seconds by which a question comes later, so that the table finds the last answer too old


class JobQuestions:
    """The questions for the `jobs` of one scanner. `poll_interval` and `max_age` are in seconds; see `adjust`.

    `is_unable` is set if the scanner does not support GetJobElements; until one is answered, only missing ends are due.
    """

    def __init__(self, table: JobTable, jobs: ToldJobs) -> None:
        self._table = table
        self._jobs = jobs
        self._is_heard = self._is_refused = False
        self.is_unable = False

    def adjust(self, *, poll_interval: float, max_age: float, enabled: bool) -> None:
        """Change the intervals; if not `enabled`, nothing is asked."""
        self._poll_interval, self._max_age, self._enabled = poll_interval, max_age, enabled

    def take_over(self, former: "JobQuestions") -> None:
        """Go on with the table and the jobs of another object."""
        self._table, self._jobs, self._is_heard = former._table, former._jobs, former._is_heard

    def gave_status(self) -> None:
        """Record that the scanner has given the status of a job."""
        self.is_unable = self._is_refused = False

    def hurry(self) -> None:
        """Ask for every active job as soon as `poll_interval` allows: an event could not be read."""
        for job in self._jobs.active.values():
            job.is_urgent = True

    def earliest(self, now: float) -> float:
        """The time of the first question: a scanner that may send events is given time to do so."""
        return now + self._poll_interval if self._table.is_told else now

    @property
    def failures_at_first(self) -> int:
        """The failures that count for a new job: after a refusal, each is asked for once."""
        return MAX_FAILURES - 1 if self._is_refused else 0

    def listened(self, is_heard: bool, now: float) -> None:
        """Record whether somebody listens to job events. Drops the jobs that were over before the first one did.

        These are jobs whose last image was `RECENT` ago, and jobs without a sign for `STALE`.
        """
        began, self._is_heard = is_heard and not self._is_heard, is_heard
        for job in list(self._jobs.active.values()) if began else ():
            if now - job.sign >= (RECENT if self._is_closing(job.job_id) else STALE):
                self.drop(job.job_id)

    def _is_closing(self, job_id: str) -> bool:
        known = self._table.get(job_id)
        return known is not None and known.closing

    def next(self, now: float) -> tuple[str, float] | None:
        """The job to be asked for next, and the seconds until then; None if no job is active."""
        if not self._enabled:
            return None
        found = min(((self._due(job), job.job_id) for job in self._jobs.active.values()
                     if job.owes_end or not self.is_unable), default=None)
        return None if found is None else (found[1], max(0.0, found[0] - now))

    def _due(self, job: ToldJob) -> float:
        pause = self._poll_interval
        if not job.is_urgent:
            unchanged = job.asked_at - job.sign
            calm = unchanged / CALM
            ceiling = max(self._max_age, pause, calm if unchanged >= STALE else 0.0)
            pause = ceiling if self._table.eventful else min(ceiling, max(pause, calm, pause * 2.0 ** job.failures))
        return max(job.earliest, job.asked_at + pause + SLACK)

    def asked(self, job_id: str, now: float) -> None:
        """Record that the job is asked for now, or that the table had the answer."""
        job = self._jobs.known.get(job_id)
        if job is None:
            return
        job.asked_at, job.is_urgent = now, False
        if now - job.sign >= STALE and self._is_closing(job_id):
            self.drop(job_id)  # this was the last question: the scanner does not end the job

    def answered(self, job_id: str, *, usable: bool) -> None:
        """Record whether the answer contained the status; if not, the pauses grow up to `max_age`."""
        job = self._jobs.known.get(job_id)
        if job is not None:
            job.failures = 0 if usable else min(job.failures + 1, MAX_FAILURES)

    def is_hopeless(self, job_id: str) -> bool:
        """True if the questions for the job have been answered without its status too often."""
        job = self._jobs.known.get(job_id)
        return job is not None and job.failures >= MAX_FAILURES

    def refused(self) -> bool:
        """Record that the scanner refuses the questions for a job. Returns True if that is new.

        Until it gives a status, it is asked once for each other job.
        """
        is_new, self._is_refused = not self._is_refused, True
        for job in self._jobs.active.values():
            job.failures = max(job.failures, MAX_FAILURES - 1)
        return is_new

    def needs_answer(self, job_id: str) -> bool:
        """True if the scanner must tell the job's end, which is not known, or which only an earlier owner knew."""
        job = self._jobs.active.get(job_id)
        return job is not None and not job.awaits_own_end

    def takes_history(self, job_id: str) -> bool:
        """True if GetJobHistory is to be asked for a job that the scanner does not know; once, unless it turns up."""
        job = self._jobs.known.get(job_id)
        if job is None or not job.seeks_history:
            return False
        job.seeks_history = False
        return True

    def seek_history(self, job_id: str) -> None:
        """Let GetJobHistory be asked again for a job: it could not be asked."""
        job = self._jobs.known.get(job_id)
        if job is not None:
            job.seeks_history = True

    def drop(self, job_id: str) -> None:
        """Ask no more for a job that the scanner no longer knows; no event is made, since its end is not known."""
        self._jobs.active.pop(job_id, None)
