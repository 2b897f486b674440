"""A client of a scan service. Each operation is a call that waits for its answer, up to a time-out.

WS-Scan, "WSD Scan Service Operation Elements"; SOAP 1.2 over HTTP, images as MTOM. Each request uses its own
connection, as other clients do.
"""

import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

from lxml import etree

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan import securing
from wsdgateway.cli.scan.imagebody import read_image
from wsdgateway.cli.scan.outcomes import FAILED, UNREACHABLE, ScanError, plain
from wsdgateway.cli.scan.securing import BY_THE_SYSTEM, Judgement
from wsdgateway.http.messages import charset_of
from wsdgateway.mtom.multipart import boundary_of
from wsdgateway.net.transport.errors import UNAVAILABLE
from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters, write_scan_ticket
from wsdgateway.scan.jobelements import read_response, write_status_request
from wsdgateway.scan.jobs import CreatedJob, read_created, write_cancel, write_create, write_retrieve
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import action_of
from wsdgateway.scan.reading import child
from wsdgateway.scan.scannerelements import read_elements, write_elements_request
from wsdgateway.soap.envelope import Envelope, compose, read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import Malformed

PORTS = {"http": 80, "https": 443}
CONNECT_TIMEOUT = 10.0
ELEMENTS_TIMEOUT = 20.0
STATUS_TIMEOUT = 5.0
JOB_TIMEOUT = 120.0  # lamps warm up for a minute, and a page at 1,200 dpi takes longer
MAX_ANSWER = 1 << 20
PIECE = 65536

_TEMPORARY = ("ServerErrorTemporaryError", "ServerErrorNotAcceptingJobs", "HTTP 503")
_UNKNOWN = ("ClientErrorJobIdNotFound", "HTTP 404", "HTTP 410")
_OVER = ("ClientErrorNoImagesAvailable", "HTTP 409", *_UNKNOWN)
# The gateway's own ServerErrorTemporaryError begins with this, or with `UNAVAILABLE`, if it cannot reach the scanner.
# With any other text the scanner is reachable but busy.
_NOT_FOUND = "The scanner's address is not known yet"


