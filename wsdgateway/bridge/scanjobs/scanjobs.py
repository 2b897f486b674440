"""The engine for scan jobs of the gateway's own at one scanner: ticket, CreateScanJob, pages, end.

WS-Scan, CreateScanJob, RetrieveImage, CancelJob. One job at a time is at the scanner, the others wait for their turn.
`bridge.scanjobs.phases` draws the phases of a job there, and `bridge.scanjobs.jobsteps` has the steps that follow from
what the client and the scanner do. Each method takes the time `now`, in seconds on one clock, and returns commands.
"""

from collections.abc import Iterator
from math import inf

from wsdgateway.bridge.scanjobs.commands import (
    Changed,
    Command,
    Create,
    Hold,
    Judge,
    Record,
    Resume,
    Withdraw,
)
from wsdgateway.bridge.scanjobs.jobsteps import FULL_SECONDS, JobSteps
from wsdgateway.bridge.scanjobs.phases import (
    BUSY,
    CANCELING,
    CREATING,
    FULL,
    JUDGING,
    OVER,
    RECORDING,
    RETRIEVING,
)
from wsdgateway.bridge.scanjobs.refusals import (
    ENDED,
    Meaning,
    end_of_creation,
    is_busy,
    meaning_of,
    wants_other_ticket,
)
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import FINISHED, End, Order, Page, Reason, Refusal, ScanJob
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstatus import JobStatus

MAX_WAITING = 10  # jobs that wait for their turn at one scanner
BUSY_SECONDS = 60.0  # for which a busy scanner is asked again for a job that has waited for its turn
BUSY_PAUSE = 2.0
PAUSES = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)  # before the same page is asked for again
MAX_BROKEN = 1  # times that a page which broke off is asked for again
MAX_PAGES = 5000  # of one job


