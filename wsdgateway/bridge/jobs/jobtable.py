"""Keeps the status of each job of one scanner, and decides whether it is fresh enough to be shown.

WS-Scan, JobStatus. Events carry no sequence number, so finality, the order of states and the time of arrival decide
(`bridge.jobs.precedence`). There are two clocks: *moments* count the events and messages here in their order, and
determine which knowledge is newer; seconds only tell how long ago it was confirmed. An answer counts from the moment
its request was sent, an event from its arrival.

The life of a record::

                             the device knows no such job
                          ┌────────────────────────────────┐
                          ▼                                │
    CreateScanJob ──► no status ── event or answer ──► active ── event or answer ──► finished ── reboot ──► past
    or CancelJob          │                                                             ▲
    was answered          └──────────────── event or answer ────────────────────────────┘

A first event or answer also begins a record. A reused JobId begins a new record in place of the previous one. In every
state a doubt (a cancelled job, two contradicting statuses, a JobId that another job had before) makes the status
unusable until the device has been asked: it must count from the moment `Job.needed` or later.

A reboot makes every record unusable, not unknown: the device is asked, and if it has forgotten the job and has not
assigned its JobId again, the past record answers (`bridge.jobs.pastjobs`, which also holds finished jobs from the
store). Unreadable events are in `bridge.jobs.unreadevents`.

After a takeover from another gateway the table begins with the last events that were announced to that one, and all of
it is doubted. An event of a job that is not known here may then be older than what the other gateway has shown, or than
a CancelJob that it has answered, so it is doubted, too, for `LATE_SECONDS`.
"""

from math import inf

import attrs

from wsdgateway.bridge.jobs.job import NEVER, Job
from wsdgateway.bridge.jobs.jobrecords import JobRecords
from wsdgateway.bridge.jobs.precedence import Verdict, compare, is_other_job, is_same_end, merge
from wsdgateway.bridge.jobs.transitions import after_answer, with_extras
from wsdgateway.bridge.jobs.unreadevents import UnreadEvents
from wsdgateway.scan.jobstates import TERMINATING
from wsdgateway.scan.jobstatus import JobStatus, compare_times

LATE_SECONDS = 60.0  # after a takeover in which an event may be one that the scanner could not deliver before


