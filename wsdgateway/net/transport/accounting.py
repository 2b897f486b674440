"""Where every exchange ends: counted, timed, and handed to the exchange log.

The contract's sections on metrics and on the exchange log.
"""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.exchangelog.entry import EVENT, OWN, Entry
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.exchangelog.tape import EVENT as EVENT_SIDE
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.metrics import JOBS, RATE, RULE, Metrics
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.jobs import job_id_of, people_of, read_created
from wsdgateway.scan.operations import CREATE_SCAN_JOB
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import fault_in
from wsdgateway.soap.parsing import Malformed

_WHY = {RULE: "[[allow]] does not let it do that", RATE: "it asks more often than [limits] client_requests",
        JOBS: "it has as many jobs running as [limits] client_jobs"}


class Accounting:
    """Those of one scanner; None stands for what is no scanner's. `seconds` is monotonic, `wall` since 1970."""

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
        """When something begins; to be given back when it ends."""
        return self._seconds()

    def tape(self) -> Tape | None:
        """What an exchange of the gateway's own is recorded on, if it is."""
        return self._log.tape()

    def client(self, turn: Exchange, operation: str, source: str, started: float, envelope: Envelope | None = None,
               job_id: str | None = None) -> None:
        """A client's request has been answered, from that source; or it is not going to be."""
        elapsed = self._seconds() - started
        if self._scanner is not None:
            self._metrics.request(self._scanner, operation, source, elapsed)
        self._add(turn, operation, source, elapsed, envelope, job_id)

    def refused(self, reason: str, client: str, operation: str) -> None:
        """A client is refused what it asks for; `reason` is a name of `metrics`."""
        self._metrics.refused(self._scanner, reason)
        if self._throttle.allows((reason, client_of(client), operation), self._seconds()):
            self.log.warn("{scanner}: {operation} for {client} is refused: {why} (said once a minute)",
                          scanner=self._scanner or "gateway", operation=operation, client=client, why=_WHY[reason])

    def event(self, turn: Exchange, event: str, started: float, envelope: Envelope | None, job_id: str | None) -> None:
        """A scanner's notification has been answered."""
        if turn.tape is not None:
            turn.tape.incoming = EVENT_SIDE
        self._add(turn, event, EVENT, self._seconds() - started, envelope, job_id)

    def _add(self, turn: Exchange, operation: str, source: str, elapsed: float, envelope: Envelope | None,
             job_id: str | None) -> None:
        status = None if turn.gone else turn.status
        action = message_id = user = job_name = None
        body = turn.request.body
        if envelope is not None:
            action, message_id = envelope.action, envelope.message_id
            if job_id is None:
                job_id = job_id_of(envelope.body)
            if operation == CREATE_SCAN_JOB.name and status == 200:
                job_id = _created(turn.body)
            if self._log.identify:
                user, job_name = people_of(envelope.body)
        # As Entry(...) does it, without its Python: a microsecond of the thirty that a status read takes.
        self._log.add(tuple.__new__(Entry, (
            self._wall() - elapsed, self._scanner, turn.peer, operation, action, message_id, job_id, source, status,
            turn.fault, len(body), turn.written, elapsed, None, user, job_name)), body, turn.body, turn.tape)

    def own(self, operation: str, started: float, request: bytes, status: int | None, answer: bytes,
            tape: Tape | None) -> None:
        """The scanner was asked something on the gateway's own account; `status` is None if it gave no answer."""
        elapsed = self._seconds() - started
        try:
            asked: Envelope | None = read(request)
        except Malformed:
            asked = None
        action, message_id, body = (None, None, None) if asked is None else (asked.action, asked.message_id, asked.body)
        self._log.add(Entry(
            self._wall() - elapsed, self._scanner, None, operation, action, message_id, job_id_of(body), OWN, status,
            None if status is None else fault_in(answer), len(request), len(answer), elapsed), request, answer, tape)


def _created(body: bytes) -> str | None:
    try:
        created = read_created(read(body).body)
    except Malformed:
        return None
    return None if created is None else created.job_id
