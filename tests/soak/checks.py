"""Checks of the statuses that clients receive against the guarantees of the job table.

A read lasts from the request until its answer: of two overlapping reads neither is the later one. The status in an
event to a subscriber counts as received, too. A job is identified by scanner, JobId and JobCreatedTime.
"""

import time
from datetime import datetime

import attrs

PHASES = {"Creating": 0, "Pending": 1, "Held": 1, "Started": 2, "Processing": 3, "Terminating": 4, "Completed": 5,
          "Canceled": 5, "Aborted": 5}
FINAL = 5
CLOCK_SLACK = 0.05  # JobCreatedTime has milliseconds, and both use the same machine's clock
KEPT_MOMENTS = 200  # received statuses that are kept of each job
MOST_EVIDENCE = 20


@attrs.frozen
class Shown:
    """A status that a client received at `moment`."""

    moment: float
    rank: tuple[int, int]
    state: str


@attrs.define(eq=False)
class _Id:
    """A JobId of one scanner, with the jobs that have had it, by creation time."""

    jobs: dict[str, list[Shown]] = attrs.field(factory=dict)
    created: list[tuple[float, float]] = attrs.field(factory=list)  # system time of the request, moment of the answer
    canceled: dict[str, float] = attrs.field(factory=dict)


def seconds_of(text):
    """Converts an xs:dateTime to seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


class StatusChecker:
    """Checks the statuses that clients receive; `violations` names each broken promise with the evidence."""

    def __init__(self, moment=time.monotonic):
        self.moment = moment
        self.reads = self.events = self.checked = 0
        self.violations = []
        self._ids = {}
        self._attempts = {}

    def violated(self, promise, evidence):
        """Records that a promise was broken."""
        if len(self.violations) < MOST_EVIDENCE:
            self.violations.append(f"promise {promise}: {evidence}")

    def _id(self, scanner, job_id):
        return self._ids.setdefault((scanner, job_id), _Id())

    # Requests.

    def creating(self, scanner):
        """Records that a client sends CreateScanJob."""
        self._attempts.setdefault(scanner, []).append(time.time())

    def created(self, scanner, job_id, sent):
        """Records that CreateScanJob was answered with that JobId; `sent` is in seconds since 1970."""
        self._id(scanner, job_id).created.append((sent, self.moment()))

    def canceled(self, scanner, job_id, created):
        """Records that the scanner accepted a CancelJob for the job with that JobCreatedTime."""
        self._id(scanner, job_id).canceled.setdefault(created, self.moment())

    # Statuses.

    def read(self, scanner, asked, status, sent):
        """Checks a JobStatus in the answer to a request for the job `asked`, sent at that moment."""
        self.reads += 1
        where = f"{scanner}, job {asked}, at {time.time():.3f}"
        if status is None or status.job_id != asked or status.state not in PHASES or status.created is None:
            self.violated(6, f"{where}: an answer that the scanner can't have given: {status}")
            return
        known = self._id(scanner, asked)
        self._is_real(scanner, status, where)
        self._is_current(known, status, sent, where)
        self._is_no_older(known, status, sent, where)
        canceled = known.canceled.get(status.created)
        if canceled is not None and canceled < sent and PHASES[status.state] < 4:
            self.violated(4, f"{where}: {status.state}, {sent - canceled:.3f} s after its CancelJob was answered")
        self.checked += 1
        self._show(known, status)

    def event(self, scanner, status):
        """Records the status in a JobStatusEvent to a subscriber."""
        self.events += 1
        if status is not None and status.created is not None and status.state in PHASES:
            self._show(self._id(scanner, status.job_id), status)

    def answered_unknown(self, scanner, job_id, body):
        """Records that a status came for a job that never existed."""
        self.violated(6, f"{scanner}: a status for job {job_id}, which never existed: {body[:300]!r}")

    # Checks.

    def _is_real(self, scanner, status, where):
        """Checks promise 6: the job was created after a client requested one."""
        made = seconds_of(status.created)
        if not any(began - CLOCK_SLACK <= made for began in self._attempts.get(scanner, ())):
            self.violated(6, f"{where}: created {status.created}, before anybody asked for a job")

    def _is_current(self, known, status, sent, where):
        """Checks promise 2: a JobId that is used again is a new job."""
        made = seconds_of(status.created)
        for began, answered in known.created:
            if answered < sent and made < began - CLOCK_SLACK:
                self.violated(2, f"{where}: of the job created {status.created}, but one asked for at {began:.3f} has "
                               "that JobId since then")
                return
        for created, shown in known.jobs.items():
            if seconds_of(created) > made and shown[0].moment < sent:
                self.violated(2, f"{where}: of the job created {status.created}, after one created {created} was shown")
                return

    def _is_no_older(self, known, status, sent, where):
        """Checks promises 1 and 2: a status is never older than an earlier one, and a final state never changes."""
        rank = _rank(status)
        for shown in reversed(known.jobs.get(status.created, ())):
            if shown.moment >= sent:
                continue
            if rank < shown.rank:
                self.violated(1, f"{where}: {status.state} {rank}, {sent - shown.moment:.3f} s after {shown.state} "
                               f"{shown.rank} had been shown")
            elif shown.rank[0] == FINAL and status.state != shown.state:
                self.violated(2, f"{where}: {status.state} after {shown.state}")
            return

    def _show(self, known, status):
        """Records the most advanced status up to each moment."""
        shown = known.jobs.setdefault(status.created, [])
        rank = _rank(status)
        if not shown or rank > shown[-1].rank:
            shown.append(Shown(self.moment(), rank, status.state))
            del shown[:-KEPT_MOMENTS]

    def prune(self, seconds):
        """Forgets jobs whose last status is older than so many seconds."""
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


class RateChecker:
    """Checks promise 5: how often a scanner without events is asked for one job's status.

    `lag` measures by how much two requests may appear closer together here than the gateway sent them, on a machine
    with other load. `not_comparable` counts requests that cannot be checked for that reason.
    """

    SLACK = 0.1  # seconds: two schedulers are between the gateway's clock and this one
    BACKLOG = 1.0  # seconds that a busy gateway may take to read an answer that has passed the proxy

    def __init__(self, checker, poll_interval, lag):
        self._checker = checker
        self._interval = poll_interval
        self._lag = lag
        self._asked, self._invalidated = {}, {}
        self.requests = self.not_comparable = 0

    def invalidate(self, job_id=None):
        """Forgets the status of the job, or of all jobs, after a CancelJob, a new job or a fault."""
        self._invalidated[job_id] = self._checker.moment()
        if job_id is None:
            self._asked.clear()
        else:
            self._asked.pop(job_id, None)

    def asked(self, job_id):
        """Checks a request to the scanner for that job's status."""
        now = self._checker.moment()
        self.requests += 1
        before = self._asked.get(job_id)
        least = 0.0 if before is None else self._interval - self.SLACK - self._lag.since(before - self._interval)
        if before is not None and least <= 0.0:
            self.not_comparable += 1
        elif before is not None and now - before < least:
            self._checker.violated(5, f"job {job_id}: asked again {now - before:.3f} s after it had been, of "
                                   f"{self._interval:g} s")
        self._asked.pop(job_id, None)

    def answered(self, job_id, sent):
        """Records that the scanner answered the request of that moment with a status, unless invalidated since.

        A request sent shortly after that does not count either: the gateway may not have read the answer yet.
        """
        if sent > max(self._invalidated.get(job_id, 0.0), self._invalidated.get(None, 0.0)) + self.BACKLOG:
            self._asked[job_id] = sent
