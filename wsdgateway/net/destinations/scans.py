"""Scans what was started at the panel of one scanner: a press becomes a job of the engine, and its pages become files.

WS-Scan, ScanAvailableEvent, GetScannerElements, ValidateScanTicket, CreateScanJob. One scan at a time is at the
scanner; while the files of one are made, the next one begins.
"""

import time
from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from wsdgateway.bridge.destinations.outcomes import cause_of
from wsdgateway.bridge.destinations.presses import MAX_WAITING, Accepted, Pressed, Presses, Waiting
from wsdgateway.bridge.destinations.registering import Entry
from wsdgateway.bridge.destinations.tickets import PanelOffer, Plan, make_plan, validated, write_validate
from wsdgateway.bridge.scanjobs.scanjob import End, Order, Press, Reason, Refusal, ScanJob
from wsdgateway.config.sections import Destination
from wsdgateway.metrics import FAILED
from wsdgateway.net.destinations.folder import Record, ScanFolder
from wsdgateway.net.destinations.recovery import finish_interrupted
from wsdgateway.net.destinations.scanfiles import ScanFiles
from wsdgateway.net.destinations.shared import SharedDestinations
from wsdgateway.net.scanjobs.execution import NotAdmitted, ScanJobExecution
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.scanjobs.waiting import first_of
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.scannerconfiguration import read_configuration
from wsdgateway.scan.scannerelements import SCANNER_STATUS, read_elements
from wsdgateway.scan.scannerstatus import read_status
from wsdgateway.scan.scanticket import ScanTicket
from wsdgateway.soap.envelope import Envelope

ASK_SECONDS = 10.0  # for the scanner's elements, and for its opinion of the ticket; the person at the panel waits
PATIENCE_SECONDS = 60.0  # for which a busy scanner is asked again
FINISH_SECONDS = 8.0  # for the files of scans when the gateway stops; the next start makes the others
_ELEMENTS = ("ScannerConfiguration", "DefaultScanTicket", SCANNER_STATUS)
_STOPPING = "the gateway is stopping"
_LEAVING = "another gateway takes over the scanner"
_NOT_THERE = ("ActionNotSupported", "HTTP 404", "HTTP 405", "HTTP 501")  # answers of scanners without an operation


