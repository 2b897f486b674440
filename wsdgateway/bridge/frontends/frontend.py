"""The interface between a client protocol and a scanner's bridge: HTTP request to question, decision to HTTP answer.

A front end is one protocol at one address. It translates a request's method, path, fields and body to a question for
the scanner's bridge, and the bridge's decision to status, fields and body. It neither waits nor sends: the router of
`net.clients` passes it requests, and the proxy there carries out the bridge's decisions. The proxy relays the body of a
RetrieveImage as it arrives, for every front end: a protocol with a different format for images must serve stored pages.
"""

from typing import Protocol

import attrs

from wsdgateway.bridge.decisions import Answer, Pass, Question, Refuse
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.http.requests import Request
from wsdgateway.scan.operations import OTHER, Operation, operation_in
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import Fault
from wsdgateway.soap.skeleton import Skeleton


@attrs.frozen(eq=False)
class Rejected:
    """A request that is refused before it is answered or forwarded.

    `relates_to` is its message id, `envelope` the request itself, if they can be read.
    """

    fault: Fault
    relates_to: str | None = None
    operation: str = OTHER.name
    envelope: Envelope | None = None


@attrs.frozen(eq=False)
class EventingRequest:
    """A request of WS-Eventing: Subscribe, or one to a subscription's manager.

    `client` is the client's IP address, `named` the identifier of the subscription, if the request has one.
    """

    envelope: Envelope
    operation: Operation
    client: str
    named: str | None = None


@attrs.frozen(eq=False)
class DeviceRequest:
    """A request to the stand-in for a scanner's device endpoint: Get, Probe or Resolve."""

    envelope: Envelope
    name: str


ClientRequest = Question | EventingRequest | DeviceRequest


class FrontEnd(Protocol):
    """A client protocol at one address of a scanner. `rest` is the path below it: empty, or with its leading slash.

    The bridge speaks WS-Scan: a `Question` contains an envelope of WS-Scan, a `Rejected` a SOAP fault, so another
    protocol must be translated to and from these.
    """

    def read(self, request: Request, rest: bytes, client: str) -> ClientRequest | Rejected | HTTPAnswer:
        """Read the request of a client at that IP address.

        A request that does not belong to this protocol, by its path, method or media type, is answered at once, and is
        not counted for the scanner.
        """

    def skeleton(self, raw: bytes, question: Question) -> Skeleton | None:
        """The key under which repetitions of a question are recognised; `raw` are the bytes of its request.

        Returns None if a repetition cannot be recognised without doubt.
        """

    def write(self, decision: Answer | Refuse | Pass, request: ClientRequest | Rejected) -> HTTPAnswer:
        """Write the answer to a request that `read` has returned."""


def asked_for(request: ClientRequest) -> tuple[str, ...]:
    """The operations that the client must be allowed: that of the action, and a different one that the Body requests.

    A scanner may act on the Body if it does not know the action.
    """
    if isinstance(request, DeviceRequest):
        return (request.name,)
    promised = operation_in(request.envelope.body) if request.operation is OTHER else None
    return (request.operation.name,) if promised is None else (request.operation.name, promised.name)


def named_in(rest: bytes) -> str:
    """The only segment of the path below an address; empty if it has none, or several."""
    return rest[1:].decode("latin-1") if rest.count(b"/") == 1 else ""
