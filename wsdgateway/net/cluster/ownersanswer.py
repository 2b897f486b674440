"""Gives the client the answer of the owner: at once, when it is complete, or as it arrives.

An answer of one piece is handled without a coroutine.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.passing import Trouble
from wsdgateway.bridge.cluster.peerfields import AnswerFields, BadFields, Record, read_answer, read_record
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.net.cluster.linkheads import Fields, read_head
from wsdgateway.net.cluster.owners import Owners
from wsdgateway.net.cluster.passedrequest import PassedRequest
from wsdgateway.net.cluster.passingrecords import PassingRecords
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.errors import BadDevice, DeviceError

InTrouble = Callable[[PassedRequest, Trouble, str, Registration | None], None]


class Incomplete(Exception):
    """A streamed answer broke off; the text says why."""


class OwnersAnswer:
    """Gives clients the answers of the owner of one scanner.

    `in_trouble` is called with a request for which there is no usable answer, what has happened, a text about it, and
    the owner that the other gateway named, if it did.
    """

    def __init__(self, scanner: str, owners: Owners, records: PassingRecords, in_trouble: InTrouble) -> None:
        self._scanner = scanner
        self._owners = owners
        self._records = records
        self._in_trouble = in_trouble
        self._told_token = 0

    def begun(self, response: Response, passed: PassedRequest) -> Any:
        """Handle an answer whose head has arrived."""
        passed.exchange.on_gone = None
        head = response.head
        try:
            fields, headers = read_head(head)
        except BadFields as bad:
            response.give_up(BadDevice(response.peer, str(bad)))
            return self._in_trouble(passed, Trouble.UNUSABLE, str(bad), None)
        if fields.token is not None and fields.token > self._told_token:
            self._told_token = fields.token
            self._owners.demote(self._scanner, fields.token)
        if fields.length is not None:
            return Deferred.fromCoroutine(self._stream(response, passed, fields.length, headers))
        if not response.ended:
            return Deferred.fromCoroutine(self._collect(response, passed, fields, headers))
        return self._complete(response, passed, fields, headers, response.whole())

    async def _collect(self, response: Response, passed: PassedRequest, fields: AnswerFields, headers: Fields) -> None:
        try:
            body = await response.collect()
        except DeviceError as error:
            self._in_trouble(passed, Trouble.BROKEN, error.what, None)
            return
        self._complete(response, passed, fields, headers, body)

    def _complete(self, response: Response, passed: PassedRequest, fields: AnswerFields, headers: Fields,
                  body: bytes) -> None:
        head, exchange, record = response.head, passed.exchange, fields.record
        if fields.body is not None:
            try:
                record = read_record(body[fields.body:])
            except BadFields as bad:
                self._in_trouble(passed, Trouble.UNUSABLE, str(bad), None)
                return
            body = body[:fields.body]
        if record is None:
            self._without_record(passed, head.status, fields)
            return
        if not exchange.gone:
            exchange.give(HTTPAnswer(head.status, body, headers, record.fault, head.reason))
        self._records.answered(passed, record)

    def _without_record(self, passed: PassedRequest, status: int, fields: AnswerFields) -> None:
        """Handle an answer of the other gateway itself, not of its scanner's."""
        if status == 421:
            self._in_trouble(passed, Trouble.MISDIRECTED, "", fields.owner)
        elif status == 403:
            self._in_trouble(passed, Trouble.UNUSABLE, "it did not accept the secret of the gateways", None)
        else:
            self._in_trouble(passed, Trouble.UNUSABLE, f"it answered with status {status} and without a record", None)

    async def _stream(self, response: Response, passed: PassedRequest, length: int, headers: Fields) -> None:
        exchange = passed.exchange
        if exchange.gone:
            response.stopProducing()
            self._records.broken(passed)
            return
        try:
            record = await _relay(response, exchange, None if length < 0 else length, headers)
        except Incomplete as incomplete:
            if not exchange.gone:
                exchange.abort()
            self._records.broken(passed, str(incomplete))
            return
        self._records.answered(passed, record)


async def _relay(response: Response, exchange: Exchange, length: int | None, headers: Fields) -> Record:
    """Relay an answer as it arrives, at the speed of the client. Raises `Incomplete`."""
    head = response.head
    exchange.producer = response
    exchange.on_gone = response.stopProducing
    exchange.stream(head.status, head.reason, headers, length)
    try:
        await response.relay(exchange.write, exchange.pending)
        record = read_answer(response.trailers).record
    except DeviceError as error:
        raise Incomplete(error.what) from None
    except BadFields as bad:
        raise Incomplete(str(bad)) from None
    finally:
        exchange.on_gone = None
    if record is None or (length is not None and length != exchange.written):
        raise Incomplete("its answer is incomplete")
    exchange.fault = record.fault
    if not exchange.gone:
        exchange.finish(length)
    return record
