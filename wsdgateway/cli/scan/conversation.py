"""The conversation of `wsdgateway scan` with a scanner: its configuration, a job, and the job's images in turn.

WS-Scan: GetScannerElements, CreateScanJob, then RetrieveImage until there are no more images; CancelJob if the job ends
before that. Requests are repeated after a temporary fault, as other clients do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import attrs
from lxml import etree

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.client import ScannerRefusal, ScanService
from wsdgateway.cli.scan.creating import created
from wsdgateway.cli.scan.diagnosis import Diagnosis
from wsdgateway.cli.scan.jobwatch import JobWatch
from wsdgateway.cli.scan.outcomes import ScanError, plain
from wsdgateway.cli.scan.pages import Pages
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.reading import child
from wsdgateway.scan.scannerconfiguration import ScannerConfiguration, read_configuration

PAUSE = 1.0
MAX_PAGES = 1000
MANY_IMAGES = 100
_FORMAT_FAULTS = ("ClientErrorFormatNotSupported", "ClientErrorDocumentFormatNotSupported")
_T = TypeVar("_T")


class Conversation:
    """The conversation with one scanner for one scan.

    `wait` is the time in seconds for which a busy scanner is asked again.
    """

    def __init__(self, service: ScanService, progress: Progress, *, feeder: bool, wait: float,
                 clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._service = service
        self._progress = progress
        self._feeder = feeder
        self._wait = wait
        self._clock = clock
        self._sleep = sleep
        self._diagnosis = Diagnosis(service, feeder=feeder, pause=lambda: sleep(PAUSE))
        self._over = False

    def offered(self) -> tuple[ScannerConfiguration | None, DocumentParameters]:
        """The scanner's configuration and default parameters; empty if it does not provide them."""
        told: dict[str, etree._Element] = {}
        problem = "The scanner does not report its capabilities"
        try:
            told = self._patiently(lambda: self._service.elements("ScannerConfiguration", "DefaultScanTicket"))
        except ScannerRefusal as refusal:
            if refusal.temporary:
                raise self._diagnosis.error_for(refusal) from None
            problem = f"The scanner's capabilities are not known: {refusal}"
        configuration, ticket = told.get("ScannerConfiguration"), told.get("DefaultScanTicket")
        if configuration is None:
            self._progress.say(f"{problem}; requesting the scan anyway")
        return (None if configuration is None else read_configuration(configuration),
                read_parameters(None if ticket is None else child(ticket, "DocumentParameters")))

    @contextmanager
    def job(self, tickets: tuple[DocumentParameters, ...]) -> Iterator[tuple[CreatedJob, DocumentParameters]]:
        """Create a job, and cancel it if the block is left by an exception."""
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
                                             self._diagnosis.check_paper)
            except ScannerRefusal as refusal:
                if refusal.code in _FORMAT_FAULTS and waiting:
                    continue
                if refusal.code == "InvalidArgs" and ticket.images == 0:
                    # Some Ricoh scanners do not accept the 0 that means all pages.
                    self._progress.say("The scanner does not accept a job with an open number of images; requested "
                                       f"{MANY_IMAGES}")
                    waiting.insert(0, attrs.evolve(ticket, images=MANY_IMAGES))
                    continue
                if refusal.code in ("HTTP 404", "HTTP 405"):
                    raise ScanError(f"{self._service.address}: {refusal}", WRONG) from None
                raise self._diagnosis.error_for(refusal) from None
            self._progress.say(f"job {plain(job.job_id)}")
            return job, self._compared(ticket, final)

    def _compared(self, ticket: DocumentParameters, final: DocumentParameters) -> DocumentParameters:
        """The parameters of the pages to come. Reports each that the scanner has changed."""
        for name in ("source", "color", "resolution", "format"):
            asked, given = getattr(ticket, name), getattr(final, name)
            if asked is not None and given is not None and asked != given:
                self._progress.say(f"The scanner uses {name} {plain(given)} instead of {asked}")
        return attrs.evolve(final, resolution=final.resolution or ticket.resolution)

    def fetch(self, job: CreatedJob, pages: Pages) -> None:
        """Fetch every page of the job. Raises `ScanError` if the job ends otherwise than after its last page."""
        with JobWatch(lambda: self._service.status(job), self._progress.told):
            while pages.count < MAX_PAGES:
                try:
                    self._patiently(lambda: self._page(job, pages))
                except ScannerRefusal as refusal:
                    self._judge(job, pages, refusal)
                    return
                if not self._feeder:
                    return
        raise ScanError(f"Stopped after {MAX_PAGES} pages, the limit of one scan")

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

    def _judge(self, job: CreatedJob, pages: Pages, refusal: ScannerRefusal) -> None:
        """Determine whether a RetrieveImage without an image was the end of the job.

        Raises `ScanError` if it was a failure.
        """
        status = self._diagnosis.last_status(job)
        # A CancelJob for a job that it did not know has crashed a scanner.
        self._over = refusal.unknown or (status is not None and status.final)
        self._diagnosis.judge(status, refusal, pages.count)

    # Steps in common.

    def _patiently(self, ask: Callable[[], _T], refused: Callable[[], None] = lambda: None) -> _T:
        """Call `ask`, and again while the scanner is busy, until `wait` is over.

        `refused` is called to look for the cause.
        """
        end: float | None = None
        while True:
            try:
                return ask()
            except ScannerRefusal as refusal:
                if not refusal.temporary:
                    raise
                now = self._clock()
                if end is None:
                    refused()
                    end = now + self._wait
                if now + PAUSE > end:
                    raise
                self._progress.say(f"The scanner is not ready: {refusal}; retrying for up to {self._wait:g} s")
            self._sleep(PAUSE)

    def _cancel(self, job: CreatedJob) -> None:
        """Send CancelJob while the image is still arriving, as sane-airscan does.

        If the scanner has a single connection, send it once that is free.
        """
        for _ in range(2):
            try:
                self._service.cancel(job)
            except ScannerRefusal:
                return
            except ScanError:
                self._service.hang_up()
            else:
                return
        self._progress.say("CancelJob was not answered; the scanner ends the job itself when no page is retrieved")
