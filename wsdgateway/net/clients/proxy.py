"""The proxy: serves clients' requests at one address of a scanner, from reading the request to the answer.

A front end reads requests and writes answers, and the scanner's bridge makes decisions. The proxy carries them out: it
gives an answer, sends a request to the scanner, or waits for another client's request.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as TwistedFailure

from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.decisions import Answer, Decision, Failure, Forward, Join, Pass, Question, Refuse, Reply, Sent
from wsdgateway.bridge.frontends.frontend import ClientRequest, DeviceRequest, EventingRequest, FrontEnd, Rejected
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.http.messages import Headers, first
from wsdgateway.metrics import ASKED, DEVICE, KEPT, LOCAL, REFUSED, SHARED, Metrics
from wsdgateway.net.clients.authorization import Authorization
from wsdgateway.net.clients.forwarding import Forwarder
from wsdgateway.net.discovery.directed import DirectedDiscovery
from wsdgateway.net.events.eventsource import EventSource
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.net.repeatedrequests import RepeatedRequests, Source
from wsdgateway.net.scanners.jobintents import JobIntents
from wsdgateway.net.scanners.reply import Response, is_streamed, outcome_of
from wsdgateway.net.scanners.replywatch import check_document
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import NOT_OWNED, BadDevice, DeviceError, NotOwned, fault_for
from wsdgateway.scan.operations import CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS, RETRIEVE_IMAGE

# The metrics label for each decision on a read that many clients may make.
_COMMON: dict[type, str] = {Answer: KEPT, Join: SHARED, Forward: ASKED}


class Proxy:
    """Carries out the decisions of one scanner's bridge on the requests of one front end.

    `on_missing` is called when a client asks for a scan service whose address is not known yet; `written` is awaited
    before a CreateScanJob is answered. `holds` is true while this gateway owns the scanner; `pass_on` passes a request
    to the owner that could not be sent because this gateway owns the scanner no more. `intents` records CreateScanJobs
    for the next owner.
    """

    log = Logger()

    def __init__(self, front_end: FrontEnd, bridge: ScannerBridge, forwarder: Forwarder, source: EventSource,
                 stand_in: StandIn, directed: DirectedDiscovery, metrics: Metrics, accounting: Accounting,
                 authorization: Authorization, repeats: RepeatedRequests, *, seconds: Callable[[], float],
                 written: Callable[[], Awaitable[None]], on_missing: Callable[[], None] = lambda: None,
                 holds: Callable[[], bool] = always, intents: JobIntents | None = None,
                 pass_on: Callable[[Exchange], bool] = lambda exchange: False) -> None:
        self._front_end = front_end
        self._bridge = bridge
        self._forwarder = forwarder
        self._event_source = source
        self._stand_in = stand_in
        self._directed = directed
        self._metrics = metrics
        self._accounting = accounting
        self._authorization = authorization
        self._repeats = repeats
        self._source = Source(front_end, bridge, accounting, self._forward, holds)
        self._pass_on = pass_on
        self._intents = intents
        self._seconds = seconds
        self._written = written
        self._on_missing = on_missing

    def serve(self, exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
        """Answer a request, now or later; `rest` is its path below the front end's address.

        Returns an answer for the caller to give if the request is not of the front end's protocol, else None.
        """
        started = self._seconds()
        front_end = self._front_end
        question = front_end.read(exchange.request, rest, exchange.client)
        if not isinstance(question, Question):
            if isinstance(question, HTTPAnswer):
                return question
            self._serve_other(exchange, question, started)
            return None
        if not self._authorization.admits(exchange, question, front_end, started):
            return None
        if self._bridge.device is None:
            self._on_missing()
        decision = self._bridge.ask(question, started)
        if question.operation.common and type(decision) in _COMMON:
            self._metrics.kept_answer(self._bridge.name, question.operation.name, _COMMON[type(decision)])
        if isinstance(decision, Answer):
            exchange.give(front_end.write(decision, question))
            self._account(exchange, question, LOCAL, started)
            if exchange.raw:
                self._repeats.learn(exchange, decision, question, self._source)
        elif isinstance(decision, Forward) and not decision.learns and question.operation is not RETRIEVE_IMAGE:
            self._forward(exchange, decision, started)
        else:
            self._run(self._pursue(exchange, question, decision, started), exchange, started)
        return None

    def _serve_other(self, exchange: Exchange, request: EventingRequest | DeviceRequest | Rejected,
                     started: float) -> None:
        """Answer a request that is not a question for the bridge."""
        if isinstance(request, Rejected):
            exchange.give(self._front_end.write(Refuse(request.fault), request))
            self._accounting.client(exchange, request.operation, REFUSED, started, request.envelope)
        elif self._authorization.admits(exchange, request, self._front_end, started):
            if isinstance(request, DeviceRequest):
                self._run(self._serve_device(exchange, request, started), exchange, started)
                return
            if self._bridge.device is None:
                self._on_missing()
            self._run(self._serve_eventing(exchange, request, started), exchange, started)

    def _run(self, coroutine: Coroutine[Any, Any, None], exchange: Exchange, started: float) -> None:
        running: Deferred[None] = Deferred.fromCoroutine(coroutine)
        running.addErrback(self._failed, exchange, started)

    async def _serve_device(self, exchange: Exchange, request: DeviceRequest, started: float) -> None:
        if request.name == "Get":
            decision, source = await self._stand_in.answer_get(request.envelope, exchange.base())
        else:
            decision, source = await self._directed.answer([self._stand_in], request.envelope, exchange.base())
        if not exchange.gone:
            self._give(exchange, request, decision, source)
        self._accounting.client(exchange, request.name, source, started, request.envelope)

    async def _serve_eventing(self, exchange: Exchange, request: EventingRequest, started: float) -> None:
        decision, source = await self._event_source.answer(request, exchange.base(), exchange.has_left)
        if not exchange.gone:
            self._give(exchange, request, decision, source)
        self._accounting.client(exchange, request.operation.name, source, started, request.envelope)

    def _forward(self, exchange: Exchange, forward: Forward, started: float, fields: Headers | None = None) -> None:
        """Send a request from whose answer nothing is learnt about jobs.

        An answer that arrives in one piece, as most do, is handled without a coroutine, which would take a sixth of the
        time of the exchange. `fields` are the header fields for the scanner, if they are known.
        """
        request = self._forwarder.request(forward, exchange, fields)
        if exchange.raw:
            self._repeats.learn(exchange, forward, forward.question, self._source, request.headers)
        is_of_elements = forward.question.operation is GET_SCANNER_ELEMENTS
        sent = self._bridge.sending(self._seconds()) if is_of_elements else None
        sending = self._forwarder.begin(request)
        sending.addCallbacks(self._answered, self._not_answered, callbackArgs=(exchange, forward, started, sent),
                             errbackArgs=(request, exchange, forward, started))
        sending.addErrback(self._failed, exchange, started)

    def _answered(self, response: Response, exchange: Exchange, forward: Forward, started: float,
                  sent: Sent | None) -> Deferred[None] | None:
        head = response.head
        if not response.ended or not head.framed or is_streamed(response, forward):
            return Deferred.fromCoroutine(self._receive_late(response, exchange, forward, started, sent))
        content_type, body = first(head.headers, b"content-type") or b"", response.whole()
        try:
            check_document(response.peer, content_type, body)
        except BadDevice as error:
            self._refuse(exchange, response.request, error, forward, started)
            return None
        reply = Reply(head.status, content_type, body, head.reason, head.passed_on)
        if sent is not None:
            self._forwarder.overhear(reply, sent)
        answer = self._front_end.write(Pass(reply), forward.question)
        self._forwarder.count(response.request, outcome_of(head.status, answer.fault))
        exchange.give(answer)
        self._account(exchange, forward.question, DEVICE, started)
        return None

    async def _receive_late(self, response: Response, exchange: Exchange, forward: Forward, started: float,
                            sent: Sent | None) -> None:
        outcome = await self._forwarder.receive(response, forward, exchange)
        if sent is not None and isinstance(outcome, Reply):
            self._forwarder.overhear(outcome, sent)
        if outcome is not None:
            decision = Refuse(outcome.fault) if isinstance(outcome, Failure) else Pass(outcome)
            self._give(exchange, forward.question, decision, DEVICE)
        self._account(exchange, forward.question, DEVICE, started)

    def _not_answered(self, failure: TwistedFailure, request: ScannerRequest, exchange: Exchange, forward: Forward,
                      started: float) -> None:
        failure.trap(DeviceError)
        self._refuse(exchange, request, failure.value, forward, started)

    def _refuse(self, exchange: Exchange, request: ScannerRequest, error: DeviceError, forward: Forward,
                started: float) -> None:
        if isinstance(error, NotOwned) and not exchange.gone and self._pass_on(exchange):
            return
        self._forwarder.failed(request, exchange, error)
        self._give(exchange, forward.question, Refuse(fault_for(error)), DEVICE)
        self._account(exchange, forward.question, DEVICE if request.sent else REFUSED, started)

    def _failed(self, failure: TwistedFailure, exchange: Exchange, started: float) -> None:
        self.log.failure("Answering the request of {client} failed", failure, client=exchange.client)
        if not exchange.gone:
            exchange.abort()
        self._accounting.unread(exchange, started)

    async def _pursue(self, exchange: Exchange, question: Question, decision: Decision, started: float) -> None:
        source = LOCAL
        while True:
            if isinstance(decision, Forward):
                intents = self._intents if question.operation is CREATE_SCAN_JOB else None
                known = None if intents is None else (
                    await intents.begin(question, self._bridge.job_to_share(decision)))
                if isinstance(known, Reply):
                    decision = self._forwarder.recall(decision, known)
                    continue
                outcome, sent = (known, False) if known is not None else (
                    await self._forwarder.send(decision, exchange))
                source = DEVICE if sent else source
                if outcome is None:
                    break
                if intents is not None:
                    await intents.conclude(question, outcome, was_sent=sent)
                decision = self._forwarder.learn(decision, outcome)
            elif isinstance(decision, Join):
                forward = decision.forward
                outcome = await self._forwarder.wait(forward, exchange.client)
                if exchange.gone:
                    break
                decision = self._bridge.joined(question, forward, outcome, self._seconds())
            else:
                if isinstance(decision, Refuse) and decision.fault is NOT_OWNED and not exchange.gone and (
                        self._pass_on(exchange)):
                    return
                if question.operation is CREATE_SCAN_JOB:
                    await self._written()  # before the client knows a JobId that the store has for another job
                source = self._give(exchange, question, decision, source)
                break
        self._account(exchange, question, source, started)

    def _give(self, exchange: Exchange, request: ClientRequest, decision: Answer | Refuse | Pass, source: str) -> str:
        """Give the client its answer. Returns the source of the answer for the records."""
        exchange.give(self._front_end.write(decision, request))
        if not isinstance(decision, Refuse):
            return source
        if decision.limit is not None:
            self._accounting.refused(decision.limit, exchange.client, CREATE_SCAN_JOB.name, exchange)
        return source if source == DEVICE else REFUSED

    def _account(self, exchange: Exchange, question: Question, source: str, started: float) -> None:
        """Record that a client's question has been answered from that source."""
        self._accounting.client(exchange, question.operation.name, source, started, question.envelope,
                                None if question.wanted is None else question.wanted.job_id)
