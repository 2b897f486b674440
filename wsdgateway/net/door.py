"""What a client's connection finds at the door that it came in by: what it may use, and whom it tells of itself."""

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from wsdgateway.http.requests import Refusal
from wsdgateway.net.inbox import Recorder
from wsdgateway.net.outbox import PostOffice
from wsdgateway.net.turn import Turn

if TYPE_CHECKING:
    from wsdgateway.net.clientconnection import ClientConnection


@attrs.frozen
class Limits:
    """What a client may use: bytes of a body, connections, seconds. The contract's `[limits]`."""

    request_body: int = 1048576
    connections: int = 2000
    keepalive_timeout: float = 60.0
    header_timeout: float = 15.0


class Door(Recorder, Protocol):
    """What a connection needs of the listener that it came in by."""

    reactor: Any
    limits: Limits
    post: PostOffice
    draining: bool

    def seconds(self) -> float:
        """A monotonic clock."""

    def respond(self, turn: Turn) -> None:
        """Answer a request, now or later."""

    def refused(self, connection: "ClientConnection", refusal: Refusal) -> None:
        """A connection's request is not answered, but refused."""

    def base(self, host: str, port: int) -> str:
        """The URL for clients that have reached us at this address."""

    def date(self) -> bytes:
        """The Date field for now."""

    def arrived(self, connection: "ClientConnection") -> int:
        """A connection is there. By how many that is too many, 0 if it is none."""

    def left(self, connection: "ClientConnection") -> None:
        """A connection is gone."""

    def idles(self, connection: "ClientConnection") -> None:
        """It has been answered, and waits for its next request."""

    def works(self, connection: "ClientConnection") -> None:
        """It does not wait for its next request any more, or is being closed."""
