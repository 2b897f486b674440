"""A request to a scanner: its content, its client, and its state.

The states are::

                      a connection may be opened        connected       head of the reply
    request ──► waiting ─────────────────► connecting ───────────► sent ───────────────► answered
                │ ▲ ▲ │                      │  │                  ▲ │ │                    │
                │ │ │ └──────────────────────┼──┼─idle connection──┘ │ │                    │
                │ │ └───────occupied─────────┘  │                    │ │                    │
                │ └─────────────────────────────┼───sent once more───┘ │                    │
                └──────────────┬────────────────┴──────────────────────┴────────────────────┘
                               ├── error or time-out ──────────────────────► failed
                               └── the answer is no longer wanted ─────────► abandoned

- Waiting: there is no connection for the request, or its device's rate limit does not allow it.
- Occupied: the device accepted no connection for the request during another exchange.
- Sent once more: the connection broke before any part of a reply arrived, and the request may be repeated (RFC 9110,
  section 9.2.2).
- The head of the reply, a `net.scanners.reply.Response`, fires `answered`; the `Response` then delivers the body. After
  that a request fails only by a time-out.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.messages import Headers
from wsdgateway.http.urls import Address
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.timeouts import Deadline
from wsdgateway.scan.operations import Operation


class RequestState(Enum):
    """The states of a request."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    SENT = "sent"
    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


WAITING, CONNECTING, SENT, ANSWERED, FAILED, ABANDONED = RequestState


@attrs.define(eq=False)
class ScannerRequest:
    """A request. `on_sent` is called each time it is written to a connection; `tape` records it there.

    `times_sent` counts how often it was written, at most twice. `dispatched_at` is the time at which it was last
    dispatched to the device, in seconds. `delayed`: it had to wait for the device's rate limit. `from_gateway`: it is
    one of the gateway's own. `refused`: the device was occupied and refused its connection, and it waits again.
    `client` identifies its client for counting, empty for the gateway; `share_of` is the same for a client that is
    limited to its share of the queue, else None. `head` is the whole head as it is sent, if it is known; else it is
    made of address and fields.

    Cancelling `answered` does not end the request.
    """

    address: Address
    operation: Operation
    body: bytes
    headers: Headers
    on_sent: Callable[[], None] = lambda: None
    answered: Deferred[Any] = attrs.field(factory=Deferred)
    deadline: Deadline | None = None
    dispatched_at: float = 0.0
    state: RequestState = WAITING
    times_sent: int = 0
    refused: bool = False
    delayed: bool = False
    from_gateway: bool = False
    client: str = ""
    share_of: str | None = None
    connection: "Connection | None" = None
    tape: Tape | None = None
    head: bytes = b""

    @property
    def sent(self) -> bool:
        """True if the request was written to a connection."""
        return self.times_sent > 0

    @property
    def abandoned(self) -> bool:
        """True if the request ended because its answer was no longer wanted."""
        return self.state is ABANDONED

    def fail(self, error: DeviceError) -> None:
        """Ends the request without an answer; further calls have no effect."""
        self.lift_deadline()
        if self.state is not ANSWERED and self.state is not ABANDONED:
            self.state = FAILED
        if not self.answered.called:
            self.answered.errback(Failure(error))

    def lift_deadline(self) -> None:
        """Cancels the time limit of the exchange."""
        if self.deadline is not None:
            self.deadline.lift()


class Connection(Protocol):
    """The interface of the connection that an answer arrives on."""

    def abort(self) -> None:
        """Closes the connection immediately; the answer is lost."""

    def read_large(self) -> None:
        """Reads in large pieces, for an image."""

    def pause(self) -> None:
        """Stops reading until `resume`."""

    def resume(self) -> None:
        """Continues reading."""


