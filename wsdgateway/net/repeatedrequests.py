"""Serves repeated requests without reading them in full: the fast path of clients that poll.

A request is learnt when it was read and routed in the usual way, and was answered by the gateway, or forwarded to the
scanner although nothing is learnt from the answer. Its repetitions, which differ in the MessageID alone, skip HTTP
parser, router, XML parser and front end, which take three quarters of the time of a status read. `[[allow]]`, quotas,
the job table, the answer cache, metrics and the exchange log apply to each of them. Anything uncertain is left to the
usual way.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.cache.repeats import MAX_REQUEST, Repeats
from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.cluster.peerfields import Record
from wsdgateway.bridge.decisions import Answer, Forward, Question
from wsdgateway.bridge.frontends.frontend import FrontEnd, asked_for
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.http.messages import Headers
from wsdgateway.http.requests import Request
from wsdgateway.metrics import ASKED, KEPT, LOCAL, Metrics
from wsdgateway.net.server.exchange import Exchange, Repetition, own_head, persistence
from wsdgateway.net.server.protocols import Server
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.scan.jobs import job_id_of
from wsdgateway.soap.envelope import Envelope

MAX_HEAD = 512  # bytes of the head of an answer
# For the record of an exchange and the body of its answer: fields of the answer, and the bytes that follow its body.
WriteRecord = Callable[[Record, bytes], tuple[bytes, bytes]]


@attrs.frozen(eq=False)
class Source:
    """The parts of the gateway that serve a request in the usual way.

    `forward` sends a question with the time at which it arrived, and the header fields for the scanner. `holds` is true
    while this gateway owns the scanner.
    """

    front_end: FrontEnd
    bridge: ScannerBridge
    accounting: Accounting
    forward: Callable[[Exchange, Forward, float, Headers], None]
    holds: Callable[[], bool] = always


@attrs.frozen(eq=False)
class _Outgoing:
    """A request as it was sent to the scanner: the bytes before and after its MessageID, and its header fields."""

    before: bytes
    after: bytes
    fields: Headers


@attrs.frozen(eq=False)
class _Repeat:
    """A request that may be repeated. `head` is the number of bytes before its body.

    `device` and `endpoints` are the bridge's addresses when it was read; `persistence` ends the answer's head.
    `outgoing` is None if the gateway answers it.
    """

    source: Source
    question: Question
    request: Request
    head: int
    operation: str
    device: str
    endpoints: tuple[str, str | None] | None
    persistence: bytes
    outgoing: _Outgoing | None


class RepeatedRequests:
    """The requests for all scanners that may be repeated. `seconds` is a monotonic clock."""

    def __init__(self, permission: Permission, quotas: Quotas, metrics: Metrics, log: ExchangeLog, *,
                 seconds: Callable[[], float]) -> None:
        self._permission = permission
        self._quotas = quotas
        self._metrics = metrics
        self._log = log
        self._seconds = seconds
        self._repeats: Repeats[_Repeat] = Repeats()
        self.is_partial = self._repeats.is_partial

    def serve(self, raw: bytes, client: str, peer: str, server: Server, at_once: int = 0,
              passed: WriteRecord | None = None) -> tuple[bytes, bool] | Repetition | None:
        """Serve the request in these bytes if it repeats a known one.

        `client` and `peer` are the client's IP address, without and with its port. Returns the answer and whether the
        connection may be used again, or a request to begin an exchange with. With `at_once`, only an answer is
        returned: of at most so many bytes, to a request that is the last one of its connection. Returns None if the
        request must be read in full, in which case nothing has been counted. `passed` is for a request that another
        gateway has passed on, has counted, and will record.
        """
        started = self._seconds()
        found = self._repeats.find(raw)
        if found is None or self._log.captures is not None:
            return None
        repeat, message_id = found
        source, question, operation = repeat.source, repeat.question, repeat.operation
        bridge = source.bridge
        if (bridge.device is not repeat.device or bridge.endpoints is not repeat.endpoints
                or len(raw) - repeat.head > server.limits.request_body
                or not self._permission.allows(client, bridge.name, operation)
                or (at_once and (repeat.request.keep_alive or repeat.outgoing is not None)) or not source.holds()):
            return None
        if repeat.outgoing is not None:
            return self._forward(repeat, repeat.outgoing, raw, client, message_id, started, passed is not None)
        relates_to = message_id.decode("ascii")
        answer = bridge.repeat(question, relates_to, started)
        if (answer is None or (at_once and len(answer.body) + MAX_HEAD > at_once)
                or not (passed is not None or self._quotas.admits_request(client, started))):
            return None
        status, body, headers, _, _ = source.front_end.write(answer, question)
        if question.operation.common:
            self._metrics.kept_answer(bridge.name, operation, KEPT)
        if passed is not None:
            wanted = question.wanted
            job_id = job_id_of(question.envelope.body) if wanted is None else wanted.job_id
            fields, more = passed(
                Record(operation, LOCAL, bridge.name, None, question.envelope.action, relates_to, job_id), body)
            return b"".join((
                own_head(status, headers), server.date(), fields, b"Content-Length: %d\r\n" % (len(body) + len(more)),
                repeat.persistence, body, more)), repeat.request.keep_alive
        source.accounting.repeated(question, peer, relates_to, LOCAL, started, raw[repeat.head:], body)
        return b"".join((own_head(status, headers), server.date(), b"Content-Length: %d\r\n" % len(body),
                         repeat.persistence, body)), repeat.request.keep_alive

    def _forward(self, repeat: _Repeat, outgoing: _Outgoing, raw: bytes, client: str, message_id: bytes,
                 started: float, is_passed: bool) -> Repetition | None:
        if not (is_passed or self._quotas.admits_request(client, started)):
            return None
        known, request, source = repeat.question, repeat.request, repeat.source
        body = raw[repeat.head:]
        read = known.envelope
        envelope = Envelope(read.root, read.header, read.body, read.action, message_id.decode("ascii"), read.relates_to,
                            read.to, read.obliges)
        question = Question(envelope, body, known.operation, client, known.host, known.wanted, known.read, known.fields)
        if known.operation.common:
            self._metrics.kept_answer(source.bridge.name, repeat.operation, ASKED)
        forward = Forward(question, b"".join((outgoing.before, message_id, outgoing.after)))
        return Repetition(
            Request(request.method, request.path, request.headers, body, request.http10, request.keep_alive,
                    request.host, request.content_type),
            lambda exchange: source.forward(exchange, forward, started, outgoing.fields))

    def learn(self, exchange: Exchange, decision: Answer | Forward, question: Question, source: Source,
              fields: Headers | None = None) -> None:
        """Remember a request that is answered or forwarded now, if its repetitions can be recognised.

        `fields` are the header fields with which it is sent to the scanner. The decision must have been made just now,
        since `clear` may have been called after an earlier one.
        """
        raw, request, device = exchange.raw, exchange.request, source.bridge.device
        head = len(raw) - len(request.body)
        operations = asked_for(question)
        if (not raw or len(raw) > MAX_REQUEST or device is None or len(operations) > 1 or raw[head:] != request.body
                or raw.find(b"\r\n\r\n") + 4 != head or not raw.startswith(b"POST ")):
            return
        skeleton = source.front_end.skeleton(raw, question)
        outgoing: _Outgoing | None = None
        if isinstance(decision, Forward) and skeleton is not None and fields is not None:
            message_id = (question.envelope.message_id or "").encode()
            if decision.body.count(message_id) != 1:
                return
            before, _, after = decision.body.partition(message_id)
            outgoing = _Outgoing(before, after, fields)
        if skeleton is not None:
            # A copy without the body, which each repetition has of its own.
            request = attrs.evolve(request, body=b"")
            self._repeats.learn(skeleton, len(raw), _Repeat(
                source, question, request, head, operations[0], device, source.bridge.endpoints,
                persistence(request.keep_alive, http10=request.http10) + b"\r\n", outgoing))

    def clear(self) -> None:
        """Forget all requests, for example because the configuration has changed."""
        self._repeats.clear()
