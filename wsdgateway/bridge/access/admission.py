"""Decides whether a new connection is admitted, and which other one ends to make room for it.

RFC 9112, sections 9.3 and 9.5. The configuration's `[limits] connections` bounds all connections together,
`client_connections` those of one client; a TLS handshake counts as several of a client's requests.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Generic, Protocol, TypeVar

import attrs

from wsdgateway.bridge.access.quotas import Quotas, client_of

MAX_REFUSED = 100  # connections beyond the bound that are told so; more than that are closed without a word

TOO_MANY, TOO_OFTEN = "connections", "rate"  # as the metrics call them


class Admission(Enum):
    """The reception of a connection: admitted, refused with an answer, or closed without one."""

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
class Reception(Generic[C]):
    """The consequences of a new connection.

    `reason` is the bound that the connection is refused for, None if it is let in. `drained` is a connection that
    waits for its next request and is to be closed for this one, `aborted` one that is to be broken off.
    """

    admission: Admission
    reason: str | None = None
    drained: C | None = None
    aborted: C | None = None


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

    def arrived(self, connection: C, limit: int, now: float) -> Reception[C]:
        """Count a new connection, where `limit` of them may be open, and decide what becomes of it.

        A client that shakes hands too often is turned away before anything else, so that it makes nobody go.
        """
        client = connection.client
        own = self._of.setdefault(client_of(client), {})
        self._all.add(connection)
        own[connection] = None
        if connection.secure and not self._quotas.admits_handshake(client, now):
            return Reception(Admission.HUNG_UP_ON, TOO_OFTEN)
        beyond = self._quotas.connections_beyond(client, len(own))
        if beyond <= 0:
            beyond = len(self._all) - limit
            if beyond <= 0:
                return Reception(Admission.LET_IN)
            longest = next(iter(self._idle), None)
            if longest is not None:
                return Reception(Admission.LET_IN, drained=longest)
            oldest = self._oldest_of_another(len(own))
            if oldest is not None:
                return Reception(Admission.LET_IN, aborted=oldest)
        return Reception(Admission.REFUSED if beyond <= MAX_REFUSED else Admission.HUNG_UP_ON, TOO_MANY)

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
