"""The inputs and outputs of the decisions for one scanner.

A `Question` leads to a decision: `Answer`, `Refuse`, `Forward`, `Join` or `Pass`. The outcome of a `Forward` is a
`Reply` or a `Failure`, and leads to another decision. Only `net` carries out decisions.
"""

from enum import Enum
from math import inf

import attrs

from wsdgateway.http.messages import Headers, charset_of
from wsdgateway.scan.jobelements import JobElementsRequest
from wsdgateway.scan.jobstatus import JOB_LISTS
from wsdgateway.scan.operations import Operation
from wsdgateway.scan.scannerelements import SCANNER_STATUS
from wsdgateway.soap.envelope import CONTENT_TYPE, Envelope, read_leniently
from wsdgateway.soap.faults import Fault, fault_in

# The number of times that one request is sent to the device because newer knowledge overtakes its answer.
MAX_ASKS = 4


class Subject(Enum):
    """A part of the scanner's state that answers describe. A change of it makes them outdated."""

    ELEMENTS = "elements"
    STATUS = "status"
    JOBS = "jobs"


@attrs.frozen
class Read:
    """A read that many clients send: the operation and sorted element names. Equal reads share an answer."""

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
    """A client's request. `client` is the client's IP address, `fields` are the HTTP fields.

    `wanted` is the content of a GetJobElements. `read` is set if another client's answer can serve this request.
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
    """Answer the client with this body: the gateway's own, or a cached answer of the scanner."""

    body: bytes
    content_type: bytes = CONTENT_TYPE

    def read(self) -> Envelope:
        """The message in the body."""
        return read_leniently(self.body, charset_of(self.content_type))


@attrs.frozen(eq=False)
class Refuse:
    """Answer the client with a fault. `limit` names the exceeded quota if that is the reason."""

    fault: Fault
    limit: str | None = None


@attrs.frozen(eq=False)
class Forward:
    """Send `body` to the device. `asks` counts how often this question has been sent.

    With `shared`, other clients may wait for the answer, and it may be cached.
    """

    question: Question
    body: bytes
    asks: int = 1
    shared: bool = False

    @property
    def learns(self) -> bool:
        """True if the answer is held back until the bridge has learnt from it."""
        return self.shared or self.question.operation.learns


@attrs.frozen(eq=False)
class Sent:
    """The moment and the time (in seconds) at which a request went to the device, and the time of its outcome."""

    moment: int
    at: float
    over: float = inf


@attrs.frozen(eq=False)
class Join:
    """Wait for the outcome of another client's request, then ask the bridge again."""

    forward: Forward


@attrs.frozen(eq=False)
class Pass:
    """Pass the device's reply to the client unchanged."""

    reply: "Reply"


@attrs.frozen(eq=False)
class Reply:
    """A complete answer of the device, successful or not."""

    status: int
    content_type: bytes
    body: bytes
    reason: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def charset(self) -> str | None:
        """The charset of the Content-Type."""
        return charset_of(self.content_type)

    def read(self) -> Envelope:
        """The message in the body. Raises `Malformed`."""
        return read_leniently(self.body, self.charset)

    @property
    def fault(self) -> str | None:
        """The name of the fault in the body, for any status; None if there is none."""
        return fault_in(self.body, self.charset)


@attrs.frozen(eq=False)
class Failure:
    """The outcome of a request without a usable reply from the scanner; `fault` says why.

    `limit` names the exceeded quota if that is the reason.
    """

    fault: Fault
    limit: str | None = None


Outcome = Reply | Failure
Decision = Answer | Refuse | Forward | Join | Pass