class ScannerRefusal(Exception):
    """The scanner answered with a fault, or with a bare HTTP status; `code` names it.

    `temporary`: the request may be repeated. `over`: there are no more images. `unknown`: the job does not exist
    either. `unreachable`: the gateway answered because it could not reach the scanner.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(plain(f"{reason} ({code})" if reason else code))
        self.code = code
        self.temporary = code in _TEMPORARY
        self.over = code in _OVER
        self.unknown = code in _UNKNOWN
        self.unreachable = self.temporary and reason.startswith((_NOT_FOUND, UNAVAILABLE))


def refusal_of(envelope: Envelope) -> ScannerRefusal | None:
    """The fault in a message, or None if there is none."""
    fault = fault_of(envelope)
    return None if fault is None else ScannerRefusal(fault or "a fault", reason_of(envelope))


def _content_type(response: HTTPResponse) -> bytes:
    return (response.getheader("Content-Type") or "").encode("latin-1")


class ScanService:
    """The scan service at a URL. A failure to query it raises `ScanError`, a fault `ScannerRefusal`."""

    def __init__(self, address: str, judgement: Judgement = BY_THE_SYSTEM) -> None:
        try:
            url = urlsplit(address)
            valid = (url.scheme in PORTS and bool(url.hostname) and url.port != 0
                     and address.isascii() and address.isprintable() and " " not in address)
        except ValueError:
            valid = False
        if not valid:
            raise ScanError(f"{printable(address)}: must be the http:// or https:// URL of a scan service, with a "
                            "port from 1 to 65535", WRONG)
        self.address = address
        self._judgement = judgement if url.scheme == "https" else None
        self._host, self._port = url.hostname or "", url.port or PORTS[url.scheme]
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._transfer: HTTPConnection | None = None

    def elements(self, *names: str) -> dict[str, etree._Element]:
        """Ask for elements by GetScannerElements; the result lacks those that the scanner does not provide."""
        return read_elements(self._ask("GetScannerElements", write_elements_request(*names), ELEMENTS_TIMEOUT).body)

    def create(self, wanted: DocumentParameters) -> tuple[CreatedJob, DocumentParameters]:
        """Create a job. Returns it, with the parameters that the scanner has made of the ticket."""
        ticket = write_scan_ticket(wanted, job_name="wsdgateway scan", user="wsdgateway")
        body = self._ask("CreateScanJob", write_create(ticket), JOB_TIMEOUT).body
        job = read_created(body)
        if job is None or body is None:
            raise ScanError("The scanner's answer to CreateScanJob contains no job")
        return job, read_parameters(child(body, "DocumentFinalParameters"))

    def status(self, job: CreatedJob) -> JobStatus | None:
        """The job's JobStatus; None if the answer contains none."""
        told = read_response(self._ask("GetJobElements", write_status_request(job.job_id), STATUS_TIMEOUT).body)
        return None if told is None else told.status

    def cancel(self, job: CreatedJob) -> None:
        """Send CancelJob on a new connection, since an image may still be arriving on another."""
        self._ask("CancelJob", write_cancel(job.job_id), STATUS_TIMEOUT)

    def retrieve(self, job: CreatedJob, document: str, write: Callable[[memoryview], None]) -> int:
        """Retrieve the next image, and pass it to `write` in pieces. Returns its size in bytes.

        If it breaks off, or `write` raises, the connection stays open until `hang_up`, so that a CancelJob can overtake
        it.
        """
        self.hang_up()
        self._transfer = self._connect()
        response = self._post(self._transfer, "RetrieveImage", write_retrieve(job, document), JOB_TIMEOUT, FAILED)
        content_type = _content_type(response)
        if boundary_of(content_type) is None:
            self._envelope(response, time.monotonic() + JOB_TIMEOUT)
            raise ScanError("The scanner's answer to RetrieveImage contains no image")
        size, root = read_image(response, content_type, write)
        if not size:
            refusal = None
            try:
                refusal = refusal_of(read(root))
            except Malformed:
                pass
            raise refusal or ScanError("The scanner's answer to RetrieveImage contains no image")
        response.close()
        self.hang_up()
        return size

    def hang_up(self) -> None:
        """Close the connection of an image, complete or not."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.close()

    # Sending requests.

    def _ask(self, operation: str, body: str, timeout: float) -> Envelope:
        end = time.monotonic() + CONNECT_TIMEOUT + timeout
        with self._connection(min(CONNECT_TIMEOUT, timeout)) as connection:
            return self._envelope(self._post(connection, operation, body, timeout), end)

    @contextmanager
    def _connection(self, timeout: float) -> Iterator[HTTPConnection]:
        connection = self._connect(timeout)
        try:
            yield connection
        finally:
            connection.close()

    def _connect(self, timeout: float = CONNECT_TIMEOUT) -> HTTPConnection:
        if self._judgement is None:
            made = HTTPConnection(self._host, self._port, timeout=timeout)
        else:
            made = securing.connection(self._host, self._port, self._judgement, timeout)
        try:
            made.connect()
        except ssl.SSLCertVerificationError as error:
            raise ScanError(f"{self.address}: the certificate cannot be verified: {plain(error.verify_message)}; "
                            "give the certificate of its authority with --ca, or the pin of its key with --pin",
                            UNREACHABLE) from None
        except (OSError, ValueError) as error:  # ValueError: an impossible host name
            raise self._silent(error) from None
        if self._judgement is not None:
            securing.judge(made, self._judgement)
        return made

    def _post(self, connection: HTTPConnection, operation: str, body: str, timeout: float,
              silent: int = UNREACHABLE) -> HTTPResponse:
        message = compose(action=action_of(operation), message_id=f"urn:uuid:{uuid.uuid4()}", to=self.address,
                          body=body, namespaces={"wscn": WSCN}, is_request=True)
        try:
            connection.sock.settimeout(timeout)
            connection.request("POST", self._path, message, {"Content-Type": "application/soap+xml; charset=utf-8",
                                                             "Connection": "close"})
            return connection.getresponse()
        except (OSError, HTTPException, ValueError) as error:
            raise self._silent(error, silent if isinstance(error, OSError) else FAILED) from None

    def _silent(self, error: Exception, status: int = UNREACHABLE) -> ScanError:
        return ScanError(f"{self.address} does not answer: {plain(error) or type(error).__name__}", status)

    def _envelope(self, response: HTTPResponse, end: float) -> Envelope:
        """The message in an answer. Raises `ScannerRefusal` if it is a fault."""
        answer = bytearray()
        try:
            while len(answer) <= MAX_ANSWER and time.monotonic() < end and (piece := response.read1(PIECE)):
                answer += piece
            envelope = read(bytes(answer), charset_of(_content_type(response)))
        except (Malformed, OSError, HTTPException):
            if response.status >= 400:
                hint = "; is this the address of a scan service?" if response.status in (404, 405) else ""
                raise ScannerRefusal(f"HTTP {response.status}", f"{plain(response.reason)}{hint}") from None
            raise ScanError(f"{self.address} answered {response.status} {plain(response.reason)} without SOAP; is "
                            "this the address of a scan service?") from None
        refusal = refusal_of(envelope)
        if refusal is not None:
            raise refusal
        return envelope
