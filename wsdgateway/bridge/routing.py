"""Who answers a request: what it is, and where it was sent, decide.

`interface.md` calls them addresses: the scan service of a scanner, its device endpoint, a
subscription manager. WS-Eventing 2004/08, section 3; WS-Scan's operations.
"""

from enum import Enum

import attrs

from wsdgateway.bridge.decisions import Question
from wsdgateway.scan.jobelements import read_request
from wsdgateway.scan.operations import EVENTING_OPERATIONS, GET_JOB_ELEMENTS, OTHER, SUBSCRIBE, operation_of
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Fault, action_missing, action_not_supported, invalid_args
from wsdgateway.soap.parsing import Malformed


class Endpoint(Enum):
    """What answers at an address of a scanner."""

    DEVICE = "device"
    SCAN = "scan"
    SUBSCRIPTION = "subscription"


@attrs.frozen(eq=False)
class Rejected:
    """A request that is refused before it is anybody's: the fault, and what it relates to."""

    fault: Fault
    relates_to: str | None = None
    operation: str = OTHER.name


NO_EVENTS = Fault("Receiver", "wse:EventSourceUnableToProcess",
                  "This gateway does not pass on events to clients; ask GetJobElements for the job's status instead.")
UNKNOWN_SUBSCRIPTION = Fault("Sender", "wse:InvalidMessage",
                             "There is no such subscription here; send Subscribe to the scan service anew.", 400)


def route(raw: bytes, endpoint: Endpoint, *, client: str, host: bytes) -> Question | Rejected:
    """The question in a request's body, or why there is none to ask.

    Subscribe is refused by a fault, since Windows' event client does not survive silence.
    """
    try:
        envelope = read(raw)
    except Malformed as error:
        return Rejected(invalid_args(f"The request can't be read: {error}."), error.message_id)
    action = envelope.action
    if action is None:
        return Rejected(action_missing(), envelope.message_id)
    operation = operation_of(action)
    if operation is SUBSCRIBE:
        return Rejected(NO_EVENTS, envelope.message_id, operation.name)
    if operation in EVENTING_OPERATIONS:
        return Rejected(UNKNOWN_SUBSCRIPTION, envelope.message_id, operation.name)
    if endpoint is Endpoint.DEVICE:
        return Rejected(action_not_supported(action), envelope.message_id, operation.name)
    wanted = None
    if operation is GET_JOB_ELEMENTS and not envelope.obliges:
        wanted = read_request(envelope.body)
    return Question(envelope, raw, operation, client, host, wanted)
