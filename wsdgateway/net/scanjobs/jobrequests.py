"""Sends the requests of the gateway's own scan jobs, on the same path as clients' requests.

WS-Scan, CreateScanJob, RetrieveImage, GetJobElements, CancelJob. The bridge decides on each request, so that the job
table learns of the job, and rate limit, queue, quotas and metrics apply. In the exchange log their source is "own".
"""

from collections.abc import Callable
from typing import Protocol

import attrs
from lxml import etree

from wsdgateway.bridge.access.quotas import JOBS_AT_ONCE
from wsdgateway.bridge.cache.coalescing import common_read
from wsdgateway.bridge.decisions import Answer, Failure, Forward, Join, Pass, Question, Refuse, Reply
from wsdgateway.bridge.scanjobs.scanjob import Press, Refusal, Ticket
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.messages import first
from wsdgateway.metrics import ERROR, FAULT, OK
from wsdgateway.mtom.image import ImageReader
from wsdgateway.mtom.multipart import BadMultipart, boundary_of
from wsdgateway.mtom.parts import BadTransferEncoding
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.jobintents import JobIntents
from wsdgateway.net.scanners.reply import Response, is_streamed, outcome_of, read_reply
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import BadDevice, DeviceError, fault_for
from wsdgateway.scan.jobelements import read_request, read_response, write_status_request
from wsdgateway.scan.jobs import CreatedJob, read_created, write_cancel, write_create, write_retrieve
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import (
    CANCEL_JOB,
    CREATE_SCAN_JOB,
    GET_JOB_ELEMENTS,
    GET_JOB_HISTORY,
    GET_SCANNER_ELEMENTS,
    RETRIEVE_IMAGE,
    VALIDATE_SCAN_TICKET,
    Operation,
    action_of,
)
from wsdgateway.scan.scannerelements import SCANNER_STATUS, read_elements, write_elements_request
from wsdgateway.scan.scannerstatus import ScannerStatus, read_status
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope, compose, read
from wsdgateway.soap.faults import fault_of, reason_of
from wsdgateway.soap.fragments import write_fragment
from wsdgateway.soap.namespaces import WSCN
from wsdgateway.soap.parsing import Malformed

_FIELDS = [(b"Content-Type", CONTENT_TYPE), (b"User-Agent", b"wsdgateway")]
_OWN = "http://gateway"
MAX_TEXT = 500  # characters of a fault's reason that are kept


@attrs.define(eq=False)
class _OwnRequest:
    """A request of a scan job: the `client` of the job, and the tape that records the request."""

    client: str
    tape: Tape | None


class Sink(Protocol):
    """The receiver of an image's bytes. `response` is set while they arrive."""

    response: Response | None

    def take(self, data: memoryview) -> None:
        """Receive the next bytes."""

    def pending(self) -> int:
        """The number of bytes that have been received and are not written yet."""


@attrs.frozen
class Image:
    """An image that has arrived whole."""

    media_type: str


