"""`wsdgateway scan`: a small honest client that scans into files, through the gateway or straight.

WS-Scan: GetScannerElements, CreateScanJob, RetrieveImage until there are no images any more; CancelJob where it ends
before that. A temporary fault is tried again, as the field's clients do.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import attrs
from lxml import etree

from wsdgateway.cli.choosing import Wishes, choose
from wsdgateway.cli.creating import created
from wsdgateway.cli.jobwatch import JobWatch
from wsdgateway.cli.outcomes import BUSY, FAILED, NO_PAPER, UNREACHABLE, ScanError, plain
from wsdgateway.cli.pages import Pages
from wsdgateway.cli.progress import Progress
from wsdgateway.cli.scanclient import Refusal, ScanService
from wsdgateway.cli.targets import read_target
from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstates import ABORTED, CANCELED, COMPLETED
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.reading import child
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, read_configuration
from wsdgateway.scan.scannerstatus import INPUT_TRAY_EMPTY, read_status

PAUSE = 1.0
MAX_PAGES = 1000
MANY_IMAGES = 100
END_TRIES = 3
_FORMAT_FAULTS = ("ClientErrorFormatNotSupported", "ClientErrorDocumentFormatNotSupported")
_T = TypeVar("_T")


@attrs.frozen
class Order:
    """What the user asks for. `wait`: for how many seconds a busy scanner is asked again."""

    url: str
    output: str | None = None
    source: str = "platen"
    resolution: int | None = None
    color: str | None = None
    format: str | None = None
    wait: float = 30.0


def scan(order: Order, progress: Progress, *, clock: Callable[[], float] = time.monotonic,
         sleep: Callable[[float], None] = time.sleep) -> None:
    """Scan into files, whose names `progress` is told as they appear. Raises `ScanError`.

    Whatever ends it early: pages that were whole are kept, the job is cancelled, and the exception goes on.
    """
    service, target = ScanService(order.url), read_target(order.output, order.format)
    with progress:
        run = _Run(order, service, progress, clock, sleep)
        tickets = choose(Wishes(target.image, order.source, order.resolution, order.color, target.format),
                         *run.offered())
        with Pages(target, written=progress.appeared, say=progress.say) as pages:
            try:
                with run.job(tickets) as (job, final):
                    pages.dots = final.resolution
                    run.fetch(job, pages)
            except BaseException as error:
                interrupted = isinstance(error, KeyboardInterrupt)
                if interrupted or pages.count:
                    progress.say(f"{'Interrupted' if interrupted else 'Broken off'}: {_counted(pages.count)}")
                pages.finish(whole=False)
                raise
            pages.finish(whole=True)
            if pages.surprises:
                raise ScanError(f"The scanner sent {', '.join(sorted(pages.surprises))}, not {target.kind}; it is kept "
                                "under a name of its own", FAILED)


def _counted(pages: int) -> str:
    if not pages:
        return "no page is whole"
    return "one page is whole and kept" if pages == 1 else f"{pages} pages are whole and kept"


class _Run:
    """The conversation with the scanner."""

    def __init__(self, order: Order, service: ScanService, progress: Progress, clock: Callable[[], float],
                 sleep: Callable[[float], None]) -> None:
        self._service = service
        self._progress = progress
        self._wait = order.wait
        self._feeder = order.source != "platen"
        self._clock = clock
        self._sleep = sleep
        self._over = False

    def offered(self) -> tuple[ScannerConfiguration | None, DocumentParameters]:
        """What the scanner offers, and how it scans by default; nothing where it does not say."""
        told: dict[str, etree._Element] = {}
        try:
            told = self._patiently(lambda: self._service.elements("ScannerConfiguration", "DefaultScanTicket"))
        except Refusal as refusal:
            if refusal.temporary:
                raise self._ended_by(refusal) from None
        configuration, ticket = told.get("ScannerConfiguration"), told.get("DefaultScanTicket")
        if configuration is None:
            self._progress.say("The scanner does not say what it offers; it is asked all the same")
        return (None if configuration is None else read_configuration(configuration),
                read_parameters(None if ticket is None else child(ticket, "DocumentParameters")))

    @contextmanager
    def job(self, tickets: tuple[DocumentParameters, ...]) -> Iterator[tuple[CreatedJob, DocumentParameters]]:
        """A job, cancelled if anything breaks it off."""
        job, final = self._create(tickets)
        try:
            yield job, final
        except BaseException:
            if not self._over:
                self._cancel(job)
            raise
        finally:
            self._service.hang_up()

    def _create(self, tickets: tuple[DocumentParameters, ...]) -> tuple[CreatedJob, DocumentParameters]:
        waiting = list(tickets)
        while True:
            ticket = waiting.pop(0)
            try:
                job, final = self._patiently(lambda: created(self._service, ticket, self._cancel),  # noqa: B023
                                             self._check_paper)
            except Refusal as refusal:
                if refusal.code in _FORMAT_FAULTS and waiting:
                    continue
                if refusal.code == "InvalidArgs" and ticket.images == 0:
                    # Some of Ricoh's do not take the 0 that means all there are.
                    waiting.insert(0, attrs.evolve(ticket, images=MANY_IMAGES))
                    continue
                raise self._ended_by(refusal) from None
            self._progress.say(f"job {plain(job.job_id)}")
            return job, self._compared(ticket, final)

    def _compared(self, ticket: DocumentParameters, final: DocumentParameters) -> DocumentParameters:
        """What the page will be like; where the scanner decided otherwise, that is said."""
        for name in ("source", "color", "resolution", "format"):
            asked, given = getattr(ticket, name), getattr(final, name)
            if asked is not None and given is not None and asked != given:
                self._progress.say(f"The scanner takes {name} {plain(given)}, not {asked}")
        return attrs.evolve(final, resolution=final.resolution or ticket.resolution)

    def fetch(self, job: CreatedJob, pages: Pages) -> None:
        """Every page of the job. Raises `ScanError` if it ends in another way than by its last page."""
        with JobWatch(lambda: self._service.status(job), self._progress.told):
            while pages.count < MAX_PAGES:
                try:
                    self._patiently(lambda: self._page(job, pages))
                except Refusal as refusal:
                    self._judge(job, pages, refusal)
                    return
                if not self._feeder:
                    return
        raise ScanError(f"More than {MAX_PAGES} pages are too many for one scan")

    def _page(self, job: CreatedJob, pages: Pages) -> None:
        page, size = pages.count + 1, 0

        def write(data: memoryview) -> None:
            nonlocal size
            size += len(data)
            pages.write(data)
            self._progress.received(size)

        self._progress.began(page)
        pages.begin()
        self._service.retrieve(job, f"page {page}", write)
        pages.end()
        self._progress.kept(page, size)

    def _judge(self, job: CreatedJob, pages: Pages, refusal: Refusal) -> None:
        """No image came: was that the end of the job, or did something break it off?"""
        status = self._last_status(job)
        # A CancelJob for a job that it does not know has killed a scanner.
        self._over = refusal.unknown or (status is not None and status.final)
        if status is not None and status.state in (ABORTED, CANCELED):
            if not pages.count:
                self._check_paper()
            reasons = ", ".join(reason for reason in status.reasons if reason != "None")
            raise ScanError(f"The scanner ended the job: {plain(f'{status.state} {reasons}')}")
        if pages.count and (refusal.over or (status is not None and status.state == COMPLETED)):
            return
        raise self._ended_by(refusal)

    def _last_status(self, job: CreatedJob) -> JobStatus | None:
        """The job's status at its end; None where it is not told."""
        status: JobStatus | None = None
        for attempt in range(END_TRIES):
            if attempt:
                # The gateway knows it from an event, which may come a moment after the fault.
                self._sleep(PAUSE)
            try:
                status = self._service.status(job)
            except (ScanError, Refusal):
                return None
            if status is None or status.final:
                break
        return status

    # What every step does.

    def _patiently(self, ask: Callable[[], _T], refused: Callable[[], None] = lambda: None) -> _T:
        """Ask, and again while the scanner is busy, for as long as the user waits; `refused` looks why."""
        end: float | None = None
        while True:
            try:
                return ask()
            except Refusal as refusal:
                if not refusal.temporary:
                    raise
                now = self._clock()
                if end is None:
                    refused()
                    end = now + self._wait
                if now + PAUSE > end:
                    raise
                self._progress.say(f"Not now: {refusal}; trying for {self._wait:g} seconds")
            self._sleep(PAUSE)

    def _conditions(self) -> tuple[str, ...]:
        """What the scanner says is wrong with it."""
        with suppress(ScanError, Refusal):
            status = self._service.elements("ScannerStatus").get("ScannerStatus")
            return () if status is None else read_status(status).reasons
        return ()

    def _check_paper(self) -> None:
        if self._feeder and INPUT_TRAY_EMPTY in self._conditions():
            raise ScanError("The feeder is empty", NO_PAPER)

    def _ended_by(self, refusal: Refusal) -> ScanError:
        if refusal.unreachable:
            return ScanError(str(refusal), UNREACHABLE)
        if self._feeder and refusal.code == "ClientErrorNoImagesAvailable":
            return ScanError("The feeder is empty", NO_PAPER)
        conditions = self._conditions()
        if self._feeder and INPUT_TRAY_EMPTY in conditions:
            return ScanError("The feeder is empty", NO_PAPER)
        told = plain(f"; it reports {', '.join(conditions)}") if conditions else ""
        if refusal.temporary:
            return ScanError(f"The scanner is busy: {refusal}{told}", BUSY)
        return ScanError(f"The scanner refused: {refusal}{told}", FAILED)

    def _cancel(self, job: CreatedJob) -> None:
        """CancelJob while the image is still coming, as sane-airscan does; a scanner with a single connection gets it
        once that is free."""
        for _ in range(2):
            try:
                self._service.cancel(job)
            except Refusal:
                return
            except ScanError:
                self._service.hang_up()
            else:
                return
