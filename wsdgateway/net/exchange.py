"""One client's request, from the decision to the answer.

Decisions come from `bridge`; here they are carried out: an answer written, a request sent to the
device, another client's request waited for. A request that has gone to the device runs to its end even
if its client leaves, so that its answer is learnt from; only an image nobody wants is broken off.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Answer, Decision, Failure, Forward, Join, Outcome, Pass, Question, Refuse, Reply
from wsdgateway.bridge.routing import Endpoint, Rejected, route
from wsdgateway.bridge.scanner import BridgedScanner
from wsdgateway.http.messages import end_to_end, first, is_soap, media_type
from wsdgateway.metrics import DEVICE, ERROR, FAULT, LOCAL, OK, REFUSED, Metrics
from wsdgateway.net.devicecall import Call, Response, address_of
from wsdgateway.net.deviceclient import DeviceClient
from wsdgateway.net.failures import BadDevice, DeviceError, fault_for
from wsdgateway.net.relay import relay
from wsdgateway.net.turn import Turn
from wsdgateway.scan.operations import RETRIEVE_IMAGE
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Fault, write_fault
from wsdgateway.soap.parsing import Malformed

# Ours to write anew (framing, Host), or not to be passed on: a compressed answer could not be read.
_NOT_FORWARDED = frozenset((b"host", b"content-length", b"expect", b"accept-encoding"))
_FRAMING = frozenset((b"content-length",))


class Exchanges:
    """Carries out what the bridge of one scanner decides.

    `after_learning` is called when jobs may have changed, `on_trouble` when the device failed a client.
    """

    log = Logger()

    def __init__(self, bridge: BridgedScanner, device: DeviceClient, metrics: Metrics, *,
                 seconds: Callable[[], float], new_id: Callable[[], str], after_learning: Callable[[], None],
                 on_trouble: Callable[[], None]) -> None:
        self._bridge = bridge
        self._device = device
        self._metrics = metrics
        self._seconds = seconds
        self._new_id = new_id
        self._after_learning = after_learning
        self._on_trouble = on_trouble
        self._waiting: dict[Forward, list[Deferred[Outcome]]] = {}

    def serve(self, turn: Turn, endpoint: Endpoint) -> None:
        """Answer the request of this turn, now or later."""
        started = self._seconds()
        request = turn.request
        question = route(request.body, endpoint, client=turn.client, host=request.host)
        if isinstance(question, Rejected):
            self._refuse(turn, question.fault, question.relates_to)
            self._metrics.request(self._bridge.name, question.operation, REFUSED, self._seconds() - started)
            return
        decision = self._bridge.ask(question, started)
        if isinstance(decision, Answer):
            turn.answer(200, decision.body)
            self._metrics.request(self._bridge.name, question.operation.name, LOCAL, self._seconds() - started)
            return
        running = Deferred.fromCoroutine(self._pursue(turn, question, decision, started))
        running.addErrback(self._failed, turn)

    def _failed(self, failure: object, turn: Turn) -> None:
        self.log.failure("while answering {client}", failure, client=turn.client)  # type: ignore[arg-type]
        if not turn.gone:
            turn.abort()

    async def _pursue(self, turn: Turn, question: Question, decision: Decision, started: float) -> None:
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
                outcome = await self._wait(forward)
                if turn.gone:
                    break
                decision = self._bridge.joined(question, forward, outcome, self._seconds())
            else:
                source = self._give(turn, question, decision, source)
                break
        self._metrics.request(self._bridge.name, question.operation.name, source, self._seconds() - started)

    def _give(self, turn: Turn, question: Question, decision: Answer | Refuse | Pass, source: str) -> str:
        if isinstance(decision, Answer):
            turn.answer(200, decision.body)
        elif isinstance(decision, Pass):
            reply = decision.reply
            turn.pass_on(reply.status, reply.reason, list(reply.headers), reply.body)
        else:
            self._refuse(turn, decision.fault, question.envelope.message_id)
            return source if source == DEVICE else REFUSED
        return source

    def _refuse(self, turn: Turn, fault: Fault, relates_to: str | None) -> None:
        turn.answer(fault.status, write_fault(fault, relates_to=relates_to, message_id=self._new_id()))

    def _wait(self, forward: Forward) -> Deferred[Outcome]:
        waiting: Deferred[Outcome] = Deferred()
        self._waiting.setdefault(forward, []).append(waiting)
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

    async def _send(self, forward: Forward, turn: Turn) -> tuple[Outcome | None, bool]:
        """What came of it, None if it was streamed to the client; and whether it reached the device at all."""
        operation = forward.question.operation
        address = self._bridge.device
        assert address is not None
        call = Call(address_of(address), operation, forward.body, end_to_end(turn.request.headers, _NOT_FORWARDED),
                    on_sent=lambda: self._bridge.sent(forward, self._seconds()))
        if operation is RETRIEVE_IMAGE:
            turn.on_gone = lambda: self._device.abandon(call)
        try:
            response = await self._device.request(call)
            if _is_streamed(response):
                broken = await relay(response, turn, self._count_image)
                if broken is not None:
                    self._warn(call, turn, broken)
                else:
                    self._count(call, OK if response.head.status < 400 else FAULT)
                    self._bridge.image_passed(forward.question)
                    self._after_learning()
                return None, True
            reply = await read_reply(response)
        except DeviceError as error:
            self._warn(call, turn, error)
            return Failure(fault_for(error)), call.sent
        finally:
            turn.on_gone = None
        self._count(call, OK if reply.status < 400 else FAULT)
        return reply, True

    def _count_image(self, size: int) -> None:
        self._metrics.image_bytes(self._bridge.name, size)

    def _warn(self, call: Call, turn: Turn, error: DeviceError) -> None:
        if call.sent:
            self._count(call, ERROR)
        if not call.abandoned:
            self._on_trouble()
        self.log.warn("{scanner}: {operation} for {client} failed: {error}", scanner=self._bridge.name,
                      operation=call.operation.name, client=turn.client, error=str(error))

    def _count(self, call: Call, outcome: str) -> None:
        self._metrics.device_request(self._bridge.name, call.operation.name, outcome)


def _is_streamed(response: Response) -> bool:
    """An image, or something unknown that may be as large; what is learnt from is held back."""
    if response.call.operation.learns:
        return False
    media = media_type(first(response.head.headers, b"content-type"))
    if response.call.operation is RETRIEVE_IMAGE:
        return media != b"application/soap+xml" and not media.startswith(b"text/")
    return media.startswith((b"multipart/", b"image/")) or media == b"application/octet-stream"


async def read_reply(response: Response) -> Reply:
    """The whole answer. Raises `DeviceError`; a SOAP answer that ends by closing must be whole to count."""
    body = await response.collect()
    head = response.head
    content_type = first(head.headers, b"content-type") or b""
    if not head.framed and is_soap(content_type):
        try:
            read(body)
        except Malformed as error:
            raise BadDevice(response.peer, f"it broke off: {error}") from None
    return Reply(head.status, content_type, body, head.reason, tuple(end_to_end(head.headers, _FRAMING)))
