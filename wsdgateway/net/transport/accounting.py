"""Accounting of exchanges: counts and times each one, and adds it to the exchange log when it has ended."""

from collections.abc import Callable
from typing import Protocol

from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import client_of
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


class AccountedExchange(Protocol):
    """The properties of a client's exchange that are recorded. `status` and `fault` are None if there is none.

    `body` is the answer's body if it was written whole, `written` the number of bytes sent of it; `gone` is true if the
    client has disconnected. `tape` has both messages as they were on the wire, if they are recorded.
    """

    request: Request
    status: int | None
    fault: str | None
    body: bytes
    written: int
    gone: bool
    tape: Tape | None

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
               envelope: Envelope | None = None, job_id: str | None = None, protocol: str | None = None) -> None:
        """Record that a client's request has been answered from that source, or will not be answered.

        `protocol` is that of the client, None for SOAP.
        """
        elapsed = self._seconds() - started
        if self._scanner is not None:
            self._metrics.request(self._scanner, operation, source, elapsed)
            if source == DEVICE:
                self._log_details(exchange.peer, operation, exchange.status, elapsed)
        self._add(exchange, operation, source, elapsed, envelope, job_id, protocol)

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

    def refused(self, reason: str, client: str, operation: str) -> None:
        """Record that a client's request is refused; `reason` is a name of `metrics`."""
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

    def _add(self, exchange: AccountedExchange, operation: str, source: str, elapsed: float,
             envelope: Envelope | None, job_id: str | None, protocol: str | None = None) -> None:
        status = None if exchange.gone else exchange.status
        action = message_id = user = job_name = None
        body = exchange.request.body
        if envelope is not None:
            action, message_id = envelope.action, envelope.message_id
            if job_id is None:
                is_created = operation == CREATE_SCAN_JOB.name and status == 200
                job_id = _created(exchange.body) if is_created else job_id_of(envelope.body)
            if self._log.identify:
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
