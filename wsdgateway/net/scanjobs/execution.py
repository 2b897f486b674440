"""Carries out the commands of the engine for one scanner's own jobs; front ends and destinations create jobs here."""

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import JOBS_AT_ONCE, Quotas
from wsdgateway.bridge.health.causes import condition_cause
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
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.refusals import may_be_empty, may_be_last
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import Order, Page, ScanJob
from wsdgateway.bridge.scanjobs.scanjobs import MAX_WAITING, ScanJobs
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.scanjobs.jobrequests import Image, JobRequests
from wsdgateway.net.scanjobs.lackofroom import LackOfRoom
from wsdgateway.net.scanjobs.pagewriter import PageWriter
from wsdgateway.net.scanjobs.transfers import Transfers
from wsdgateway.net.scanjobs.waiting import first_of
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.scannerstatus import IDLE, INPUT_TRAY_EMPTY
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.spool import Spool, SpoolFile, SpoolReader
from wsdgateway.storage.store import IStore

STATUS_SECONDS = 5.0  # that a job waits for its status at the scanner
STORE_SECONDS = 5.0  # that a job waits for the store
PROMISE_SECONDS = 1.0  # that the client of a job which the scanner has not created waits for the store
STOP_SECONDS = 5.0  # for cancelling jobs when the gateway stops


class NotAdmitted(Exception):
    """A job is not accepted, because too many wait, or because of the client's quota; it may be ordered again later.

    `limit` names the quota, None if it was not the reason.
    """

    def __init__(self, why: str, limit: str | None = None) -> None:
        super().__init__(why)
        self.limit = limit


