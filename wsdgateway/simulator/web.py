"""The HTTP interface of the virtual scanner: SOAP messages, images as MTOM, and simulated failures.

MTOM and XOP; WS-Scan, RetrieveImageResponse.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from wsdgateway.discovery.versions import discovery_request
from wsdgateway.scan.operations import EVENTING_OPERATIONS, GET_METADATA, RETRIEVE_IMAGE, operation_of
from wsdgateway.simulator.description import metadata
from wsdgateway.simulator.device import VirtualDevice
from wsdgateway.simulator.discovery import VirtualTarget
from wsdgateway.simulator.jobs import Page, timestamp
from wsdgateway.simulator.pages import draw_page
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope, compose, read
from wsdgateway.soap.faults import Fault, Refused, action_missing, action_not_supported, invalid_args, write_fault
from wsdgateway.soap.namespaces import PNPX, WSCN, WSDP, WSE, WSX, XOP
from wsdgateway.soap.parsing import Malformed

PIECE = 65536
BOUNDARY = "4aa7d814-adc1-47a2-8e1c-07585b9892a4"

_MTOM = (f'multipart/related; type="application/xop+xml"; boundary="{BOUNDARY}"; '
         'start="<0@virtual>"; start-info="application/soap+xml"').encode()


class Troubles:
    """The failures that are simulated at the moment; set by the control interface."""

    def __init__(self) -> None:
        self.silent = False
        self.slow = 0.0
        self.break_image = False


@implementer(IPullProducer)
class _Pieces:
    """Sends a body in pieces as the client reads it. With `stop_at`, aborts the connection at that byte."""

    def __init__(self, request: Request, pieces: list[bytes], done: Callable[[], None], stop_at: int | None) -> None:
        self._request = request
        self._pieces = pieces
        self._done = done
        self._stop_at = stop_at

    def resumeProducing(self) -> None:
        if self._stop_at is not None and len(self._pieces) <= self._stop_at:
            self._request.unregisterProducer()
            transport: Any = self._request.transport
            transport.abortConnection()
            return
        self._request.write(self._pieces.pop(0))
        if not self._pieces:
            self._request.unregisterProducer()
            self._done()

    def stopProducing(self) -> None:
        self._pieces.clear()


@implementer(IResource)
class SoapResource(Resource):
    """Serves SOAP requests at every address of the virtual scanner, without regard to the path."""

    isLeaf = True
    log = Logger()

    def __init__(self, reactor: Any, device: VirtualDevice, troubles: Troubles, *, wall: Callable[[], float],
                 new_id: Callable[[], str], target: VirtualTarget) -> None:
        super().__init__()
        self._reactor = reactor
        self._target = target
        self.device = device
        self._troubles = troubles
        self._wall = wall
        self._new_id = new_id
        self._delayed: set[Any] = set()
        self._scanned: dict[str, Any] = {}
        device.on_job_end = self._end_page
        self.asked: Counter[str] = Counter()

    def render(self, request: Request) -> int | bytes:
        if self._troubles.silent:
            return NOT_DONE_YET
        if request.method != b"POST":
            request.setResponseCode(405)
            return b""
        delay = self.device.settings.request_seconds + self._troubles.slow
        if delay:
            self._after(delay, self._answer, request)
        else:
            self._answer(request)
        return NOT_DONE_YET

    def _after(self, seconds: float, act: Callable[..., None], *args: Any) -> Any:
        def run() -> None:
            self._delayed.discard(call)
            act(*args)
        call = self._reactor.callLater(seconds, run)
        self._delayed.add(call)
        return call

    def _end_page(self, job_id: str) -> None:
        """Answers the RetrieveImage of a job that has ended at once, not when its page would have been scanned."""
        if job_id in self._scanned:
            self._scanned[job_id].reset(0)

    def stop(self) -> None:
        """Cancel the answers that were to be sent later."""
        for call in self._delayed:
            call.cancel()
        self._delayed.clear()
        self._scanned.clear()

    def _answer(self, request: Request) -> None:
        if request.channel is None:
            return  # the client disconnected while it waited
        envelope = None
        try:
            envelope = read(_content(request))
            result = self._perform(request, envelope)
        except Malformed as error:
            self._fault(request, None, invalid_args(str(error)))
        except Refused as refused:
            self._fault(request, envelope, refused.fault)
        else:
            if isinstance(result, bytes):
                self._finish(request, 200, CONTENT_TYPE, [result])
            elif isinstance(result, Page):
                self._scan(request, envelope, result)
            else:
                message = self._message(envelope, f"{envelope.action}Response", result)
                self._finish(request, 200, CONTENT_TYPE, [message])

    def _perform(self, request: Request, envelope: Envelope) -> str | Page | bytes:
        if envelope.action is None:
            raise Refused(action_missing())
        operation = operation_of(envelope.action)
        name = envelope.action.rpartition("/")[2]
        self.asked[name] += 1
        if discovery_request(envelope.action) is not None:
            return self._target.answer(envelope, _base(request))
        if operation is GET_METADATA:
            return metadata(self.device.settings, _base(request))
        if operation in EVENTING_OPERATIONS:
            return self.device.subscribers.answer(name, envelope, f"{_base(request)}/subscriptions")
        if not envelope.action.startswith(f"{WSCN}/"):
            raise Refused(action_not_supported(envelope.action))
        return self.device.operate(name, envelope.body)

    def _message(self, envelope: Envelope, action: str, body: str) -> bytes:
        return compose(action=action, message_id=self._new_id(), to=ANONYMOUS, relates_to=envelope.message_id,
                       body=body, namespaces={"wscn": WSCN, "wse": WSE, "wsx": WSX, "wsdp": WSDP, "pnpx": PNPX})

    def _fault(self, request: Request, envelope: Envelope | None, fault: Fault) -> None:
        self._finish(request, fault.status, CONTENT_TYPE, [write_fault(
            fault, relates_to=envelope.message_id if envelope else None, message_id=self._new_id())])

    def _scan(self, request: Request, envelope: Envelope, page: Page) -> None:
        def scanned() -> None:
            del self._scanned[page.job.job_id]
            self.draw(request, envelope, page)
        self._scanned[page.job.job_id] = self._after(self.device.settings.page_seconds, scanned)

    def draw(self, request: Request, envelope: Envelope, page: Page) -> None:
        """Draw a page in a thread, and send it."""
        if request.channel is None:
            self.device.page_broken(page.job)
            return
        fault = self.device.scan_page(page)
        if fault is not None:
            self._fault(request, envelope, fault)
            return
        stamp = self.device.settings.stamp or timestamp(self._wall())
        drawing: Deferred[bytes] = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), draw_page, page.job.page, page.number, page.job.source, stamp)
        drawing.addCallback(lambda image: self._send_page(request, envelope, page, image))
        drawing.addErrback(lambda failure: self.log.failure("Sending a page failed", failure))

    def _send_page(self, request: Request, envelope: Envelope, page: Page, image: bytes) -> None:
        if request.channel is None:
            self.device.page_broken(page.job)
            return
        gone: Deferred[None] = request.notifyFinish()
        gone.addErrback(lambda _: self.device.page_broken(page.job))
        body = (f'<wscn:RetrieveImageResponse><wscn:ScanData><xop:Include xmlns:xop="{XOP}" href="cid:1@virtual"/>'
                "</wscn:ScanData></wscn:RetrieveImageResponse>")
        message = self._message(envelope, f"{WSCN}/{RETRIEVE_IMAGE.name}Response", body)
        head = (f'--{BOUNDARY}\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
                "Content-Transfer-Encoding: binary\r\nContent-ID: <0@virtual>\r\n\r\n").encode()
        between = (f"\r\n--{BOUNDARY}\r\nContent-Type: {page.job.page.media_type}\r\n"
                   "Content-Transfer-Encoding: binary\r\nContent-ID: <1@virtual>\r\n\r\n").encode()
        pieces = [head + message + between,
                  *(image[start:start + PIECE] for start in range(0, len(image), PIECE)),
                  f"\r\n--{BOUNDARY}--\r\n".encode()]
        stop_at = len(pieces) // 2 if self._troubles.break_image else None
        self._troubles.break_image = False
        self._finish(request, 200, _MTOM, pieces, lambda: self.device.page_sent(page.job), stop_at)

    def _finish(self, request: Request, status: int, content_type: bytes, pieces: list[bytes],
                sent: Callable[[], None] = lambda: None, stop_at: int | None = None) -> None:
        request.setResponseCode(status)
        request.setHeader(b"content-type", content_type)
        if len(pieces) == 1 or not self.device.settings.chunked:
            request.setHeader(b"content-length", b"%d" % sum(map(len, pieces)))

        def done() -> None:
            sent()
            request.finish()

        request.registerProducer(_Pieces(request, pieces, done, stop_at), False)


def _content(request: Any) -> bytes:
    return bytes(request.content.read())


def _base(request: Request) -> str:
    """The scheme and authority at which the client reached the scanner."""
    host = request.getHeader(b"host") or b"127.0.0.1"
    return f"http{'s' if request.isSecure() else ''}://{host.decode('latin-1')}"
