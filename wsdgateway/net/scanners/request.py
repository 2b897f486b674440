"""One request to a scanner on its way: its content, its client, and how far it has come.

Its states::

                      a connection may be opened        connected       head of the reply
    request ──► waiting ─────────────────► connecting ───────────► sent ───────────────► answered
                │ ▲ ▲ │                      │  │                  ▲ │ │                    │
                │ │ │ └──────────────────────┼──┼─idle connection──┘ │ │                    │
                │ │ └───────occupied─────────┘  │                    │ │                    │
                │ └─────────────────────────────┼───sent once more───┘ │                    │
                └──────────────┬────────────────┴──────────────────────┴────────────────────┘
                               ├── an error, or its time is over ──────────► failed
                               └── nobody wants the answer any more ───────► abandoned

- It is waiting while there is no connection for it, or its device's rate does not allow it.
- Occupied: the device took no connection for it beside the exchange that it was serving.
- It is sent once more if its connection broke before anything of a reply came, and it may be repeated (RFC 9110,
  section 9.2.2).
- The head of the reply, `net.scanners.reply.Response`, fires `answered`, and tells what becomes of the body. After that
  a request is failed only if its time is over.
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
    """How far a request has come."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    SENT = "sent"
    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


WAITING, CONNECTING, SENT, ANSWERED, FAILED, ABANDONED = RequestState


@attrs.define(eq=False)
class ScannerRequest:
    """A request on its way. `on_sent` is called each time it is written to a connection, `tape` records it there.

    `times_sent` counts how often that was: twice at most. `dispatched_at`: when it last went to the device, in seconds.
    `delayed`: it had to wait for the device's rate. `from_gateway`: it is the gateway's own. `refused`: the device
    refused its connection, being occupied, and it waits again. `client` is what its client is counted by, empty for the
    gateway; `share_of` the same where the client has no more than its share of the queue.

    Who waits for `answered` may cancel it; the request goes on then.
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

    @property
    def sent(self) -> bool:
        """True if it was written to a connection at all."""
        return self.times_sent > 0

    @property
    def abandoned(self) -> bool:
        """True if it ended because nobody wants the answer any more."""
        return self.state is ABANDONED

    def fail(self, error: DeviceError) -> None:
        """End without an answer; once."""
        self.lift_deadline()
        if self.state is not ANSWERED and self.state is not ABANDONED:
            self.state = FAILED
        if not self.answered.called:
            self.answered.errback(Failure(error))

    def lift_deadline(self) -> None:
        """The time for the whole exchange no longer runs."""
        if self.deadline is not None:
            self.deadline.lift()


class Connection(Protocol):
    """The connection that an answer arrives on, as far as the answer needs it."""

    def abort(self) -> None:
        """Close at once; the answer is lost."""

    def read_large(self) -> None:
        """Read in large pieces, for an image."""

    def pause(self) -> None:
        """Read nothing for a while."""

    def resume(self) -> None:
        """Read on."""


