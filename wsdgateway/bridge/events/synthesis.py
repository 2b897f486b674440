"""Makes the job events of one scanner that has none: decides when an event is due.

WS-Scan, JobStatusEvent and JobEndStateEvent. What the scanner answers is compared with what subscribers were told last,
by the scanner or by the gateway, so that each state is told once. `bridge.events.toldjobs` has the jobs and the states
of their records, `bridge.events.jobquestions` decides which jobs are asked for. A scanner's own event is not sent again
to those who got the same from the gateway. The job table judges which status is newer.
"""

from collections.abc import Iterable
from math import inf

from wsdgateway.bridge.events.eventlog import MAX_AGE
from wsdgateway.bridge.events.jobquestions import STALE, JobQuestions
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.toldjobs import MadeEvent, ToldJob, ToldJobs
from wsdgateway.bridge.jobs.job import NEVER, Job
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.bridge.jobs.precedence import Verdict, compare, is_other_job, merge
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS

END_SECONDS = 10.0  # after a final JobStatusEvent, in which the scanner's JobEndStateEvent arrives


class Synthesis:
    """The events that the gateway makes for one scanner. `poll_interval` and `max_age` are in seconds.

    `questions` are those to the scanner, from whose answers the events follow. `makes_missing_ends`: JobEndStateEvents
    are also made for a scanner that has announced the final state itself, since they may get lost with another gateway.
    """

    def __init__(self, table: JobTable, *, poll_interval: float, max_age: float, enabled: bool) -> None:
        self._table = table
        self._jobs = ToldJobs()
        self._told_before = -inf
        self.questions = JobQuestions(table, self._jobs)
        self.makes_missing_ends = False
        self.adjust(poll_interval=poll_interval, max_age=max_age, enabled=enabled)

    def adjust(self, *, poll_interval: float, max_age: float, enabled: bool) -> None:
        """Change the intervals; if not `enabled`, no event is made."""
        self.enabled = enabled
        self.questions.adjust(poll_interval=poll_interval, max_age=max_age, enabled=enabled)

    def take_over(self, former: "Synthesis") -> None:
        """Go on with the table and the jobs of another object."""
        self._table, self._jobs = former._table, former._jobs
        self.questions.take_over(former.questions)
        self.makes_missing_ends = former.makes_missing_ends

    def restored(self, now: float) -> None:
        """Go on with subscriptions of an earlier start.

        Subscribers may know the state of a job that began before, so its first state here is not told, only its changes
        and its end.
        """
        self._told_before = now + STALE

    # What becomes known.

    def learnt(self, now: float) -> list[MadeEvent]:
        """Learn what the table has learnt from requests and answers. Returns the events to be sent, in order."""
        if not self._table.touched:
            return []
        touched, self._table.touched = self._table.touched, {}
        made: list[MadeEvent] = []
        if self.enabled:
            for job_id, confirmed in touched.items():
                made.extend(self._touched(job_id, confirmed, now))
        return made

    def _touched(self, job_id: str, confirmed: bool, now: float) -> Iterable[MadeEvent]:
        known = self._table.get(job_id)
        if known is None or known.status is None or not confirmed:
            self._sign(job_id, known, now)
            return ()
        status, job = known.status, self._same(known)
        self.questions.gave_status()
        if job is None:
            if status.final and not known.by_answer:
                return ()  # it ended before it was known here
            job = self._begin(known.job_id, known, now)
        job.since, job.asked_at = known.since, max(job.asked_at, known.asked_at)
        job.is_urgent, job.seeks_history = False, True
        if job.status is not None and not _differs(job.status, status):
            if job.awaits_own_end and status.final:
                return ()
            is_owed = job.owes_end and status.final
            self._jobs.told(job, merge(job.status, status))
            return self._make(job, JOB_END_STATE) if is_owed else ()
        if job.status is None and (now - job.sign >= STALE if status.final else
                                   not known.by_answer and now < self._told_before):
            self._jobs.told(job, status)
            return ()
        job.sign = now
        self._jobs.told(job, status)
        return self._make(job, *((JOB_STATUS, JOB_END_STATE) if status.final else (JOB_STATUS,)))

    def _make(self, job: ToldJob, *names: str) -> Iterable[MadeEvent]:
        assert job.status is not None
        job.made = {name: MadeEvent(name, job.status) for name in names}
        job.is_end_told = job.is_end_told or JOB_END_STATE in names
        return job.made.values()

    def _sign(self, job_id: str, known: Job | None, now: float) -> None:
        """Take note that the job exists, or that its end may be near."""
        job = self._jobs.known.get(job_id) if known is None else self._same(known)
        if job is None:
            job = self._begin(job_id, known, now)
        if known is not None:
            job.since = known.since
        if job_id in self._jobs.active:
            job.sign = now
            if known is not None and known.closing and not job.is_urgent:
                job.is_urgent, job.earliest = True, self.questions.earliest(now)

    def announced(self, event: str | None, status: JobStatus, now: float) -> set[Sink] | None:
        """Learn from an event of the scanner that the table has learnt from.

        Returns the sinks that got the same, or something newer, from the gateway, and need no repeat.
        """
        if not self.enabled:
            return None
        known = self._table.get(status.job_id)
        job = self._jobs.known.get(status.job_id) if known is None else self._same(known)
        if job is None or job.status is None:
            job = job or self._begin(status.job_id, known, now)
        elif _repeats(job.status, status):
            self._note_end(job, event, now)
            made = job.made.get(event or "")
            return None if made is None else made.reached
        elif compare(job.status, status) is not Verdict.NEWER:
            return None
        job.sign, job.made = now, {}
        self._jobs.told(job, status if job.status is None else merge(job.status, status))
        self._note_end(job, event, now)
        return None

    def _note_end(self, job: ToldJob, event: str | None, now: float) -> None:
        if job.status is None or not job.status.final:
            return
        if event == JOB_END_STATE:
            job.is_end_told, job.owes_end = True, False
            self._jobs.active.pop(job.job_id, None)
        elif self.makes_missing_ends and not job.is_end_told and not job.owes_end:
            job.earliest = job.end_due = now + END_SECONDS
            self._jobs.owe_end(job)

    def replayed(self, event: str, status: JobStatus, now: float) -> set[Sink] | None:
        """Learn from an event that an earlier owner of the scanner has made, as from one of the scanner.

        Returns the sinks that got it, to be filled by the caller; None if something newer was told since.
        """
        self.announced(event, status, now)
        job = self._jobs.known.get(status.job_id)
        if not self.enabled or job is None or job.status is None or not _repeats(status, job.status):
            return None
        made = job.made[event] = MadeEvent(event, status)
        return made.reached

    def taken_over(self, now: float) -> None:
        """Go on after the replay of the events of an earlier owner, which may have missed what came after them."""
        for job in self._jobs.known.values():
            is_over = job.status is not None and job.status.final
            if is_over and not job.is_end_told and now - job.sign < MAX_AGE:
                job.earliest, job.end_due = self.questions.earliest(now), -inf
                self._jobs.owe_end(job)
            elif job.owes_end:
                job.owes_end = False
                self.questions.drop(job.job_id)
        self.questions.hurry()

    def overdue(self, job_id: str) -> Iterable[MadeEvent]:
        """The events to be sent for a job whose turn has come, before the scanner is asked: its missing end.

        The scanner is not asked then, since it has announced the final state.
        """
        job = self._jobs.known.get(job_id)
        return () if job is None or not job.awaits_own_end else self._make_owed(job)

    def unconfirmed(self, job_id: str) -> Iterable[MadeEvent]:
        """The events to be sent for a job of which the scanner tells nothing: its end, if an earlier owner knew it."""
        job = self._jobs.known.get(job_id)
        return () if job is None or not job.owes_end else self._make_owed(job)

    def _make_owed(self, job: ToldJob) -> Iterable[MadeEvent]:
        assert job.status is not None
        self._jobs.told(job, job.status)
        return self._make(job, JOB_END_STATE)

    def _same(self, known: Job) -> ToldJob | None:
        """The record here of the job with that record in the table; None if it is another job with the JobId."""
        job = self._jobs.known.get(known.job_id)
        if job is None or job.since in (known.since, NEVER):
            return job
        is_other = known.by_answer or (job.status is not None and known.status is not None and (
            is_other_job(job.status, known.status) or (job.status.final and not known.status.final)))
        return None if is_other else job

    def _begin(self, job_id: str, known: Job | None, now: float) -> ToldJob:
        job = ToldJob(job_id, NEVER if known is None else known.since, now, self.questions.earliest(now),
                      failures=self.questions.failures_at_first)
        self._jobs.begin(job)
        return job


def _differs(told: JobStatus, status: JobStatus) -> bool:
    """True if a status of the same job is news to those who were told the other one."""
    if told.final and status.final:
        return told.state != status.state
    both = merge(told, status)
    return (both.state != told.state or _reasons(both) != _reasons(told)
            or (both.scans_completed or 0) != (told.scans_completed or 0))


def _reasons(status: JobStatus) -> set[str]:
    return set(status.reasons) - {"None"}


def _repeats(told: JobStatus, status: JobStatus) -> bool:
    """True if an event is late: it announces what was told, or an earlier state."""
    if told.final or status.final:
        return told.final and (not status.final or told.state == status.state)
    return compare(told, status) is not Verdict.NEWER or not _differs(told, status)
