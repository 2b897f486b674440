"""Accounting of exchanges: counts and times each one, and adds it to the exchange log when it has ended."""

from collections.abc import Callable
from typing import Protocol

from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.cluster.peerfields import Record
from wsdgateway.bridge.decisions import Question
from wsdgateway.exchangelog.entry import EVENT, OWN, Entry
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.exchangelog.tape import EVENT as EVENT_SIDE
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.requests import Request
from wsdgateway.metrics import DEVICE, JOBS, RATE, REFUSED, RULE, Metrics
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.jobs import job_id_of, people_of, read_created
from wsdgateway.scan.operations import CREATE_SCAN_JOB, OTHER
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import fault_in
from wsdgateway.soap.parsing import Malformed

_WHY = {RULE: "[[allow]] does not permit it", RATE: "the client exceeds [limits] client_requests",
        JOBS: "the client has reached [limits] client_jobs"}


class PassedRecord(Protocol):
    """Takes the record of an exchange for the gateway that has passed its request on."""

    def note_refused(self, reason: str) -> None:
        """Note that the request is refused by a rule or limit; `reason` is a name of `metrics`."""

    def record(self, record: Record) -> None:
        """Complete the exchange, whose answer has been given or has failed."""


class AccountedExchange(Protocol):
    """The properties of a client's exchange that are recorded. `status` and `fault` are None if there is none.

    `body` is the answer's body if it was written whole, `written` the number of bytes sent of it; `gone` is true if the
    client has disconnected. `tape` has both messages as they were on the wire, if they are recorded. `passed` takes the
    record if another gateway has passed the request on, and writes it instead of this one.
    """

    request: Request
    status: int | None
    fault: str | None
    body: bytes
    written: int
    gone: bool
    tape: Tape | None

    @property
    def passed(self) -> PassedRecord | None:
        """Takes the record of a request that another gateway has passed on, else None."""

    @property
    def client(self) -> str:
        """The client's IP address."""

    @property
    def peer(self) -> str:
        """The client's IP address and port."""