class JobRequests:
    """Sends the requests of one scanner's own jobs. `client` is a job's client, an IP address, or empty.

    Among several gateways `intents` counts the jobs for their clients.
    """

    def __init__(self, bridge: ScannerBridge, device: DeviceClient, forwarder: Forwarder, accounting: Accounting, *,
                 seconds: Callable[[], float], new_id: Callable[[], str], intents: JobIntents | None = None) -> None:
        self._bridge = bridge
        self._device = device
        self._forwarder = forwarder
        self._accounting = accounting
        self._seconds = seconds
        self._new_id = new_id
        self._intents = intents

    async def create(self, ticket: Ticket, client: str, press: Press | None = None) -> CreatedJob | Refusal:
        """Create a job with that ticket; `press` is set if it was started at the panel."""
        panel = (None, None) if press is None else (press.identifier, press.token)
        answer = await self._ask(CREATE_SCAN_JOB, write_create(_written(ticket.write()), *panel), client)
        if isinstance(answer, Refusal):
            return answer
        return read_created(answer.body) or Refusal(
            "", "The scanner's answer to CreateScanJob contains no job", lost=True)

    async def status(self, job_id: str, client: str) -> JobStatus | None:
        """The job's status, asked of the scanner now; None if it gives none."""
        self._bridge.table.distrust(job_id)
        answer = await self.look_up(job_id, client)
        return None if isinstance(answer, Refusal) else answer

    async def look_up(self, job_id: str, client: str) -> JobStatus | Refusal | None:
        """The job's status, as the job table knows it or the scanner gives it, or the scanner's refusal."""
        answer = await self._ask(GET_JOB_ELEMENTS, write_status_request(job_id), client)
        if isinstance(answer, Refusal):
            return answer
        elements = read_response(answer.body)
        status = None if elements is None else elements.status
        return status if status is not None and status.job_id == job_id else None

    async def history(self, client: str) -> Refusal | None:
        """Have the job table learn from GetJobHistory. Returns the refusal if there was one."""
        answer = await self._ask(GET_JOB_HISTORY, "<wscn:GetJobHistoryRequest/>", client)
        return answer if isinstance(answer, Refusal) else None

    async def elements(self, names: tuple[str, ...], client: str) -> Envelope | Refusal:
        """Elements of the scanner, as the answer cache keeps them for all clients."""
        return await self._ask(GET_SCANNER_ELEMENTS, write_elements_request(*names), client)

    async def current_elements(self, names: tuple[str, ...]) -> Envelope | Refusal:
        """Elements of the scanner, asked of it now: a panel's settings change the default ticket without an event."""
        return await self._ask(GET_SCANNER_ELEMENTS, write_elements_request(*names), "", is_common=False)

    async def scanner_status(self) -> ScannerStatus | None:
        """The scanner's own status, asked of it now; None if it gives none."""
        answer = await self.current_elements((SCANNER_STATUS,))
        element = None if isinstance(answer, Refusal) else read_elements(answer.body).get(SCANNER_STATUS)
        return None if element is None else read_status(element)

    async def validate(self, body: str) -> Envelope | Refusal:
        """The answer to ValidateScanTicket with that Body's content."""
        return await self._ask(VALIDATE_SCAN_TICKET, body, "")

    async def cancel(self, job_id: str, client: str, began: Callable[[ScannerRequest], None]) -> Refusal | None:
        """Cancel the job; `began` is called with the request. Returns the refusal if there was one."""
        answer = await self._ask(CANCEL_JOB, write_cancel(job_id), client, began)
        return answer if isinstance(answer, Refusal) else None

    def abandon(self, request: ScannerRequest) -> None:
        """End a request whose answer is not wanted any more."""
        self._device.abandon(request)

    async def _ask(self, operation: Operation, body: str, client: str,
                   began: Callable[[ScannerRequest], None] = lambda request: None, *,
                   is_common: bool = True) -> Envelope | Refusal:
        question = self._question(operation, body, client, is_common=is_common)
        decision = self._bridge.ask(question, self._seconds())
        reached = False
        while True:
            if isinstance(decision, Forward):
                refused = await self._count(decision)
                outcome, sent = (refused, False) if refused is not None else await self._send(decision, client, began)
                reached = reached or sent
                decision = self._forwarder.learn(decision, outcome)
            elif isinstance(decision, Join):
                joined = await self._forwarder.wait(decision.forward, client)
                decision = self._bridge.joined(question, decision.forward, joined, self._seconds())
            elif isinstance(decision, Refuse):
                is_limited = decision.limit is not None
                if is_limited:
                    self._accounting.refused(JOBS_AT_ONCE, client, operation.name)
                return Refusal(decision.fault.name, decision.fault.reason, unreachable=not is_limited, lost=reached)
            else:
                return _read(decision)

    async def _count(self, forward: Forward) -> Failure | None:
        """Have the job of a CreateScanJob counted. Returns the outcome instead if it must not be sent."""
        if self._intents is None or forward.question.operation is not CREATE_SCAN_JOB:
            return None
        return await self._intents.count(self._bridge.job_to_share(forward))

    async def _send(self, forward: Forward, client: str,
                    began: Callable[[ScannerRequest], None]) -> tuple[Reply | Failure, bool]:
        own = _OwnRequest(client, self._accounting.tape())
        request = self._request(forward, own)
        began(request)
        started = self._accounting.now()
        outcome, sent = await self._forwarder.ask(request, forward, own)
        status, body = (outcome.status, outcome.body) if isinstance(outcome, Reply) else (None, b"")
        self._accounting.own(request.operation.name, started, forward.body, status, body, own.tape)
        return outcome, sent

    def _request(self, forward: Forward, own: _OwnRequest) -> ScannerRequest:
        request = self._forwarder.request(forward, own)
        request.from_gateway = not own.client
        return request

    def _question(self, operation: Operation, body: str, client: str, *, is_common: bool = True) -> Question:
        # Only a request to the gateway's own address shares its answer with clients; the bridge writes the scanner's.
        to = f"{_OWN}/{self._bridge.name}/scan"
        raw = compose(action=action_of(operation.name), message_id=self._new_id(), to=to, body=body,
                      namespaces={"wscn": WSCN}, is_request=True)
        envelope = read(raw)
        wanted = read_request(envelope.body) if operation is GET_JOB_ELEMENTS else None
        read_of = common_read(operation, envelope) if operation.common and is_common else None
        return Question(envelope, raw, operation, client, b"", wanted, read_of, list(_FIELDS))

    # Images.

    async def retrieve(self, job: CreatedJob, number: int, client: str, sink: Sink,
                       began: Callable[[ScannerRequest], None]) -> Image | Refusal:
        """Retrieve the job's next image, its page of that number; `began` is called with the request."""
        question = self._question(RETRIEVE_IMAGE, write_retrieve(job, f"page {number}"), client)
        forward = self._bridge.ask(question, self._seconds())
        if not isinstance(forward, Forward):
            fault = forward.fault if isinstance(forward, Refuse) else None
            return Refusal("" if fault is None else fault.name, "" if fault is None else fault.reason, unreachable=True)
        own = _OwnRequest(client, self._accounting.tape())
        request = self._request(forward, own)
        began(request)
        transfer = _Transfer(self._accounting.now())
        try:
            outcome = await self._receive(await self._device.request(request), forward, transfer, sink)
        except DeviceError as error:
            outcome = self._broken(request, forward, transfer, own, error)
        finally:
            sink.response = None
        self._accounting.own(RETRIEVE_IMAGE.name, transfer.started, forward.body, transfer.status, transfer.root,
                             own.tape, transfer.size)
        return outcome

    def _broken(self, request: ScannerRequest, forward: Forward, transfer: "_Transfer", own: _OwnRequest,
                error: DeviceError) -> Refusal:
        if not request.abandoned:
            self._forwarder.failed(request, own, error)
        elif request.sent:
            self._forwarder.count(request, OK if transfer.status == 200 else ERROR)
        if request.sent:
            self._forwarder.image_ended(forward, whole=False)
        fault = fault_for(error)
        return Refusal(fault.name, fault.reason, unreachable=True, lost=request.sent, broken=request.sent)

    async def _receive(self, response: Response, forward: Forward, transfer: "_Transfer", sink: Sink
                       ) -> Image | Refusal:
        transfer.status = response.head.status
        content_type = first(response.head.headers, b"content-type") or b""
        boundary = boundary_of(content_type)
        if boundary is None or not is_streamed(response, forward):
            reply = await read_reply(response)
            transfer.root = reply.body
            return self._refused(response, forward, reply)
        image = ImageReader(content_type, boundary, sink.take)
        sink.response = response

        def take(data: bytes) -> None:
            transfer.size = (transfer.size or 0) + len(data)
            before = image.size
            try:
                image.feed(data)
            except (BadMultipart, BadTransferEncoding) as problem:
                response.give_up(BadDevice(response.peer, f"its answer cannot be read: {problem}"))
            self._forwarder.count_image(image.size - before)

        await response.relay(take, sink.pending)
        try:
            image.end()
        except BadTransferEncoding as problem:
            raise BadDevice(response.peer, f"its answer cannot be read: {problem}") from None
        transfer.root = bytes(image.root)
        if not image.closed:
            raise BadDevice(response.peer, "it ended its answer in the middle of an image")
        if not image.size:
            return self._refused(response, forward, Reply(
                response.head.status, CONTENT_TYPE, transfer.root, response.head.reason, response.head.passed_on))
        self._forwarder.count(response.request, OK)
        self._forwarder.image_ended(forward, whole=True)
        return Image(image.media_type)

    def _refused(self, response: Response, forward: Forward, reply: Reply) -> Refusal:
        """The refusal in an answer without an image. Raises `BadDevice` if it is not one."""
        read_answer = _read(Pass(reply))
        if not isinstance(read_answer, Refusal) or (reply.status < 300 and reply.fault is None):
            raise BadDevice(response.peer, "its answer to RetrieveImage contains no image")
        outcome = outcome_of(reply.status, reply.fault)
        self._forwarder.count(response.request, outcome)
        if outcome == FAULT:
            self._bridge.image_refused(forward.question, reply)
        return read_answer


@attrs.define(eq=False)
class _Transfer:
    """A transfer, for the log: its `size` in bytes, and the SOAP message, if they are known."""

    started: float
    status: int | None = None
    size: int | None = None
    root: bytes = b""


def _written(ticket: etree._Element) -> str:
    return write_fragment(ticket)


def _read(decision: Answer | Pass) -> Envelope | Refusal:
    """The message in an answer, or the refusal that it is."""
    if isinstance(decision, Answer):
        return decision.read()
    reply = decision.reply
    try:
        envelope = reply.read()
    except Malformed:
        if reply.status < 300:
            return Refusal("", "The scanner's answer cannot be read as SOAP", lost=True)
        return Refusal(f"HTTP {reply.status}", reply.reason.decode("latin-1")[:MAX_TEXT])
    fault = fault_of(envelope)
    return envelope if fault is None else Refusal(fault, reason_of(envelope)[:MAX_TEXT])
