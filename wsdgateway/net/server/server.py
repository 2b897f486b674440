"""The door that all clients come in by: their connections, how many, and how they end.

RFC 9112 section 9. What happens on each of them is `net.server.connection`'s.
"""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from wsdgateway.bridge.access.quotas import Quotas, client_of
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.exchangelog.tape import Tape
from wsdgateway.http.requests import Refusal
from wsdgateway.metrics import CONNECTIONS, RATE, TLS
from wsdgateway.net.server.admission import Admission, Limits
from wsdgateway.net.server.connection import ClientConnection
from wsdgateway.net.server.exchange import Exchange, http_date
from wsdgateway.net.server.handshakes import Handshakes
from wsdgateway.net.transport.coalescing import WriteScheduler
from wsdgateway.net.transport.localaddress import authority

Respond = Callable[[Exchange], None]

MAX_REFUSED = 100  # connections beyond the bound that are told so; more than that are closed without a word


class HTTPServer(Factory):
    """The connections of all listeners. `seconds` is a monotonic clock, `wall` the time since 1970.

    `base` gives the URL for clients that have reached us at an address and port. `denied` is told the reason, a name of
    `metrics`, for which a connection is one too many. `broken_off` is told of connections that end amid a request.
    """

    noisy = False

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], wall: Callable[[], float], limits: Limits,
                 respond: Respond, refused: Callable[[ClientConnection, Refusal], None],
                 base: Callable[[str, int], str], log: ExchangeLog, quotas: Quotas,
                 denied: Callable[[str, str], None],
                 broken_off: Callable[[ClientConnection], None] = lambda connection: None) -> None:
        self._quotas = quotas
        self._denied = denied
        self._of: dict[str, dict[ClientConnection, None]] = {}  # each client's, the oldest first
        self._handshakes = Handshakes()
        self.reactor = reactor
        self.seconds = seconds
        self.limits = limits
        self.respond = respond
        self.refused = refused
        self.broken_off = broken_off
        self.base = base
        self.connections: set[ClientConnection] = set()
        self._idle: dict[ClientConnection, None] = {}  # the one that waits longest first
        self.post = WriteScheduler(reactor)
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
        """Whether exchanges are recorded as they are on the wire."""
        return self._log.captures is not None

    def tape(self) -> Tape | None:
        """What an exchange that begins is recorded on, if it is."""
        return self._log.tape()

    def date(self) -> bytes:
        """The Date field for now, written once a second."""
        now = int(self._wall())
        if self._date[0] != now:
            self._date = (now, http_date(now))
        return self._date[1]

    def idles(self, connection: ClientConnection) -> None:
        """Record that a connection has been answered and waits for its next request."""
        self._idle[connection] = None

    def works(self, connection: ClientConnection) -> None:
        """It does not wait for its next request any more, or is being closed."""
        self._idle.pop(connection, None)

    def arrived(self, connection: ClientConnection) -> Admission:
        """A connection is there. Too many are its client's or everybody's, or its client shakes hands too often."""
        self.connections.add(connection)
        own = self._of.setdefault(client_of(connection.client), {})
        own[connection] = None
        # First of all: what is not let in must not make anybody go.
        if connection.secure and not self._quotas.admits_handshake(connection.client, self.seconds()):
            self._denied(RATE, connection.client)
            return Admission.HUNG_UP_ON
        beyond = self._quotas.connections_beyond(connection.client, len(own))
        if beyond <= 0:
            beyond = len(self.connections) - self.limits.connections
            if beyond <= 0 or self._make_room(len(own)):
                return Admission.LET_IN
        self._denied(CONNECTIONS, connection.client)
        return Admission.REFUSED if beyond <= MAX_REFUSED else Admission.HUNG_UP_ON

    def _make_room(self, count: int) -> bool:
        """End a connection for one of a client that has so many, with that one; False if there is none to end.

        That is the one that has waited longest for its next request; else, of the client that has most, and more than
        this one, the oldest that is not being answered: nobody keeps others out with requests that never become whole.
        """
        longest = next(iter(self._idle), None)
        if longest is not None:
            longest.drain()
            return True
        most = max(self._of.values(), key=len)
        oldest = None if len(most) <= count else next((one for one in most if one.can_make_room()), None)
        if oldest is None:
            return False
        oldest.abort()
        return True

    def not_secured(self, connection: ClientConnection, error: SSL.Error) -> None:
        """Its TLS handshake came to nothing."""
        self._denied(TLS, connection.client)
        self._handshakes.failed(client_of(connection.client), error, self.seconds())

    def left(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.works(connection)
        client = client_of(connection.client)
        own = self._of[client]
        del own[connection]
        if not own:
            del self._of[client]
        if not self.connections:
            waiting, self._waiting = self._waiting, []
            for empty in waiting:
                empty.callback(None)

    def empty(self) -> Deferred[None]:
        """Fires when no connection is open."""
        empty: Deferred[None] = Deferred(self._waiting.remove)
        if self.connections:
            self._waiting.append(empty)
        else:
            empty.callback(None)
        return empty

    def drain(self) -> None:
        """Close each connection as soon as it has no request to answer any more."""
        self.draining = True
        for connection in list(self.connections):
            connection.drain()

    def close_all(self) -> Deferred[None]:
        """Abort every connection; fires when the last one is gone."""
        for connection in list(self.connections):
            connection.abort()
        return self.empty()
