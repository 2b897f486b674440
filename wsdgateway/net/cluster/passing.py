"""Passes the requests and notifications for one scanner to the gateway that owns it, and answers the client.

`bridge.cluster.passing` decides where a request goes; this module carries that out. A request is not read, except for
its method and media type, unless it fails: the owner reads it, and tells with the answer what this gateway has to
record.
"""

from collections.abc import Callable, Mapping
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.passing import Course, GiveUp, Hold, PassTo, Trouble
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.frontends.escl.faults import empty
from wsdgateway.bridge.frontends.soaphttp import check_post, check_soap, soap_fault
from wsdgateway.http.answers import HTTPAnswer, plain
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.cluster.linkheads import has_room, head_of
from wsdgateway.net.cluster.ownersanswer import OwnersAnswer
from wsdgateway.net.cluster.ownersearch import OwnerSearch
from wsdgateway.net.cluster.passedexchange import misdirect
from wsdgateway.net.cluster.passedrequest import (
    DEVICE_PREFIX,
    ENDPOINTS,
    ESCL,
    EVENTS,
    PassedRequest,
    RequestReader,
)
from wsdgateway.net.cluster.passingcontext import PassingContext
from wsdgateway.net.cluster.passingrecords import PassingRecords
from wsdgateway.net.cluster.unreadnotifications import UnreadNotifications
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.scan.operations import RETRIEVE_IMAGE
from wsdgateway.soap.faults import internal_error, temporary_error

