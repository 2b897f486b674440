"""The promises of the job table as clients can see them: what everybody was shown, and whether it may be so.

A read counts from when it was sent to when its answer was there: of two that overlap neither is the later one. What an
event told a subscriber was shown, too. A job is told apart by scanner, JobId and JobCreatedTime.
"""

import time
from datetime import datetime

import attrs

PHASES = {"Creating": 0, "Pending": 1, "Held": 1, "Started": 2, "Processing": 3, "Terminating": 4, "Completed": 5,
          "Canceled": 5, "Aborted": 5}
FINAL = 5
CLOCK_SLACK = 0.05  # JobCreatedTime is to the millisecond, on the same machine's clock
KEPT_MOMENTS = 200  # of what was shown of one job
MOST_EVIDENCE = 20


@attrs.frozen
class Shown:
    """What somebody was shown, from `moment` on."""

    moment: float
    rank: tuple[int, int]
    state: str


@attrs.define(eq=False)
class _Id:
    """A JobId of one scanner: the jobs that have had it, by their time of creation."""

    jobs: dict[str, list[Shown]] = attrs.field(factory=dict)
    created: list[tuple[float, float]] = attrs.field(factory=list)  # wall time sent, moment answered
    canceled: dict[str, float] = attrs.field(factory=dict)


