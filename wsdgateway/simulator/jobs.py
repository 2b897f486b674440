"""The jobs of the virtual scanner: a state machine, and the events that it causes.

WS-Scan, JobState::

    Pending ──first RetrieveImage──► Started, Processing ──last page──► Completed
       └──────────── Terminating ──► Canceled (CancelJob) | Aborted (time-out, jam) ◄──┘

    Pending and Processing have the reason ScannerStopped while a job waits for the scanner to continue.

Nothing here waits: each step returns the events that it causes, as values.
"""

import secrets
from datetime import UTC, datetime

import attrs

from wsdgateway.scan.jobstates import ABORTED, CANCELED, COMPLETED, FINAL, PENDING, PROCESSING, STARTED, TERMINATING
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.simulator.pages import PageFormat

HISTORY = 50
SCANNER_STOPPED = "ScannerStopped"  # a JobStateReason


@attrs.frozen
class JobEvent:
    """A change of a job to notify subscribers of; with `end`, it is a JobEndStateEvent."""

    status: JobStatus
    name: str
    user: str
    end: bool = False


@attrs.define(eq=False)
class VirtualJob:
    """One job. `step` counts its changes, so that a timer can detect progress."""

    job_id: str
    token: str
    source: str
    page: PageFormat
    name: str
    user: str
    ticket: str
    wanted: int
    status: JobStatus
    scanned: int = 0
    busy: bool = False
    step: int = 0

    @property
    def final(self) -> bool:
        """True if the job has ended."""
        return self.status.state in FINAL

    @property
    def scanning(self) -> bool:
        """True from the first RetrieveImage until the job ends."""
        return self.status.state in (STARTED, PROCESSING)


@attrs.frozen(eq=False)
class Page:
    """The result of a granted RetrieveImage: send page `number` of the job."""

    job: VirtualJob
    number: int


def timestamp(wall: float) -> str:
    """Format seconds since 1970 in the way the scanner writes times."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Jobs:
    """All jobs since the scanner was switched on."""

    def __init__(self) -> None:
        self._jobs: dict[str, VirtualJob] = {}
        self._next = 1

    def get(self, job_id: str | None) -> VirtualJob | None:
        """The job with that id, or None."""
        return self._jobs.get(job_id or "")

    def active(self) -> list[VirtualJob]:
        """The jobs that have not ended, oldest first."""
        return [job for job in self._jobs.values() if not job.final]

    def finished(self) -> list[VirtualJob]:
        """The jobs that have ended, oldest first."""
        return [job for job in self._jobs.values() if job.final]

    def create(self, *, source: str, page: PageFormat, name: str, user: str, ticket: str, wanted: int,
               wall: float) -> tuple[VirtualJob, list[JobEvent]]:
        """Create a job, which waits for its first RetrieveImage.

        `wanted` is the number of pages, 0 for all there are.
        """
        job_id = str(self._next)
        self._next += 1
        status = JobStatus(job_id, PENDING, ("None",), 0, created=timestamp(wall))
        job = VirtualJob(job_id, secrets.token_hex(8), source, page, name, user, ticket, wanted, status)
        self._jobs[job_id] = job
        for old in self.finished()[:-HISTORY]:
            del self._jobs[old.job_id]
        return job, [self._event(job)]

    def begin_page(self, job: VirtualJob) -> list[JobEvent]:
        """Record that the scanning of a page begins."""
        job.busy = True
        job.step += 1
        events = []
        if job.status.state == PENDING:
            events.append(self._change(job, STARTED, "None"))
        events.append(self._change(job, PROCESSING, "JobScanningAndTransferring"))
        return events

    def end_page(self, job: VirtualJob, *, last: bool, wall: float) -> list[JobEvent]:
        """Record that a page has been sent; `last` if there are no more."""
        job.busy = False
        job.scanned += 1
        job.step += 1
        job.status = attrs.evolve(job.status, scans_completed=job.scanned)
        if last:
            return self._finish(job, COMPLETED, "None", wall)
        return [self._change(job, PROCESSING, "JobTransferring")]

    def hold(self, job: VirtualJob) -> list[JobEvent]:
        """Let the job wait, because the scanner has stopped. A page that is being sent is sent to its end."""
        if job.status.reasons == (SCANNER_STOPPED,):
            return []
        return [self._change(job, job.status.state, SCANNER_STOPPED)]

    def leave_page(self, job: VirtualJob) -> list[JobEvent]:
        """Give up the scanning of a page, because the scanner has stopped, and let the job wait."""
        job.busy = False
        job.step += 1
        return self.hold(job)

    def resume(self, job: VirtualJob) -> list[JobEvent]:
        """Continue a job that waited. Returns no event for any other."""
        if job.status.reasons != (SCANNER_STOPPED,):
            return []
        reason = "JobScanningAndTransferring" if job.busy else "JobTransferring" if job.scanning else "None"
        return [self._change(job, job.status.state, reason)]

    def cancel(self, job: VirtualJob, wall: float) -> list[JobEvent]:
        """Cancel the job, as CancelJob requests."""
        return [self._change(job, TERMINATING, "None"), *self._finish(job, CANCELED, "None", wall)]

    def abort(self, job: VirtualJob, reason: str, wall: float) -> list[JobEvent]:
        """Abort the job."""
        return self._finish(job, ABORTED, reason, wall)

    def _finish(self, job: VirtualJob, state: str, reason: str, wall: float) -> list[JobEvent]:
        job.busy = False
        job.step += 1
        job.status = attrs.evolve(job.status, completed=timestamp(wall))
        return [self._change(job, state, reason), JobEvent(job.status, job.name, job.user, end=True)]

    def _change(self, job: VirtualJob, state: str, reason: str) -> JobEvent:
        job.status = attrs.evolve(job.status, state=state, reasons=(reason,))
        return self._event(job)

    def _event(self, job: VirtualJob) -> JobEvent:
        return JobEvent(job.status, job.name, job.user)
