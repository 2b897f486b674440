"""The front end for WS-Scan: SOAP 1.2 over HTTP, at a scanner's scan service, device endpoint and subscriptions.

The operation and the address of a request determine which part of the gateway answers it. WS-Eventing 2004/08, section
3; WS-Scan's operations; RFC 3902 for the media type.
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
)
from wsdgateway.bridge.frontends.soaphttp import check_soap, soap_answer, soap_fault
from wsdgateway.discovery.versions import discovery_request
from wsdgateway.eventing.source import identifier_of
from wsdgateway.http.answers import NOT_FOUND, HTTPAnswer
from wsdgateway.http.messages import Headers, charset_of, first
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
from wsdgateway.soap.envelope import Envelope, read, readdressed
from wsdgateway.soap.faults import action_missing, action_not_supported, invalid_args, unreadable
from wsdgateway.soap.namespaces import WSA_2005_08
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed
from wsdgateway.soap.skeleton import Skeleton, skeleton_of

NO_FIELDS: Headers = []


class Endpoint(Enum):
    """The kinds of addresses of a scanner."""

    DEVICE = "device"
    SCAN = "scan"
    SUBSCRIPTION = "subscription"


class WSScan:
    """WS-Scan at one address of a scanner, with WS-Eventing, WS-Transfer and WS-Discovery. `new_id` makes message ids.

    At a subscription's address, the path below it identifies the subscription. Below that, too, operations are served,
    since some clients send everything there.
    """

    def __init__(self, endpoint: Endpoint, new_id: Callable[[], str]) -> None:
        self._endpoint = endpoint
        self._has_rest = endpoint is Endpoint.SUBSCRIPTION
        self._new_id = new_id

    def read(self, request: Request, rest: bytes, client: str) -> ClientRequest | Rejected | HTTPAnswer:
        """Read the question in a request. Returns 404, 405 or 415 for an unknown address, or if it is not SOAP."""
        subscription = None
        if rest or self._has_rest:
            if not (self._has_rest and len(rest) > 1) or b".." in rest.split(b"/"):
                return NOT_FOUND
            subscription = named_in(rest)
        return check_soap(request) or route(
            request.body, self._endpoint, client=client, host=request.host, fields=request.headers,
            charset=charset_of(request.content_type), subscription=subscription)

    def skeleton(self, raw: bytes, question: Question) -> Skeleton | None:
        """The key of a request: all bytes but its MessageID."""
        charset = charset_of(first(question.fields, b"content-type"))
        return skeleton_of(raw, question.raw, charset, question.envelope.message_id)

    def write(self, decision: Answer | Refuse | Pass, request: ClientRequest | Rejected) -> HTTPAnswer:
        """Write an envelope, or pass a scanner's answer on unchanged."""
        if isinstance(decision, Answer):
            return soap_answer(decision)
        if isinstance(decision, Pass):
            reply = decision.reply
            return HTTPAnswer(reply.status, reply.body, reply.headers, reply.fault, reply.reason)
        relates_to = request.relates_to if isinstance(request, Rejected) else request.envelope.message_id
        return soap_fault(decision.fault, relates_to, self._new_id())


def route(raw: bytes, endpoint: Endpoint, *, client: str, host: bytes, subscription: str | None = None,
          fields: Headers = NO_FIELDS,
          charset: str | None = None) -> ClientRequest | Rejected:
    """Read the question in a request's body. Returns `Rejected` if there is none.

    `subscription` is the identifier in the path of a subscription's address. It only counts if the message has no
    wse:Identifier, since some clients send everything to the first address that they were given. `fields` are the HTTP
    fields, `charset` is that of the Content-Type. A message that the gateway itself answers is refused if it does not
    understand a mandatory header.
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
    """Read the message in its version of WS-Addressing. Raises `Malformed`."""
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
            f"The Body contains a request for {promised.name}, but the action is {operation.name}; send matching "
            "ones."),
            envelope.message_id, operation.name, envelope)
    wanted = None
    if operation is GET_JOB_ELEMENTS and not envelope.obliges:
        wanted = read_request(envelope.body)
    read_of_many = common_read(operation, envelope) if operation.common else None
    return Question(envelope, raw, operation, client, host, wanted, read_of_many, fields)
