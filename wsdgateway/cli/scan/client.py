"""A client of a scan service. Each operation is a call that waits for its answer, up to a time-out.

WS-Scan, "WSD Scan Service Operation Elements"; SOAP 1.2 over HTTP, images as MTOM.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR, socket

from lxml import etree

from wsdgateway.cli.scan.imagebody import read_image
from wsdgateway.cli.scan.outcomes import FAILED, ScanError
from wsdgateway.cli.scan.scanner import (
    ELEMENTS_TIMEOUT,
    JOB_TIMEOUT,
    STATUS_TIMEOUT,
    Capabilities,
    Names,
)
from wsdgateway.cli.scan.web import Web, content_type_of, refusal_of
from wsdgateway.mtom.multipart import boundary_of
from wsdgateway.scan.documentparameters import DocumentParameters, read_parameters, write_scan_ticket
from wsdgateway.scan.jobelements import read_response, write_status_request
from wsdgateway.scan.jobs import CreatedJob, read_created, write_cancel, write_create, write_retrieve
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import action_of
from wsdgateway.scan.reading import child, text
from wsdgateway.scan.scannerconfiguration import read_configuration
from wsdgateway.scan.scannerelements import read_elements, write_elements_request
from wsdgateway.scan.scannerstatus import ScannerStatus, read_status
from wsdgateway.soap.envelope import Envelope, compose, read
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import Malformed


class ScanService:
    """The scan service at a URL, with the operations of `Scanner`."""

    def __init__(self, address: str, web: Web) -> None:
        self.address = address
        self._web = web
        self._transfer: socket | None = None

    def names(self) -> Names:
        """The names of the scanner by GetScannerElements."""
        described = self._elements("ScannerDescription").get("ScannerDescription")
        return Names() if described is None else Names(*(
            text(described, f"Scanner{name}") or "" for name in ("Name", "Info", "Location")))

    def capabilities(self) -> Capabilities:
        """The capabilities of the scanner by GetScannerElements."""
        told = self._elements("ScannerConfiguration", "DefaultScanTicket")
        configuration, ticket = told.get("ScannerConfiguration"), told.get("DefaultScanTicket")
        return Capabilities(None if configuration is None else read_configuration(configuration),
                            read_parameters(None if ticket is None else child(ticket, "DocumentParameters")))

    def condition(self) -> ScannerStatus | None:
        """The ScannerStatus of the scanner by GetScannerElements."""
        status = self._elements("ScannerStatus").get("ScannerStatus")
        return None if status is None else read_status(status)

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

    def release(self, job: CreatedJob) -> None:
        """Send nothing: the scanner keeps ended jobs in its history."""

    def retrieve(self, job: CreatedJob, document: str, write: Callable[[memoryview], None]) -> int:
        """Retrieve the next image, and pass it to `write` in pieces. Returns its size in bytes."""
        self.hang_up()
        transfer = self._web.connect(self.address)
        self._transfer = transfer.sock
        message = self._message("RetrieveImage", write_retrieve(job, document))
        response = self._web.post(transfer, self.address, message, JOB_TIMEOUT, FAILED)
        content_type = content_type_of(response).encode("latin-1")
        if boundary_of(content_type) is None:
            self._web.envelope(response, time.monotonic() + JOB_TIMEOUT)
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
            # The answer may still be read in another thread, which would keep the connection open.
            with suppress(OSError):
                transfer.shutdown(SHUT_RDWR)
            transfer.close()

    def _elements(self, *names: str) -> dict[str, etree._Element]:
        """Elements by GetScannerElements; the result lacks those that the scanner does not provide."""
        return read_elements(self._ask("GetScannerElements", write_elements_request(*names), ELEMENTS_TIMEOUT).body)

    def _ask(self, operation: str, body: str, timeout: float) -> Envelope:
        return self._web.exchange(self.address, self._message(operation, body), timeout)

    def _message(self, operation: str, body: str) -> bytes:
        return compose(action=action_of(operation), message_id=f"urn:uuid:{uuid.uuid4()}", to=self.address,
                       body=body, namespaces={"wscn": WSCN}, is_request=True)


