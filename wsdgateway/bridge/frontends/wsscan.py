"""The front end for WS-Scan: SOAP 1.2 over HTTP, at a scanner's scan service, its device endpoint, its subscriptions.

What a request is, and where it was sent, decides who answers it. WS-Eventing 2004/08, section 3; WS-Scan's operations;
RFC 3902 for the media type.
"""

from collections.abc import Callable
from enum import Enum

from wsdgateway.bridge.cache.coalescing import common_read
from wsdgateway.bridge.decisions import Answer, Pass, Question, Refuse
from wsdgateway.bridge.frontends.frontend import (
    ClientRequest,
    DeviceRequest,
    EventingRequest,
    Rejected,
    named_in,
    names_one,
)
from wsdgateway.bridge.frontends.soaphttp import SOAP_FIELDS, check_soap, soap_answer, soap_fault
from wsdgateway.discovery.versions import discovery_request
from wsdgateway.eventing.source import identifier_of
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer
from wsdgateway.http.messages import Headers, charset_of
from wsdgateway.http.requests import Request
from wsdgateway.scan.jobelements import read_request
from wsdgateway.scan.operations import (
    EVENTING_OPERATIONS,
    GET_JOB_ELEMENTS,
    GET_METADATA,
    OTHER,
    operation_in,
    operation_of,
)
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope, read, readdressed
from wsdgateway.soap.faults import action_missing, action_not_supported, invalid_args, unreadable
from wsdgateway.soap.namespaces import WSA_2005_08
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed

NO_FIELDS: Headers = []


class Endpoint(Enum):
    """The kinds of addresses of a scanner."""

    DEVICE = "device"
    SCAN = "scan"
    SUBSCRIPTION = "subscription"


class WSScan:
    """WS-Scan at one address of a scanner, with WS-Eventing, WS-Transfer and WS-Discovery. `new_id` makes message ids.

    At a subscription's address, the path below it names the subscription.
    """

    def __init__(self, endpoint: Endpoint, new_id: Callable[[], str]) -> None:
        self._endpoint = endpoint
        self._has_rest = endpoint is Endpoint.SUBSCRIPTION
        self._new_id = new_id

    def read(self, request: Request, rest: bytes, client: str) -> ClientRequest | Rejected | HTTPAnswer:
        """The question in a request's envelope; 404, 405 or 415 for what is no SOAP, or at no address of ours."""
        subscription = None
        if rest or self._has_rest:
            if not (self._has_rest and names_one(rest)):
                return NOT_FOUND
            subscription = named_in(rest)
        return check_soap(request) or route(
            request.body, self._endpoint, client=client, host=request.host, fields=request.headers,
            charset=charset_of(request.content_type), subscription=subscription)

    def write(self, decision: Answer | Refuse | Pass, request: ClientRequest | Rejected) -> HTTPAnswer:
        """An envelope, or a scanner's answer as it came."""
        if isinstance(decision, Answer):
            if decision.content_type is CONTENT_TYPE:
                # As HTTPAnswer(...) does it, without its Python.
                return tuple.__new__(HTTPAnswer, (200, decision.body, SOAP_FIELDS, None, None))
            return soap_answer(decision)
        if isinstance(decision, Pass):
            reply = decision.reply
            return HTTPAnswer(reply.status, reply.body, reply.headers, reply.fault, reply.reason)
        relates_to = request.relates_to if isinstance(request, Rejected) else request.envelope.message_id
        return soap_fault(decision.fault, relates_to, self._new_id())


def route(raw: bytes, endpoint: Endpoint, *, client: str, host: bytes, subscription: str | None = None,
          fields: Headers = NO_FIELDS,
          charset: str | None = None) -> ClientRequest | Rejected:
    """The question in a request's body, or why there is none to ask.

    `subscription` is what the path names at a subscription's address. It counts only where the message has no
    wse:Identifier, since clients in the field send everything to the first address that they were given.
    `fields` are those of its head, `charset` is what its Content-Type names.
    A message that is ours to answer is refused if it must be understood and can't be.
    """
    try:
        envelope = _envelope(raw, endpoint, charset)
    except Malformed as error:
        return Rejected(unreadable("request", error), error.message_id)
    routed = _routed(envelope, raw, endpoint, client, host, subscription, fields)
    if not isinstance(routed, Question):
        fault = not_understood(envelope)
        if fault is not None:
            operation = OTHER if envelope.action is None else operation_of(envelope.action)
            return Rejected(fault, envelope.message_id, operation.name, envelope)
    return routed


def _envelope(raw: bytes, endpoint: Endpoint, charset: str | None) -> Envelope:
    """The message, by the WS-Addressing that it speaks. Raises `Malformed`."""
    envelope = read(raw, charset)
    if envelope.action is None and endpoint is Endpoint.DEVICE:
        newer = readdressed(envelope, WSA_2005_08)
        if newer.action is not None and discovery_request(newer.action):
            return newer
    return envelope


def _routed(envelope: Envelope, raw: bytes, endpoint: Endpoint, client: str, host: bytes,
            subscription: str | None, fields: Headers) -> ClientRequest | Rejected:
    action = envelope.action
    if action is None:
        return Rejected(action_missing(), envelope.message_id, envelope=envelope)
    operation = operation_of(action)
    if operation in EVENTING_OPERATIONS:
        return EventingRequest(envelope, operation, client, identifier_of(envelope) or subscription)
    if endpoint is Endpoint.DEVICE:
        name = "Get" if operation is GET_METADATA else discovery_request(action)
        if name is not None:
            return DeviceRequest(envelope, name)
        return Rejected(action_not_supported(action), envelope.message_id, operation.name, envelope)
    promised = operation_in(envelope.body)
    if promised is not None and operation is not OTHER and promised is not operation:
        return Rejected(invalid_args(
            f"The Body holds a request for {promised.name}, and the action is {operation.name}; send the two alike."),
            envelope.message_id, operation.name, envelope)
    wanted = None
    if operation is GET_JOB_ELEMENTS and not envelope.obliges:
        wanted = read_request(envelope.body)
    read_of_many = common_read(operation, envelope) if operation.common else None
    return Question(envelope, raw, operation, client, host, wanted, read_of_many, fields)
