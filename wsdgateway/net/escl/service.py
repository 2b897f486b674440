"""Serves the eSCL requests for one scanner: who may ask, what the answer is, and its place in log and metrics.

eSCL; WS-Scan has the operation that each request counts as. Every answer other than 200 has an empty body, because SANE
writes any body into its image file.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.escljobs import creation_outcome
from wsdgateway.bridge.frontends.escl.bufferinfo import buffer_info_of
from wsdgateway.bridge.frontends.escl.clients import adf_state_for
from wsdgateway.bridge.frontends.escl.faults import BUSY, UNMET, Outcome, empty
from wsdgateway.bridge.frontends.escl.formats import JPEG, MEDIA_TYPES, PDF
from wsdgateway.bridge.frontends.escl.hosts import is_foreign, own_url
from wsdgateway.bridge.frontends.escl.requests import ICON_PATH, EsclRequest, Resource, read_request
from wsdgateway.bridge.frontends.escl.status import feeder_condition, status_of
from wsdgateway.bridge.frontends.escl.tickets import Conflict, PlannedJob, ticket_of
from wsdgateway.conversion.kinds import MAX_PIXELS
from wsdgateway.escl.reading import MAX_BODY, Unreadable
from wsdgateway.escl.scanimageinfo import ScanImageInfo
from wsdgateway.escl.scannerstatus import ADF_EMPTY
from wsdgateway.escl.scansettings import ScanSettings
from wsdgateway.gauges import OTHER
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.metadata.messages import Labels
from wsdgateway.metrics import DEVICE, LOCAL, REFUSED, RULE
from wsdgateway.net.clients.resource import Resource as Address
from wsdgateway.net.context import EsclContext
from wsdgateway.net.escl.documents import NO_CACHE, Documents
from wsdgateway.net.escl.icon import icon
from wsdgateway.net.escl.jobs import CREATE_SECONDS, EsclJob, EsclJobs
from wsdgateway.net.escl.offer import OfferReader
from wsdgateway.net.scanjobs.execution import NotAdmitted
from wsdgateway.net.scanjobs.waiting import first_of
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.scan.operations import OTHER as OTHER_OPERATION
from wsdgateway.scan.quirks import images_for_all
from wsdgateway.scan.scannerconfiguration import PLATEN
from wsdgateway.scan.scannerstatus import INPUT_TRAY_EMPTY, ScannerStatus

STATUS_SECONDS = 2.0  # that the end of a job waits for the scanner's status
ENDPOINT_SECONDS = 2.0  # for which the capabilities wait for the scanner's endpoint, beside `offer.ASK_SECONDS`
CONFIRM_SECONDS = 5.0  # between confirmations of the scanner's status, while clients ask for it
PROTOCOL = "escl"
_XML = (b"Content-Type", b"text/xml")
UNKNOWN = Outcome(503, 5)  # the capabilities have never been read


@attrs.frozen
class ScannerView:
    """The scanner as its eSCL service sees it.

    `status` is None while it cannot be reached. `confirm` asks for its status if the last one is as old as given, in
    seconds, and fires when it is known. `endpoint` identifies it for ever, None until it is known; `read_endpoint` asks
    for it. `enabled` is false if it is not offered by eSCL.
    """

    name: str
    labels: Callable[[], Labels]
    endpoint: Callable[[], str | None]
    read_endpoint: Callable[[], Coroutine[Any, Any, None]]
    status: Callable[[], ScannerStatus | None]
    confirm: Callable[[float], Deferred[None]]
    on_missing: Callable[[], None]
    is_located: Callable[[], bool]
    enabled: Callable[[], bool]


@attrs.define(eq=False)
class _Asked:
    """A request that is being answered."""

    exchange: Exchange
    root: str
    resource: str
    operation: str
    started: float
    job_id: str | None = None
    source: str = LOCAL


def _serve_nothing(exchange: Exchange, rest: bytes) -> HTTPAnswer:
    return empty(404)


NOWHERE = Address(_serve_nothing, bare=True)  # what is at every other address of a scanner's own port


class EsclService:
    """The eSCL service of one scanner. `address` is its resource, at any root."""

    log = Logger()

    def __init__(self, reactor: Any, view: ScannerView, jobs: EsclJobs, offers: OfferReader, context: EsclContext,
                 permission: Permission, accounting: Accounting) -> None:
        self._reactor = reactor
        self._view = view
        self._jobs = jobs
        self._offers = offers
        self._context = context
        self._permission = permission
        self._accounting = accounting
        self._documents = Documents(reactor, view.name, jobs, context.spool, context.converter)
        self._detects_paper = False
        self.address = Address(self.serve, bare=True)

    def serve(self, exchange: Exchange, rest: bytes) -> None:
        """Answer a request, now or later. `rest` is its path below the root of the service."""
        path = exchange.request.path
        request = _read(exchange.request.method, rest) if self._view.enabled() else empty(404)
        named = request if isinstance(request, EsclRequest) else None
        operation = None if named is None else named.operation
        # A Location that begins with two slashes would name a host.
        asked = _Asked(exchange, "/" + path[:len(path) - len(rest)].lstrip(b"/").decode("latin-1"),
                       OTHER if named is None else named.resource.label,
                       (operation or OTHER_OPERATION).name, self._accounting.now())
        refusal = self._refusal(asked)
        if refusal is not None:
            asked.source = REFUSED
            self._give(asked, refusal)
        elif isinstance(request, HTTPAnswer):
            asked.source = REFUSED
            self._give(asked, request)
        else:
            self._answer(asked, request)

    def without_new_jobs(self, others: Address) -> Address:
        """The resource while the scanner is handed over.

        Requests for the jobs of this gateway, and while one runs those for the status, are answered here; `others`
        takes the rest.
        """
        def serve(exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
            request = read_request(exchange.request.method, rest)
            is_own = isinstance(request, EsclRequest) and (
                self._jobs.execution.is_running if request.resource is Resource.STATUS else
                self._jobs.get(request.job_id) is not None)
            return self.address.serve(exchange, rest) if is_own else others.serve(exchange, rest)

        return Address(serve, bare=True)

    def _answer(self, asked: _Asked, request: EsclRequest) -> None:
        try:
            answer = self._answers[request.resource](self, asked, request)
        except Exception:
            self._failed(asked, Failure())
            return
        if isinstance(answer, HTTPAnswer):  # clients ask for ScannerStatus often, and it waits for nothing
            self._give(asked, answer)
        else:
            answering = Deferred.fromCoroutine(answer)
            answering.addCallbacks(partial(self._answered, asked), partial(self._failed, asked))

    def _refusal(self, asked: _Asked) -> HTTPAnswer | None:
        exchange = asked.exchange
        if is_foreign(exchange.request.headers, exchange.request.host, self._context.names):
            return empty(403)
        if not self._permission.allows(exchange.client, self._view.name, asked.operation):
            self._accounting.refused(RULE, exchange.client, asked.operation, exchange)
            return empty(403)
        return empty(413) if len(exchange.request.body) > MAX_BODY else None

    def _answered(self, asked: _Asked, answer: HTTPAnswer | None) -> None:
        if answer is None:
            self._account(asked)
        else:
            self._give(asked, answer)

    def _failed(self, asked: _Asked, failure: Failure) -> None:
        self.log.failure("Answering the eSCL request of {client} failed", failure, client=asked.exchange.client)
        if not asked.exchange.gone:
            if asked.exchange.status is None:
                self._give(asked, empty(500))
                return
            asked.exchange.abort()
        self._account(asked)

    def _give(self, asked: _Asked, answer: HTTPAnswer) -> None:
        if not asked.exchange.gone:
            asked.exchange.give(answer)
        self._account(asked)

    def _account(self, asked: _Asked) -> None:
        self._accounting.client(asked.exchange, asked.operation, asked.source, asked.started, job_id=asked.job_id,
                                protocol=PROTOCOL, resource=asked.resource)

    # The resources. Each is a coroutine, or returns its answer at once.

    async def _capabilities(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        self._view.on_missing()
        offer, endpoint = await self._offers.read(asked.exchange.client), self._view.endpoint()
        if offer is not None and endpoint is None:
            await first_of(self._reactor, ENDPOINT_SECONDS, Deferred.fromCoroutine(self._view.read_endpoint()))
            endpoint = self._view.endpoint()
        base = asked.exchange.base()
        own = own_url(asked.exchange.request.host, asked.exchange.port, secure=asked.exchange.secure)
        capabilities = None if offer is None or endpoint is None else offer.capabilities(
            self._view.labels(), endpoint, f"{base}/{self._view.name}" if base else "",
            detects_paper=self._has_detected_paper(self._view.status()),
            icon_uri=None if own is None else f"{own}{asked.root}{ICON_PATH}")
        if capabilities is None:
            return UNKNOWN.answer()
        return HTTPAnswer(200, capabilities.write(), (_XML, NO_CACHE))

    def _has_detected_paper(self, status: ScannerStatus | None) -> bool:
        self._detects_paper = self._detects_paper or (status is not None and INPUT_TRAY_EMPTY in status.reasons)
        return self._detects_paper

    def _status(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        self._view.on_missing()
        self._view.confirm(CONFIRM_SECONDS)
        scanner = self._view.status()
        self._has_detected_paper(scanner)
        offer = self._offers.last
        has_feeder = offer is None or any(name != PLATEN for name in offer.configuration.sources)
        status = status_of(scanner, self._jobs.of(asked.exchange.client, asked.root), has_feeder=has_feeder,
                           refused_age=self._jobs.refused_age(asked.exchange.client))
        status = attrs.evolve(status, adf_state=adf_state_for(asked.exchange.request.headers, status.adf_state))
        return HTTPAnswer(200, status.write(), (_XML, NO_CACHE))

    async def _planned(self, exchange: Exchange) -> tuple[ScanSettings, PlannedJob] | HTTPAnswer:
        """The settings in a request, and the job that they give; the answer if there is none."""
        try:
            settings = ScanSettings.read(exchange.request.body)
        except Unreadable as problem:
            return empty(413 if problem.too_large else 400)
        self._view.on_missing()
        offer = await self._offers.read(exchange.client)
        if offer is None or exchange.gone:
            return UNKNOWN.answer()
        planned = ticket_of(settings, offer.configuration, offer.default, client=exchange.client,
                            all_images=images_for_all(self._view.labels().manufacturer))
        if isinstance(planned, Conflict) or not _can_convert(planned):
            return UNMET.answer()
        return settings, planned

    async def _buffer_info(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        found = await self._planned(asked.exchange)
        if isinstance(found, HTTPAnswer):
            return found
        return HTTPAnswer(200, buffer_info_of(*found).write(), (_XML, NO_CACHE))

    async def _scan(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        exchange, started = asked.exchange, self._jobs.now()
        found = await self._planned(exchange)
        if isinstance(found, HTTPAnswer):
            return found
        settings, planned = found
        feeder = planned.parameters.source != PLATEN
        try:
            one = self._jobs.submit(planned, exchange.client, feeder=feeder,
                                    images=(settings.pages or 0) if feeder else 1)
        except NotAdmitted as refusal:
            if refusal.limit is not None:
                self._accounting.refused(refusal.limit, exchange.client, asked.operation, exchange)
            asked.source = REFUSED
            return BUSY.answer()
        exchange.on_gone = partial(self._jobs.cancel, one)  # its client would never learn its address
        try:
            await self._jobs.created(one, started + CREATE_SECONDS)
            if one.job.end is None:
                await self._jobs.promise(one)
        finally:
            exchange.on_gone = None
        end = one.job.end
        if end is not None and one.job.created is None and not one.job.waited:
            outcome = creation_outcome(end)
            self._jobs.refuse(one, empty=outcome.adf_state == ADF_EMPTY)
            asked.source = DEVICE
            return outcome.answer()
        asked.job_id = _scanner_job(one)
        return empty(201, (b"Location", f"{asked.root}/ScanJobs/{one.job.id}".encode("latin-1")))

    async def _next_document(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer | None:
        one = self._jobs.get(request.job_id)
        if one is None:
            return self._unknown(request)
        asked.job_id = _scanner_job(one)
        status = self._view.status()
        outcome = await self._documents.serve(
            asked.exchange, one, f"{asked.root}/ScanJobs/{one.job.id}",
            None if status is None else feeder_condition(status))
        asked.job_id = _scanner_job(one)
        if outcome is not None and outcome.status in (409, 500):
            # The client asks for the status at once, to learn why.
            await first_of(self._reactor, STATUS_SECONDS, self._view.confirm(0.0))
        return None if outcome is None else outcome.answer()

    async def _image_info(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        one = self._jobs.get(request.job_id)
        if one is None:
            return self._unknown(request)
        size = await self._documents.size(one)
        if size is None:
            return empty(404)
        self._jobs.execution.touch(one.job)
        asked.job_id = _scanner_job(one)
        info = ScanImageInfo(f"{asked.root}/ScanJobs/{one.job.id}", *size, job_uuid=one.job.id)
        return HTTPAnswer(200, info.write(), (_XML, NO_CACHE))

    def _delete(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        one = self._jobs.get(request.job_id)
        if one is None:
            broken_off = self._jobs.has_broken_off(request.job_id)
            return HTTPAnswer(200, b"", (NO_CACHE,)) if broken_off else empty(404)
        asked.job_id = _scanner_job(one)
        self._jobs.cancel(one)
        return HTTPAnswer(200, b"", (NO_CACHE,))

    def _unknown(self, request: EsclRequest) -> HTTPAnswer:
        """The answer for a job of which there are no pages: 404 tells clients that they have all of them."""
        return empty(410 if self._jobs.has_broken_off(request.job_id) else 404)

    async def _icon(self, asked: _Asked, request: EsclRequest) -> HTTPAnswer:
        return HTTPAnswer(200, icon(), ((b"Content-Type", b"image/png"), (b"Cache-Control", b"max-age=86400")))

    _answers: dict[Resource, Callable[["EsclService", _Asked, EsclRequest], Any]] = {  # noqa: RUF012
        Resource.CAPABILITIES: _capabilities, Resource.STATUS: _status, Resource.JOBS: _scan,
        Resource.NEXT_DOCUMENT: _next_document, Resource.IMAGE_INFO: _image_info, Resource.JOB: _delete,
        Resource.BUFFER_INFO: _buffer_info, Resource.ICON: _icon}


def _read(method: bytes, rest: bytes) -> EsclRequest | HTTPAnswer:
    """Read a request; HEAD is a GET, except of a page, which it would use up."""
    if method != b"HEAD":
        return read_request(method, rest)
    request = read_request(b"GET", rest)
    is_page = isinstance(request, EsclRequest) and request.resource is Resource.NEXT_DOCUMENT
    return empty(405, (b"Allow", b"GET")) if is_page else request


def _scanner_job(one: EsclJob) -> str | None:
    """The scanner's JobId, once it is known."""
    return None if one.job.created is None else one.job.created.job_id


def _can_convert(planned: PlannedJob) -> bool:
    """False if the pages would have to be decoded, and are too large for that."""
    parameters = planned.parameters
    own = MEDIA_TYPES.get(parameters.format or "")
    if own == planned.media_type or (own, planned.media_type) == (JPEG, PDF):
        return True
    width, height = parameters.size or (0, 0)
    dots = parameters.resolution or 0
    return width * height * dots * dots <= MAX_PIXELS * 1_000_000