def seconds_of(text):
    """An xs:dateTime in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


class Ledger:
    """Takes what was asked and shown; `broken` says in words which promise did not hold, with the evidence."""

    def __init__(self, moment=time.monotonic):
        self.moment = moment
        self.reads = self.events = self.checked = 0
        self.broken = []
        self._ids = {}
        self._attempts = {}

    def accuse(self, promise, evidence):
        """A promise is broken."""
        if len(self.broken) < MOST_EVIDENCE:
            self.broken.append(f"promise {promise}: {evidence}")

    def _id(self, scanner, job_id):
        return self._ids.setdefault((scanner, job_id), _Id())

    # What clients do.

    def creating(self, scanner):
        """Somebody sends CreateScanJob."""
        self._attempts.setdefault(scanner, []).append(time.time())

    def created(self, scanner, job_id, sent):
        """It was answered with that JobId; `sent` in seconds since 1970."""
        self._id(scanner, job_id).created.append((sent, self.moment()))

    def canceled(self, scanner, job_id, created):
        """A CancelJob for the job of that JobCreatedTime was answered, and the scanner did it."""
        self._id(scanner, job_id).canceled.setdefault(created, self.moment())

    # What they are shown.

    def read(self, scanner, asked, status, sent):
        """A JobStatus in an answer to a request for the job `asked`, sent at that moment."""
        self.reads += 1
        where = f"{scanner}, job {asked}, at {time.time():.3f}"
        if status is None or status.job_id != asked or status.state not in PHASES or status.created is None:
            self.accuse(6, f"{where}: an answer that the scanner can't have given: {status}")
            return
        known = self._id(scanner, asked)
        self._is_real(scanner, status, where)
        self._is_current(known, status, sent, where)
        self._is_no_older(known, status, sent, where)
        canceled = known.canceled.get(status.created)
        if canceled is not None and canceled < sent and PHASES[status.state] < 4:
            self.accuse(4, f"{where}: {status.state}, {sent - canceled:.3f} s after its CancelJob was answered")
        self.checked += 1
        self._show(known, status)

    def event(self, scanner, status):
        """A JobStatusEvent that a subscriber was told."""
        self.events += 1
        if status is not None and status.created is not None and status.state in PHASES:
            self._show(self._id(scanner, status.job_id), status)

    def answered_unknown(self, scanner, job_id, body):
        """A status came for a job that nobody has ever made."""
        self.accuse(6, f"{scanner}: job {job_id} never was, and has a status: {body[:300]!r}")

    # Whether that may be so.

    def _is_real(self, scanner, status, where):
        """Each job was made by one of us."""
        made = seconds_of(status.created)
        if not any(began - CLOCK_SLACK <= made for began in self._attempts.get(scanner, ())):
            self.accuse(6, f"{where}: created {status.created}, before anybody asked for a job")

    def _is_current(self, known, status, sent, where):
        """Promise 2: a JobId that is used again is a new job."""
        made = seconds_of(status.created)
        for began, answered in known.created:
            if answered < sent and made < began - CLOCK_SLACK:
                self.accuse(2, f"{where}: of the job created {status.created}, but one asked for at {began:.3f} has "
                               "that JobId since then")
                return
        for created, shown in known.jobs.items():
            if seconds_of(created) > made and shown[0].moment < sent:
                self.accuse(2, f"{where}: of the job created {status.created}, after one created {created} was shown")
                return

    def _is_no_older(self, known, status, sent, where):
        """Promises 1 and 2: never older than what was shown; what is final stays as it is."""
        rank = _rank(status)
        for shown in reversed(known.jobs.get(status.created, ())):
            if shown.moment >= sent:
                continue
            if rank < shown.rank:
                self.accuse(1, f"{where}: {status.state} {rank}, {sent - shown.moment:.3f} s after {shown.state} "
                               f"{shown.rank} had been shown")
            elif shown.rank[0] == FINAL and status.state != shown.state:
                self.accuse(2, f"{where}: {status.state} after {shown.state}")
            return

    def _show(self, known, status):
        """What counts is the furthest that was shown up to each moment."""
        shown = known.jobs.setdefault(status.created, [])
        rank = _rank(status)
        if not shown or rank > shown[-1].rank:
            shown.append(Shown(self.moment(), rank, status.state))
            del shown[:-KEPT_MOMENTS]

    def prune(self, seconds):
        """Forget the jobs that ended so long ago that nobody asks for them any more."""
        before = self.moment() - seconds
        for key, known in list(self._ids.items()):
            for created, shown in list(known.jobs.items()):
                if shown[-1].moment < before and len(known.jobs) > 1:
                    del known.jobs[created]
                    known.canceled.pop(created, None)
            del known.created[:-10]
            if not known.jobs and not known.created:
                del self._ids[key]


def _rank(status):
    return PHASES[status.state], status.scans_completed or 0


class RateLimit:
    """Promise 5, seen from a scanner without events: how often it is asked for one job's status.

    `lag` measures by how much two requests may seem closer together here than the gateway sent them, on a machine with
    other load. `unjudged` counts requests for which that leaves nothing to compare.
    """

    SLACK = 0.1  # seconds: between the gateway's clock and the wire's stand two schedulers
    BACKLOG = 1.0  # for how many seconds a busy gateway may have left unread what has passed here

    def __init__(self, ledger, poll_interval, lag):
        self._ledger = ledger
        self._interval = poll_interval
        self._lag = lag
        self._asked, self._doubted = {}, {}
        self.requests = self.unjudged = 0

    def once_more(self, job_id=None):
        """A CancelJob, a new job or a fault: what was known of the job counts no more; without an id, of any."""
        self._doubted[job_id] = self._ledger.moment()
        if job_id is None:
            self._asked.clear()
        else:
            self._asked.pop(job_id, None)

    def asked(self, job_id):
        """The scanner is asked for that job's status."""
        now = self._ledger.moment()
        self.requests += 1
        before = self._asked.get(job_id)
        least = 0.0 if before is None else self._interval - self.SLACK - self._lag.since(before - self._interval)
        if before is not None and least <= 0.0:
            self.unjudged += 1
        elif before is not None and now - before < least:
            self._ledger.accuse(5, f"job {job_id}: asked again {now - before:.3f} s after it had been, of "
                                   f"{self._interval:g} s")
        self._asked.pop(job_id, None)

    def answered(self, job_id, sent):
        """It answered with a status to the request of that moment; one that is in doubt since then counts no more.

        Nor does one that was sent just after: what has passed here the gateway may not have read yet.
        """
        if sent > max(self._doubted.get(job_id, 0.0), self._doubted.get(None, 0.0)) + self.BACKLOG:
            self._asked[job_id] = sent