class Scans:
    """The scans at one scanner. `execution` returns its engine, and `tokens` the DestinationToken of a context.

    `conditions` returns the scanner's conditions and reasons of its state, as far as they are known.
    """

    log = Logger()

    def __init__(self, scanner: str, shared: SharedDestinations, requests: JobRequests,
                 execution: Callable[[], ScanJobExecution], tokens: Callable[[str], str | None],
                 conditions: Callable[[], tuple[str, ...]]) -> None:
        self._scanner = scanner
        self._shared = shared
        self._requests = requests
        self._execution = execution
        self._tokens = tokens
        self._conditions = conditions
        self._tasks = Tasks(f"{scanner}: a scan that was started at the panel failed")
        self._running = False
        self._stopped = self._is_leaving = False
        self._validates = True
        self._active: list[tuple[str, Press]] = []
        self.presses = Presses()

    def press(self, entry: Entry, press: Pressed) -> None:
        """Handle a press of the scan button."""
        if self._stopped:
            return
        if self._is_leaving:
            self._refuse(entry.name, _LEAVING)
            return
        accepted = self.presses.add(entry, press, self._shared.reactor.seconds())
        if accepted is Accepted.TOO_MANY:
            self._refuse(entry.name, f"{MAX_WAITING} scans from the panel wait already")
        elif accepted is Accepted.REPEATED:
            self.log.info("{scanner}: the scanner repeated its event about the scan to {destination} (ScanIdentifier "
                          "{identifier}); the scan is not started again", scanner=self._scanner, destination=entry.name,
                          identifier=press.identifier)
        elif accepted is Accepted.TAKEN:
            self.log.info("{scanner}: a scan to {destination} was started at the panel", scanner=self._scanner,
                          destination=entry.name)
            if not self._running:
                self._running = True
                self._tasks.run(self._work())

    def tokens_changed(self) -> None:
        """Use the scanner's new DestinationTokens for scans whose job has not been created yet."""
        for context, press in self._active:
            press.token = self._tokens(context)

    def _refuse(self, destination: str, why: str) -> None:
        self._shared.metrics.destination_files(destination, FAILED)
        self.log.warn("{scanner}: the scan to {destination} that was started at the panel is not carried out: {why}",
                      scanner=self._scanner, destination=destination, why=why)

    async def _work(self) -> None:
        """Scan one press after the other."""
        try:
            while not self._stopped and (waiting := self.presses.take()) is not None:
                try:
                    await self._scan(waiting)
                except CancelledError:
                    raise  # the next start finishes what is in the folder
                except Exception:  # the next press must not suffer from it
                    self._shared.metrics.destination_files(waiting.entry.name, FAILED)
                    self.log.failure("{scanner}: the scan to {destination} failed", scanner=self._scanner,
                                     destination=waiting.entry.name)
        finally:
            self._running = False

    async def _scan(self, waiting: Waiting) -> None:
        name = waiting.entry.name
        settings = next((one for one in self._shared.on_panel(self._scanner) if one.name == name), None)
        refusal = "the destination is no longer in the configuration" if settings is None else (
            self._shared.after.refusal(name))
        if settings is None or refusal is not None:
            self._refuse(name, refusal or "")
            return
        offer = await self._offer()
        plan = await self._validated(make_plan(settings, offer, waiting.press.source))
        try:
            folder = ScanFolder(self._shared.folder_of(settings), self._shared.new_id())
            files = ScanFiles(self._shared, folder, self._record(settings, plan))
            await files.begin()
        except OSError as error:  # its file has a hidden name, which helps nobody
            self._refuse(name, f"{self._shared.folder_of(settings)}: {error.strerror or error}")
            return
        if folder.folder in self._shared.unfinished:  # it can be used now
            self._tasks.run(finish_interrupted(self._shared, [folder.folder]))
        try:
            end = await self._scanned(waiting, settings, offer, plan, files, folder)
            if end is None:
                await files.discard()
                files.leave()
                return
        except BaseException:
            files.leave()  # the next scan or start makes files of the pages
            raise
        self._tasks.run(self._finish(settings, files, end))

    async def _scanned(self, waiting: Waiting, settings: Destination, offer: PanelOffer, plan: Plan, files: ScanFiles,
                       folder: ScanFolder) -> End | None:
        """Scan the pages; returns how the job ended, or None if it is not accepted, which is logged."""
        job = await self._run(waiting, settings, plan, files, folder)
        if job is not None and job.end is not None and job.end.reason is Reason.FEEDER_EMPTY and plan.guessed and (
                not files.pages):
            plan = await self._validated(make_plan(settings, offer, waiting.press.source, may_guess=False))
            files.record = self._record(settings, plan)
            job = await self._run(waiting, settings, plan, files, folder)
        return None if job is None else job.end

    def _record(self, settings: Destination, plan: Plan) -> Record:
        dots = plan.parameters.resolution or 300
        now = time.localtime(self._shared.wall())
        values = {"scanner": self._scanner, "destination": settings.name, "date": time.strftime("%Y%m%d", now),
                  "time": time.strftime("%H%M%S", now), "job": ""}
        size = plan.parameters.size
        return Record(self._scanner, settings.name, settings.format, settings.file, values, dots,
                      0 if size is None else size[1] * dots // 1000)

    # Before the job.

    async def _ask(self, asking: Deferred[Envelope | Refusal]) -> Envelope | Refusal | None:
        return await first_of(self._shared.reactor, ASK_SECONDS, asking)

    async def _offer(self) -> PanelOffer:
        """The scanner's current capabilities, with the settings of its panel."""
        answer = await self._ask(Deferred.fromCoroutine(self._requests.current_elements(_ELEMENTS)))
        if isinstance(answer, Refusal) and not answer.unreachable:
            answer = await self._ask(Deferred.fromCoroutine(self._requests.current_elements(_ELEMENTS[:1])))
        if not isinstance(answer, Envelope):
            return PanelOffer()
        elements = read_elements(answer.body)
        configuration, ticket, status = (elements.get(name) for name in _ELEMENTS)
        found = PanelOffer()
        if configuration is not None:
            found = attrs.evolve(found, configuration=read_configuration(configuration))
        parameters = DocumentParameters() if ticket is None else ScanTicket.read(ticket).parameters
        return attrs.evolve(found, default=parameters, status=None if status is None else read_status(status))

    async def _validated(self, plan: Plan) -> Plan:
        """The plan, as the scanner corrects it. Without an opinion, CreateScanJob decides."""
        if not self._validates:
            return plan
        answer = await self._ask(Deferred.fromCoroutine(self._requests.validate(write_validate(plan.tickets[0]))))
        if isinstance(answer, Refusal) and answer.fault in _NOT_THERE:
            self._validates = False
        return validated(plan, answer.body) if isinstance(answer, Envelope) else plan

    # The job.

    async def _run(self, waiting: Waiting, settings: Destination, plan: Plan, files: ScanFiles,
                   folder: ScanFolder) -> ScanJob | None:
        """Run a job to its end, and keep its pages; returns None if it is not accepted, which is logged."""
        context = waiting.entry.context
        press = Press(waiting.press.identifier, self._tokens(context))
        order = Order.without_client(plan.tickets, plan.images, settings.name, feeder=plan.feeder,
                                     patience=PATIENCE_SECONDS, press=press)
        if self._stopped:
            self._refuse(settings.name, _STOPPING)
            return None
        self._active.append((context, press))
        numbers = iter(range(1, 1 << 30))
        try:
            job = self._execution().submit(order, lambda: folder.new_page(next(numbers)))
            await self._collect(job, plan, files)
            return job
        except NotAdmitted as refused:
            self._refuse(settings.name, str(refused))
            return None
        finally:
            self._active.remove((context, press))

    async def _collect(self, job: ScanJob, plan: Plan, files: ScanFiles) -> None:
        """Keep each page as soon as it is complete, until the job has ended."""
        execution = self._execution()
        while True:
            page = execution.next_page(job)
            if page is not None and page.complete:
                execution.sending(job)
                try:
                    if not files.pages:
                        await files.note(self._noted(job, plan, files.record))
                    await files.take(execution.path_of(page), page.number)
                except OSError as error:
                    execution.fail(job, _said(error))
                finally:
                    execution.sent(job, page, whole=True)
            elif job.finished:
                return
            else:
                await execution.changed(job)

    def _noted(self, job: ScanJob, plan: Plan, record: Record) -> Record:
        """The record with the JobId, and the resolution of the ticket that the scanner has accepted."""
        dots = plan.tickets[job.ticket].parameters.resolution
        job_id = "" if job.created is None else job.created.job_id
        return attrs.evolve(record, values={**record.values, "job": job_id}, dots=dots or record.dots)

    # After the job.

    async def _finish(self, settings: Destination, files: ScanFiles, end: End) -> None:
        """Write the files that are still missing, and log how the scan ended."""
        try:
            await files.finish()
        except OSError as error:
            end = end if end.reason is not Reason.FINISHED else End(Reason.SPOOL_FAILED, text=_said(error))
        finally:
            files.leave()
        if end.reason is Reason.FINISHED:
            self.log.info("{scanner}: the scan to {destination} has ended: {pages} page(s), {files} file(s)",
                          scanner=self._scanner, destination=settings.name, pages=files.pages, files=files.files)
            return
        self._shared.metrics.destination_files(settings.name, FAILED)
        cause = cause_of(end, self._conditions())
        kept = f"its {files.pages} complete page(s) are kept" if files.pages else "there is no complete page"
        self.log.warn("{scanner}: the scan to {destination} has failed: {cause}; {kept}", scanner=self._scanner,
                      destination=settings.name, cause=cause, kept=kept)

    def finish(self) -> Deferred[None]:
        """Accept no more presses; fires when the scans that were accepted have ended. May be cancelled."""
        self._is_leaving = True
        return self._tasks.idle()

    def close(self) -> None:
        """Start no more scans, because the gateway is stopping."""
        self._stopped = True
        while (waiting := self.presses.take()) is not None:
            self._refuse(waiting.entry.name, _STOPPING)

    async def stop(self) -> None:
        """Wait for the files of scans, whose jobs must have been stopped; takes at most about `FINISH_SECONDS`."""
        await first_of(self._shared.reactor, FINISH_SECONDS, self._tasks.idle())
        self._tasks.cancel()


def _said(error: OSError) -> str:
    """An error of a disk in words."""
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what