class ScanJobs:
    """The jobs of one scanner, the finished ones of the last `LISTED_SECONDS` included. `room` is that of the spool."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._steps = JobSteps(room)

    def all(self) -> list[ScanJob]:
        """All jobs, oldest first."""
        return list(self._steps.jobs.values())

    def get(self, job_id: str) -> ScanJob | None:
        """The job with the gateway's own name for it; None if it is unknown, or no longer listed."""
        return self._steps.jobs.get(job_id)

    @property
    def waiting(self) -> tuple[ScanJob, ...]:
        """The jobs that wait for their turn."""
        return tuple(self._steps.waiting)

    @property
    def active(self) -> ScanJob | None:
        """The job that has its turn at the scanner."""
        return self._steps.active

    def deadline(self) -> float:
        """The time at which `due` must be called; `inf` if there is none."""
        return min((self._steps.due_at(job) for job in self._steps.jobs.values()), default=inf)

    # The client's side.

    @property
    def has_place(self) -> bool:
        """Whether another job can be added."""
        return self._steps.active is None or len(self._steps.waiting) < MAX_WAITING

    def submit(self, job_id: str, order: Order, now: float) -> tuple[ScanJob | None, list[Command]]:
        """Add a job, named `job_id`. Returns None if too many wait already."""
        if not self.has_place:
            return None, []
        job = self._steps.jobs[job_id] = ScanJob(job_id, order, now, touched=now)
        self._steps.waiting.append(job)
        job.waited = self._steps.active is not None
        return job, self._steps.next_job(now)

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
            commands += self._steps.discard(job, job.pages[0])
        page = job.pages[0] if job.pages and (job.pages[0].size or job.pages[0].complete) else None
        return page, commands + self._steps.finish(job, now)

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
        return [*self._steps.finish(job, now), Changed(job)]

    def cancel(self, job: ScanJob, now: float, reason: Reason = Reason.CANCELED_BY_CLIENT) -> list[Command]:
        """Cancel the job. Nothing is sent for a job that is not at the scanner yet, or not any more."""
        job.touched = now
        if job.finished:
            return self._steps.discard_all(job)
        return self._steps.end(job, End(reason), now)

    # The scanner's side.

    def created(self, job: ScanJob, created: CreatedJob, now: float) -> list[Command]:
        """Note that the scanner has created the job."""
        job.created = created
        if job.end is not None:
            return self._steps.cancel_there(job, now)
        return [*self._steps.enter(job, RECORDING, now), Record(job)]

    def gives_up(self, job: ScanJob, refusal: Refusal, now: float) -> bool:
        """True if a scanner that refuses the job so is not asked again."""
        patience = max(job.order.patience, BUSY_SECONDS if job.waited else 0.0)
        return not is_busy(refusal) or now + BUSY_PAUSE >= job.began + patience

    def not_created(self, job: ScanJob, refusal: Refusal, now: float, *,
                    is_ready: bool | None = None) -> list[Command]:
        """Note that the scanner has not created the job, as far as is known.

        `is_ready` is True if the scanner's own status is that it is idle.
        """
        if job.end is not None:
            return self._steps.over(job, job.end, now)
        if wants_other_ticket(refusal) and job.ticket + 1 < len(job.order.tickets):
            job.ticket += 1
            return [*self._steps.enter(job, CREATING, now), Create(job)]
        if not self.gives_up(job, refusal, now):
            job.wake_at = now + BUSY_PAUSE
            return self._steps.enter(job, BUSY, now)
        return self._steps.over(job, end_of_creation(refusal, feeder=job.order.feeder, is_ready=is_ready),
                                now)

    def recorded(self, job: ScanJob, now: float) -> list[Command]:
        """Note that the scanner's JobId is stored."""
        return self._steps.next_image(job, now) if job.phase is RECORDING else []

    def received(self, job: ScanJob, size: int, now: float) -> list[Command]:
        """Note bytes of the page that is arriving. They may be written if no command is returned."""
        page = job.arriving
        if page is None or job.phase is not RETRIEVING:
            return []
        if page.taken + size > self._room.limit_of(page.client):
            return self._steps.end(job, End(Reason.TOO_LARGE), now)
        if self._room.take(page, size):
            return []
        job.held, job.wake_at = True, now + FULL_SECONDS
        return [Hold(job)]

    def transferred(self, job: ScanJob, page: Page) -> list[Command]:
        """Note that the scanner has sent all of the page, of which a part may not be in its file yet."""
        page.transferred = True
        return [Withdraw(job)] if job.phase is CANCELING and self._steps.is_last(job, page) else []

    def page_ended(self, job: ScanJob, media_type: str, now: float) -> list[Command]:
        """Note that the page that was transferred is in its file."""
        page = job.arriving
        if page is None or job.phase is not RETRIEVING:
            return []
        is_last = self._steps.is_last(job, page)
        page.complete, page.media_type = True, media_type
        job.scanned += 1
        job.largest = max(job.largest, page.taken)
        job.tries, job.refusal = 0, None
        job.touched = max(job.touched, now)
        if is_last:
            return self._steps.over(job, FINISHED, now)
        if job.scanned >= MAX_PAGES:
            return self._steps.end(job, End(Reason.FAILED, text=f"The job has more than {MAX_PAGES} pages"), now)
        return self._steps.next_image(job, now)

    def page_refused(self, job: ScanJob, refusal: Refusal, now: float) -> list[Command]:
        """Note that the scanner has answered RetrieveImage with a refusal, or not at all."""
        if job.phase is not RETRIEVING:
            if job.phase is CANCELING and meaning_of(refusal) in ENDED:
                return [Withdraw(job)]
            return []
        commands = self._steps.drop_arriving(job)
        meaning = meaning_of(refusal)
        if meaning is Meaning.TEMPORARY:
            if job.tries < len(PAUSES):
                return commands + self._steps.pause(job, PAUSES[job.tries], now)
            if not refusal.unreachable:
                return commands + self._steps.end(job, End(Reason.FAILED, refusal.fault, refusal.text), now)
        if job.refusal is None or meaning not in (Meaning.NO_MORE, Meaning.UNKNOWN_JOB):
            job.refusal = refusal  # else the scanner does not give the page that broke off again
        if meaning is Meaning.CANCELED:
            return commands + self._steps.judged(job, None, None, now)
        return [*commands, *self._steps.enter(job, JUDGING, now), Judge(job)]

    def page_broken(self, job: ScanJob, refusal: Refusal, now: float) -> list[Command]:
        """Note that the page broke off, and that its part is useless.

        A job with a single image asks for it again. From a feeder the scanner might give the next page in its place, so
        that a page would be missing unnoticed.
        """
        if job.phase is not RETRIEVING:
            return []
        commands = self._steps.drop_arriving(job)
        job.refusal = refusal
        if not job.order.feeder and job.tries < MAX_BROKEN:
            return commands + self._steps.pause(job, PAUSES[0], now)
        return [*commands, *self._steps.enter(job, JUDGING, now), Judge(job)]

    def spool_failed(self, job: ScanJob, text: str, now: float) -> list[Command]:
        """Note that the page that is arriving cannot be written."""
        return self._steps.end(job, End(Reason.SPOOL_FAILED, text=text), now)

    def judged(self, job: ScanJob, status: JobStatus | None, now: float, *,
               is_ready: bool | None = None) -> list[Command]:
        """Note the job's status at the scanner after a refusal; None if it gave none.

        `is_ready` is True if the scanner's own status is that it is idle, False if a condition stops it.
        """
        return self._steps.judged(job, status, is_ready, now) if job.phase is JUDGING else []

    def canceled(self, job: ScanJob, now: float) -> list[Command]:
        """Note that CancelJob was answered, or given up, and that no image of the job is arriving any more."""
        return self._steps.over(job, job.end or FINISHED, now) if job.phase is CANCELING else []

    def room_freed(self, now: float) -> list[Command]:
        """Note that there may be room in the spool."""
        job = self._steps.active
        if job is None:
            return []
        if job.phase is FULL and self._room.fits(job.largest, job.order.client):
            return self._steps.next_image(job, now)
        if job.held:
            job.held, job.wake_at = False, inf
            return [Resume(job)]
        return []

    def due(self, now: float) -> list[Command]:
        """Take the steps of all jobs that are due."""
        commands: list[Command] = []
        for job in self.all():
            if self._steps.due_at(job) <= now:
                commands += self._steps.due(job, now)
        return commands

    def stop(self, now: float) -> list[Command]:
        """Cancel every job, because the gateway is stopping."""
        return [command for job in reversed(self.all()) for command in self.cancel(job, now, Reason.STOPPING)]

    def end_all(self, now: float) -> list[Command]:
        """End every job, because another gateway takes over the scanner; pages that are complete can still be fetched.
        """
        return [command for job in reversed(self.all()) if not job.finished
                for command in self._steps.end(job, End(Reason.HANDED_OVER), now)]

    @property
    def running(self) -> ScanJob | None:
        """A job that has not ended yet, at the scanner or for its client; None if there is none.

        A client must hear that its job was broken off: the next owner does not know the job.
        """
        return next((job for job in self if not job.finished or job.phase is not OVER or (
            job.end is not None and job.end.reason is Reason.HANDED_OVER and bool(job.order.client)
            and not job.told)), None)

    def told(self, job: ScanJob) -> list[Command]:
        """Note that the client has been answered that there are no more pages."""
        job.told = True
        return [Changed(job)]

    def __iter__(self) -> Iterator[ScanJob]:
        return iter(self.all())
