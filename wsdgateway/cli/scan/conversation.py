"""The conversation of `wsdgateway scan` with a scanner: a job, and the job's images in turn.

WS-Scan: CreateScanJob, then RetrieveImage until there are no more images; CancelJob if the job ends before that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from wsdgateway.cli.scan.bounded import BoundedScanner
from wsdgateway.cli.scan.calls import TimeOver
from wsdgateway.cli.scan.diagnosis import Diagnosis
from wsdgateway.cli.scan.jobwatch import JobWatch
from wsdgateway.cli.scan.outcomes import ScanError, no_scanner, plain
from wsdgateway.cli.scan.pages import Pages
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.retrying import Retries
from wsdgateway.cli.scan.scanner import Scanner, ScannerRefusal
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.quirks import SOME_IMAGES
from wsdgateway.scan.refusals import FORMAT_NOT_SUPPORTED

MAX_PAGES = 1000


class Conversation:
    """The conversation with one scanner for one scan. `watched` is the scanner itself, for use in another thread."""

    def __init__(self, scanner: BoundedScanner, watched: Scanner, progress: Progress, retried: Retries,
                 diagnosis: Diagnosis, *, feeder: bool) -> None:
        self._scanner = scanner
        self._watched = watched
        self._progress = progress
        self._feeder = feeder
        self._retried = retried
        self._diagnosis = diagnosis
        self._over = False

    @contextmanager
    def job(self, tickets: tuple[DocumentParameters, ...]) -> Iterator[tuple[CreatedJob, DocumentParameters]]:
        """Create a job, and cancel it if the block is left by an exception."""
        job, final = self._create(tickets)
        try:
            yield job, final
        except BaseException as error:
            if not self._over:
                self._cancel(job, once=isinstance(error, TimeOver))
            raise
        else:
            self._scanner.release(job)
        finally:
            self._scanner.hang_up()

    def _create(self, tickets: tuple[DocumentParameters, ...]) -> tuple[CreatedJob, DocumentParameters]:
        waiting = list(tickets)
        while True:
            ticket = waiting.pop(0)
            try:
                job, final = self._retried(lambda: self._scanner.create(
                    ticket, self._cancel, self._diagnosis.check_stopped),  # noqa: B023
                                             self._diagnosis.check)
            except ScannerRefusal as refusal:
                if refusal.code in FORMAT_NOT_SUPPORTED and waiting:
                    continue
                if refusal.code == "InvalidArgs" and ticket.images == 0:
                    # Some Ricoh scanners do not accept the 0 that means all pages.
                    self._progress.say("The scanner does not accept a job with an open number of images; requested "
                                       f"{SOME_IMAGES}")
                    waiting.insert(0, attrs.evolve(ticket, images=SOME_IMAGES))
                    continue
                if refusal.is_of_web_server:
                    raise no_scanner(self._scanner.address, refusal) from None
                raise self._diagnosis.error_for(refusal) from None
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
        with JobWatch(lambda: self._watched.status(job), self._progress.told):
            while pages.count < MAX_PAGES:
                try:
                    self._retried(lambda: self._page(job, pages), self._diagnosis.check_attention)
                except ScannerRefusal as refusal:
                    self._judge(job, pages, refusal)
                    return
                if not self._feeder:
                    return
        raise ScanError(f"Stopped after {MAX_PAGES} pages, the limit of one scan")

    def _page(self, job: CreatedJob, pages: Pages) -> None:
        page, size = pages.count + 1, 0
        write = pages.begin()

        def take(data: memoryview) -> None:
            nonlocal size
            size += len(data)
            write(data)
            self._progress.received(size)

        self._progress.began(page)
        self._scanner.retrieve(job, page, take, self._diagnosis.check_stopped)
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

    def _cancel(self, job: CreatedJob, *, once: bool = False) -> None:
        """Send CancelJob while the image is still arriving, as sane-airscan does.

        If the scanner has a single connection, send it once that is free, unless it is to be sent only `once`.
        """
        for _ in range(1 if once else 2):
            try:
                if self._scanner.cancel(job):
                    return
            except ScannerRefusal:
                return
            except ScanError:
                pass
            self._scanner.hang_up()
        if not once:
            self._progress.say("CancelJob was not answered; the scanner ends the job itself when no page is "
                               "retrieved")
