"""Passes the requests and notifications for one scanner to the gateway that owns it, and answers the client.

`bridge.cluster.passing` decides where a request goes; this module carries that out. A request is not read, except for
its method and media type, unless it fails: the owner reads it, and tells with the answer what this gateway has to
record. An answer of one piece is handled without a coroutine.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.passing import (
    AGAIN_SECONDS,
    LOOK_SECONDS,
    Course,
    GiveUp,
    Held,
    Hold,
    PassTo,
    Trouble,
    only_reads,
)
from wsdgateway.bridge.cluster.peerfields import (
    CLIENT,
    PASSED,
    SECRET,
    AnswerFields,
    BadFields,
    Passed,
    Record,
    clients_fields,
    read_answer,
    read_record,
    without_own,
    write_passed,
)
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.frontends.escl.faults import empty
from wsdgateway.bridge.frontends.escl.requests import EsclRequest, read_request
from wsdgateway.bridge.frontends.frontend import ClientRequest, DeviceRequest, Rejected
from wsdgateway.bridge.frontends.soaphttp import check_post, check_soap, soap_fault
from wsdgateway.bridge.frontends.wsscan import Endpoint, WSScan
from wsdgateway.http.answers import HTTPAnswer, plain
from wsdgateway.http.messages import request_head
from wsdgateway.http.responses import Head
from wsdgateway.http.urls import address_of
from wsdgateway.metrics import ERROR, FAULT, HELD, OK, REFUSED, Metrics
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.cluster.owners import Owners
from wsdgateway.net.cluster.passedexchange import misdirect
from wsdgateway.net.cluster.peerlink import Call, PeerLink
from wsdgateway.net.cluster.validsecrets import ValidSecrets
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import BadDevice, DeviceError
from wsdgateway.net.transport.localaddress import authority
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.scan.operations import OTHER
from wsdgateway.soap.faults import temporary_error

DEVICE_PREFIX, SCAN, SUBSCRIPTIONS, EVENTS, ESCL = b"", b"scan", b"subscriptions", b"events", b"eSCL"
RETRY_AFTER = 5  # seconds that an eSCL client is told to wait
MAX_FIELDS = 14000  # bytes of a request's fields: a request has at most 16,384 on the link, with this link's own
MAX_COUNT = 95  # fields of a request, of 100 on the link
MAX_UNREAD = 20  # messages about unread requests on their way
Fields = tuple[tuple[bytes, bytes], ...]
_TOO_LARGE = plain(431, "The header block of the request is too large.")
_ENDPOINTS = {DEVICE_PREFIX: Endpoint.DEVICE, SCAN: Endpoint.SCAN, SUBSCRIPTIONS: Endpoint.SUBSCRIPTION}


@attrs.frozen(eq=False)
class PassingContext:
    """The parts of the process that the passing of all scanners shares.

    `name` is that of this gateway, `identifier` that of its registration. `general` records exchanges that belong to no
    scanner; `accounting` makes the records of one.
    """

    reactor: IReactorTime
    name: str
    identifier: str
    link: PeerLink
    owners: Owners
    metrics: Metrics
    general: Accounting
    accounting: Callable[[str], Accounting]
    new_id: Callable[[], str]
    held: Held = attrs.Factory(Held)


@attrs.define(eq=False)
class _Passing:
    """A request that is being passed on."""

    exchange: Exchange
    prefix: bytes
    rest: bytes
    started: float
    made_course: Course | None = None
    call: Call | None = None
    owner: Registration | None = None
    waiting: Deferred[Any] | None = None
    is_left: bool = False
    is_served: bool = False


class Passing:
    """Passes on the requests for one scanner.

    `serve_here` answers a request if this gateway has become the owner, and returns False if it is not. It is given the
    exchange, and prefix and rest of its path.
    """

    log = Logger()

    def __init__(self, scanner: str, context: PassingContext,
                 serve_here: Callable[[Exchange, bytes, bytes], bool]) -> None:
        self._scanner = scanner
        self._context = context
        self._serve_here = serve_here
        self._accounting = context.accounting(scanner)
        self._front_ends = {prefix: WSScan(endpoint, context.new_id) for prefix, endpoint in _ENDPOINTS.items()}
        self._throttle = LogThrottle()
        self._secrets = ValidSecrets()
        self._told_token = 0
        self._unread = 0

    def resources(self, *, escl: bool) -> Mapping[bytes, Resource]:
        """The resources at the scanner's addresses by prefix, as those of a bridged scanner; with eSCL, or without."""
        found = {prefix: Resource(partial(self.serve, prefix)) for prefix in _ENDPOINTS}
        found[EVENTS] = Resource(partial(self.serve, EVENTS), self._secrets.holds, self._tell_unread)
        if escl:
            found[ESCL] = self.escl_resource()
        return found

    def escl_resource(self) -> Resource:
        """The resource of the scanner's eSCL service, at any root."""
        return Resource(partial(self.serve, ESCL), bare=True)

    def serve(self, prefix: bytes, exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
        """Pass a request on, now or later; returns an answer for the caller to give if it is not for the scanner."""
        if exchange.passed is not None:
            misdirect(exchange, self._context.owners.find(self._scanner))
            return None
        refusal = self._refusal(prefix, exchange)
        if refusal is not None:
            return refusal
        passing = _Passing(exchange, prefix, rest, self._accounting.now())
        owner = self._known_owner()
        if owner is not None and owner.address:
            self._pass_to(passing, owner)
        else:
            self._follow(passing, self._course(passing).begin(owner, passing.started))
        return None

    def _course(self, passing: _Passing) -> Course:
        """The course of a request. It is made at the first trouble, since most requests have none."""
        if passing.made_course is None:
            passing.made_course = Course(
                self._context.held, lambda: self._only_reads(passing), passing.started, passing.owner)
        return passing.made_course

    def pass_on(self, exchange: Exchange) -> bool:
        """Pass on a request that was routed to this gateway's own resource; False if it is not for the scanner."""
        parts = exchange.request.path.split(b"/", 3)
        prefix = parts[2] if len(parts) > 2 else DEVICE_PREFIX
        rest = b"/" + parts[3] if len(parts) > 3 else b""
        return self.serve(prefix, exchange, rest) is None

    def _refusal(self, prefix: bytes, exchange: Exchange) -> HTTPAnswer | None:
        request = exchange.request
        refusal = check_post(request) if prefix == EVENTS else None if prefix == ESCL else check_soap(request)
        if refusal is not None:
            return refusal
        fields = request.headers
        if len(fields) > MAX_COUNT or sum([len(name) + len(value) + 4 for name, value in fields]) > MAX_FIELDS:
            return empty(431) if prefix == ESCL else _TOO_LARGE
        return None

    def _known_owner(self) -> Registration | None:
        owner = self._context.owners.find(self._scanner)
        return None if owner is None or owner.identifier == self._context.identifier else owner

    # To the owner, and back.

    def _head(self, exchange: Exchange, prefix: bytes, rest: bytes, owner: Registration) -> bytes:
        """The head of a request on the link."""
        request = exchange.request
        before, after = _head_around(
            self._context.link.secret(), owner.address, request.path, tuple(request.headers), len(request.body),
            self._context.name, self._scanner, prefix, rest, request.method, request.host, exchange.base(),
            exchange.port, exchange.secure)
        return b"".join((before, exchange.peer.encode("latin-1"), after))

    def _pass_to(self, passing: _Passing, owner: Registration) -> None:
        """Send a request to its owner."""
        exchange = passing.exchange
        passing.owner = owner
        call = passing.call = self._context.link.call(
            owner, self._head(exchange, passing.prefix, passing.rest, owner), exchange.request.body,
            lambda: self._pointless(passing, owner))
        if _is_image(passing):
            exchange.on_gone = lambda: self._context.link.abandon(call)
        answered = call.answered
        answered.addCallbacks(self._answered, self._not_answered, callbackArgs=(passing,), errbackArgs=(passing,))
        answered.addErrback(self._failed, passing)

    def _pointless(self, passing: _Passing, owner: Registration) -> str | None:
        """Why no answer can be expected any more, or None."""
        if passing.exchange.gone and b"Subscribe" in passing.exchange.request.body:
            return "the client disconnected"  # so that names on the panel are removed again
        now = self._context.owners.find(self._scanner)
        if now is not None and now.identifier != owner.identifier:
            return f"the gateway {now.name} has taken the scanner over"
        return None

    def _answered(self, response: Response, passing: _Passing) -> Any:
        passing.exchange.on_gone = None
        head = response.head
        try:
            fields, headers = _read_head(head)
        except BadFields as bad:
            response.give_up(BadDevice(response.peer, str(bad)))
            return self._in_trouble(passing, Trouble.UNUSABLE, str(bad))
        self._note_token(fields)
        if fields.length is not None:
            return Deferred.fromCoroutine(self._relay(response, passing, fields.length, headers))
        if not response.ended:
            return Deferred.fromCoroutine(self._collect(response, passing, fields, headers))
        return self._complete(response, passing, fields, headers, response.whole())

    async def _collect(self, response: Response, passing: _Passing, fields: AnswerFields, headers: Fields) -> None:
        try:
            body = await response.collect()
        except DeviceError as error:
            self._in_trouble(passing, Trouble.BROKEN, error.what)
            return
        self._complete(response, passing, fields, headers, body)

    def _complete(self, response: Response, passing: _Passing, fields: AnswerFields, headers: Fields,
                  body: bytes) -> None:
        head, exchange, record = response.head, passing.exchange, fields.record
        if fields.body is not None:
            try:
                record = read_record(body[fields.body:])
            except BadFields as bad:
                self._in_trouble(passing, Trouble.UNUSABLE, str(bad))
                return
            body = body[:fields.body]
        if record is None:
            self._without_record(passing, head.status, fields)
            return
        if not exchange.gone:
            exchange.give(HTTPAnswer(head.status, body, headers, record.fault, head.reason))
        self._account(passing, record)

    def _without_record(self, passing: _Passing, status: int, fields: AnswerFields) -> None:
        """Handle an answer of the other gateway itself, not of its scanner's."""
        if status == 421:
            self._in_trouble(passing, Trouble.MISDIRECTED, "", fields.owner)
        elif status == 403:
            self._in_trouble(passing, Trouble.UNUSABLE, "it did not accept the secret of the gateways")
        else:
            self._in_trouble(passing, Trouble.UNUSABLE, f"it answered with status {status} and without a record")

    async def _relay(self, response: Response, passing: _Passing, length: int, headers: Fields) -> None:
        """Relay an answer as it arrives, at the speed of the client."""
        exchange, head = passing.exchange, response.head
        if exchange.gone:
            response.stopProducing()
            self._account_broken(passing)
            return
        known = None if length < 0 else length
        exchange.producer = response
        exchange.on_gone = response.stopProducing
        exchange.stream(head.status, head.reason, headers, known)
        problem: str | None = None
        record: Record | None = None
        try:
            await response.relay(exchange.write, exchange.pending)
            record = read_answer(response.trailers).record
        except (DeviceError, BadFields) as error:
            problem = error.what if isinstance(error, DeviceError) else str(error)
        finally:
            exchange.on_gone = None
        if record is None or (known is not None and known != exchange.written):
            if not exchange.gone:
                exchange.abort()
            self._account_broken(passing, problem or "its answer is incomplete")
            return
        exchange.fault = record.fault
        if not exchange.gone:
            exchange.finish(known)
        self._account(passing, record)

    def _not_answered(self, failure: Failure, passing: _Passing) -> None:
        failure.trap(DeviceError)
        passing.exchange.on_gone = None
        call = passing.call
        assert call is not None
        if passing.exchange.gone:
            self._account_broken(passing)
            return
        self._in_trouble(passing, Trouble.BROKEN if call.sent else Trouble.NOT_SENT, failure.value.what)

    def _in_trouble(self, passing: _Passing, trouble: Trouble, what: str, named: Registration | None = None) -> None:
        if passing.owner is not None and trouble is not Trouble.MISDIRECTED:
            self._log_trouble(passing.owner, what)
        self._follow(passing, self._course(passing).failed(trouble, what, self._accounting.now(), named))

    def _log_trouble(self, owner: Registration, what: str) -> None:
        if self._throttle.allows((owner.name, what), self._accounting.now()):
            self.log.warn("{scanner}: passing a request to the gateway {owner} at {address} failed: {what} (logged at "
                          "most once a minute)", scanner=self._scanner, owner=owner.name, address=owner.address,
                          what=what)

    # Waiting, and giving up.

    def _follow(self, passing: _Passing, step: Hold | PassTo | GiveUp) -> None:
        """Do what was decided."""
        if isinstance(step, PassTo):
            if step.owner.identifier != self._context.identifier:
                self._pass_to(passing, step.owner)
            elif not self._is_served_here(passing):  # according to another gateway
                self._follow(passing, self._course(passing).begin(None, self._accounting.now()))
        elif isinstance(step, GiveUp):
            self._give_up(passing, step.reason)
        else:
            holding = Deferred.fromCoroutine(self._hold(passing, step))
            holding.addErrback(self._failed, passing)

    async def _hold(self, passing: _Passing, hold: Hold) -> None:
        """Wait for an owner."""
        held = self._context.held
        held.count += 1
        self._context.metrics.passed(self._scanner, HELD)
        passing.exchange.on_gone = partial(self._leave, passing)
        try:
            owner = await self._find(passing, hold)
        except CancelledError:
            owner = None
        finally:
            held.count -= 1
            if not passing.is_served:
                passing.exchange.on_gone = None
        if passing.is_served:
            return
        if passing.is_left or passing.exchange.gone:
            self._account_broken(passing)
        else:
            self._follow(passing, self._course(passing).found(owner))

    def _leave(self, passing: _Passing) -> None:
        passing.is_left = True
        if passing.waiting is not None:
            passing.waiting.cancel()

    def _is_served_here(self, passing: _Passing) -> bool:
        return self._serve_here(passing.exchange, passing.prefix, passing.rest)

    async def _find(self, passing: _Passing, hold: Hold) -> Registration | None:
        """Wait for an owner, or for another one than `hold.other_than`, which is tried again after a while.

        Sets `is_served`, and returns None, if this gateway becomes the owner. It may be the owner for the others while
        its lease does not hold, for example because its process was stopped; a tick decides soon.
        """
        now, owners = self._accounting.now, self._context.owners
        began, former = now(), hold.other_than
        while (left := began + hold.seconds - now()) > 0.0:
            owner = owners.find(self._scanner)
            if owner is None:
                passing.waiting = owners.wait_for_owner(self._scanner, left)
                owner = await passing.waiting
            passing.exchange.on_gone = None
            if not passing.is_left and self._is_served_here(passing):
                passing.is_served = True
                return None
            passing.exchange.on_gone = partial(self._leave, passing)
            if owner is None:
                return None
            is_former = former is not None and owner.identifier == former.identifier
            if owner.identifier != self._context.identifier and (
                    not is_former or now() - began >= AGAIN_SECONDS):
                return owner
            passing.waiting = deferLater(self._context.reactor, LOOK_SECONDS)
            await passing.waiting
        return None

    def _give_up(self, passing: _Passing, reason: str) -> None:
        """Answer with the temporary fault, or with what stands for it in the client's protocol."""
        exchange = passing.exchange
        read = self._read(passing)
        operation, envelope, relates_to = OTHER.name, None, None
        protocol = resource = None
        if passing.prefix == ESCL:
            protocol = "escl"
            if isinstance(read, EsclRequest):
                operation, resource = (read.operation or OTHER).name, read.resource.label
            answer = empty(503, (b"Retry-After", b"%d" % RETRY_AFTER))
        else:
            if isinstance(read, Rejected):
                operation, envelope, relates_to = read.operation, read.envelope, read.relates_to
            elif read is not None and not isinstance(read, HTTPAnswer | EsclRequest):
                envelope, relates_to = read.envelope, read.envelope.message_id
                operation = read.name if isinstance(read, DeviceRequest) else read.operation.name
            answer = soap_fault(temporary_error(reason), relates_to, self._context.new_id())
        if not exchange.gone:
            exchange.give(answer)
        self._context.metrics.passed(self._scanner, ERROR)
        if passing.prefix != EVENTS:
            self._accounting.client(exchange, operation, REFUSED, passing.started, envelope, protocol=protocol,
                                    resource=resource)

    def _failed(self, failure: Failure, passing: _Passing) -> None:
        self.log.failure("Passing on the request of {client} failed", failure, client=passing.exchange.client)
        if not passing.exchange.gone:
            passing.exchange.abort()
        self._accounting.unread(passing.exchange, passing.started)

    # What a request asks for, as far as this gateway needs to know.

    def _read(self, passing: _Passing) -> ClientRequest | Rejected | HTTPAnswer | EsclRequest | None:
        """Read a request; None for a notification."""
        request = passing.exchange.request
        if passing.prefix == ESCL:
            return read_request(request.method, passing.rest)
        front_end = self._front_ends.get(passing.prefix)
        return None if front_end is None else front_end.read(request, passing.rest, passing.exchange.client)

    def _only_reads(self, passing: _Passing) -> bool:
        read = self._read(passing)
        if passing.prefix == ESCL:
            return passing.exchange.request.method == b"GET" and b"/NextDocument" not in passing.rest
        if read is None:
            return True  # an event that arrives twice is recognised by its MessageID
        return not isinstance(read, EsclRequest) and only_reads(read)

    # Records.

    def _note_token(self, fields: AnswerFields) -> None:
        if fields.token is not None and fields.token > self._told_token:
            self._told_token = fields.token
            self._context.owners.demote(self._scanner, fields.token)

    def _account(self, passing: _Passing, record: Record) -> None:
        exchange, owner = passing.exchange, passing.owner
        assert owner is not None
        self._context.metrics.passed(self._scanner, OK if record.fault is None else FAULT)
        if passing.prefix == EVENTS:
            self._secrets.note(passing.rest, exchange.client, valid=record.is_exempt)
        if record.is_event:
            return  # the owner has recorded it
        accounting = self._accounting if record.scanner == self._scanner else self._context.general
        accounting.by_another(exchange, record, owner.name, passing.started)

    def _account_broken(self, passing: _Passing, why: str = "") -> None:
        """Record a request whose client has left, or whose answer broke off."""
        if why and passing.owner is not None and not passing.exchange.gone:
            self._log_trouble(passing.owner, why)
        self._context.metrics.passed(self._scanner, ERROR)
        if passing.prefix == EVENTS:
            return
        read = self._read(passing)
        if isinstance(read, EsclRequest):
            record = Record((read.operation or OTHER).name, REFUSED, self._scanner, protocol="escl",
                            resource=read.resource.label)
        elif read is None or isinstance(read, HTTPAnswer):
            record = Record(OTHER.name, REFUSED, self._scanner)
        else:
            envelope = read.envelope
            operation = (read.operation if isinstance(read, Rejected) else read.name if isinstance(read, DeviceRequest)
                         else read.operation.name)
            record = Record(operation, REFUSED, self._scanner,
                            action=None if envelope is None else envelope.action,
                            message_id=None if envelope is None else envelope.message_id)
        via = self._context.name if passing.owner is None else passing.owner.name
        self._accounting.by_another(passing.exchange, record, via, passing.started)

    # Notifications that were not read.

    def _tell_unread(self, rest: bytes, client: str) -> None:
        """Tell the owner of a notification that broke off, or was refused before it was complete."""
        owner, context = self._known_owner(), self._context
        if owner is None or not owner.address or self._unread >= MAX_UNREAD:
            return
        before, after = _head_around(
            context.link.secret(), owner.address, b"/", (), 0, context.name, self._scanner, EVENTS, rest, b"POST", b"",
            "", 0, False, unread=True)
        self._unread += 1
        head = b"".join((before, authority(client, 0).encode("latin-1"), after))
        told = context.link.call(owner, head, b"", lambda: None).answered
        told.addBoth(self._told)

    def _told(self, result: object) -> None:
        self._unread -= 1


@lru_cache(maxsize=64)
def _read_head(head: Head) -> tuple[AnswerFields, Fields]:
    """This link's fields of an answer, and those for the client. Cached: known heads are the same objects."""
    return read_answer(head.headers), without_own(head.passed_on)


@lru_cache(maxsize=256)
def _head_around(secret: bytes, address: str, path: bytes, headers: tuple[tuple[bytes, bytes], ...], length: int,
                 front: str, scanner: str, prefix: bytes, rest: bytes, method: bytes, host: bytes, base: str, port: int,
                 secure: bool, *, unread: bool = False) -> tuple[bytes, bytes]:
    """The head of a request on the link, before and after the client's address. Cached: clients repeat their heads."""
    passed = Passed(front, scanner, prefix.decode(), rest.decode("latin-1"), method.decode("latin-1"),
                    host.decode("latin-1"), base, port, secure, unread)
    # Client and secret come first, so that the rest is the same for all clients.
    head = request_head(path, [
        (b"Host", address_of(address).authority), (CLIENT, b"\0"), (SECRET, secret), (PASSED, write_passed(passed)),
        *clients_fields(list(headers)), (b"Content-Length", b"%d" % length)])
    before, _, after = head.partition(b"\0")
    return before, after


def _is_image(passing: _Passing) -> bool:
    """True if the scanner must be told at once when the client of this request leaves."""
    request = passing.exchange.request
    if passing.prefix == ESCL:
        return request.method == b"POST" or b"/NextDocument" in passing.rest
    return b"RetrieveImage" in request.body
