"""What we know of each job, and how fresh it is.

WS-Scan, JobStatus. Events carry no sequence number, so finality, the order of states and the time
of arrival decide (`bridge.jobs.precedence`). Two clocks are kept apart: *moments* count what happened
here, one after the other, and order knowledge; seconds only say how long ago it was confirmed.
An answer counts from the moment its request was sent, an event from its arrival.

The life of a record::

    created ──► no status ──► active ──► final ──► (replaced: a re-used JobId is a new job)
                    ▲            │          │
                    └── absent ──┘          └─ a reboot, or from the store ──► past (`bridge.jobs.pastjobs`)

A reboot makes every record unusable, not unknown: the device is asked, and if it has forgotten the job and has not
given its JobId again, the past record answers. Events that could not be read stand in `bridge.jobs.unreadevents`.
"""

import attrs

from wsdgateway.bridge.jobs.job import NEVER, Job
from wsdgateway.bridge.jobs.jobrecords import JobRecords
from wsdgateway.bridge.jobs.precedence import Verdict, compare, is_other_job, is_same_end, merge
from wsdgateway.bridge.jobs.unreadevents import UnreadEvents
from wsdgateway.scan.jobstates import TERMINATING
from wsdgateway.scan.jobstatus import JobStatus, compare_times
from wsdgateway.soap.fragments import fits

MAX_EXTRA = 65536  # characters, without namespace declarations