RETRY_AFTER = 5  # seconds that an eSCL client is told to wait
_TOO_LARGE = plain(431, "The header block of the request is too large.")


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
        self._reader = RequestReader(context.new_id)
        self._records = PassingRecords(scanner, context, self._reader)
        self._answer = OwnersAnswer(scanner, context.owners, self._records, self._in_trouble)
        self._search = OwnerSearch(scanner, context, self._is_served_here, self._records.now)
        self._unread = UnreadNotifications(scanner, context)

    def resources(self, *, escl: bool) -> Mapping[bytes, Resource]:
        """The resources at the scanner's addresses by prefix, as those of a bridged scanner; with eSCL, or without."""
        found = {prefix: Resource(partial(self.serve, prefix)) for prefix in ENDPOINTS}
        found[EVENTS] = Resource(partial(self.serve, EVENTS), self._records.secrets.holds, self._unread.tell)
        if escl:
            found[ESCL] = self.escl_resource()
        return found

    def escl_resource(self) -> Resource:
        """The resource of the scanner's eSCL service, at any root."""
        return Resource(partial(self.serve, ESCL), bare=True)

    def serve(self, prefix: bytes, exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
        """Pass a request on, now or later; returns an answer for the caller to give if it is not for the scanner."""
        owners = self._context.owners
        if exchange.passed is not None:
            misdirect(exchange, owners.find(self._scanner))
            return None
        refusal = _refusal(prefix, exchange)
        if refusal is not None:
            return refusal
        passed = PassedRequest(exchange, prefix, rest, self._records.now())
        owner = owners.find(self._scanner)
        if owner is not None and owner.identifier == self._context.identifier:
            owner = None
        if owner is not None and owner.address:
            self._pass_to(passed, owner)
        else:
            self._follow(passed, self._course(passed).begin(owner, passed.started))
        return None

    def pass_on(self, exchange: Exchange) -> bool:
        """Pass on a request that was routed to this gateway's own resource; False if it is not for the scanner."""
        parts = exchange.request.path.split(b"/", 3)
        prefix = parts[2] if len(parts) > 2 else DEVICE_PREFIX
        rest = b"/" + parts[3] if len(parts) > 3 else b""
        return self.serve(prefix, exchange, rest) is None

    # To the owner.

    def _pass_to(self, passed: PassedRequest, owner: Registration) -> None:
        """Send a request to its owner."""
        exchange, context = passed.exchange, self._context
        passed.owner = owner
        head = head_of(exchange, owner.address, context.link.secret(), context.name, self._scanner, passed.prefix,
                       passed.rest)
        call = passed.call = context.link.call(
            owner, head, exchange.request.body, lambda: self._pointless(passed, owner))
        if passed.is_image:
            exchange.on_gone = lambda: context.link.abandon(call)
        answered = call.answered
        answered.addCallbacks(self._answer.begun, self._not_answered, callbackArgs=(passed,), errbackArgs=(passed,))
        answered.addErrback(self._failed, passed)

    def _pointless(self, passed: PassedRequest, owner: Registration) -> str | None:
        """Why no answer can be expected any more, or None."""
        if passed.exchange.gone and b"Subscribe" in passed.exchange.request.body:
            return "the client disconnected"  # so that names on the panel are removed again
        now = self._context.owners.find(self._scanner)
        if now is not None and now.identifier != owner.identifier:
            return f"the gateway {now.name} has taken the scanner over"
        return None

    def _not_answered(self, failure: Failure, passed: PassedRequest) -> None:
        failure.trap(DeviceError)
        passed.exchange.on_gone = None
        call = passed.call
        assert call is not None
        if passed.exchange.gone:
            self._records.broken(passed)
            return
        self._in_trouble(passed, Trouble.BROKEN if call.sent else Trouble.NOT_SENT, failure.value.what)

    # Trouble: waiting, and giving up.

    def _course(self, passed: PassedRequest) -> Course:
        """The course of a request. It is made at the first trouble, since most requests have none."""
        if passed.course is None:
            passed.course = Course(self._context.held, lambda: self._reader.read(passed).only_reads, passed.started,
                                   passed.owner, lambda: self._context.owners.outage)
        return passed.course

    def _in_trouble(self, passed: PassedRequest, trouble: Trouble, what: str,
                    named: Registration | None = None) -> None:
        if passed.owner is not None and trouble is not Trouble.MISDIRECTED:
            self._records.trouble(passed.owner, what)
        self._follow(passed, self._course(passed).failed(trouble, what, self._records.now(), named))

    def _follow(self, passed: PassedRequest, step: Hold | PassTo | GiveUp) -> None:
        """Carry out a decision."""
        if isinstance(step, PassTo):
            if step.owner.identifier != self._context.identifier:
                self._pass_to(passed, step.owner)
            elif not self._is_served_here(passed):  # according to another gateway
                self._follow(passed, self._course(passed).begin(None, self._records.now()))
        elif isinstance(step, GiveUp):
            self._give_up(passed, step)
        else:
            holding = Deferred.fromCoroutine(self._hold(passed, step))
            holding.addErrback(self._failed, passed)

    async def _hold(self, passed: PassedRequest, hold: Hold) -> None:
        """Wait for an owner."""
        self._records.held()
        owner = await self._search.find(passed, hold)
        if passed.is_served:
            return
        if passed.is_left or passed.exchange.gone:
            self._records.broken(passed)
        else:
            self._follow(passed, self._course(passed).found(owner))

    def _is_served_here(self, passed: PassedRequest) -> bool:
        return self._serve_here(passed.exchange, passed.prefix, passed.rest)

    def _give_up(self, passed: PassedRequest, step: GiveUp) -> None:
        """Answer with the temporary fault, or with what stands for it in the client's protocol.

        If a page may be lost, the fault is not temporary: a client that asked again would get the next page, and would
        not notice that one is missing.
        """
        asked = self._reader.read(passed)
        is_lost = step.sent and asked.operation == RETRIEVE_IMAGE.name
        if passed.prefix == ESCL:
            answer = empty(500) if is_lost else empty(503, (b"Retry-After", b"%d" % RETRY_AFTER))
        else:
            fault = internal_error(step.reason) if is_lost else temporary_error(step.reason)
            answer = soap_fault(fault, asked.relates_to, self._context.new_id())
        if not passed.exchange.gone:
            passed.exchange.give(answer)
        self._records.gave_up(passed, asked)

    def _failed(self, failure: Failure, passed: PassedRequest) -> None:
        self.log.failure("Passing on the request of {client} failed", failure, client=passed.exchange.client)
        if not passed.exchange.gone:
            passed.exchange.abort()
        self._records.unread(passed)


def _refusal(prefix: bytes, exchange: Exchange) -> HTTPAnswer | None:
    """The answer to a request that is not passed on, or None."""
    request = exchange.request
    refusal = check_post(request) if prefix == EVENTS else None if prefix == ESCL else check_soap(request)
    if refusal is None and not has_room(exchange):
        refusal = empty(431) if prefix == ESCL else _TOO_LARGE
    return refusal
