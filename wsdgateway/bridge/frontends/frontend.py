"""The interface between a client protocol and a scanner's bridge: HTTP request to question, decision to HTTP answer.

A front end is one protocol at one address. It sees a request's method, path, fields and body, and says what it asks of
the scanner; what the bridge decides, it writes down as status, fields and body. It neither waits nor sends: the router
of `net.clients` brings it requests, and the proxy there carries out what the bridge decides. The proxy relays the body
of a RetrieveImage as it arrives, for every front end: a protocol whose images look otherwise serves stored pages.
"""

from typing import NamedTuple, Protocol

import attrs

from wsdgateway.bridge.decisions import Answer, Pass, Question, Refuse
from wsdgateway.http.requests import Request
from wsdgateway.scan.operations import OTHER, Operation, operation_in
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import Fault


class HTTPAnswer(NamedTuple):
    """A whole answer to a client.

    `fault` is the name of the fault that it tells of, for the records. `reason` is the phrase of a scanner's answer
    that is passed on with its own fields, None for an answer of the gateway's.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    fault: str | None = None
    reason: bytes | None = None


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


ClientRequest = Question | EventingRequest | DeviceRequest


class FrontEnd(Protocol):
    """A client protocol at one address of a scanner. `rest` is the path below it: empty, or with its slash."""

    def read(self, request: Request, rest: bytes, client: str) -> ClientRequest | Rejected | HTTPAnswer:
        """What a client at that IP address asks, or why it is refused.

        A request that is none of this protocol, by its path, method or media type, has its answer at once: it counts
        as nobody's.
        """

    def write(self, decision: Answer | Refuse | Pass, request: ClientRequest | Rejected) -> HTTPAnswer:
        """The answer to what was read."""


def plain(status: int, text: str, *headers: tuple[bytes, bytes], fault: str | None = None) -> HTTPAnswer:
    """A line for people; `fault` is the name of the fault that it tells of, if it does."""
    return HTTPAnswer(
        status, f"{text}\n".encode(), (*headers, (b"Content-Type", b"text/plain; charset=utf-8")), fault)


NOT_FOUND = plain(404, "Nothing answers at this address.")


def asked_for(request: ClientRequest) -> tuple[str, ...]:
    """The operations that a client has to be allowed: the one of the action, and what the Body asks for beside that.

    A scanner may go by the Body where it does not know the action.
    """
    if isinstance(request, DeviceRequest):
        return (request.name,)
    promised = operation_in(request.envelope.body) if request.operation is OTHER else None
    return (request.operation.name,) if promised is None else (request.operation.name, promised.name)
