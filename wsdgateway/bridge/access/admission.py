"""Decides whether a new connection is admitted, and which other one ends to make room for it.

RFC 9112, sections 9.3 and 9.5. The configuration's `[limits] connections` bounds all connections together,
`client_connections` those of one client; a TLS handshake counts as several of a client's requests.

The admin site, with `[admin] connections`, has a rule of its own, `SharedConnections`: whoever looks after the gateway
often has one address for all, that of this host or of a reverse proxy, and must get in although silent connections from
the same address take all the places. The rule for clients refuses a new connection then, since it would let one client
end the requests of others.
"""

from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import attrs

from wsdgateway.bridge.access.quotas import Quotas, client_of

MAX_REFUSED = 100  # connections beyond the bound that are told so; more than that are closed without a word

TOO_MANY, TOO_OFTEN = "connections", "rate"  # as the metrics call them


class Admission(Enum):
    """The ways to receive a connection: admitted, refused with an answer, or closed without one."""

    LET_IN = "let in"
    REFUSED = "refused"
    HUNG_UP_ON = "hung up on"


class Connection(Protocol):
    """A client's connection. `client` is its IP address."""

    client: str

    @property
    def secure(self) -> bool:
        """Whether it is one with TLS."""

    def can_make_room(self) -> bool:
        """Whether it may end for another one: no answer is awaited or being taken."""


C = TypeVar("C", bound=Connection)


@attrs.frozen
class ArrivalDecision(Generic[C]):
    """The consequences of a new connection.

    `reason` is the bound that the connection is refused for, None if it is let in. `drained` is a connection that
    waits for its next request and is to be closed for this one, `aborted` one that is to be broken off.
    """

    admission: Admission
    reason: str | None = None
    drained: C | None = None
    aborted: C | None = None


# One for all, since this is decided for each connection.
_LET_IN: ArrivalDecision[Any] = ArrivalDecision(Admission.LET_IN)


class OpenConnections(Generic[C]):
    """The connections that are open, whose they are, and which of them wait for their next request."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._all: set[C] = set()
        self._of: dict[str, dict[C, None]] = {}  # each client's, the oldest first
        self._idle: dict[C, None] = {}  # the one that waits longest first

    def __iter__(self) -> Iterator[C]:
        return iter(self._all.copy())

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
        """Count a new connection, where `limit` of them may be open, and decide what becomes of it.

        A client that shakes hands too often is turned away before anything else, so that it makes nobody go.
        """
        client = connection.client
        own = self._of.setdefault(client_of(client), {})
        self._all.add(connection)
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

    def _oldest_of_another(self, count: int) -> C | None:
        """The oldest connection that can make room, of the client with most connections if it has more than `count`.

        So nobody keeps others out with requests that never become whole.
        """
        most = max(self._of.values(), key=len)
        return None if len(most) <= count else next((one for one in most if one.can_make_room()), None)

    def idles(self, connection: C) -> None:
        """Record that a connection has been answered and waits for its next request."""
        self._idle[connection] = None

    def works(self, connection: C) -> None:
        """Record that a connection does not wait for its next request any more, or is being closed."""
        self._idle.pop(connection, None)

    def left(self, connection: C) -> None:
        """Forget a connection that is gone."""
        self._all.discard(connection)
        self._idle.pop(connection, None)
        client = client_of(connection.client)
        own = self._of[client]
        del own[connection]
        if not own:
            del self._of[client]


T = TypeVar("T", bound=Hashable)


class SharedConnections(Generic[T]):
    """The open connections of a site whose clients are not told apart, and those of them that wait for a request."""

    def __init__(self) -> None:
        self._open: set[T] = set()
        # The one that has waited longest first.
        self._waiting: dict[T, None] = {}
        self._arriving: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unanswered(self) -> list[T]:
        """Those on which nothing is being answered, in the order in which they make room.

        First come those that have been answered, and wait for their next request, then those whose request is arriving.
        """
        return [*self._waiting, *self._arriving]

    def arrived(self, connection: T, limit: int) -> tuple[list[T], bool]:
        """The connections to close where `limit` may be open, and whether the new one is let in; then it is counted.

        What is being answered makes no room.
        """
        surplus = len(self._open) - limit + 1
        closed = self.unanswered[:surplus] if surplus > 0 else []
        is_admitted = len(closed) >= surplus
        if is_admitted:
            self._open.add(connection)
        return closed, is_admitted

    def arrives(self, connection: T) -> None:
        """Record that a request is arriving on a connection, or the first one is waited for."""
        self._waiting.pop(connection, None)
        self._arriving.setdefault(connection)

    def answers(self, connection: T) -> None:
        """Record that a whole request is there, and is being answered."""
        self._waiting.pop(connection, None)
        self._arriving.pop(connection, None)

    def waits(self, connection: T) -> None:
        """Record that a connection has been answered and waits for its next request."""
        self._waiting[connection] = None

    def left(self, connection: T) -> None:
        """Forget a connection that is being closed, or is gone."""
        self._open.discard(connection)
        self.answers(connection)
