"""The plain values that go in and out of a bridged scanner's decisions.

A `Question` leads to an `Answer`, a `Refuse`, a `Forward` or a `Join`; what came of a `Forward` is a
`Reply` or a `Failure`, and leads to `Pass`, or to another decision. Only `net` acts on them.
"""

from enum import Enum
from math import inf

import attrs

from wsdgateway.http.messages import Headers, charset_of
from wsdgateway.scan.jobelements import JobElementsRequest
from wsdgateway.scan.jobstatus import JOB_LISTS
from wsdgateway.scan.operations import Operation
from wsdgateway.scan.scannerelements import SCANNER_STATUS
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope
from wsdgateway.soap.faults import Fault, fault_in

# How often one request goes to the device because its answer was overtaken by newer knowledge.
MAX_ASKS = 4


class Subject(Enum):
    """A part of the scanner's state that answers describe; a change of it makes them outdated."""

    ELEMENTS = "elements"
    STATUS = "status"
    JOBS = "jobs"


@attrs.frozen
class Read:
    """A read that many clients send: the operation, and the names of the elements, sorted. Equal reads get one answer.
    """

    operation: str
    names: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The parts of the scanner's state that the answer describes."""
        if self.operation in JOB_LISTS:
            return (Subject.JOBS,)
        return (Subject.ELEMENTS, Subject.STATUS) if SCANNER_STATUS in self.names else (Subject.ELEMENTS,)


@attrs.frozen(eq=False)
class Question:
    """A client's request. `client` is its IP address, `fields` HTTP's; `wanted` is read from a GetJobElements.

    `read` says what it asks, where another client's answer would do for it.
    """

    envelope: Envelope
    raw: bytes
    operation: Operation
    client: str
    host: bytes
    wanted: JobElementsRequest | None = None
    read: Read | None = None
    fields: Headers = attrs.field(factory=list)


@attrs.frozen(eq=False)
class Answer:
    """The gateway's own answer, or one of the scanner's that it kept."""

    body: bytes
    content_type: bytes = CONTENT_TYPE


@attrs.frozen(eq=False)
class Refuse:
    """A fault of the gateway's own; `limit` names the bound of a client's that it is about, if it is."""

    fault: Fault
    limit: str | None = None


@attrs.frozen(eq=False)
class Forward:
    """Send `body` to the device. `asks` counts how often this question has gone there.

    `shared`: others may wait for its answer, and it may be kept.
    """

    question: Question
    body: bytes
    asks: int = 1
    shared: bool = False

    @property
    def learns(self) -> bool:
        """Whether its answer is held back until it has been learnt from."""
        return self.shared or self.question.operation.learns


@attrs.frozen(eq=False)
class Sent:
    """When a forward went to the device: the moment, and the time in seconds; and when it was answered, or failed."""

    moment: int
    at: float
    over: float = inf


@attrs.frozen(eq=False)
class Join:
    """Wait for what comes of another client's request, then ask the bridge again."""

    forward: Forward


@attrs.frozen(eq=False)
class Pass:
    """Give the device's reply to the client as it is."""

    reply: "Reply"


@attrs.frozen(eq=False)
class Reply:
    """A device's whole answer, whatever it says."""

    status: int
    content_type: bytes
    body: bytes
    reason: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def charset(self) -> str | None:
        """The charset that its Content-Type names."""
        return charset_of(self.content_type)

    @property
    def fault(self) -> str | None:
        """The name of the fault that it holds, with whatever status; None where it holds none."""
        return fault_in(self.body, self.charset)


@attrs.frozen(eq=False)
class Failure:
    """The device gave no usable answer."""

    fault: Fault


Outcome = Reply | Failure
Decision = Answer | Refuse | Forward | Join | Pass
