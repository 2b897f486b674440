"""Makes the job events of one scanner that has none: decides which jobs are asked for, and when an event is due.

WS-Scan, JobStatusEvent and JobEndStateEvent. What the scanner answers is compared with what subscribers were told last,
by the scanner or by the gateway, so that each state is told once. A job's record here::

    CreateScanJob, an image, an active status ──► active ── the end was told ──► told
                                                    │
                                                    ├── neither the scanner nor its GetJobHistory knows it ──► dropped
                                                    └── it was over before anybody listened ──► dropped

Only active jobs are asked for, and only while somebody listens (`net.events.jobpolling`). A scanner's own event is not
sent again to those who got the same from the gateway. The job table judges which status is newer.
"""

from collections import OrderedDict
from collections.abc import Iterable
from math import inf

import attrs

from wsdgateway.bridge.events.eventlog import MAX_AGE
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.jobs.job import NEVER, Job
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.bridge.jobs.precedence import Verdict, compare, is_other_job, merge
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS

MAX_JOBS = 1000  # that are remembered
CALM = 30.0  # a job that has not changed for a time is asked for after this fraction of it: every 10 s after 5 min
# Seconds after the last sign of a job, after which its first known end is no news any more, and `max_age` no longer
# limits the pause: some scanners report ended jobs as active for ever, and these must not add up to a load.
STALE = 3600.0
RECENT = 30.0  # seconds after a job's last image, in which its end is asked for on behalf of a new listener
END_SECONDS = 10.0  # after a final JobStatusEvent, in which the scanner's JobEndStateEvent arrives
MAX_FAILURES = 10  # questions without a status, after which a scanner that refuses them is asked no more
SLACK = 0.01  # seconds by which a question comes later, so that the table finds the last answer too old


@attrs.frozen(eq=False)
class MadeEvent:
    """An event to be made of a job's status. `reached` collects the sinks that it is sent to."""

    name: str
    status: JobStatus
    reached: set[Sink] = attrs.field(factory=set)


@attrs.define(eq=False)
class _Job:
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