class JobTable(JobRecords):
    """The jobs of one scanner. `max_age` and `poll_interval` are in seconds, `history` in finished jobs.

    `listening` is true if a subscription is held at the scanner, `events_seen` if a JobStatusEvent has arrived since
    its boot. `is_shared` is true while another gateway may serve the scanner, too: events then do not tell everything.
    """

    def __init__(self, *, max_age: float, poll_interval: float, history: int) -> None:
        super().__init__(history)
        self._max_age = max_age
        self._poll_interval = poll_interval
        self._unread = UnreadEvents()
        self._away = NEVER
        self._late_until = -inf
        self.events_seen = False
        self.listening = False
        self.is_shared = False

    def adjust(self, *, max_age: float, poll_interval: float, history: int) -> None:
        """Change the limits."""
        self._max_age, self._poll_interval = max_age, poll_interval
        self.limit(history)

    @property
    def eventful(self) -> bool:
        """True if events may be relied on: a subscription is held, and a JobStatusEvent has arrived since the boot."""
        return self.events_seen and self.is_told

    @property
    def is_told(self) -> bool:
        """True if the scanner tells this gateway of its changes: a subscription is held, and no other gateway acts."""
        return self.listening and not self.is_shared

    def readable(self, job_id: str, now: float, not_before: int | None = None) -> JobStatus | None:
        """The status that may be shown without asking the device; None if it must be asked.

        With `not_before`, a status that counts from that moment or later is fresh whatever its age:
        the device was asked just for this.
        """
        job = self.get(job_id)
        if job is None or job.status is None or job.as_of < job.needed:
            return None
        if job.status.final or (not_before is not None and job.as_of >= not_before):
            return job.status
        if self._unread.latest > job.asked and now - job.asked_at >= self._poll_interval and (
                self._unread.since(job_id, job.asked)):
            return None
        if not self.eventful:
            return job.status if now - job.confirmed < self._poll_interval else None
        return job.status if job.as_of > self._away and now - job.confirmed < self._max_age else None

    def unread_since(self, job_id: str, moment: int) -> bool:
        """Return whether an unreadable event since that moment may concern this job."""
        return self._unread.since(job_id, moment)

    def forgotten(self, job_id: str, now: float) -> Job | None:
        """The past job that last had this JobId, if the device said within `poll_interval` that it does not know it."""
        return self._past.readable(job_id, now, self._poll_interval)

    # Events and answers.

    def unread(self, jobs: tuple[str, ...]) -> None:
        """Record an unreadable event that names these jobs; without jobs it may concern every active one.

        The device is asked for them at the next read, each at most once per `poll_interval`; a finished job stays as it
        is.
        """
        # Unknown jobs count, too: a status that arrives later may be older than the event.
        named = [job_id for job_id in jobs if (job := self.get(job_id)) is None or not job.final]
        if named or not jobs:
            self._unread.add(tuple(named), self.moment())

    def created(self, job_id: str, sent: int, *, alone: bool = True) -> bool:
        """Begin the record of a new job: CreateScanJob, sent at that moment, was answered with this JobId.

        Returns False if a reboot has ended the job already. `alone` is true if no other CreateScanJob was running or
        broke off that could have created a job with this JobId.
        """
        if sent < self._booted:
            self._reused(job_id)
            return False
        old = self.get(job_id)
        if old is not None and old.since > sent and not old.by_answer and alone:
            return True  # its events arrived before the answer
        past = self._past.get(job_id)
        former = old if old is not None or past is None or past.boot != self.boot else past
        moment = self.moment()
        # A CancelJob that was answered in the meantime may have been for this job.
        needed = old.needed if old is not None and old.needed > sent else NEVER
        self._begin(Job(job_id, self.boot, since=moment, needed=needed, floor=moment, asked=sent, by_answer=True,
                        reused=former is not None or not alone,
                        former_created=former.status.created if former is not None and former.status else None))
        self.touch(job_id)
        return True

    def announced(self, status: JobStatus, now: float) -> None:
        """Learn a status from an event that arrived at the time `now`, in seconds."""
        moment = self.moment()
        job = self.get(status.job_id)
        if job is None:
            self._unknown_event(status, moment, now)
        elif job.status is None:
            self._first_event(job, status, moment, now)
        elif is_other_job(job.status, status):
            self._other_event(job, status, moment, now)
        elif job.final and job.status.created is None and status.created is not None and not status.final:
            # Late, or of another job with this JobId: a JobEndStateEvent does not tell when its job was created.
            self._begin(self._announced_first(status, moment, now, needed=self.moment()))
        else:
            self._next_event(job, job.status, status, moment, now)

    def _fresh(self, status: JobStatus, moment: int, now: float) -> Job:
        return Job(status.job_id, self.boot, since=moment, status=status, as_of=moment, confirmed=now)

    def _announced_first(self, status: JobStatus, moment: int, now: float, *, needed: int, floor: int = NEVER) -> Job:
        """A record that begins with an event. An unreadable event that names the job may be newer."""
        settled = NEVER if self._unread.names(status.job_id) else moment
        return attrs.evolve(self._fresh(status, moment, now), needed=needed, floor=floor, asked=settled)

    def _unknown_event(self, status: JobStatus, moment: int, now: float) -> None:
        """Learn from an event of a job without a record of this boot."""
        past = self._past.get(status.job_id)
        order: int | None = None
        if past is not None and past.boot == self.boot and past.status is not None:
            if status.created and past.status.created:
                order = compare_times(status.created, past.status.created)
            if order in (0, -1) or (order is None and is_same_end(past.status, status)):
                return  # late: for the ended job, or an earlier one
        # An earlier job had this JobId: only the device can tell whether the event concerns that job.
        known = ((past is not None or status.job_id in self._jobs) and order != 1) or now < self._late_until
        self._begin(self._announced_first(status, moment, now, needed=self.moment() if known else NEVER))

    def _first_event(self, job: Job, status: JobStatus, moment: int, now: float) -> None:
        if job.reused:
            order = compare_times(status.created, job.former_created) if status.created and job.former_created else None
            if order is None:
                self._store(attrs.evolve(job, needed=moment))  # only the device can tell which of the two it concerns
            if order != 1:
                return  # late, and for the former job
        self._accept(job, status, moment, now)

    def _other_event(self, job: Job, status: JobStatus, moment: int, now: float) -> None:
        assert job.status is not None and job.status.created and status.created
        order = compare_times(status.created, job.status.created)
        if order == 1:
            needed = self._still_needed(job, status)
            self._begin(self._announced_first(status, moment, now, needed=needed, floor=moment))
        elif order is None:
            self._store(attrs.evolve(job, needed=moment))

    def _next_event(self, job: Job, known: JobStatus, status: JobStatus, moment: int, now: float) -> None:
        verdict = compare(known, status)
        if verdict is Verdict.NEWER:
            self._accept(job, merge(known, status), moment, now)
        elif verdict is Verdict.UNSURE:
            self._store(attrs.evolve(job, needed=moment))

    def _accept(self, job: Job, status: JobStatus, moment: int, now: float) -> None:
        needed = self._still_needed(job, status)
        self._store(attrs.evolve(job, status=status, as_of=moment, needed=needed, confirmed=now))

    def _still_needed(self, job: Job, status: JobStatus) -> int:
        """The moment from which a status must count after this event.

        If the device must be asked, for example after a cancel, the event may be older than that, too.
        """
        if job.as_of < job.needed and not status.final and status.state != TERMINATING:
            return self.moment()
        return job.needed

    def answered(self, status: JobStatus, sent: int, sent_at: float) -> bool:
        """Learn a status from the answer to a request sent at that moment (`sent_at` in seconds).

        Returns False if something newer is known, so that this answer must not be shown.
        """
        if sent < self._booted:
            past = self._past.get(status.job_id)
            if past is not None and past.status is not None and not is_same_end(past.status, status):
                self._reused(status.job_id)
            return False
        if not self._take(status, sent, sent_at):
            return False
        job = self._jobs.get(status.job_id)
        if job is not None:  # else the table has no room for it
            self._jobs[status.job_id] = attrs.evolve(
                job, asked=max(job.asked, sent), asked_at=max(job.asked_at, sent_at))
        self._unread.settle(status.job_id, sent)
        self.touch(status.job_id, confirmed=True)
        return True

    def listed(self, status: JobStatus, sent: int, sent_at: float) -> bool:
        """Learn a status from a list of jobs, as `answered` does. Returns False if something newer is known.

        A JobSummary has no times, so the device is asked before the status of a job that was unknown is shown.
        """
        job = self.get(status.job_id)
        is_current = self.answered(status, sent, sent_at)
        if is_current and (job is None or job.status is None) and status.created is None:
            self.distrust(status.job_id)
        return is_current

    def _take(self, status: JobStatus, sent: int, sent_at: float) -> bool:
        job = self.get(status.job_id)
        if job is None:
            self._unknown_answer(status, sent, sent_at)
            return True
        if sent < job.floor:
            return False
        if job.status is not None and is_other_job(job.status, status):
            if sent < max(job.as_of, job.needed):
                return False
            self._begin(attrs.evolve(self._fresh(status, sent, sent_at), floor=sent))
            return True
        after = after_answer(job, status, sent, sent_at)
        if after is not None and after is not job:
            self._store(after)
        return after is not None

    def _unknown_answer(self, status: JobStatus, sent: int, sent_at: float) -> None:
        """Learn from an answer about a job without a record of this boot."""
        past = self._past.get(status.job_id)
        if past is not None and past.status is not None and is_same_end(past.status, status) and (
                past.boot == self.boot or (past.status.created and status.created)):
            self._past.drop(status.job_id)
            self._replace(self._fresh(merge(past.status, status), sent, sent_at), was_final=True)
        else:
            self._begin(self._fresh(status, sent, sent_at))

    def learn_extras(self, job_id: str, extras: tuple[tuple[str, str], ...], sent: int) -> None:
        """Keep ScanTicket and Documents from an answer to a request sent at that moment, if they are still valid."""
        job = self.get(job_id)
        if job is None and sent >= self._booted:
            job = Job(job_id, self.boot, since=sent)
            self._replace(job)
        if job is not None and sent >= job.floor:
            self._store(with_extras(job, extras, sent))

    def absent(self, job_id: str, sent: int, now: float) -> bool:
        """Record that the device does not know this job. Returns False if newer knowledge contradicts this.

        The request was sent at the moment `sent`, and answered at the time `now`, in seconds.
        """
        job = self.get(job_id)
        if sent < self._booted or (job is not None and sent < max(job.floor, job.as_of)):
            return False
        self._past.forgotten(job_id, now)
        if job is not None:
            if job.final:
                self._store(attrs.evolve(job, needed=job.as_of))
            else:
                self._store(attrs.evolve(job, status=None, as_of=NEVER, needed=max(sent, job.needed)))
        return True

    def canceled(self, job_id: str, *, accepted: bool = False) -> None:
        """Record that a CancelJob for this job was answered: no status from before this moment may be shown.

        A finished job can't be cancelled; if the device accepted the CancelJob, it may be a new job.
        """
        moment = self.moment()
        job = self.get(job_id)
        if accepted:
            self._past.drop(job_id)
        if job is None:
            self._replace(Job(job_id, self.boot, since=NEVER, needed=moment))
        elif accepted or not job.final:
            self._store(attrs.evolve(job, needed=moment, closed=moment if accepted else job.closed))

    def out_of_images(self, job_id: str, *, exists: bool = True) -> None:
        """Record that the device has no more images of this job. Its end is not known from that.

        `exists`: the device knows the job, which is news if no such job is known here.
        """
        job = self.get(job_id)
        if job is not None and not job.final:
            self._store(attrs.evolve(job, closed=self.moment()))
            self.touch(job_id)
        elif job is None and exists and self._past.get(job_id) is None:
            self.touch(job_id)

    def gave_image(self, job_id: str) -> None:
        """Record that the device has sent an image of this job, so that it exists."""
        job = self.get(job_id)
        if job is None or not job.final:
            self.touch(job_id)

    def distrust(self, job_id: str) -> None:
        """Require that the device is asked for a job of this boot before its status is shown again."""
        job = self.get(job_id)
        if job is not None:
            self._store(attrs.evolve(job, needed=self.moment()))

    def doubt(self) -> None:
        """Require that the device is asked for each job of this boot before it is shown again."""
        for job in self.current():
            self._store(attrs.evolve(job, needed=self.moment()))

    def taken_over(self, now: float) -> None:
        """Record that another gateway has spoken to the device until now: each job is asked for before it is shown.

        What is known so far are events that were announced to that gateway; `now` is in seconds.
        """
        self.doubt()
        self._late_until = now + LATE_SECONDS

    def was_away(self) -> None:
        """Record that the device was unreachable: events were lost, so it is asked before an active job is shown.

        Without reliable events a status is valid for at most `poll_interval` anyway.
        """
        self._away = self.moment()

    def rebooted(self) -> None:
        """Record that the device restarted, or may have: nothing known before is shown without asking it."""
        super().rebooted()
        self._unread.clear()
        self.events_seen = False
