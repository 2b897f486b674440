"""The HTTP server for all clients: its connections, their number, and how they are closed.

RFC 9112 section 9. `net.server.connection` handles each connection; `bridge.access.admission` decides which connections
are admitted, and which are closed to make room for others.
"""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from wsdgateway.bridge.access.admission import Admission, OpenConnections
from wsdgateway.bridge.access.quotas import Quotas, client_of
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.requests import Refusal
from wsdgateway.metrics import TLS
from wsdgateway.net.server.connection import ClientConnection
from wsdgateway.net.server.exchange import Exchange, Repetition, http_date
from wsdgateway.net.server.handshakes import Handshakes
from wsdgateway.net.server.protocols import Connection, Limits, Server
from wsdgateway.net.transport.localaddress import authority
from wsdgateway.net.transport.socketset import MAX_AT_ONCE
from wsdgateway.net.transport.writebatching import WriteScheduler

Respond = Callable[[Exchange], None]
# The answer to a repeated request, and whether the connection may be used again. Arguments are the request's bytes, the
# client's address without and with its port, the server, and the size of the largest answer if the connection is to be
# closed after it, else 0.
Repeated = Callable[[bytes, str, str, Server, int], tuple[bytes, bool] | Repetition | None]


class HTTPServer(Factory):
    """The connections of all listeners. `seconds` is a monotonic clock, `wall` the time since 1970.

    `base` gives the URL for clients that reached the gateway at an address and port. `denied` is called with the
    reason, a name of `metrics`, when a connection is refused. `broken_off` is called with each connection that ends in
    the middle of a request. `repeated` answers known requests without reading them in full; `is_partial` is true for
    the first piece of one. `refuses_bare` is true for a path whose requests are refused without a body.
    """

    noisy = False

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], wall: Callable[[], float], limits: Limits,
                 respond: Respond, refused: Callable[[Connection, Refusal], None],
                 base: Callable[[str, int], str], log: ExchangeLog, quotas: Quotas,
                 denied: Callable[[str, str], None], writes: WriteScheduler | None = None,
                 broken_off: Callable[[Connection], None] = lambda connection: None,
                 repeated: Repeated = lambda *_: None,
                 is_partial: Callable[[bytes], bool] = lambda raw: False,
                 refuses_bare: Callable[[bytes], bool] = lambda path: False) -> None:
        self._denied = denied
        self._handshakes = Handshakes()
        self.reactor = reactor
        self.seconds = seconds
        self.limits = limits
        self.respond = respond
        self._repeated = repeated
        self.is_partial = is_partial
        self.refuses_bare = refuses_bare
        self.refused = refused
        self.broken_off = broken_off
        self.base = base
        self.connections: OpenConnections[Connection] = OpenConnections(quotas)
        self.idles = self.connections.idles
        self.works = self.connections.works
        self.writes = writes or WriteScheduler(reactor)
        self._wall = wall
        self._log = log
        self._date = (-1, b"")
        self._waiting: list[Deferred[None]] = []
        self.draining = False

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        host = getattr(addr, "host", "")
        return ClientConnection(self, host, authority(host, getattr(addr, "port", 0)))

    @property
    def records(self) -> bool:
        """True if exchanges are recorded as they are on the wire."""
        return self._log.captures is not None

    def tape(self) -> Tape | None:
        """A new tape for an exchange that begins; None if exchanges are not captured."""
        return self._log.tape()

    def repeated(self, raw: bytes, client: str, peer: str) -> tuple[bytes, bool] | Repetition | None:
        """The answer to a known request, and whether the connection may be used again, or a request to serve."""
        return self._repeated(raw, client, peer, self, 0)

    def answer_at_once(self, raw: bytes, host: str, port: int) -> bytes | None:
        """The answer to a known request that is the only one of a new connection; None for any other one.

        `host` and `port` are those of the client. The answer has at most `MAX_AT_ONCE` bytes. A connection for which
        another one would have to make room is not answered here.
        """
        if self.draining or not self.connections.has_room(host, self.limits.connections):
            return None
        found = self._repeated(raw, host, authority(host, port), self, MAX_AT_ONCE)
        return found[0] if isinstance(found, tuple) else None

    def date(self) -> bytes:
        """The current Date field, formatted once a second."""
        now = int(self._wall())
        if self._date[0] != now:
            self._date = (now, http_date(now))
        return self._date[1]

    def arrived(self, connection: Connection) -> Admission:
        """Count a new connection, close another one if needed to make room, and decide how to treat the new one."""
        decision = self.connections.arrived(connection, self.limits.connections, self.seconds())
        if decision.drained is not None:
            decision.drained.drain()
        if decision.aborted is not None:
            decision.aborted.abort()
        if decision.reason is not None:
            self._denied(decision.reason, connection.client)
        return decision.admission

    def not_secured(self, connection: Connection, error: SSL.Error) -> None:
        """Record that a TLS handshake has failed."""
        self._denied(TLS, connection.client)
        self._handshakes.failed(client_of(connection.client), error, self.seconds())

    def left(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self.connections.left(connection)
        if not self.connections:
            waiting, self._waiting = self._waiting, []
            for empty in waiting:
                empty.callback(None)

    def empty(self) -> Deferred[None]:
        """The Deferred fires when no connection is open."""
        empty: Deferred[None] = Deferred(self._waiting.remove)
        if self.connections:
            self._waiting.append(empty)
        else:
            empty.callback(None)
        return empty

    def drain(self) -> None:
        """Close each connection as soon as it has no more requests to answer."""
        self.draining = True
        for connection in self.connections:
            connection.drain()

    def close_all(self) -> Deferred[None]:
        """Abort every connection. The Deferred fires when the last one is closed."""
        for connection in self.connections:
            connection.abort()
        return self.empty()
