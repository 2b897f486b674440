"""What a client's connection finds at the door that it came in by: what it may use, and whom it tells of itself."""

from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from OpenSSL import SSL

from wsdgateway.http.requests import Refusal
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.requestqueue import Recorder
from wsdgateway.net.transport.coalescing import WriteScheduler

if TYPE_CHECKING:
    from wsdgateway.net.server.connection import ClientConnection


@attrs.frozen
class Limits:
    """What a client may use: bytes of a body, connections, seconds. The contract's `[limits]`."""

    request_body: int = 1048576
    connections: int = 2000
    keepalive_timeout: float = 60.0
    header_timeout: float = 15.0


class Admission(Enum):
    """How a connection is received: let in, told that there are too many, or hung up on without a word."""

    LET_IN = "let in"
    REFUSED = "refused"
    HUNG_UP_ON = "hung up on"


class Door(Recorder, Protocol):
    """What a connection needs of the listener that it came in by."""

    reactor: Any
    limits: Limits
    post: WriteScheduler
    draining: bool

    def seconds(self) -> float:
        """A monotonic clock."""

    def respond(self, turn: Exchange) -> None:
        """Answer a request, now or later."""

    def refused(self, connection: "ClientConnection", refusal: Refusal) -> None:
        """A connection's request is not answered, but refused."""

    def broken_off(self, connection: "ClientConnection") -> None:
        """A connection is gone in the middle of a request."""

    def base(self, host: str, port: int) -> str:
        """The URL for clients that have reached us at this address."""

    def date(self) -> bytes:
        """The Date field for now."""

    def arrived(self, connection: "ClientConnection") -> Admission:
        """A connection is there."""

    def not_secured(self, connection: "ClientConnection", error: SSL.Error) -> None:
        """Its TLS handshake came to nothing."""

    def left(self, connection: "ClientConnection") -> None:
        """A connection is gone."""

    def idles(self, connection: "ClientConnection") -> None:
        """Record that a connection has been answered and waits for its next request."""

    def works(self, connection: "ClientConnection") -> None:
        """It does not wait for its next request any more, or is being closed."""
