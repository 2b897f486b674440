"""Records the requests for one scanner that were passed on: lines of the exchange log, metrics, and warnings."""

from twisted.logger import Logger

from wsdgateway.bridge.cluster.peerfields import Record
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.metrics import ERROR, FAULT, HELD, OK, REFUSED
from wsdgateway.net.cluster.passedrequest import EVENTS, Asked, PassedRequest, RequestReader
from wsdgateway.net.cluster.passingcontext import PassingContext
from wsdgateway.net.cluster.validsecrets import ValidSecrets
from wsdgateway.net.transport.logthrottle import LogThrottle


class PassingRecords:
    """Records the requests for one scanner that were passed on.

    Notifications are in no log, and the owner has counted those that it took; `secrets` notes the valid ones.
    """

    log = Logger()

    def __init__(self, scanner: str, context: PassingContext, reader: RequestReader) -> None:
        self._scanner = scanner
        self._context = context
        self._reader = reader
        self._accounting = context.accounting(scanner)
        self._throttle = LogThrottle()
        self.secrets = ValidSecrets()
        self.now = self._accounting.now

    def answered(self, passed: PassedRequest, record: Record) -> None:
        """Record a request that the owner has answered, and described by `record`."""
        exchange, owner = passed.exchange, passed.owner
        assert owner is not None
        self._context.metrics.passed(self._scanner, OK if record.fault is None else FAULT)
        if passed.prefix == EVENTS:
            self.secrets.note(passed.rest, exchange.client, valid=record.is_exempt)
        if record.is_event:
            return  # the owner has recorded it
        accounting = self._accounting if record.scanner == self._scanner else self._context.general
        accounting.by_another(exchange, record, owner.name, passed.started)

    def broken(self, passed: PassedRequest, why: str = "") -> None:
        """Record a request whose client has left, or whose answer broke off."""
        if why and passed.owner is not None and not passed.exchange.gone:
            self.trouble(passed.owner, why)
        self._context.metrics.passed(self._scanner, ERROR)
        if passed.prefix == EVENTS:
            return
        asked = self._reader.read(passed)
        envelope = asked.envelope
        record = Record(asked.operation, REFUSED, self._scanner, action=None if envelope is None else envelope.action,
                        message_id=None if envelope is None else envelope.message_id, protocol=asked.protocol,
                        resource=asked.resource)
        via = self._context.name if passed.owner is None else passed.owner.name
        self._accounting.by_another(passed.exchange, record, via, passed.started)

    def gave_up(self, passed: PassedRequest, asked: Asked) -> None:
        """Record a request that this gateway has answered with a fault of its own."""
        self._context.metrics.passed(self._scanner, ERROR)
        if passed.prefix != EVENTS:
            self._accounting.client(passed.exchange, asked.operation, REFUSED, passed.started, asked.envelope,
                                    protocol=asked.protocol, resource=asked.resource)

    def held(self) -> None:
        """Count a request that waits for an owner."""
        self._context.metrics.passed(self._scanner, HELD)

    def unread(self, passed: PassedRequest) -> None:
        """Record a request of which nothing is known."""
        self._accounting.unread(passed.exchange, passed.started)

    def trouble(self, owner: Registration, what: str) -> None:
        """Log that a request could not be passed to that gateway."""
        if self._throttle.allows((owner.name, what), self.now()):
            self.log.warn("{scanner}: passing a request to the gateway {owner} at {address} failed: {what} (logged at "
                          "most once a minute)", scanner=self._scanner, owner=owner.name, address=owner.address,
                          what=what)
