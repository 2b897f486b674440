"""Forwards clients' requests to one scanner, once for all clients that wait for the same answer, and counts them.

A request that has been sent is completed even if its client disconnects, so that the gateway can learn from the answer;
only the transfer of an image is aborted.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.bridge.decisions import Decision, Failure, Forward, Outcome, Reply, Sent
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.messages import FRAMING, Headers, actionless, end_to_end
from wsdgateway.http.urls import address_of
from wsdgateway.metrics import ERROR, FAULT, Metrics
from wsdgateway.net.clients.relay import relay
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.reply import Response, is_streamed, outcome_of, read_reply
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.errors import Busy, DeviceError, NotOwned, fault_for
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.operations import RETRIEVE_IMAGE

# Fields that the gateway writes itself (framing, Host) or drops: it could not read a compressed answer, and the
# envelope alone identifies the operation (SOAPAction belongs to SOAP 1.1).
_NOT_FORWARDED = FRAMING | frozenset((b"host", b"expect", b"accept-encoding", b"soapaction"))


class Asker(Protocol):
    """The client's exchange that a request belongs to, or the gateway's own scan job."""

    tape: Tape | None

    @property
    def client(self) -> str:
        """The client's IP address; empty for a job without a client."""


class Forwarder:
    """Sends clients' requests to the scanner.

    `after_learning` is called when jobs may have changed, `on_trouble` when the scanner has failed a client.
    """

    log = Logger()

    def __init__(self, bridge: ScannerBridge, device: DeviceClient, metrics: Metrics, *,
                 seconds: Callable[[], float], after_learning: Callable[[], None],
                 on_trouble: Callable[[], None]) -> None:
        self._bridge = bridge
        self._device = device
        self._metrics = metrics
        self._seconds = seconds
        self._after_learning = after_learning
        self._on_trouble = on_trouble
        self._waiting: dict[Forward, list[Deferred[Outcome]]] = {}
        self._requests: dict[Forward, ScannerRequest] = {}  # those that other clients may wait for
        self._throttle = LogThrottle()

    def request(self, forward: Forward, exchange: Asker, fields: Headers | None = None) -> ScannerRequest:
        """Make the request to the scanner for a client's question; `fields` are its header fields if they are known."""
        address = self._bridge.device
        assert address is not None
        question = forward.question
        operation = question.operation
        if fields is None:
            fields = actionless(end_to_end(question.fields, _NOT_FORWARDED))
        request = ScannerRequest(address_of(address), operation, forward.body, fields)
        request.tape, request.share_of = exchange.tape, self._bridge.share_of(forward)
        request.client = client_of(exchange.client)
        if forward.learns or operation is RETRIEVE_IMAGE:
            request.on_sent = lambda: self._bridge.sent(forward, self._seconds())
        return request

    def begin(self, request: ScannerRequest) -> Deferred[Response]:
        """Send the request. The Deferred fires with the head of the answer, or fails with a `DeviceError`."""
        return self._device.request(request)

    async def send(self, forward: Forward, exchange: Exchange) -> tuple[Outcome | None, bool]:
        """Send a request.

        Returns its outcome, None if it was streamed to the client, and whether it reached the scanner.
        """
        request = self.request(forward, exchange)
        if forward.learns:
            return await self.ask(request, forward, exchange)
        if request.operation is RETRIEVE_IMAGE:
            exchange.on_gone = lambda: self._device.abandon(request)
        try:
            return await self.receive(await self._device.request(request), forward, exchange), True
        except DeviceError as error:
            self.failed(request, exchange, error)
            return Failure(fault_for(error)), request.sent
        finally:
            exchange.on_gone = None

    async def ask(self, request: ScannerRequest, forward: Forward, exchange: Asker) -> tuple[Reply | Failure, bool]:
        """Send a request from whose answer the bridge learns; other clients may wait for it.

        Returns its outcome, to be passed to `learn`, and whether the request reached the scanner.
        """
        self._requests[forward] = request
        try:
            reply = await read_reply(await self._device.request(request))
        except DeviceError as error:
            self.failed(request, exchange, error)
            return Failure(fault_for(error)), request.sent
        finally:
            self._requests.pop(forward, None)
        self.count(request, outcome_of(reply.status, reply.fault))
        return reply, True

    async def receive(self, response: Response, forward: Forward, exchange: Exchange) -> Outcome | None:
        """Receive an answer whose head has arrived.

        Returns the outcome, or None if the answer was relayed to the client.
        """
        request = response.request
        if is_streamed(response, forward):
            return await self._relay(response, forward, exchange)
        try:
            reply = await read_reply(response)
        except DeviceError as error:
            self.failed(request, exchange, error)
            return Failure(fault_for(error))
        outcome = outcome_of(reply.status, reply.fault)
        self.count(request, outcome)
        if request.operation is RETRIEVE_IMAGE and outcome == FAULT:
            self._bridge.image_refused(forward.question, reply)
        return reply

    async def _relay(self, response: Response, forward: Forward, exchange: Exchange) -> Failure | None:
        """Relay an answer, and learn from it. Returns the fault to answer instead if none of it was passed on."""
        request, head = response.request, response.head
        relayed = await relay(response, exchange, self.count_image)
        if relayed.broken is not None:
            outcome = outcome_of(head.status, None) if request.abandoned else ERROR
            self.failed(request, exchange, relayed.broken, outcome)
        else:
            reply = Reply(head.status, b"", relayed.root)
            exchange.fault = reply.fault
            outcome = outcome_of(head.status, exchange.fault)
            self.count(request, outcome)
            if request.operation is RETRIEVE_IMAGE and outcome == FAULT:
                self._bridge.image_refused(forward.question, reply)
                return None
        if request.operation is RETRIEVE_IMAGE:
            self.image_ended(forward, whole=relayed.broken is None)
        if relayed.broken is not None and not relayed.begun and not exchange.gone:
            return Failure(fault_for(relayed.broken))
        return None

    def image_ended(self, forward: Forward, *, whole: bool) -> None:
        """Learn that an image has arrived completely, or has broken off."""
        self._bridge.image_ended(forward.question, self._seconds(), whole=whole)
        self._after_learning()

    # Clients that wait for another client's request.

    def wait(self, forward: Forward, client: str) -> Deferred[Outcome]:
        """Wait for a request in progress. The Deferred fires with its outcome."""
        waiting: Deferred[Outcome] = Deferred()
        self._waiting.setdefault(forward, []).append(waiting)
        if forward in self._requests:
            self._device.also_for(self._requests[forward], client_of(client))
        return waiting

    def learn(self, forward: Forward, outcome: Outcome) -> Decision:
        """Learn from a request's outcome, pass it to the waiting clients, and decide its own client's answer."""
        now = self._seconds()
        if isinstance(outcome, Failure):
            decision = self._bridge.fail(forward, outcome, now)
        else:
            decision = self._bridge.learn(forward, outcome, now)
        self._after_learning()
        for waiting in self._waiting.pop(forward, ()):
            waiting.callback(outcome)
        return decision

    def recall(self, forward: Forward, reply: Reply) -> Decision:
        """Pass the reply that an earlier owner of the scanner got to the waiting clients, and decide the answer."""
        decision = self._bridge.recall(forward, reply, self._seconds())
        for waiting in self._waiting.pop(forward, ()):
            waiting.callback(reply)
        return decision

    def overhear(self, reply: Reply, sent: Sent) -> None:
        """Learn the scanner's status from an answer to GetScannerElements that is passed on."""
        if self._bridge.overhear_answer(reply, sent):
            self._after_learning()

    # Records.

    def failed(self, request: ScannerRequest, exchange: Asker, error: DeviceError, outcome: str = ERROR) -> None:
        """Record that a client's request has failed; call `on_trouble` if the scanner is the cause.

        A request that no connection could be made for counts, too, unless its client disconnected before it was sent.
        """
        if request.sent or not request.abandoned:
            self.count(request, outcome)
        if not (request.abandoned or isinstance(error, (Busy, NotOwned))):
            self._on_trouble()
        if error.cause is not None:
            return  # it is logged once, as the scanner's problem
        # Clients try again and again: each cause is logged once a minute, and that the scanner is busy for each client.
        key = (request.client, request.operation) if isinstance(error, Busy) else (type(error), error.what)
        if self._throttle.allows(key, self._seconds()):
            what = "{operation} of client {client}" if exchange.client else "the gateway's own {operation}"
            self.log.warn(f"{{scanner}}: {what} failed: {{error}} (logged at most once a minute)",
                          scanner=self._bridge.name, operation=request.operation.name,
                          client=exchange.client, error=str(error))

    def count(self, request: ScannerRequest, outcome: str) -> None:
        """Count a request to the scanner that has been answered or has failed."""
        self._metrics.device_request(self._bridge.name, request.operation.name, outcome)

    def count_image(self, size: int) -> None:
        """Count bytes of an image."""
        self._metrics.image_bytes(self._bridge.name, size)