class Accounting:
    """Records the exchanges of one scanner, or of none (None). `seconds` is monotonic, `wall` since 1970."""

    log = Logger()

    def __init__(self, scanner: str | None, metrics: Metrics, log: ExchangeLog, *, seconds: Callable[[], float],
                 wall: Callable[[], float]) -> None:
        self._scanner = scanner
        self._metrics = metrics
        self._log = log
        self._seconds = seconds
        self._wall = wall
        self._throttle = LogThrottle()

    def now(self) -> float:
        """The current time, to be passed as `started` when an exchange ends."""
        return self._seconds()

    def tape(self) -> Tape | None:
        """A new tape for a request of the gateway itself, None if exchanges are not captured."""
        return self._log.tape()

    def client(self, exchange: AccountedExchange, operation: str, source: str, started: float,
               envelope: Envelope | None = None, job_id: str | None = None, protocol: str | None = None,
               resource: str | None = None) -> None:
        """Record that a client's request has been answered from that source, or will not be answered.

        `protocol` is that of the client, None for SOAP; `resource` is that of eSCL.
        """
        if exchange.passed is not None:
            described = self._describe(exchange, operation, envelope, job_id)
            exchange.passed.record(Record(operation, source, self._scanner, exchange.fault, *described, protocol,
                                          resource=resource))
            return
        elapsed = self._seconds() - started
        self._count(exchange, operation, source, elapsed, resource)
        self._add(exchange, operation, source, elapsed, envelope, job_id, protocol)

    def _count(self, exchange: AccountedExchange, operation: str, source: str, elapsed: float,
               resource: str | None) -> None:
        if self._scanner is None:
            return
        self._metrics.request(self._scanner, operation, source, elapsed)
        if resource is not None:
            status = None if exchange.gone else exchange.status
            self._metrics.escl_request(self._scanner, resource, "none" if status is None else str(status))
        if source == DEVICE:
            self._log_details(exchange.peer, operation, exchange.status, elapsed)

    def by_another(self, exchange: AccountedExchange, record: Record, via: str, started: float) -> None:
        """Record that the gateway `via` has answered a client's request, and how."""
        elapsed = self._seconds() - started
        self._count(exchange, record.operation, record.source, elapsed, record.resource)
        if record.refused is not None:
            self.refused(record.refused, exchange.client, record.operation)
        user = job_name = None
        body = exchange.request.body
        if self._log.identify and record.protocol is None:
            try:
                user, job_name = people_of(read(body).body)
            except Malformed:
                pass
        self._log.add(Entry(
            self._wall() - elapsed, self._scanner, exchange.peer, record.operation, record.action, record.message_id,
            record.job_id, record.source, None if exchange.gone else exchange.status, exchange.fault, len(body),
            exchange.written, elapsed, None, user, job_name, record.protocol, via), body, exchange.body, exchange.tape)

    def _log_details(self, client: str, operation: str, status: int | None, elapsed: float) -> None:
        """Log a request to the scanner for `log_level = "debug"`."""
        if not self._log.details:  # even an event that no observer wants takes 6 µs
            return
        result = "no answer" if status is None else f"status {status}"
        self.log.debug("{scanner}: {operation} of {client} ended with {result} after {seconds:.3f} s",
                       scanner=self._scanner, operation=operation, client=client, result=result, seconds=elapsed)

    def unread(self, exchange: AccountedExchange, started: float | None = None) -> None:
        """Record a request that was refused or failed before its operation was known; `started` defaults to now."""
        self.client(exchange, OTHER.name, REFUSED, self.now() if started is None else started)

    def refused(self, reason: str, client: str, operation: str, exchange: AccountedExchange | None = None) -> None:
        """Record that a client's request is refused; `reason` is a name of `metrics`.

        With an `exchange` that another gateway has passed on, that one records it.
        """
        if exchange is not None and exchange.passed is not None:
            exchange.passed.note_refused(reason)
            return
        self._metrics.refused(self._scanner, reason)
        if self._throttle.allows((reason, client_of(client), operation), self._seconds()):
            what = "{operation} of client {client} refused: {why} (logged at most once a minute)"
            self.log.warn(what if self._scanner is None else f"{{scanner}}: {what}", scanner=self._scanner,
                          operation=operation, client=client, why=_WHY[reason])

    def event(self, exchange: AccountedExchange, event: str, started: float, envelope: Envelope | None,
              job_id: str | None) -> None:
        """Record that a scanner's notification has been answered."""
        if exchange.tape is not None:
            exchange.tape.incoming = EVENT_SIDE
        self._add(exchange, event, EVENT, self._seconds() - started, envelope, job_id)
        if exchange.passed is not None:
            exchange.passed.record(Record(event, EVENT, self._scanner, exchange.fault, is_event=True))

    def _describe(self, exchange: AccountedExchange, operation: str, envelope: Envelope | None,
                  job_id: str | None) -> tuple[str | None, str | None, str | None]:
        """The action, the MessageID and the JobId of an exchange, as far as they are known."""
        if envelope is None:
            return None, None, job_id
        if job_id is None:
            is_created = operation == CREATE_SCAN_JOB.name and exchange.status == 200 and not exchange.gone
            job_id = _created(exchange.body) if is_created else job_id_of(envelope.body)
        return envelope.action, envelope.message_id, job_id

    def _add(self, exchange: AccountedExchange, operation: str, source: str, elapsed: float,
             envelope: Envelope | None, job_id: str | None, protocol: str | None = None) -> None:
        status = None if exchange.gone else exchange.status
        user = job_name = None
        body = exchange.request.body
        action, message_id, job_id = self._describe(exchange, operation, envelope, job_id)
        if envelope is not None and self._log.identify:
            user, job_name = people_of(envelope.body)
        self._log.add(Entry(
            self._wall() - elapsed, self._scanner, exchange.peer, operation, action, message_id, job_id, source, status,
            exchange.fault, len(body), exchange.written, elapsed, None, user, job_name, protocol), body, exchange.body,
            exchange.tape)

    def repeated(self, question: Question, peer: str, message_id: str, source: str, started: float, request: bytes,
                 answer: bytes) -> None:
        """Record that the repetition of a question was answered with status 200."""
        elapsed = self._seconds() - started
        operation, envelope = question.operation.name, question.envelope
        user, job_name = people_of(envelope.body) if self._log.identify else (None, None)
        job_id = job_id_of(envelope.body) if question.wanted is None else question.wanted.job_id
        assert self._scanner is not None
        self._metrics.request(self._scanner, operation, source, elapsed)
        self._log.add(Entry(
            self._wall() - elapsed, self._scanner, peer, operation, envelope.action, message_id, job_id, source, 200,
            None, len(request), len(answer), elapsed, None, user, job_name), request, answer)

    def own(self, operation: str, started: float, request: bytes, status: int | None, answer: bytes,
            tape: Tape | None, size: int | None = None) -> None:
        """Record a request of the gateway's own to the scanner; `status` is None if there was no answer.

        `size` is the number of bytes of an answer that was not kept.
        """
        elapsed = self._seconds() - started
        self._log_details("the gateway itself", operation, status, elapsed)
        try:
            asked: Envelope | None = read(request)
        except Malformed:
            asked = None
        action, message_id, body = (None, None, None) if asked is None else (asked.action, asked.message_id, asked.body)
        is_created = operation == CREATE_SCAN_JOB.name and status == 200
        job_id = _created(answer) if is_created else job_id_of(body)
        self._log.add(Entry(
            self._wall() - elapsed, self._scanner, None, operation, action, message_id, job_id, OWN, status,
            None if status is None else fault_in(answer), len(request), len(answer) if size is None else size,
            elapsed), request, answer, tape)


def _created(body: bytes) -> str | None:
    try:
        created = read_created(read(body).body)
    except Malformed:
        return None
    return None if created is None else created.job_id
