"""One client's request, from the decision to the answer.

Decisions come from `bridge`; here they are carried out: an answer written, a request sent to the
device, another client's request waited for. A request that has gone to the device runs to its end even
if its client leaves, so that its answer is learnt from; only an image nobody wants is broken off.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as TwistedFailure

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.decisions import Answer, Decision, Failure, Forward, Join, Outcome, Pass, Question, Refuse, Reply
from wsdgateway.bridge.frontends.wsscan import DeviceRequest, Endpoint, EventingRequest, Rejected, asked_for, route
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.http.messages import FRAMING, actionless, charset_of, end_to_end, first
from wsdgateway.http.urls import address_of
from wsdgateway.metrics import ASKED, DEVICE, ERROR, FAULT, KEPT, LOCAL, REFUSED, SHARED, Metrics
from wsdgateway.net.clients.authorization import Authorization
from wsdgateway.net.clients.relay import relay
from wsdgateway.net.discovery.directed import DirectedDiscovery
from wsdgateway.net.events.eventsource import EventSource
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.reply import Response, is_streamed, outcome_of, read_reply
from wsdgateway.net.scanners.replywatch import check_document
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import BadDevice, Busy, DeviceError, fault_for
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.operations import CREATE_SCAN_JOB, OTHER, RETRIEVE_IMAGE
from wsdgateway.soap.faults import fault_in

# Ours to write anew (framing, Host), or not to be passed on: a compressed answer could not be read, and what a request
# is, its envelope says alone (SOAPAction is SOAP 1.1's).
_NOT_FORWARDED = FRAMING | frozenset((b"host", b"expect", b"accept-encoding", b"soapaction"))
# What a decision says of a read that many clients make.
_COMMON: dict[type, str] = {Answer: KEPT, Join: SHARED, Forward: ASKED}


class Proxy:
    """Carries out what the bridge of one scanner decides.

    `after_learning` is called when jobs may have changed, `on_trouble` when the device failed a client, `on_missing`
    when a client asks for the scan service and its address is not known yet; `written` is awaited before a
    CreateScanJob is answered.
    """

    log = Logger()

    def __init__(self, bridge: ScannerBridge, device: DeviceClient, source: EventSource, stand_in: StandIn,
                 directed: DirectedDiscovery, metrics: Metrics, accounting: Accounting, authorization: Authorization, *,
                 seconds: Callable[[], float], new_id: Callable[[], str], after_learning: Callable[[], None],
                 on_trouble: Callable[[], None], written: Callable[[], Awaitable[None]],
                 on_missing: Callable[[], None] = lambda: None) -> None:
        self._bridge = bridge
        self._device = device
        self._source = source
        self._stand_in = stand_in
        self._directed = directed
        self._metrics = metrics
        self._accounting = accounting
        self._authorization = authorization
        self._seconds = seconds
        self._new_id = new_id
        self._after_learning = after_learning
        self._on_trouble = on_trouble
        self._on_missing = on_missing
        self._written = written
        self._waiting: dict[Forward, list[Deferred[Outcome]]] = {}
        self._calls: dict[Forward, ScannerRequest] = {}  # those that others may wait for
        self._throttle = LogThrottle()

    def serve(self, turn: Exchange, endpoint: Endpoint, subscription: str | None = None) -> None:
        """Answer the request of this turn, now or later; `subscription` is what its path names."""
        started = self._seconds()
        request = turn.request
        question = route(request.body, endpoint, client=turn.client, host=request.host, subscription=subscription,
                         fields=request.headers, charset=charset_of(request.content_type))
        if isinstance(question, Rejected):
            turn.refuse(question.fault, question.relates_to, self._new_id())
            self._accounting.client(turn, question.operation, REFUSED, started, question.envelope)
            return
        for name in asked_for(question):
            if not self._authorization.admits(turn, name, question.envelope, started):
                return
        if isinstance(question, DeviceRequest):
            asking = Deferred.fromCoroutine(self._serve_device(turn, question, started))
            asking.addErrback(self._failed, turn, started)
            return
        if self._bridge.device is None:
            self._on_missing()
        if isinstance(question, EventingRequest):
            listening = Deferred.fromCoroutine(self._serve_eventing(turn, question, started))
            listening.addErrback(self._failed, turn, started)
            return
        decision = self._bridge.ask(question, started)
        if question.operation.common and type(decision) in _COMMON:
            self._metrics.kept_answer(self._bridge.name, question.operation.name, _COMMON[type(decision)])
        if isinstance(decision, Answer):
            turn.answer(200, decision.body, decision.content_type)
            self._account(turn, question, LOCAL, started)
            return
        if isinstance(decision, Forward) and not decision.learns and question.operation is not RETRIEVE_IMAGE:
            self._forward(turn, decision, started)
            return
        running = Deferred.fromCoroutine(self._pursue(turn, question, decision, started))
        running.addErrback(self._failed, turn, started)

    async def _serve_device(self, turn: Exchange, request: DeviceRequest, started: float) -> None:
        if request.name == "Get":
            decision, source = await self._stand_in.answer_get(request.envelope, turn.base())
        else:
            decision, source = await self._directed.answer([self._stand_in], request.envelope, turn.base())
        if not turn.gone:
            self._give(turn, request.envelope.message_id, decision, source)
        self._accounting.client(turn, request.name, source, started, request.envelope)

    async def _serve_eventing(self, turn: Exchange, request: EventingRequest, started: float) -> None:
        decision, source = await self._source.answer(request, turn.base(), turn.has_left)
        if not turn.gone:
            self._give(turn, request.envelope.message_id, decision, source)
        self._accounting.client(turn, request.operation.name, source, started, request.envelope)

    def _forward(self, turn: Exchange, forward: Forward, started: float) -> None:
        """Send a request of whose answer nothing is learnt. One that comes in one piece, as most do, needs no
        coroutine: a sixth of the time of such an exchange."""
        call = self._call(turn, forward)
        sending = self._device.request(call)
        sending.addCallbacks(self._answered, self._not_answered, callbackArgs=(turn, forward, started),
                             errbackArgs=(call, turn, forward, started))
        sending.addErrback(self._failed, turn, started)

    def _answered(self, response: Response, turn: Exchange, forward: Forward, started: float) -> Deferred[None] | None:
        head = response.head
        if not response.ended or not head.framed or is_streamed(response, forward):
            return Deferred.fromCoroutine(self._receive_late(response, turn, forward, started))
        content_type, body = first(head.headers, b"content-type") or b"", response.whole()
        try:
            check_document(response.peer, content_type, body)
        except BadDevice as error:
            self._refuse(turn, response.call, error, forward, started)
            return None
        turn.fault = fault_in(body, charset_of(content_type))
        self._count(response.call, outcome_of(head.status, turn.fault))
        turn.pass_on(head.status, head.reason, end_to_end(head.headers, FRAMING), body)
        self._account(turn, forward.question, DEVICE, started)
        return None

    async def _receive_late(self, response: Response, turn: Exchange, forward: Forward, started: float) -> None:
        outcome = await self._receive(response, forward, turn)
        if isinstance(outcome, Failure):
            turn.refuse(outcome.fault, forward.question.envelope.message_id, self._new_id())
        elif outcome is not None:
            self._give(turn, forward.question.envelope.message_id, Pass(outcome), DEVICE)
        self._account(turn, forward.question, DEVICE, started)

    def _not_answered(self, failure: TwistedFailure, call: ScannerRequest, turn: Exchange, forward: Forward,
                      started: float) -> None:
        failure.trap(DeviceError)
        self._refuse(turn, call, failure.value, forward, started)

    def _refuse(self, turn: Exchange, call: ScannerRequest, error: DeviceError, forward: Forward,
                started: float) -> None:
        self._warn(call, turn, error)
        turn.refuse(fault_for(error), forward.question.envelope.message_id, self._new_id())
        self._account(turn, forward.question, DEVICE if call.sent else REFUSED, started)

    def _failed(self, failure: object, turn: Exchange, started: float) -> None:
        self.log.failure("while answering {client}", failure, client=turn.client)  # type: ignore[arg-type]
        if not turn.gone:
            turn.abort()
        self._accounting.client(turn, OTHER.name, REFUSED, started)

    async def _pursue(self, turn: Exchange, question: Question, decision: Decision, started: float) -> None:
        source = LOCAL
        while True:
            if isinstance(decision, Forward):
                outcome, sent = await self._send(decision, turn)
                source = DEVICE if sent else source
                if outcome is None:
                    break
                decision = self._learn(decision, outcome)
            elif isinstance(decision, Join):
                forward = decision.forward
                outcome = await self._wait(forward, turn.client)
                if turn.gone:
                    break
                decision = self._bridge.joined(question, forward, outcome, self._seconds())
            else:
                if question.operation is CREATE_SCAN_JOB:
                    await self._written()  # before the client knows a JobId that the store has for another job
                source = self._give(turn, question.envelope.message_id, decision, source)
                break
        self._account(turn, question, source, started)

    def _give(self, turn: Exchange, message_id: str | None, decision: Answer | Refuse | Pass, source: str) -> str:
        if isinstance(decision, Answer):
            turn.answer(200, decision.body, decision.content_type)
        elif isinstance(decision, Pass):
            reply = decision.reply
            turn.fault = reply.fault
            turn.pass_on(reply.status, reply.reason, list(reply.headers), reply.body)
        else:
            turn.refuse(decision.fault, message_id, self._new_id())
            if decision.limit is not None:
                self._accounting.refused(decision.limit, turn.client, CREATE_SCAN_JOB.name)
            return source if source == DEVICE else REFUSED
        return source

    def _wait(self, forward: Forward, client: str) -> Deferred[Outcome]:
        waiting: Deferred[Outcome] = Deferred()
        self._waiting.setdefault(forward, []).append(waiting)
        if forward in self._calls:
            self._device.also_for(self._calls[forward], client_of(client))
        return waiting

    def _learn(self, forward: Forward, outcome: Outcome) -> Decision:
        now = self._seconds()
        if isinstance(outcome, Failure):
            decision = self._bridge.fail(forward, outcome, now)
        else:
            decision = self._bridge.learn(forward, outcome, now)
        self._after_learning()
        for waiting in self._waiting.pop(forward, ()):
            waiting.callback(outcome)
        return decision

    def _call(self, turn: Exchange, forward: Forward) -> ScannerRequest:
        address = self._bridge.device
        assert address is not None
        operation = forward.question.operation
        call = ScannerRequest(address_of(address), operation, forward.body, actionless(
            end_to_end(turn.request.headers, _NOT_FORWARDED)))
        call.tape, call.share_of = turn.tape, self._bridge.share_of(forward)
        call.client = client_of(turn.client)
        if forward.learns or operation is RETRIEVE_IMAGE:
            call.on_sent = lambda: self._bridge.sent(forward, self._seconds())
        return call

    async def _send(self, forward: Forward, turn: Exchange) -> tuple[Outcome | None, bool]:
        """What came of it, None if it was streamed to the client; and whether it reached the device at all."""
        call = self._call(turn, forward)
        if forward.learns:
            self._calls[forward] = call
        if call.operation is RETRIEVE_IMAGE:
            turn.on_gone = lambda: self._device.abandon(call)
        try:
            return await self._receive(await self._device.request(call), forward, turn), True
        except DeviceError as error:
            self._warn(call, turn, error)
            return Failure(fault_for(error)), call.sent
        finally:
            self._calls.pop(forward, None)
            turn.on_gone = None

    async def _receive(self, response: Response, forward: Forward, turn: Exchange) -> Outcome | None:
        """An answer whose head is here: collected, or relayed to the client (None)."""
        call = response.call
        if is_streamed(response, forward):
            return await self._relay(response, forward, turn)
        try:
            reply = await read_reply(response)
        except DeviceError as error:
            self._warn(call, turn, error)
            return Failure(fault_for(error))
        outcome = outcome_of(reply.status, reply.fault)
        self._count(call, outcome)
        if call.operation is RETRIEVE_IMAGE and outcome == FAULT:
            self._bridge.image_refused(forward.question, reply)
        return reply

    async def _relay(self, response: Response, forward: Forward, turn: Exchange) -> Failure | None:
        """Relay an answer, and learn from what went by; the fault that takes its place where it is not passed on."""
        call, head = response.call, response.head
        relayed = await relay(response, turn, self._count_image)
        if relayed.broken is not None:
            self._warn(call, turn, relayed.broken, outcome_of(head.status, None) if call.abandoned else ERROR)
        else:
            reply = Reply(head.status, b"", relayed.root)
            turn.fault = reply.fault
            outcome = outcome_of(head.status, turn.fault)
            self._count(call, outcome)
            if call.operation is RETRIEVE_IMAGE and outcome == FAULT:
                self._bridge.image_refused(forward.question, reply)
                return None
        if call.operation is RETRIEVE_IMAGE:
            self._bridge.image_ended(forward.question, self._seconds(), whole=relayed.broken is None)
            self._after_learning()
        if relayed.broken is not None and not relayed.begun and not turn.gone:
            return Failure(fault_for(relayed.broken))
        return None

    def _account(self, turn: Exchange, question: Question, source: str, started: float) -> None:
        """A client's question has been answered, from that source."""
        self._accounting.client(turn, question.operation.name, source, started, question.envelope,
                              None if question.wanted is None else question.wanted.job_id)

    def _count_image(self, size: int) -> None:
        self._metrics.image_bytes(self._bridge.name, size)

    def _warn(self, call: ScannerRequest, turn: Exchange, error: DeviceError, outcome: str = ERROR) -> None:
        """A client's request has failed; whether that says anything about the device decides what follows."""
        if call.sent:
            self._count(call, outcome)
        if isinstance(error, Busy):
            if not self._throttle.allows((call.client, call.operation), self._seconds()):
                return
        elif not call.abandoned:
            self._on_trouble()
        self.log.warn("{scanner}: {operation} for {client} failed: {error}", scanner=self._bridge.name,
                      operation=call.operation.name, client=turn.client, error=str(error))

    def _count(self, call: ScannerRequest, outcome: str) -> None:
        self._metrics.device_request(self._bridge.name, call.operation.name, outcome)
