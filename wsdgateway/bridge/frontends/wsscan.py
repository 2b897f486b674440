"""Who answers a request: what it is, and where it was sent, decide.

`interface.md` calls them addresses: the scan service of a scanner, its device endpoint, a
subscription manager. WS-Eventing 2004/08, section 3; WS-Scan's operations.
"""

from enum import Enum

import attrs

from wsdgateway.bridge.cache.coalescing import common_read
from wsdgateway.bridge.decisions import Question
from wsdgateway.discovery.versions import discovery_request
from wsdgateway.eventing.source import identifier_of
from wsdgateway.http.messages import Headers
from wsdgateway.scan.jobelements import read_request
from wsdgateway.scan.operations import (
    EVENTING_OPERATIONS,
    GET_JOB_ELEMENTS,
    GET_METADATA,
    OTHER,
    Operation,
    operation_in,
    operation_of,
)
from wsdgateway.soap.envelope import Envelope, read, readdressed
from wsdgateway.soap.faults import Fault, action_missing, action_not_supported, invalid_args, unreadable
from wsdgateway.soap.namespaces import WSA_2005_08
from wsdgateway.soap.obligations import not_understood
from wsdgateway.soap.parsing import Malformed

NO_FIELDS: Headers = []


class Endpoint(Enum):
    """What answers at an address of a scanner."""

    DEVICE = "device"
    SCAN = "scan"
    SUBSCRIPTION = "subscription"


@attrs.frozen(eq=False)
class Rejected:
    """A request that is refused before it is anybody's: the fault, what it relates to, and itself if it can be read."""

    fault: Fault
    relates_to: str | None = None
    operation: str = OTHER.name
    envelope: Envelope | None = None


@attrs.frozen(eq=False)
class EventingRequest:
    """Subscribe, or what a subscription's manager is asked: `named` is the identifier that it gives, if any.

    `client` is the IP address of whoever asks.
    """

    envelope: Envelope
    operation: Operation
    client: str
    named: str | None = None


@attrs.frozen(eq=False)
class DeviceRequest:
    """What the stand-in of a scanner's device endpoint is asked: Get, Probe or Resolve."""

    envelope: Envelope
    name: str


def route(raw: bytes, endpoint: Endpoint, *, client: str, host: bytes, subscription: str | None = None,
          fields: Headers = NO_FIELDS,
          charset: str | None = None) -> Question | EventingRequest | DeviceRequest | Rejected:
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


def asked_for(question: Question | EventingRequest | DeviceRequest) -> tuple[str, ...]:
    """The operations that a client has to be allowed: the one of the action, and what the Body asks for beside that.

    A scanner may go by the Body where it does not know the action.
    """
    if isinstance(question, DeviceRequest):
        return (question.name,)
    promised = operation_in(question.envelope.body) if question.operation is OTHER else None
    return (question.operation.name,) if promised is None else (question.operation.name, promised.name)


def _envelope(raw: bytes, endpoint: Endpoint, charset: str | None) -> Envelope:
    """The message, by the WS-Addressing that it speaks. Raises `Malformed`."""
    envelope = read(raw, charset)
    if envelope.action is None and endpoint is Endpoint.DEVICE:
        newer = readdressed(envelope, WSA_2005_08)
        if newer.action is not None and discovery_request(newer.action):
            return newer
    return envelope


def _routed(envelope: Envelope, raw: bytes, endpoint: Endpoint, client: str, host: bytes,
            subscription: str | None, fields: Headers) -> Question | EventingRequest | DeviceRequest | Rejected:
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
