"""The interfaces between a client's connection and its server, and the limits of both."""

from typing import Any, Protocol

import attrs
from OpenSSL import SSL

from wsdgateway.bridge.access.admission import Admission
from wsdgateway.http.requests import Refusal
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.requestqueue import RequestServer
from wsdgateway.net.transport.writebatching import WriteScheduler


@attrs.frozen
class Limits:
    """The limits of clients: bytes of a body, number of connections, seconds. The configuration's `[limits]`."""

    request_body: int = 1048576
    connections: int = 2000
    keepalive_timeout: float = 60.0
    header_timeout: float = 15.0


class Connection(Protocol):
    """A client's connection as its server sees it. `client` is an IP address, `peer` the same with its port."""

    client: str
    peer: str

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""

    @property
    def path(self) -> bytes:
        """The path of the request that is being read, or was read last."""

    def drain(self) -> None:
        """Close now, or as soon as the request in progress has been answered."""

    def abort(self) -> None:
        """Abort the connection, so that the client cannot mistake a partial answer for a complete one."""

    def can_make_room(self) -> bool:
        """True if it may be closed to make room for another: the client waits for no answer, and is reading none."""


class Server(RequestServer, Protocol):
    """The server as its connections see it."""

    reactor: Any
    limits: Limits
    writes: WriteScheduler
    draining: bool

    def seconds(self) -> float:
        """The time on a monotonic clock."""

    def respond(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Record that a connection's request is refused, not answered."""

    def refuses_bare(self, path: bytes) -> bool:
        """True if a refusal of a request for that path must have no body."""

    def broken_off(self, connection: Connection) -> None:
        """Record that a connection was closed in the middle of a request."""

    def base(self, host: str, port: int) -> str:
        """The URL for clients that reached the gateway at this address."""

    def date(self) -> bytes:
        """The current Date field."""

    def arrived(self, connection: Connection) -> Admission:
        """Count a new connection, and decide how to treat it."""

    def not_secured(self, connection: Connection, error: SSL.Error) -> None:
        """Record that the TLS handshake of a connection has failed."""

    def left(self, connection: Connection) -> None:
        """Forget a closed connection."""

    def idles(self, connection: Connection) -> None:
        """Record that a connection has been answered and waits for its next request."""

    def works(self, connection: Connection) -> None:
        """Record that a connection no longer waits for its next request, or is being closed."""
