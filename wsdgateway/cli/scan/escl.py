"""A client of an eSCL (AirScan) root, with the operations of `Scanner`.

eSCL: GET ScannerCapabilities and ScannerStatus, POST ScanJobs, GET NextDocument, DELETE of the job. A job's id is the
path in the Location of ScanJobs.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from socket import SHUT_RDWR, socket
from threading import Event
from typing import TypeVar
from urllib.parse import quote, urljoin, urlsplit

from wsdgateway.cli.scan.esclvalues import (
    EsclCapabilities,
    condition_of,
    job_of,
    read_capabilities,
    settings_of,
)
from wsdgateway.cli.scan.imagebody import MAX_IMAGE, PIECE
from wsdgateway.cli.scan.outcomes import FAILED, ScanError, cause_of, plain
from wsdgateway.cli.scan.scanner import (
    ELEMENTS_TIMEOUT,
    JOB_TIMEOUT,
    STATUS_TIMEOUT,
    Capabilities,
    Names,
    ScannerRefusal,
)
from wsdgateway.cli.scan.web import Web, WebAnswer
from wsdgateway.escl.reading import Unreadable
from wsdgateway.escl.scannerstatus import DOWN
from wsdgateway.escl.scannerstatus import ScannerStatus as EsclStatus
from wsdgateway.escl.writing import DEFAULT_VERSION
from wsdgateway.http.urls import IN_PATH
from wsdgateway.net.transport.errors import UNAVAILABLE
from wsdgateway.scan.documentparameters import DocumentParameters
from wsdgateway.scan.jobs import CreatedJob
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.refusals import NO_IMAGES
from wsdgateway.scan.scannerstatus import ScannerStatus

PAUSE = 1.0  # seconds before a page that is not ready is asked for again
MAX_ASKS = 120  # for one page; a device holds each for up to a minute, or refuses it at once
_Document = TypeVar("_Document")
_STATUS = "ScannerStatus"
_ROOT = re.compile(r"/eSCL/?$", re.IGNORECASE)


def is_escl(url: str) -> bool:
    """True if a URL is that of an eSCL root."""
    return _ROOT.search(urlsplit(url).path) is not None


class EsclScanner:
    """The scanner with an eSCL root at a URL."""

    def __init__(self, address: str, web: Web) -> None:
        self.address = address.rstrip("/")
        self._web = web
        self._known: EsclCapabilities | None = None
        self._transfer: socket | None = None
        self._ended = Event()

    def names(self) -> Names:
        """The MakeAndModel of the scanner."""
        return self._capabilities().names

    def capabilities(self) -> Capabilities:
        """The ScannerCapabilities of the scanner."""
        return self._capabilities().capabilities

    def condition(self) -> ScannerStatus | None:
        """The ScannerStatus of the scanner."""
        return condition_of(self._status())

    def create(self, wanted: DocumentParameters) -> tuple[CreatedJob, DocumentParameters]:
        """Create a job. eSCL does not tell what the scanner has made of the parameters."""
        version = DEFAULT_VERSION if self._known is None else self._known.version
        answer = self._web.request(f"{self.address}/ScanJobs", JOB_TIMEOUT, method="POST",
                                   body=settings_of(wanted, version).write(), headers={"Content-Type": "text/xml"})
        if answer.status == 409:
            # Not "HTTP 409", which ends the pages of a job.
            raise ScannerRefusal("409 Conflict", "The scanner cannot scan with these settings, or from this source")
        location = answer.headers.get("location", "")
        if answer.status != 201 or not location:
            raise self._refusal(answer)
        return CreatedJob(_path(f"{self.address}/", location), None), wanted

    def status(self, job: CreatedJob) -> JobStatus | None:
        """The job in ScannerStatus; None if it is not listed there."""
        return job_of(self._status(), job.job_id)

    def cancel(self, job: CreatedJob) -> None:
        """Delete the job."""
        answer = self._web.request(self._url(job), STATUS_TIMEOUT, method="DELETE")
        if answer.status >= 400:
            raise self._refusal(answer)

    def release(self, job: CreatedJob) -> None:
        """Delete a job that has ended, as other clients do."""
        with suppress(ScanError):
            self._web.request(self._url(job), STATUS_TIMEOUT, method="DELETE")

    def retrieve(self, job: CreatedJob, document: str, write: Callable[[memoryview], None]) -> int:
        """Retrieve the next document. While it is not ready (503), it is asked for again."""
        for _ in range(MAX_ASKS):
            self.hang_up()
            self._ended.clear()
            url = f"{self._url(job)}/NextDocument"
            connection = self._web.connect(url)
            self._transfer = connection.sock
            response = self._web.send(connection, url, method="GET", body=None, headers={}, timeout=JOB_TIMEOUT,
                                      silent=FAILED)
            if response.status == 200:
                size = _read(response, write)
                response.close()
                self.hang_up()
                return size
            response.close()
            if response.status != 503 or self._ended.wait(PAUSE):
                raise _no_page(response)
        raise ScanError("The scanner does not finish the page")

    def hang_up(self) -> None:
        """Close the connection of an image, complete or not."""
        self._ended.set()
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            with suppress(OSError):
                transfer.shutdown(SHUT_RDWR)
            transfer.close()

    def _url(self, job: CreatedJob) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}{job.job_id}"

    def _capabilities(self) -> EsclCapabilities:
        if self._known is None:
            self._known = self._document("ScannerCapabilities", ELEMENTS_TIMEOUT, read_capabilities)
        return self._known

    def _status(self) -> EsclStatus:
        return self._document(_STATUS, STATUS_TIMEOUT, EsclStatus.read)

    def _document(self, name: str, timeout: float, read: Callable[[bytes], _Document]) -> _Document:
        answer = self._web.request(f"{self.address}/{name}", timeout)
        if answer.status != 200:
            raise self._refusal(answer, may_be_down=name != _STATUS)
        try:
            return read(answer.body)
        except Unreadable as bad:
            raise ScannerRefusal(f"HTTP {answer.status}", f"{name} cannot be read: {plain(bad)}") from None

    def _refusal(self, answer: WebAnswer, *, may_be_down: bool = True) -> ScannerRefusal:
        """The refusal in an answer. If a gateway cannot reach the scanner, its answer is 503, and the state Down."""
        if answer.status == 503 and may_be_down:
            with suppress(ScanError, ScannerRefusal):
                if self._status().state == DOWN:
                    return ScannerRefusal("HTTP 503", f"{UNAVAILABLE}: its state is Down")
        return ScannerRefusal(f"HTTP {answer.status}", answer.reason)


def _path(base: str, location: str) -> str:
    """The path of a Location. Its host does not count, since devices name others. Raises `ScanError`."""
    try:
        path = urlsplit(urljoin(base, location)).path
    except ValueError:
        raise ScanError("The scanner's answer to ScanJobs contains no valid Location") from None
    return quote(f"/{path.strip('/')}", IN_PATH)


def _no_page(response: HTTPResponse) -> ScannerRefusal:
    if response.status == 404:
        return ScannerRefusal(NO_IMAGES, "")
    if response.status == 410:
        return ScannerRefusal("ClientErrorJobCancelled", "The job was canceled or aborted")
    if response.status == 409:
        return ScannerRefusal("409 Conflict", "The scanner stopped")
    return ScannerRefusal(f"HTTP {response.status}", plain(response.reason))


def _read(response: HTTPResponse, write: Callable[[memoryview], None]) -> int:
    size = 0
    try:
        while piece := response.read1(PIECE):
            size += len(piece)
            if size > MAX_IMAGE:
                raise ScanError(f"The image is larger than {MAX_IMAGE} bytes")
            write(memoryview(piece))
    except (OSError, HTTPException) as error:
        raise ScanError(f"The image ended early, after {size} bytes: {cause_of(error)}") from None
    if response.length:  # the rest of Content-Length
        raise ScanError(f"The image ended early, after {size} bytes")
    if not size:
        raise ScanError("The scanner's answer to NextDocument contains no image")
    return size
