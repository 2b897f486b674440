"""The interfaces between a client's connection and its server, and the limits of both."""

from typing import Any, Protocol

import attrs
from OpenSSL import SSL

from wsdgateway.bridge.access.admission import Admission
from wsdgateway.http.requests import Refusal
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.requestqueue import Recorder
from wsdgateway.net.transport.writebatching import WriteScheduler


@attrs.frozen
class Limits:
    """The limits of clients: bytes of a body, connections, seconds. The configuration's `[limits]`."""

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
        """Whether it is one with TLS."""

    @property
    def path(self) -> bytes:
        """The path of the request that is being read, or was read last."""

    def drain(self) -> None:
        """Close now, or as soon as the request under way has been answered."""

    def abort(self) -> None:
        """Close so that the client can't take what it has for the whole."""

    def can_make_room(self) -> bool:
        """Whether it may end for another one: no answer is awaited or being taken."""


class Server(Recorder, Protocol):
    """The server as its connections see it."""

    reactor: Any
    limits: Limits
    writes: WriteScheduler
    draining: bool

    def seconds(self) -> float:
        """A monotonic clock."""

    def respond(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Record that a connection's request is refused, not answered."""

    def broken_off(self, connection: Connection) -> None:
        """Record that a connection has gone in the middle of a request."""

    def base(self, host: str, port: int) -> str:
        """The URL for clients that have reached us at this address."""

    def date(self) -> bytes:
        """The Date field for now."""

    def arrived(self, connection: Connection) -> Admission:
        """Count a new connection, and say how it is received."""

    def not_secured(self, connection: Connection, error: SSL.Error) -> None:
        """Record that its TLS handshake has failed."""

    def left(self, connection: Connection) -> None:
        """Forget a connection that is gone."""

    def idles(self, connection: Connection) -> None:
        """Record that a connection has been answered and waits for its next request."""

    def works(self, connection: Connection) -> None:
        """Record that it does not wait for its next request any more, or is being closed."""
