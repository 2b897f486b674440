"""The steps of the engine for scan jobs, which its client's and its scanner's side have in common.

`bridge.scanjobs.phases` draws the phases of a job. Each method takes the time `now`, in seconds on one clock, and
returns commands.
"""

from math import inf

from wsdgateway.bridge.scanjobs.commands import Cancel, Changed, Command, Create, Discard, Forget, Retrieve
from wsdgateway.bridge.scanjobs.phases import (
    BUSY,
    CANCELING,
    CREATING,
    FULL,
    NEXT,
    OVER,
    PAUSED,
    QUEUED,
    RECORDING,
    RETRIEVING,
    Phase,
)
from wsdgateway.bridge.scanjobs.refusals import ENDED, end_of_images, meaning_of
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import End, Page, Reason, ScanJob
from wsdgateway.scan.jobstates import ACTIVE
from wsdgateway.scan.jobstatus import JobStatus

MAX_LISTED = 100  # finished jobs that are still listed
LISTED_SECONDS = 300.0  # the figure of the Printer Working Group for finished jobs
SENT_SECONDS = 10.0  # for which the last page stays after it was sent whole, so that ScanImageInfo can be read from it
FULL_SECONDS = 50.0  # a scanner ends a job a minute after the last RetrieveImage


class JobSteps:
    """The jobs of one scanner: all by name, the `active` one, and those that wait for their turn."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.jobs: dict[str, ScanJob] = {}
        self.active: ScanJob | None = None
        self.waiting: list[ScanJob] = []

    def is_last(self, job: ScanJob, page: Page | None) -> bool:
        """True if the scanner has finished the job with this page."""
        return page is not None and page.transferred and 0 < job.order.images <= page.number

    def due_at(self, job: ScanJob) -> float:
        """The time at which something is due for the job; `inf` if nothing is."""
        if job.finished_at is not None and job.pages:
            return job.finished_at + SENT_SECONDS
        if job.finished_at is not None:
            return job.finished_at + LISTED_SECONDS if job.phase is OVER else inf
        gone = job.touched + job.order.client_seconds if not job.sending else inf
        return min(job.wake_at, inf if job.end is not None and job.end.discards_pages else gone)

    def due(self, job: ScanJob, now: float) -> list[Command]:
        """Take the steps of the job that are due."""
        if job.finished_at is not None:
            return self.discard_all(job) if job.pages else self.remove(job)
        if job.wake_at <= now:
            job.wake_at = inf
            if job.phase is BUSY:
                return [*self.enter(job, CREATING, now), Create(job)]
            if job.phase is PAUSED:
                return self.next_image(job, now)
            return self.end(job, End(Reason.SPOOL_FULL), now)
        return self.end(job, End(Reason.CLIENT_GONE), now)

    def enter(self, job: ScanJob, phase: Phase, now: float) -> list[Command]:
        """Change the phase of the job."""
        assert phase in NEXT[job.phase], f"{job.phase} to {phase}"
        job.phase, job.changed_at = phase, now
        return [Changed(job)]

    def next_job(self, now: float) -> list[Command]:
        """Give the turn to the next job that waits, if no other has it."""
        if self.active is not None or not self.waiting:
            return []
        job = self.active = self.waiting.pop(0)
        job.began = now
        return [*self.enter(job, CREATING, now), Create(job)]

    def next_image(self, job: ScanJob, now: float) -> list[Command]:
        """Ask for the next image, or wait for room."""
        if not self._room.fits(job.largest, job.order.client):
            job.wake_at = now + FULL_SECONDS
            return self.enter(job, FULL, now)
        job.wake_at = inf
        page = Page(job.scanned + 1, client=job.order.client)
        job.pages.append(page)
        return [*self.enter(job, RETRIEVING, now), Retrieve(job, page)]

    def pause(self, job: ScanJob, seconds: float, now: float) -> list[Command]:
        """Ask for the same page again after so many seconds."""
        job.tries += 1
        job.wake_at = now + seconds
        return self.enter(job, PAUSED, now)

    def judged(self, job: ScanJob, status: JobStatus | None, is_ready: bool | None, now: float) -> list[Command]:
        """End the job after a refusal, by its status at the scanner, and by whether the scanner is ready.

        Both are None if they are unknown.
        """
        refusal, job.refusal = job.refusal, None
        assert refusal is not None
        meaning = meaning_of(refusal)
        end = job.end or end_of_images(refusal, scanned=job.scanned, feeder=job.order.feeder, status=status,
                                       is_ready=is_ready)
        if status is not None and not status.final and status.state in ACTIVE and meaning not in ENDED:
            job.end = end
            return [*self.cancel_there(job, now), *self.finish(job, now)]
        return self.over(job, end, now)

    def end(self, job: ScanJob, end: End, now: float) -> list[Command]:
        """End the job for that reason, also at the scanner if it is there."""
        first = job.end is None or end.discards_pages
        job.end = end if first else job.end
        job.held, job.wake_at = False, inf
        is_over_there = self.is_last(job, job.arriving)
        commands = self.drop_arriving(job)
        if end.discards_pages:
            commands += self.discard_all(job)
        if job.phase in (QUEUED, BUSY) or is_over_there:
            return commands + self.over(job, end, now)
        if job.phase in (RECORDING, RETRIEVING, PAUSED, FULL):
            return [*commands, *self.cancel_there(job, now), *self.finish(job, now)]
        # While creating, judging and canceling, the answer decides; after the end at the scanner nothing is sent.
        return [*commands, *self.finish(job, now), Changed(job)]

    def cancel_there(self, job: ScanJob, now: float) -> list[Command]:
        """Cancel the job at the scanner."""
        return [*self.enter(job, CANCELING, now), Cancel(job)]

    def over(self, job: ScanJob, end: End, now: float) -> list[Command]:
        """End a job that has ended at the scanner, or will never be there."""
        commands = self.drop_arriving(job)
        job.end = job.end or end
        job.held, job.wake_at = False, inf
        commands += self.enter(job, OVER, now)
        if job.created is not None:
            commands.append(Forget(job))
        commands += self.finish(job, now)
        if job in self.waiting:
            self.waiting.remove(job)
        if job is self.active:
            self.active = None
        return commands + self.next_job(now)

    def finish(self, job: ScanJob, now: float) -> list[Command]:
        """Note the time at which a job has finished for its client too; remove the oldest ones."""
        if not job.finished or job.finished_at is not None:
            return []
        job.finished_at = job.changed_at = now
        listed = [one for one in self.jobs.values() if one.finished and one.phase is OVER]
        return [Changed(job), *(command for one in listed[:-MAX_LISTED] for command in self.remove(one))]

    def remove(self, job: ScanJob) -> list[Command]:
        """List the job no longer."""
        del self.jobs[job.id]
        return [*self.discard_all(job), Changed(job)]

    def drop_arriving(self, job: ScanJob) -> list[Command]:
        """Delete the page that is arriving, if there is one."""
        page = job.arriving
        return [] if page is None else self.discard(job, page)

    def discard_all(self, job: ScanJob) -> list[Command]:
        """Delete all pages of the job."""
        return [command for page in list(job.pages) for command in self.discard(job, page)]

    def discard(self, job: ScanJob, page: Page) -> list[Command]:
        """Delete a page."""
        job.pages.remove(page)
        self._room.free(page)
        return [Discard(job, page), Changed(job)]
