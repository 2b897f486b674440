"""Decides whether a new connection is admitted, and which other one is closed to make room for it.

RFC 9112, sections 9.3 and 9.5. The configuration's `[limits] connections` limits all connections together,
`client_connections` those of one client; a TLS handshake counts as several of a client's requests.

The admin site, with `[admin] connections`, has a different rule, `SharedConnections`: administrators often share one
address, that of this host or of a reverse proxy, and must be admitted even if silent connections from the same address
fill all places. The rule for clients would refuse the new connection in that case, since otherwise one client could end
the requests of others.
"""

from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import attrs

from wsdgateway.bridge.access.quotas import Quotas, client_of

MAX_REFUSED = 100  # connections beyond the limit that get an answer; any more are closed without one

TOO_MANY, TOO_OFTEN = "connections", "rate"  # the names in the metrics


class Admission(Enum):
    """The ways to receive a connection: admitted, refused with an answer, or closed without one."""

    LET_IN = "admitted"
    REFUSED = "refused"
    HUNG_UP_ON = "disconnected"


class Connection(Protocol):
    """A client's connection. `client` is its IP address."""

    client: str

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""

    def can_make_room(self) -> bool:
        """True if it may be closed to make room for another: the client waits for no answer, and is reading none."""


C = TypeVar("C", bound=Connection)


@attrs.frozen
class ArrivalDecision(Generic[C]):
    """The consequences of a new connection.

    `reason` is the limit for which the connection is refused, None if it is admitted. `drained` is a connection that
    waits for its next request and is to be closed for the new one, `aborted` one that is to be aborted.
    """

    admission: Admission
    reason: str | None = None
    drained: C | None = None
    aborted: C | None = None


# A single instance, since this is decided for each connection.
_LET_IN: ArrivalDecision[Any] = ArrivalDecision(Admission.LET_IN)


class OpenConnections(Generic[C]):
    """The open connections by client, and those that wait for their next request."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._all: dict[C, None] = {}
        self._of: dict[str, dict[C, None]] = {}  # each client's connections, oldest first
        self._idle: dict[C, None] = {}  # the one that has waited longest is first

    def __iter__(self) -> Iterator[C]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    @property
    def idle(self) -> int:
        """The number of connections that wait for their next request."""
        return len(self._idle)

    @property
    def clients(self) -> int:
        """The number of clients that have connections."""
        return len(self._of)

    def arrived(self, connection: C, limit: int, now: float) -> ArrivalDecision[C]:
        """Count a new connection, given that `limit` may be open, and decide how to treat it.

        A client with too many handshakes is refused first, so that it cannot displace any other connection.
        """
        client = connection.client
        own = self._of.setdefault(client_of(client), {})
        self._all[connection] = None
        own[connection] = None
        if connection.secure and not self._quotas.admits_handshake(client, now):
            return ArrivalDecision(Admission.HUNG_UP_ON, TOO_OFTEN)
        beyond = self._quotas.connections_beyond(client, len(own))
        if beyond <= 0:
            beyond = len(self._all) - limit
            if beyond <= 0:
                return _LET_IN
            longest = next(iter(self._idle), None)
            if longest is not None:
                return ArrivalDecision(Admission.LET_IN, drained=longest)
            oldest = self._oldest_of_another(len(own))
            if oldest is not None:
                return ArrivalDecision(Admission.LET_IN, aborted=oldest)
        return ArrivalDecision(Admission.REFUSED if beyond <= MAX_REFUSED else Admission.HUNG_UP_ON, TOO_MANY)

    def has_room(self, client: str, limit: int) -> bool:
        """True if a new connection of this client would be admitted without closing another one."""
        return len(self._all) < limit and self._quotas.connections_beyond(
            client, len(self._of.get(client_of(client), ())) + 1) <= 0

    def _oldest_of_another(self, count: int) -> C | None:
        """The oldest connection that can make room, of the client with most connections if it has more than `count`.

        This keeps a client from locking others out with requests that it never completes.
        """
        most = max(self._of.values(), key=len)
        return None if len(most) <= count else next((one for one in most if one.can_make_room()), None)

    def idles(self, connection: C) -> None:
        """Record that a connection has been answered and waits for its next request."""
        self._idle[connection] = None

    def works(self, connection: C) -> None:
        """Record that a connection no longer waits for its next request, or is being closed."""
        self._idle.pop(connection, None)

    def left(self, connection: C) -> None:
        """Forget a closed connection."""
        self._all.pop(connection, None)
        self._idle.pop(connection, None)
        client = client_of(connection.client)
        own = self._of[client]
        del own[connection]
        if not own:
            del self._of[client]


T = TypeVar("T", bound=Hashable)


class SharedConnections(Generic[T]):
    """The open connections of a site that does not distinguish clients, and those of them that wait for a request."""

    def __init__(self) -> None:
        self._open: set[T] = set()
        # The one that has waited longest is first.
        self._waiting: dict[T, None] = {}
        self._arriving: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unanswered(self) -> list[T]:
        """The connections on which no request is being answered, in the order in which they make room.

        Connections that have been answered and wait for their next request come first, then those whose request is
        arriving.
        """
        return [*self._waiting, *self._arriving]

    def arrived(self, connection: T, limit: int) -> tuple[list[T], bool]:
        """The connections to close, given that `limit` may be open, and whether the new one is admitted and counted.

        Connections on which a request is being answered are never closed.
        """
        surplus = len(self._open) - limit + 1
        closed = self.unanswered[:surplus] if surplus > 0 else []
        is_admitted = len(closed) >= surplus
        if is_admitted:
            self._open.add(connection)
        return closed, is_admitted

    def arrives(self, connection: T) -> None:
        """Record that a request is arriving on a connection, or that its first one is awaited."""
        self._waiting.pop(connection, None)
        self._arriving.setdefault(connection)

    def answers(self, connection: T) -> None:
        """Record that a complete request has arrived, and is being answered."""
        self._waiting.pop(connection, None)
        self._arriving.pop(connection, None)

    def waits(self, connection: T) -> None:
        """Record that a connection has been answered and waits for its next request."""
        self._waiting[connection] = None

    def left(self, connection: T) -> None:
        """Forget a connection that is closed or being closed."""
        self._open.discard(connection)
        self.answers(connection)