class Synthesis:
    """The events that the gateway makes for one scanner. `poll_interval` and `max_age` are in seconds.

    `is_unable` is set if the scanner does not support GetJobElements; it is not asked until one is answered.
    `makes_missing_ends`: JobEndStateEvents are also made for a scanner that has announced the final state itself, since
    they may get lost with another gateway.
    """

    def __init__(self, table: JobTable, *, poll_interval: float, max_age: float, enabled: bool) -> None:
        self._table = table
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._active: dict[str, _Job] = {}
        self._told_before = -inf
        self._is_heard = self._is_refused = False
        self.is_unable = self.makes_missing_ends = False
        self.adjust(poll_interval=poll_interval, max_age=max_age, enabled=enabled)

    def adjust(self, *, poll_interval: float, max_age: float, enabled: bool) -> None:
        """Change the intervals; if not `enabled`, no event is made."""
        self._poll_interval, self._max_age, self.enabled = poll_interval, max_age, enabled

    def take_over(self, former: "Synthesis") -> None:
        """Go on with the table and the jobs of another object."""
        self._table, self._jobs, self._active = former._table, former._jobs, former._active
        self._is_heard, self.makes_missing_ends = former._is_heard, former.makes_missing_ends

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
        self.is_unable = self._is_refused = False
        if job is None:
            if status.final and not known.by_answer:
                return ()  # it ended before it was known here
            job = self._begin(known.job_id, known, now)
        job.since, job.asked_at = known.since, max(job.asked_at, known.asked_at)
        job.is_urgent, job.seeks_history = False, True
        if job.status is not None and not _differs(job.status, status):
            is_owed = job.owes_end and status.final
            if is_owed and job.end_due > -inf:
                return ()  # the scanner's own event may be on its way
            self._told(job, merge(job.status, status))
            return self._make(job, JOB_END_STATE) if is_owed else ()
        if job.status is None and (now - job.sign >= STALE if status.final else
                                   not known.by_answer and now < self._told_before):
            self._told(job, status)
            return ()
        job.sign = now
        self._told(job, status)
        return self._make(job, *((JOB_STATUS, JOB_END_STATE) if status.final else (JOB_STATUS,)))

    def _make(self, job: _Job, *names: str) -> Iterable[MadeEvent]:
        assert job.status is not None
        job.made = {name: MadeEvent(name, job.status) for name in names}
        job.is_end_told = job.is_end_told or JOB_END_STATE in names
        return job.made.values()

    def _sign(self, job_id: str, known: Job | None, now: float) -> None:
        """Take note that the job exists, or that its end may be near."""
        job = self._jobs.get(job_id) if known is None else self._same(known)
        if job is None:
            job = self._begin(job_id, known, now)
        if known is not None:
            job.since = known.since
        if job_id in self._active:
            job.sign = now
            if known is not None and known.closing and not job.is_urgent:
                job.is_urgent, job.earliest = True, self._earliest(now)

    def announced(self, event: str | None, status: JobStatus, now: float) -> set[Sink] | None:
        """Learn from an event of the scanner that the table has learnt from.

        Returns the sinks that got the same, or something newer, from the gateway, and need no repeat.
        """
        if not self.enabled:
            return None
        known = self._table.get(status.job_id)
        job = self._jobs.get(status.job_id) if known is None else self._same(known)
        if job is None or job.status is None:
            job = job or self._begin(status.job_id, known, now)
        elif _repeats(job.status, status):
            self._note_end(job, event, now)
            made = job.made.get(event or "")
            return None if made is None else made.reached
        elif compare(job.status, status) is not Verdict.NEWER:
            return None
        job.sign, job.made = now, {}
        self._told(job, status if job.status is None else merge(job.status, status))
        self._note_end(job, event, now)
        return None

    def _note_end(self, job: _Job, event: str | None, now: float) -> None:
        if job.status is None or not job.status.final:
            return
        if event == JOB_END_STATE:
            job.is_end_told, job.owes_end = True, False
            self._active.pop(job.job_id, None)
        elif self.makes_missing_ends and not job.is_end_told and not job.owes_end:
            job.earliest = job.end_due = now + END_SECONDS
            self._owe_end(job)

    def _owe_end(self, job: _Job) -> None:
        job.owes_end = job.is_urgent = True
        self._active[job.job_id] = job

    def replayed(self, event: str, status: JobStatus, now: float) -> set[Sink] | None:
        """Learn from an event that an earlier owner of the scanner has made, as from one of the scanner.

        Returns the sinks that got it, to be filled by the caller; None if something newer was told since.
        """
        self.announced(event, status, now)
        job = self._jobs.get(status.job_id)
        if not self.enabled or job is None or job.status is None or not _repeats(status, job.status):
            return None
        made = job.made[event] = MadeEvent(event, status)
        return made.reached

    def taken_over(self, now: float) -> None:
        """Go on after the replay of the events of an earlier owner, which may have missed what came after them."""
        for job in self._jobs.values():
            is_over = job.status is not None and job.status.final
            if is_over and not job.is_end_told and now - job.sign < MAX_AGE:
                job.earliest, job.end_due = self._earliest(now), -inf
                self._owe_end(job)
            elif job.owes_end:
                job.owes_end = False
                self.drop(job.job_id)
        self.hurry()

    def overdue(self, job_id: str) -> Iterable[MadeEvent]:
        """The events to be sent for a job whose turn has come, before the scanner is asked: its missing end.

        The scanner is not asked then, since it has announced the final state.
        """
        job = self._jobs.get(job_id)
        if job is None or job.status is None or not job.owes_end or job.end_due == -inf:
            return ()
        self._told(job, job.status)
        return self._make(job, JOB_END_STATE)

    def hurry(self) -> None:
        """Ask for every active job as soon as `poll_interval` allows: an event could not be read."""
        for job in self._active.values():
            job.is_urgent = True

    def _told(self, job: _Job, status: JobStatus) -> None:
        job.status = status
        if status.final:
            job.owes_end = False
            self._active.pop(job.job_id, None)
        else:
            self._active[job.job_id] = job

    def _same(self, known: Job) -> _Job | None:
        """The record here of the job with that record in the table; None if it is another job with the JobId."""
        job = self._jobs.get(known.job_id)
        if job is None or job.since in (known.since, NEVER):
            return job
        is_other = known.by_answer or (job.status is not None and known.status is not None and (
            is_other_job(job.status, known.status) or (job.status.final and not known.status.final)))
        return None if is_other else job

    def _begin(self, job_id: str, known: Job | None, now: float) -> _Job:
        job = _Job(job_id, NEVER if known is None else known.since, now, self._earliest(now))
        if self._is_refused:
            job.failures = MAX_FAILURES - 1
        self._jobs.pop(job_id, None)
        self._jobs[job_id] = self._active[job_id] = job
        if len(self._jobs) > MAX_JOBS:
            oldest = next((one for one in self._jobs if one not in self._active), next(iter(self._jobs)))
            del self._jobs[oldest]
            self._active.pop(oldest, None)
        return job

    def _earliest(self, now: float) -> float:
        """The time of the first question: a scanner that may send events is given time to do so."""
        return now + self._poll_interval if self._table.is_told else now

    # Whom to ask.

    def listened(self, is_heard: bool, now: float) -> None:
        """Record whether somebody listens to job events. Drops the jobs that were over before the first one did.

        These are jobs whose last image was `RECENT` ago, and jobs without a sign for `STALE`.
        """
        began, self._is_heard = is_heard and not self._is_heard, is_heard
        for job in list(self._active.values()) if began else ():
            if now - job.sign >= (RECENT if self._is_closing(job.job_id) else STALE):
                self.drop(job.job_id)

    def _is_closing(self, job_id: str) -> bool:
        known = self._table.get(job_id)
        return known is not None and known.closing

    def next(self, now: float) -> tuple[str, float] | None:
        """The job to be asked for next, and the seconds until then; None if no job is active."""
        if not self.enabled or self.is_unable:
            return None
        found = min(((self._due(job), job.job_id) for job in self._active.values()), default=None)
        return None if found is None else (found[1], max(0.0, found[0] - now))

    def _due(self, job: _Job) -> float:
        pause = self._poll_interval
        if not job.is_urgent:
            unchanged = job.asked_at - job.sign
            calm = unchanged / CALM
            ceiling = max(self._max_age, pause, calm if unchanged >= STALE else 0.0)
            pause = ceiling if self._table.eventful else min(ceiling, max(pause, calm, pause * 2.0 ** job.failures))
        return max(job.earliest, job.asked_at + pause + SLACK)

    def asked(self, job_id: str, now: float) -> None:
        """Record that the job is asked for now, or that the table had the answer."""
        job = self._jobs.get(job_id)
        if job is None:
            return
        job.asked_at, job.is_urgent = now, False
        if now - job.sign >= STALE and self._is_closing(job_id):
            self.drop(job_id)  # this was the last question: the scanner does not end the job

    def answered(self, job_id: str, *, usable: bool) -> None:
        """Record whether the answer contained the status; if not, the pauses grow up to `max_age`."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.failures = 0 if usable else min(job.failures + 1, MAX_FAILURES)

    def is_hopeless(self, job_id: str) -> bool:
        """True if the questions for the job have been answered without its status too often."""
        job = self._jobs.get(job_id)
        return job is not None and job.failures >= MAX_FAILURES

    def refused(self) -> bool:
        """Record that the scanner refuses the questions for a job. Returns True if that is new.

        Until it gives a status, it is asked once for each other job.
        """
        is_new, self._is_refused = not self._is_refused, True
        for job in self._active.values():
            job.failures = max(job.failures, MAX_FAILURES - 1)
        return is_new

    def is_active(self, job_id: str) -> bool:
        """True if the job's end is not known, or was not told."""
        return job_id in self._active

    def takes_history(self, job_id: str) -> bool:
        """True if GetJobHistory is to be asked for a job that the scanner does not know; once, unless it turns up."""
        job = self._jobs.get(job_id)
        if job is None or not job.seeks_history:
            return False
        job.seeks_history = False
        return True

    def seek_history(self, job_id: str) -> None:
        """Let GetJobHistory be asked again for a job: it could not be asked."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.seeks_history = True

    def drop(self, job_id: str) -> None:
        """Ask no more for a job that the scanner no longer knows; no event is made, since its end is not known."""
        self._active.pop(job_id, None)


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
