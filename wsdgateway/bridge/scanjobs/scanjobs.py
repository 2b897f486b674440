"""The engine for scan jobs of the gateway's own at one scanner: ticket, CreateScanJob, pages, end.

WS-Scan, CreateScanJob, RetrieveImage, CancelJob. One job at a time is at the scanner, the others wait for their turn.
`bridge.scanjobs.phases` draws the phases of a job there. Each method takes the time `now`, in seconds on one clock,
and returns commands.
"""

from collections.abc import Iterator
from math import inf

from wsdgateway.bridge.scanjobs.commands import (
    Cancel,
    Changed,
    Command,
    Create,
    Discard,
    Forget,
    Hold,
    Judge,
    Record,
    Resume,
    Retrieve,
    Withdraw,
)
from wsdgateway.bridge.scanjobs.phases import (
    BUSY,
    CANCELING,
    CREATING,
    FULL,
    JUDGING,
    NEXT,
    OVER,
    PAUSED,
    QUEUED,
    RECORDING,
    RETRIEVING,
    Phase,
)
from wsdgateway.bridge.scanjobs.refusals import (
    Meaning,
    end_of_creation,
    end_of_images,
    is_busy,
    meaning_of,
    wants_other_ticket,
)
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import FINISHED, End, Order, Page, Reason, Refusal, ScanJob
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstates import ACTIVE
from wsdgateway.scan.jobstatus import JobStatus

MAX_WAITING = 10  # jobs that wait for their turn at one scanner
MAX_LISTED = 100  # finished jobs that are still listed
LISTED_SECONDS = 300.0  # the figure of the Printer Working Group for finished jobs
SENT_SECONDS = 10.0  # for which the last page stays after it was sent whole, so that ScanImageInfo can be read from it
BUSY_SECONDS = 60.0  # for which a busy scanner is asked again for a job that has waited for its turn
BUSY_PAUSE = 2.0
PAUSES = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)  # before the same page is asked for again
MAX_BROKEN = 1  # times that a page which broke off is asked for again
FULL_SECONDS = 50.0  # a scanner ends a job a minute after the last RetrieveImage
MAX_PAGES = 5000  # of one job


