"""One request to a scanner on its way: its content, its client, and how far it has come.

RFC 9110, section 9.2.2, on what may be sent again. The head of the reply, `net.scanners.reply.Response`, fires
`answered`.
"""

from collections.abc import Callable
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


@attrs.define(eq=False)
class ScannerRequest:
    """A request on its way. `on_sent` is called each time it is written to a connection, `tape` records it there.

    `dispatched_at`: when it last went to the device, in seconds. `delayed`: it had to wait for the device's rate.
    `from_gateway`: it is the gateway's own. `refused`: the device refused its connection, being occupied, and it waits
    again. `client` is what its client is counted by, empty for the gateway; `share_of` the same where the client has no
    more than its share of the queue.
    """

    address: Address
    operation: Operation
    body: bytes
    headers: Headers
    on_sent: Callable[[], None] = lambda: None
    answered: Deferred[Any] = attrs.field(factory=Deferred)
    deadline: Deadline | None = None
    dispatched_at: float = 0.0
    resent: bool = False
    refused: bool = False
    sent: bool = False
    delayed: bool = False
    from_gateway: bool = False
    client: str = ""
    share_of: str | None = None
    abandoned: bool = False
    connection: "Connection | None" = None
    tape: Tape | None = None

    def fail(self, error: DeviceError) -> None:
        """End without an answer; once."""
        self.lift_deadline()
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


