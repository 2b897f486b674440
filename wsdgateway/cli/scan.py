"""`wsdgateway scan`: a small honest client that scans one page, through the gateway or straight.

WS-Scan: CreateScanJob, then RetrieveImage; a temporary fault of CreateScanJob is tried again, as the
field's clients do.
"""

import http.client
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import SplitResult, urlsplit

from wsdgateway.mtom.multipart import BadMultipart, MultipartReader, PartBegin, PartData, boundary_of
from wsdgateway.scan.jobs import CreatedJob, read_created
from wsdgateway.scan.operations import action_of
from wsdgateway.soap.envelope import Envelope, compose, read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import Malformed, escape

TIMEOUT = 120.0
TRIES = 30
MAX_ANSWER = 1 << 20
_TEMPORARY = ("ServerErrorTemporaryError", "ServerErrorNotAcceptingJobs")


class ScanError(Exception):
    """The page could not be scanned; the text says why and what to do."""


def _connect(url: SplitResult) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=TIMEOUT)


def _post(url: SplitResult, connection: http.client.HTTPConnection, operation: str,
          body: str) -> http.client.HTTPResponse:
    message = compose(action=action_of(operation), message_id=f"urn:uuid:{uuid.uuid4()}", to=url.geturl(), body=body,
                      namespaces={"wscn": WSCN})
    try:
        connection.request("POST", url.path or "/", message, {"Content-Type": "application/soap+xml"})
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise ScanError(f"{url.geturl()} does not answer: {error or type(error).__name__}") from None


def _envelope(response: http.client.HTTPResponse, url: SplitResult) -> Envelope:
    try:
        return read(response.read(MAX_ANSWER))
    except (Malformed, OSError, http.client.HTTPException):
        raise ScanError(f"{url.geturl()} answered {response.status} {response.reason} and no SOAP; "
                        "is this the address of a scan service?") from None


def _create(url: SplitResult, ticket: str, say: Callable[[str], None]) -> CreatedJob:
    said = ""
    for attempt in range(TRIES):
        connection = _connect(url)
        try:
            envelope = _envelope(_post(url, connection, "CreateScanJob", (
                f"<wscn:CreateScanJobRequest>{ticket}</wscn:CreateScanJobRequest>")), url)
        finally:
            connection.close()
        fault = fault_of(envelope)
        if fault in _TEMPORARY and attempt + 1 < TRIES:
            waiting = f"Not now: {reason_of(envelope)} ({fault}); trying for {TRIES} seconds"
            if waiting != said:
                say(waiting)
                said = waiting
            time.sleep(1.0)
            continue
        if fault is not None:
            raise ScanError(f"The job was refused: {reason_of(envelope)} ({fault})")
        created = read_created(envelope.body)
        if created is None:
            raise ScanError("The scanner's answer names no job")
        return created
    raise ScanError("The scanner stayed busy")


def _ticket(resolution: int | None, source: str) -> str:
    dots = "" if resolution is None else (
        f"<wscn:MediaSides><wscn:MediaFront><wscn:Resolution><wscn:Width>{resolution}</wscn:Width>"
        f"<wscn:Height>{resolution}</wscn:Height></wscn:Resolution></wscn:MediaFront></wscn:MediaSides>")
    return (
        "<wscn:ScanTicket><wscn:JobDescription><wscn:JobName>wsdgateway scan</wscn:JobName>"
        "<wscn:JobOriginatingUserName>wsdgateway</wscn:JobOriginatingUserName></wscn:JobDescription>"
        "<wscn:DocumentParameters><wscn:Format>exif</wscn:Format><wscn:ImagesToTransfer>1</wscn:ImagesToTransfer>"
        f"<wscn:InputSource>{source}</wscn:InputSource>{dots}</wscn:DocumentParameters></wscn:ScanTicket>")


def _piece(response: http.client.HTTPResponse, size: int) -> bytes:
    try:
        return response.read1(65536)
    except (OSError, http.client.HTTPException) as error:
        raise ScanError(f"The image broke off after {size} bytes, nothing was written: {error}") from None


def _save(response: http.client.HTTPResponse, url: SplitResult, output: Path) -> int:
    """The image to a file, which appears only when it is whole. Its size in bytes."""
    boundary = boundary_of((response.getheader("Content-Type") or "").encode("latin-1"))
    if boundary is None:
        envelope = _envelope(response, url)
        raise ScanError(f"There is no image: {reason_of(envelope)} ({fault_of(envelope)})")
    reader = MultipartReader(boundary)
    size = parts = 0
    try:
        with NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            try:
                while piece := _piece(response, size):
                    for event in reader.feed(piece):
                        if isinstance(event, PartBegin):
                            parts += 1
                        elif isinstance(event, PartData) and parts == 2:
                            size += file.write(event.data)
                if not reader.closed:
                    raise ScanError("The image broke off; nothing was written")
                file.flush()
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(file.name, 0o666 & ~mask)
                os.replace(file.name, output)
            except BaseException:
                os.unlink(file.name)
                raise
    except BadMultipart as error:
        raise ScanError(f"The scanner's answer can't be read: {error}") from None
    except OSError as error:
        raise ScanError(f"{output} can't be written: {error.strerror}") from None
    return size


def scan(address: str, output: str, *, resolution: int | None, source: str, say: Callable[[str], None]) -> None:
    """Scan one page from the scan service at `address` into a file. Raises `ScanError`."""
    try:
        url = urlsplit(address)
        valid = url.scheme == "http" and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ScanError(f"{address}: allowed is the http:// URL of a scan service, its port from 1 to 65535")
    if not Path(output).absolute().parent.is_dir():
        raise ScanError(f"{output}: the folder does not exist")
    if Path(output).is_dir():
        raise ScanError(f"{output}: is a folder; name a file")
    job = _create(url, _ticket(resolution, source), say)
    say(f"Job {job.job_id}")
    connection = _connect(url)
    try:
        token = f"<wscn:JobToken>{escape(job.job_token)}</wscn:JobToken>" if job.job_token else ""
        size = _save(_post(url, connection, "RetrieveImage", (
            f"<wscn:RetrieveImageRequest><wscn:JobId>{escape(job.job_id)}</wscn:JobId>{token}"
            "<wscn:DocumentDescription><wscn:DocumentName>page</wscn:DocumentName></wscn:DocumentDescription>"
            "</wscn:RetrieveImageRequest>")), url, Path(output))
    finally:
        connection.close()
    say(f"{output}: {size} bytes")