class ScanJobs:
    """The jobs of one scanner, the finished ones of the last `LISTED_SECONDS` included. `room` is that of the spool."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._jobs: dict[str, ScanJob] = {}
        self._active: ScanJob | None = None
        self._waiting: list[ScanJob] = []

    def all(self) -> list[ScanJob]:
        """All jobs, oldest first."""
        return list(self._jobs.values())

    def get(self, job_id: str) -> ScanJob | None:
        """The job with the gateway's own name for it; None if it is unknown, or no longer listed."""
        return self._jobs.get(job_id)

    @property
    def waiting(self) -> tuple[ScanJob, ...]:
        """The jobs that wait for their turn."""
        return tuple(self._waiting)

    @property
    def active(self) -> ScanJob | None:
        """The job that has its turn at the scanner."""
        return self._active

    def deadline(self) -> float:
        """The time at which `due` must be called; `inf` if there is none."""
        return min((self._due_at(job) for job in self._jobs.values()), default=inf)

    # The client's side.

    @property
    def has_place(self) -> bool:
        """Whether another job can be added."""
        return self._active is None or len(self._waiting) < MAX_WAITING

    def submit(self, job_id: str, order: Order, now: float) -> tuple[ScanJob | None, list[Command]]:
        """Add a job, named `job_id`. Returns None if too many wait already."""
        if not self.has_place:
            return None, []
        job = self._jobs[job_id] = ScanJob(job_id, order, now, touched=now)
        self._waiting.append(job)
        job.waited = self._active is not None
        return job, self._next_job(now)

    def touch(self, job: ScanJob, now: float) -> None:
        """Note that the client has sent a request for the job."""
        job.touched = now

    def next_page(self, job: ScanJob, now: float) -> tuple[Page | None, list[Command]]:
        """The page to send to the client: the last one again until it was sent whole, then the next one.

        None if there is none at the moment; there will be no more if the job has finished.
        """
        job.touched = now
        commands: list[Command] = []
        if job.pages and job.pages[0].sent:
            commands += self._discard(job, job.pages[0])
        page = job.pages[0] if job.pages and (job.pages[0].size or job.pages[0].complete) else None
        return page, commands + self._finish(job, now)

    def sending(self, job: ScanJob, now: float) -> None:
        """Note that a page is being sent; until `sent` the client does not count as gone."""
        job.touched = now
        job.sending += 1

    def sent(self, job: ScanJob, page: Page, now: float, *, whole: bool) -> list[Command]:
        """Note that a page was sent whole to the client, or that sending it has ended early."""
        job.touched = now
        job.sending -= 1
        if whole and page.complete and not page.gone:
            job.fetched += not page.sent
            self._room.fetched(page)
        return [*self._finish(job, now), Changed(job)]

    def cancel(self, job: ScanJob, now: float, reason: Reason = Reason.CANCELED_BY_CLIENT) -> list[Command]:
        """Cancel the job. Nothing is sent for a job that is not at the scanner yet, or not any more."""
        job.touched = now
        if job.finished:
            return self._discard_all(job)
        return self._end(job, End(reason), now)

    # The scanner's side.

    def created(self, job: ScanJob, created: CreatedJob, now: float) -> list[Command]:
        """Note that the scanner has created the job."""
        job.created = created
        if job.end is not None:
            return self._cancel_there(job, now)
        return [*self._enter(job, RECORDING, now), Record(job)]

    def not_created(self, job: ScanJob, refusal: Refusal, now: float) -> list[Command]:
        """Note that the scanner has not created the job, as far as is known."""
        if job.end is not None:
            return self._over(job, job.end, now)
        if wants_other_ticket(refusal) and job.ticket + 1 < len(job.order.tickets):
            job.ticket += 1
            return [*self._enter(job, CREATING, now), Create(job)]
        patience = max(job.order.patience, BUSY_SECONDS if job.waited else 0.0)
        if is_busy(refusal) and now + BUSY_PAUSE < job.began + patience:
            job.wake_at = now + BUSY_PAUSE
            return self._enter(job, BUSY, now)
        return self._over(job, end_of_creation(refusal, feeder=job.order.feeder), now)

    def recorded(self, job: ScanJob, now: float) -> list[Command]:
        """Note that the scanner's JobId is stored."""
        return self._next_image(job, now) if job.phase is RECORDING else []

    def received(self, job: ScanJob, size: int, now: float) -> list[Command]:
        """Note bytes of the page that is arriving. They may be written if no command is returned."""
        page = job.arriving
        if page is None or job.phase is not RETRIEVING:
            return []
        if page.taken + size > self._room.client_limit:
            return self._end(job, End(Reason.TOO_LARGE), now)
        if self._room.take(page, size):
            return []
        job.held, job.wake_at = True, now + FULL_SECONDS
        return [Hold(job)]

    def transferred(self, job: ScanJob, page: Page) -> list[Command]:
        """Note that the scanner has sent all of the page, of which a part may not be in its file yet."""
        page.transferred = True
        return [Withdraw(job)] if job.phase is CANCELING and self._is_last(job, page) else []

    def _is_last(self, job: ScanJob, page: Page | None) -> bool:
        """Whether the scanner has finished the job with this page."""
        return page is not None and page.transferred and 0 < job.order.images <= page.number

    def page_ended(self, job: ScanJob, media_type: str, now: float) -> list[Command]:
        """Note that the page that was transferred is in its file."""
        page = job.arriving
        if page is None or job.phase is not RETRIEVING:
            return []
        is_last = self._is_last(job, page)
        page.complete, page.media_type = True, media_type
        job.scanned += 1
        job.largest = max(job.largest, page.taken)
        job.tries = 0
        job.touched = max(job.touched, now)
        if is_last:
            return self._over(job, FINISHED, now)
        if job.scanned >= MAX_PAGES:
            return self._end(job, End(Reason.FAILED, text=f"The job has more than {MAX_PAGES} pages"), now)
        return self._next_image(job, now)

    def page_refused(self, job: ScanJob, refusal: Refusal, now: float) -> list[Command]:
        """Note that the scanner has answered RetrieveImage with a refusal, or not at all."""
        if job.phase is not RETRIEVING:
            if job.phase is CANCELING and meaning_of(refusal) in _ENDED:
                return [Withdraw(job)]
            return []
        commands = self._drop_arriving(job)
        meaning = meaning_of(refusal)
        if meaning is Meaning.TEMPORARY:
            if job.tries < len(PAUSES):
                return commands + self._pause(job, PAUSES[job.tries], now)
            if not refusal.unreachable:
                return commands + self._end(job, End(Reason.FAILED, refusal.fault, refusal.text), now)
        job.refusal = refusal
        if meaning is Meaning.CANCELED:
            return commands + self._judged(job, None, now)
        return [*commands, *self._enter(job, JUDGING, now), Judge(job)]

    def page_broken(self, job: ScanJob, refusal: Refusal, now: float) -> list[Command]:
        """Note that the page broke off, and that its part is useless.

        A job with a single image asks for it again. From a feeder the scanner might give the next page in its place, so
        that a page would be missing unnoticed.
        """
        if job.phase is not RETRIEVING:
            return []
        commands = self._drop_arriving(job)
        if not job.order.feeder and job.tries < MAX_BROKEN:
            return commands + self._pause(job, PAUSES[0], now)
        job.refusal = refusal
        return [*commands, *self._enter(job, JUDGING, now), Judge(job)]

    def spool_failed(self, job: ScanJob, text: str, now: float) -> list[Command]:
        """Note that the page that is arriving cannot be written."""
        return self._end(job, End(Reason.SPOOL_FAILED, text=text), now)

    def judged(self, job: ScanJob, status: JobStatus | None, now: float) -> list[Command]:
        """Note the job's status at the scanner after a refusal; None if it gave none."""
        return self._judged(job, status, now) if job.phase is JUDGING else []

    def canceled(self, job: ScanJob, now: float) -> list[Command]:
        """Note that CancelJob was answered, or given up, and that no image of the job is arriving any more."""
        return self._over(job, job.end or FINISHED, now) if job.phase is CANCELING else []

    def room_freed(self, now: float) -> list[Command]:
        """Note that there may be room in the spool."""
        job = self._active
        if job is None:
            return []
        if job.phase is FULL and self._room.fits(job.largest, job.order.client):
            return self._next_image(job, now)
        if job.held:
            job.held, job.wake_at = False, inf
            return [Resume(job)]
        return []

    def due(self, now: float) -> list[Command]:
        """Do what is due."""
        commands: list[Command] = []
        for job in self.all():
            if self._due_at(job) <= now:
                commands += self._due(job, now)
        return commands

    def stop(self, now: float) -> list[Command]:
        """Cancel every job, because the gateway is stopping."""
        return [command for job in reversed(self.all()) for command in self.cancel(job, now, Reason.STOPPING)]

    # Steps.

    def _due_at(self, job: ScanJob) -> float:
        if job.finished_at is not None and job.pages:
            return job.finished_at + SENT_SECONDS
        if job.finished_at is not None:
            return job.finished_at + LISTED_SECONDS if job.phase is OVER else inf
        gone = job.touched + job.order.client_seconds if not job.sending else inf
        return min(job.wake_at, inf if job.end is not None and job.end.discards_pages else gone)

    def _due(self, job: ScanJob, now: float) -> list[Command]:
        if job.finished_at is not None:
            return self._discard_all(job) if job.pages else self._remove(job)
        if job.wake_at <= now:
            job.wake_at = inf
            if job.phase is BUSY:
                return [*self._enter(job, CREATING, now), Create(job)]
            if job.phase is PAUSED:
                return self._next_image(job, now)
            return self._end(job, End(Reason.SPOOL_FULL), now)
        return self._end(job, End(Reason.CLIENT_GONE), now)

    def _enter(self, job: ScanJob, phase: Phase, now: float) -> list[Command]:
        assert phase in NEXT[job.phase], f"{job.phase} to {phase}"
        job.phase, job.changed_at = phase, now
        return [Changed(job)]

    def _next_job(self, now: float) -> list[Command]:
        if self._active is not None or not self._waiting:
            return []
        job = self._active = self._waiting.pop(0)
        job.began = now
        return [*self._enter(job, CREATING, now), Create(job)]

    def _next_image(self, job: ScanJob, now: float) -> list[Command]:
        """Ask for the next image, or wait for room."""
        if not self._room.fits(job.largest, job.order.client):
            job.wake_at = now + FULL_SECONDS
            return self._enter(job, FULL, now)
        job.wake_at = inf
        page = Page(job.scanned + 1, client=job.order.client)
        job.pages.append(page)
        return [*self._enter(job, RETRIEVING, now), Retrieve(job, page)]

    def _pause(self, job: ScanJob, seconds: float, now: float) -> list[Command]:
        job.tries += 1
        job.wake_at = now + seconds
        return self._enter(job, PAUSED, now)

    def _judged(self, job: ScanJob, status: JobStatus | None, now: float) -> list[Command]:
        refusal, job.refusal = job.refusal, None
        assert refusal is not None
        meaning = meaning_of(refusal)
        end = job.end or end_of_images(refusal, scanned=job.scanned, feeder=job.order.feeder, status=status)
        if status is not None and not status.final and status.state in ACTIVE and meaning not in _ENDED:
            job.end = end
            return [*self._cancel_there(job, now), *self._finish(job, now)]
        return self._over(job, end, now)

    def _end(self, job: ScanJob, end: End, now: float) -> list[Command]:
        """End the job for that reason, also at the scanner if it is there."""
        first = job.end is None or end.discards_pages
        job.end = end if first else job.end
        job.held, job.wake_at = False, inf
        is_over_there = self._is_last(job, job.arriving)
        commands = self._drop_arriving(job)
        if end.discards_pages:
            commands += self._discard_all(job)
        if job.phase in (QUEUED, BUSY) or is_over_there:
            return commands + self._over(job, end, now)
        if job.phase in (RECORDING, RETRIEVING, PAUSED, FULL):
            return [*commands, *self._cancel_there(job, now), *self._finish(job, now)]
        # While creating, judging and canceling, the answer decides; after the end at the scanner nothing is sent.
        return [*commands, *self._finish(job, now), Changed(job)]

    def _cancel_there(self, job: ScanJob, now: float) -> list[Command]:
        return [*self._enter(job, CANCELING, now), Cancel(job)]

    def _over(self, job: ScanJob, end: End, now: float) -> list[Command]:
        """The job has ended at the scanner, or will never be there."""
        commands = self._drop_arriving(job)
        job.end = job.end or end
        job.held, job.wake_at = False, inf
        commands += self._enter(job, OVER, now)
        if job.created is not None:
            commands.append(Forget(job))
        commands += self._finish(job, now)
        if job in self._waiting:
            self._waiting.remove(job)
        if job is self._active:
            self._active = None
        return commands + self._next_job(now)

    def _finish(self, job: ScanJob, now: float) -> list[Command]:
        """Note the time at which a job has finished for its client too; remove the oldest ones."""
        if not job.finished or job.finished_at is not None:
            return []
        job.finished_at = job.changed_at = now
        listed = [one for one in self._jobs.values() if one.finished and one.phase is OVER]
        return [Changed(job), *(command for one in listed[:-MAX_LISTED] for command in self._remove(one))]

    def _remove(self, job: ScanJob) -> list[Command]:
        del self._jobs[job.id]
        return [*self._discard_all(job), Changed(job)]

    def _drop_arriving(self, job: ScanJob) -> list[Command]:
        page = job.arriving
        return [] if page is None else self._discard(job, page)

    def _discard_all(self, job: ScanJob) -> list[Command]:
        return [command for page in list(job.pages) for command in self._discard(job, page)]

    def _discard(self, job: ScanJob, page: Page) -> list[Command]:
        job.pages.remove(page)
        self._room.free(page)
        return [Discard(job, page), Changed(job)]

    def __iter__(self) -> Iterator[ScanJob]:
        return iter(self.all())


_ENDED = (Meaning.NO_MORE, Meaning.UNKNOWN_JOB, Meaning.CANCELED)