class JobTable(JobRecords):
    """The jobs of one scanner. `max_age` and `poll_interval` in seconds, `history` in finished jobs."""

    def __init__(self, *, max_age: float, poll_interval: float, history: int) -> None:
        super().__init__(history)
        self._max_age = max_age
        self._poll_interval = poll_interval
        self._unread = UnreadEvents()
        self._away = NEVER
        self.events_seen = False
        self.listening = False

    def adjust(self, *, max_age: float, poll_interval: float, history: int) -> None:
        """Other bounds, from now on."""
        self._max_age, self._poll_interval = max_age, poll_interval
        self.limit(history)

    @property
    def eventful(self) -> bool:
        """Whether events may be relied on: a subscription is held, and a JobStatusEvent came since the boot."""
        return self.events_seen and self.listening

    def readable(self, job_id: str, now: float, not_before: int | None = None) -> JobStatus | None:
        """The status that may be shown without asking the device; None if it must be asked.

        With `not_before`, a status that counts from that moment or later is fresh whatever the clock says:
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
        """Whether an event that may be about this job could not be read since that moment."""
        return self._unread.since(job_id, moment)

    def forgotten(self, job_id: str, now: float) -> Job | None:
        """The past job that had this JobId last, if the device said within `poll_interval` that it does not know it."""
        return self._past.readable(job_id, now, self._poll_interval)

    # What is learnt.

    def unread(self, jobs: tuple[str, ...]) -> None:
        """An event that names these jobs could not be read; without jobs, it may be about every active one.

        They are asked for at the next read, each at most once per `poll_interval`; a finished job stays as it is.
        """
        # One that is not known yet counts, too: what is told of it later may be older.
        named = [job_id for job_id in jobs if (job := self.get(job_id)) is None or not job.final]
        if named or not jobs:
            self._unread.add(tuple(named), self.moment())

    def created(self, job_id: str, sent: int, *, alone: bool = True) -> bool:
        """CreateScanJob, sent at that moment, was answered with this JobId: a new job, whatever was known.

        False if a reboot has taken it already.
        `alone`: no other CreateScanJob was under way or broke off, whose job could have had this JobId.
        """
        if sent < self._booted:
            self._reused(job_id)
            return False
        old = self.get(job_id)
        if old is not None and old.since > sent and not old.by_answer and alone:
            return True  # its events came before the answer
        past = self._past.get(job_id)
        former = old if old is not None or past is None or past.boot != self.boot else past
        moment = self.moment()
        # A cancel that was answered while this was under way may have been this job's.
        needed = old.needed if old is not None and old.needed > sent else NEVER
        self._begin(Job(job_id, self.boot, since=moment, needed=needed, floor=moment, asked=sent, by_answer=True,
                        reused=former is not None or not alone,
                        former_created=former.status.created if former is not None and former.status else None))
        return True

    def announced(self, status: JobStatus, now: float) -> None:
        """An event said so."""
        moment = self.moment()
        job = self.get(status.job_id)
        if job is None:
            self._unknown_event(status, moment, now)
        elif job.status is None:
            self._first_event(job, status, moment, now)
        elif is_other_job(job.status, status):
            self._other_event(job, status, moment, now)
        elif job.final and job.status.created is None and status.created is not None and not status.final:
            # Late, or of another job with this JobId: a JobEndStateEvent alone does not tell when its job was created.
            self._begin(self._told(status, moment, now, needed=self.moment()))
        else:
            self._next_event(job, job.status, status, moment, now)

    def _fresh(self, status: JobStatus, moment: int, now: float) -> Job:
        return Job(status.job_id, self.boot, since=moment, status=status, as_of=moment, confirmed=now)

    def _told(self, status: JobStatus, moment: int, now: float, *, needed: int, floor: int = NEVER) -> Job:
        """The record of a job that begins with an event; one that names it and could not be read may be newer."""
        settled = NEVER if self._unread.names(status.job_id) else moment
        return attrs.evolve(self._fresh(status, moment, now), needed=needed, floor=floor, asked=settled)

    def _unknown_event(self, status: JobStatus, moment: int, now: float) -> None:
        """Of a job without a record of this boot."""
        past = self._past.get(status.job_id)
        order: int | None = None
        if past is not None and past.boot == self.boot and past.status is not None:
            if status.created and past.status.created:
                order = compare_times(status.created, past.status.created)
            if order in (0, -1) or (order is None and is_same_end(past.status, status)):
                return  # late: of the job that is over, or of an earlier one
        # Of a JobId that an earlier job had: whether this is that job the device must say.
        known = (past is not None or status.job_id in self._jobs) and order != 1
        self._begin(self._told(status, moment, now, needed=self.moment() if known else NEVER))

    def _first_event(self, job: Job, status: JobStatus, moment: int, now: float) -> None:
        if job.reused:
            order = compare_times(status.created, job.former_created) if status.created and job.former_created else None
            if order is None:
                self._store(attrs.evolve(job, needed=moment))  # of which of the two? The device knows.
            if order != 1:
                return  # late, and of the former job
        self._accept(job, status, moment, now)

    def _other_event(self, job: Job, status: JobStatus, moment: int, now: float) -> None:
        assert job.status is not None and job.status.created and status.created
        order = compare_times(status.created, job.status.created)
        if order == 1:
            self._begin(self._told(status, moment, now, needed=self._still_needed(job, status), floor=moment))
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
        """From when a status must count after this event.

        Where a cancel or a doubt is open, the event may have been on its way before: the device must say.
        """
        if job.as_of < job.needed and not status.final and status.state != TERMINATING:
            return self.moment()
        return job.needed

    def answered(self, status: JobStatus, sent: int, sent_at: float) -> bool:
        """The device answered so to a request sent at that moment (`sent_at` in seconds).

        False: something newer is known, nobody may see this answer.
        """
        if sent < self._booted:
            past = self._past.get(status.job_id)
            if past is not None and past.status is not None and not is_same_end(past.status, status):
                self._reused(status.job_id)
            return False
        if not self._take(status, sent, sent_at):
            return False
        job = self._jobs.get(status.job_id)
        if job is not None:  # else it is one too many
            self._jobs[status.job_id] = attrs.evolve(
                job, asked=max(job.asked, sent), asked_at=max(job.asked_at, sent_at))
        self._unread.settle(status.job_id, sent)
        return True

    def _take(self, status: JobStatus, sent: int, sent_at: float) -> bool:
        job = self.get(status.job_id)
        if job is None:
            self._unknown_answer(status, sent, sent_at)
            return True
        if sent < job.floor:
            return False
        known = job.status
        if known is None:
            if sent < job.needed and not status.final:
                return False
            self._store(attrs.evolve(job, status=status, as_of=max(sent, job.needed), confirmed=sent_at))
            return True
        if is_other_job(known, status):
            if sent < max(job.as_of, job.needed):
                return False
            self._begin(attrs.evolve(self._fresh(status, sent, sent_at), floor=sent))
            return True
        return self._next_answer(job, known, status, sent, sent_at)

    def _unknown_answer(self, status: JobStatus, sent: int, sent_at: float) -> None:
        """Of a job without a record of this boot."""
        past = self._past.get(status.job_id)
        if past is not None and past.status is not None and is_same_end(past.status, status) and (
                past.boot == self.boot or (past.status.created and status.created)):
            self._past.drop(status.job_id)
            self._replace(self._fresh(merge(past.status, status), sent, sent_at), was_final=True)
        else:
            self._begin(self._fresh(status, sent, sent_at))

    def _next_answer(self, job: Job, known: JobStatus, status: JobStatus, sent: int, sent_at: float) -> bool:
        if known.final and not status.final and status.state != known.state:
            return False
        if sent >= job.as_of and sent >= job.needed:
            self._store(attrs.evolve(job, status=merge(known, status), as_of=sent, confirmed=sent_at))
            return True
        if status.final and not known.final:
            self._store(attrs.evolve(job, status=merge(known, status), as_of=max(job.as_of, job.needed),
                                     confirmed=max(sent_at, job.confirmed)))
            return True
        if job.as_of < job.needed:
            return False
        merged = merge(known, status)
        if merged == known:
            return True
        if compare(known, status) is Verdict.NEWER and compare(status, known) is not Verdict.NEWER:
            self._store(attrs.evolve(job, status=merged))
            return True
        return False

    def learn_extras(self, job_id: str, extras: tuple[tuple[str, str], ...], sent: int) -> None:
        """ScanTicket and Documents from an answer to a request sent at that moment.

        A job's ticket never changes. Its documents do until it is over, so they are kept only if it
        was over when the request was sent.
        """
        job = self.get(job_id)
        if job is None and sent >= self._booted:
            job = Job(job_id, self.boot, since=sent)
            self._replace(job)
        if job is None or sent < job.floor:
            return
        kept = dict(job.extras)
        for name, xml in extras:
            if not fits(xml, MAX_EXTRA):
                continue
            if name == "ScanTicket" or (job.final and job.as_of <= sent):
                kept[name] = xml
        self._store(attrs.evolve(job, extras=tuple(kept.items())))

    def absent(self, job_id: str, sent: int, now: float) -> bool:
        """The device said now that it does not know this job. False: something newer says otherwise."""
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
        """A CancelJob for this job was answered: no status from before this moment may be shown.

        A finished job can't be cancelled; if the device accepted it all the same, it may be a new job.
        """
        moment = self.moment()
        job = self.get(job_id)
        if accepted:
            self._past.drop(job_id)
        if job is None:
            self._replace(Job(job_id, self.boot, since=NEVER, needed=moment))
        elif accepted or not job.final:
            self._store(attrs.evolve(job, needed=moment))

    def listed(self, statuses: tuple[JobStatus, ...], sent: int, sent_at: float, *,
               complete: bool) -> tuple[bool, bool]:
        """A GetActiveJobs (`complete`: no other job is active) or GetJobHistory answer.

        The first is False if the answer is outdated: by a status that it tells, or by a job that it leaves out. The
        second is True if it lists a finished job as active: then its JobId was used again without our knowing, and the
        device must be asked what it is.
        """
        seen_before, finished_before = set(self._jobs), len(self.newly_finished)
        revived = [status for status in statuses if self._is_revived(status, sent)]
        for status in revived:
            self._store(attrs.evolve(self._jobs[status.job_id], needed=self.moment()))
        current = [self.answered(status, sent, sent_at) for status in statuses if status not in revived]
        named = {status.job_id for status in statuses}
        left_out = any(
            job.boot == self.boot and job.job_id not in named and job.status is not None and job.as_of > sent
            and job.final is not complete for job in self._jobs.values())
        # What ended before we knew of it is the device's history, not ours.
        self.newly_finished[finished_before:] = [
            job for job in self.newly_finished[finished_before:] if job.job_id in seen_before]
        if complete and self.eventful:
            for job in list(self._jobs.values()):
                if (job.boot == self.boot and job.job_id not in named and job.status is not None
                        and not job.final and job.as_of < sent):
                    self._store(attrs.evolve(job, needed=self.moment()))
        return all(current) and not left_out, bool(revived)

    def _is_revived(self, status: JobStatus, sent: int) -> bool:
        job = self.get(status.job_id)
        return (job is not None and job.status is not None and job.final and not status.final
                and status.state != job.status.state and sent >= job.as_of)

    def was_away(self) -> None:
        """The device was out of reach, and its events with it: an active job is asked for before a status is shown.

        Where events are not relied on, a status holds for no longer than `poll_interval` anyway.
        """
        self._away = self.moment()

    def rebooted(self) -> None:
        """The device started again, or may have: nothing known before is shown without asking."""
        super().rebooted()
        self._unread.clear()
        self.events_seen = False