class ScanJobExecution:
    """The gateway's own jobs at one scanner. `new_job_id` makes names for them, which cannot be guessed.

    `room` is the room in the `spool`, which all scanners share. `on_discarded` is called when a page's file is deleted,
    `on_settled` with the `id` of a job that its client need not know any more.
    """

    log = Logger()

    def __init__(self, reactor: Any, bridge: ScannerBridge, requests: JobRequests, store: IStore, quotas: Quotas,
                 spool: Spool, room: Room, *, seconds: Callable[[], float], wall: Callable[[], float],
                 new_job_id: Callable[[], str]) -> None:
        self._reactor = reactor
        self._bridge = bridge
        self._requests = requests
        self._store = store
        self._quotas = quotas
        self._spool = spool
        self._room = room
        self._seconds = seconds
        self._wall = wall
        self._new_job_id = new_job_id
        self._engine = ScanJobs(room)
        self._commands: deque[Command] = deque()
        self._is_running = self._is_stopped = False
        self._timer: IDelayedCall | None = None
        self._due_at = inf
        self._writers: dict[Page, PageWriter] = {}
        self._stored: set[str] = set()
        self._make_file: dict[str, Callable[[], SpoolFile]] = {}
        self._transfers = Transfers(reactor, requests)
        self._listening: dict[ScanJob, list[Deferred[None]]] = {}
        self._tasks = Tasks(f"{bridge.name}: a scan job of the gateway's own failed")
        self._lack_of_room = LackOfRoom(bridge.name, room, seconds)
        room.waiting.append(self._room_freed)
        self.on_discarded: Callable[[Page], None] = lambda page: None
        self.on_settled: Callable[[str], None] = lambda own_id: None

    # For front ends and destinations.

    @property
    def jobs(self) -> list[ScanJob]:
        """All jobs, oldest first, the finished ones of the last minutes included."""
        return self._engine.all()

    def get(self, job_id: str) -> ScanJob | None:
        """The job with that name; None if it is unknown, or not listed any more."""
        return self._engine.get(job_id)

    def submit(self, order: Order, make_file: Callable[[], SpoolFile] | None = None) -> ScanJob:
        """Add a job. Raises `NotAdmitted`.

        `make_file` makes the file of each page where it is to stay, in place of one in the spool, or raises `OSError`.
        """
        now = self._seconds()
        if not self._engine.has_place:
            raise NotAdmitted(f"{MAX_WAITING} jobs wait for the scanner already")
        if not self._quotas.admits_job(order.client, now):
            raise NotAdmitted(f"the client has {self._quotas.most_jobs} jobs already", JOBS_AT_ONCE)
        job_id = self._new_job_id()
        if order.client:
            self._quotas.job_began(order.client, self._bridge.name, job_id, now)
        job, commands = self._engine.submit(job_id, order, now)
        assert job is not None
        if make_file is not None:
            self._make_file[job.id] = make_file
        self._run(commands)
        return job

    async def promise(self, job: ScanJob) -> None:
        """Store a job, if it is not, before its client learns of it; takes at most `PROMISE_SECONDS`."""
        if job.id not in self._stored and not job.settled:
            await first_of(self._reactor, PROMISE_SECONDS, self._store_job(job))

    def touch(self, job: ScanJob) -> None:
        """Note that the client has sent a request for the job."""
        self._engine.touch(job, self._seconds())

    def next_page(self, job: ScanJob) -> Page | None:
        """The page to send to the client, which may still be arriving; None if there is none at the moment.

        It is the same page until that was sent whole. There are no more if the job is `finished`.
        """
        page, commands = self._engine.next_page(job, self._seconds())
        self._run(commands)
        return page

    def open_page(self, page: Page) -> SpoolReader:
        """A reader of the page's file. `page.size` bytes can be read; wait for more with `changed`. Raises `OSError`.

        If the page is `gone` before it is `complete`, its part is useless.
        """
        return self._writers[page].file.reader()

    def path_of(self, page: Page) -> Path:
        """The page's file, which is in use until the page is `gone`."""
        return self._writers[page].file.path

    def enlarge(self, page: Page, size: int) -> None:
        """Count another file with so many bytes for the page until it is `gone`, also if there is no room for them."""
        self._room.add(page, size)

    def sending(self, job: ScanJob) -> None:
        """Note that a page is being sent; must be followed by `sent`."""
        self._engine.sending(job, self._seconds())

    def sent(self, job: ScanJob, page: Page, *, whole: bool) -> None:
        """Note that the page was sent whole, or that sending it has ended early."""
        self._run(self._engine.sent(job, page, self._seconds(), whole=whole))

    def told(self, job: ScanJob) -> None:
        """Note that the client has been answered that there are no more pages."""
        self._run(self._engine.told(job))

    def cancel(self, job: ScanJob) -> None:
        """Cancel the job, as its client wants."""
        self._run(self._engine.cancel(job, self._seconds()))

    def fail(self, job: ScanJob, why: str) -> None:
        """End the job, also at the scanner, because its pages cannot be kept."""
        self._run(self._engine.spool_failed(job, why, self._seconds()))

    def changed(self, job: ScanJob) -> Deferred[None]:
        """Fires at the next change of the job or of the page that is arriving; may be cancelled."""
        listening = self._listening.setdefault(job, [])
        waiting: Deferred[None] = Deferred(lambda cancelled: listening.remove(cancelled))
        listening.append(waiting)
        return waiting

    def _tell(self, job: ScanJob) -> None:
        listening = self._listening.pop(job, [])
        while listening:
            listening.pop(0).callback(None)

    @property
    def is_running(self) -> bool:
        """True while a job has not ended, at the scanner or for its client."""
        return self._engine.running is not None

    async def ended(self) -> None:
        """Wait until every job has ended, at the scanner and for its client; may be cancelled."""
        while (job := self._engine.running) is not None:
            await self.changed(job)

    async def break_off(self) -> None:
        """Cancel all jobs, because another gateway takes over the scanner; clients have `STOP_SECONDS` for their pages.
        """
        self._run(self._engine.end_all(self._seconds()))
        await within(self._reactor, STOP_SECONDS, [Deferred.fromCoroutine(self.ended())])

    async def stop(self) -> None:
        """Cancel all jobs, and delete their pages; takes at most about `STOP_SECONDS`."""
        self._run(self._engine.stop(self._seconds()))
        await first_of(self._reactor, STOP_SECONDS, self._tasks.idle())
        self._tasks.cancel()
        self._is_stopped = True
        for writer in self._writers.values():
            writer.file.delete()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._room_freed in self._room.waiting:
            self._room.waiting.remove(self._room_freed)

    # Running commands.

    def _run(self, commands: list[Command]) -> None:
        self._commands.extend(commands)
        if self._is_running:
            return
        self._is_running = True
        try:
            while self._commands:
                command = self._commands.popleft()
                self._actions[type(command)](self, command)
        finally:
            self._is_running = False
        self._set_timer()

    def _set_timer(self) -> None:
        due_at = self._engine.deadline()
        if self._timer is not None and self._timer.active():
            if due_at == self._due_at:
                return
            self._timer.cancel()
        self._due_at = due_at
        self._timer = None
        if due_at < inf and not self._is_stopped:
            self._timer = self._reactor.callLater(max(0.0, due_at - self._seconds()), self._due)

    def _due(self) -> None:
        now = self._seconds()
        for job in self._engine.waiting:  # so that the quotas do not forget them
            if job.order.client:
                self._quotas.job_began(job.order.client, self._bridge.name, job.id, now)
        self._due_at = inf
        self._run(self._engine.due(now))

    def _room_freed(self) -> None:
        self._run(self._engine.room_freed(self._seconds()))

    def _create(self, command: Create) -> None:
        self._quotas.job_ended(self._bridge.name, command.job.id)  # the bridge counts it from now on
        self._tasks.run(self._created(command.job))

    async def _created(self, job: ScanJob) -> None:
        outcome = await self._requests.create(job.order.tickets[job.ticket], job.order.client, job.order.press)
        if isinstance(outcome, CreatedJob):
            # Before the client learns of the job. Its JobCreatedTime is not known yet.
            storing = self._store_job(job, outcome.job_id, answered=self._wall())
            await first_of(self._reactor, STORE_SECONDS, storing)
            self._run(self._engine.created(job, outcome, self._seconds()))
        else:
            is_doubtful = may_be_empty(outcome, feeder=job.order.feeder) and self._engine.gives_up(
                job, outcome, self._seconds())
            is_ready = await self._is_ready() if is_doubtful else None
            self._run(self._engine.not_created(job, outcome, self._seconds(), is_ready=is_ready))

    def _record(self, command: Record) -> None:
        self._tasks.run(self._recorded(command.job))

    async def _recorded(self, job: ScanJob) -> None:
        assert job.created is not None
        created = await self._created_time(job, job.created.job_id)
        if job.phase is Phase.RECORDING:
            storing = self._store_job(job, job.created.job_id, created, None if created else self._wall())
            await first_of(self._reactor, STORE_SECONDS, storing)
        self._run(self._engine.recorded(job, self._seconds()))

    def _store_job(self, job: ScanJob, job_id: str | None = None, created: str | None = None,
                   answered: float | None = None) -> Deferred[None]:
        self._stored.add(job.id)
        writing = self._store.begin_job(OwnJob(
            self._bridge.name, job.id, job_id, created, answered, job.order.client))
        return writing.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: storing a scan job of the gateway's own failed", scanner=self._bridge.name))

    def _erase(self, job: ScanJob) -> None:
        self._stored.discard(job.id)
        self.on_settled(job.id)
        erasing = self._store.end_job(self._bridge.name, job.id)
        erasing.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: removing a scan job of the gateway's own from the store failed",
            scanner=self._bridge.name))

    async def _created_time(self, job: ScanJob, job_id: str) -> str | None:
        """The job's JobCreatedTime, from an event if one has arrived."""
        known = self._bridge.table.get(job_id)
        status = known.status if known is not None and known.status is not None and known.status.created else (
            await self._status(job))
        return None if status is None else status.created

    async def _status(self, job: ScanJob) -> JobStatus | None:
        """The job's status at the scanner, or None if it is not known in time."""
        assert job.created is not None
        asking = Deferred.fromCoroutine(self._requests.status(job.created.job_id, job.order.client))
        return await first_of(self._reactor, STATUS_SECONDS, asking)

    def _forget(self, command: Forget) -> None:
        created = command.job.created
        assert created is not None
        # A scanner without events tells no end, and the gateway asks for no more images of the job.
        self._bridge.table.out_of_images(created.job_id)
        self._quotas.job_ended(self._bridge.name, created.job_id)

    def _judge(self, command: Judge) -> None:
        self._tasks.run(self._judged(command.job))

    async def _judged(self, job: ScanJob) -> None:
        status = self._known_end(job) or await self._status(job)
        is_doubtful = status is None and job.refusal is not None and may_be_last(
            job.refusal, scanned=job.scanned, feeder=job.order.feeder)
        is_ready = await self._is_ready() if is_doubtful else None
        self._run(self._engine.judged(job, status, self._seconds(), is_ready=is_ready))

    async def _is_ready(self) -> bool | None:
        """True if the scanner is idle and not warming up, False if a condition stops it.

        None in another state, and if the scanner does not tell its state within `STATUS_SECONDS`.
        """
        asking = Deferred.fromCoroutine(self._requests.scanner_status())
        scanner = await first_of(self._reactor, STATUS_SECONDS, asking)
        if scanner is None:
            return None
        if condition_cause(scanner) is not None:
            return False
        return True if scanner.state == IDLE and {INPUT_TRAY_EMPTY}.issuperset(scanner.reasons) else None

    def _known_end(self, job: ScanJob) -> JobStatus | None:
        """The job's final status, if the scanner has already given it."""
        assert job.created is not None
        known = self._bridge.table.readable(job.created.job_id, self._seconds())
        return known if known is not None and known.final else None

    # Images.

    def _retrieve(self, command: Retrieve) -> None:
        self._tasks.run(self._retrieved(command.job, command.page))

    async def _retrieved(self, job: ScanJob, page: Page) -> None:
        try:
            file = self._make_file[job.id]() if job.id in self._make_file else self._spool.create(job.id)
        except OSError as error:
            self._spool_failed(job, f"{error.filename or self._spool.folder}: {error.strerror}")
            return
        writer = self._writers[page] = PageWriter(
            self._reactor, file, admit=partial(self._received, job, page), on_written=partial(self._grown, job, page),
            on_failed=partial(self._spool_failed, job))
        outcome = await self._transfers.retrieve(job, page.number, writer)
        now = self._seconds()
        if isinstance(outcome, Image):
            self._run(self._engine.transferred(job, page))
            await writer.close()
            if not page.gone:
                self._run(self._engine.page_ended(job, outcome.media_type, self._seconds()))
        elif outcome.broken:
            self._run(self._engine.page_broken(job, outcome, now))
        else:
            self._run(self._engine.page_refused(job, outcome, now))

    def _received(self, job: ScanJob, page: Page, size: int) -> bool:
        """True if so many bytes may be written now."""
        commands = self._engine.received(job, size, self._seconds())
        if commands:
            self._run(commands)
        return not commands and not page.gone

    def _grown(self, job: ScanJob, page: Page) -> None:
        page.size = self._writers[page].file.size
        self._tell(job)

    def _spool_failed(self, job: ScanJob, why: str) -> None:
        if job.id not in self._make_file:  # others say it themselves
            self.log.error("{scanner}: a page could not be written to the spool: {why}", scanner=self._bridge.name,
                           why=why)
        self._run(self._engine.spool_failed(job, why, self._seconds()))

    def _hold(self, command: Hold) -> None:
        """Do nothing: the writer holds what was not admitted."""

    def _resume(self, command: Resume) -> None:
        page = command.job.arriving
        if page is not None and page in self._writers:
            self._writers[page].resume()

    def _discard(self, command: Discard) -> None:
        writer = self._writers.pop(command.page, None)
        if writer is not None:
            self._tasks.run(writer.delete())
        self.on_discarded(command.page)
        self._room.tell()

    def _cancel(self, command: Cancel) -> None:
        self._tasks.run(self._canceled(command.job))

    async def _canceled(self, job: ScanJob) -> None:
        await self._transfers.cancel(job, is_over=lambda: self._known_end(job) is not None)
        self._run(self._engine.canceled(job, self._seconds()))

    def _withdraw(self, command: Withdraw) -> None:
        self._transfers.withdraw(command.job)

    def _change(self, command: Changed) -> None:
        job = command.job
        self._lack_of_room.note(job)
        if job.phase is Phase.OVER and job.order.client:
            self._quotas.job_ended(self._bridge.name, job.id)  # if it was never created
        if job.phase is Phase.OVER:
            self._make_file.pop(job.id, None)
        if job.id in self._stored and (job.settled or self.get(job.id) is None):
            self._erase(job)
        self._tell(job)

    _actions: dict[type, Callable[["ScanJobExecution", Any], None]] = {  # noqa: RUF012
        Create: _create, Record: _record, Retrieve: _retrieve, Hold: _hold, Resume: _resume, Judge: _judge,
        Cancel: _cancel, Withdraw: _withdraw, Forget: _forget, Discard: _discard, Changed: _change}
