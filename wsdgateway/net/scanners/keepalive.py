"""Idle connections to a device, kept open for its next request for a short while.

RFC 9112 section 9.3. One kept longer would take up a place that the device could give to others.
"""

from collections.abc import Callable
from typing import Any

from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.transport.timeouts import Deadline, Deadlines

IDLE_SECONDS = 5.0


class IdleConnections:
    """The idle connections of one device, to one address or several. `expired` gets those kept for `IDLE_SECONDS`."""

    def __init__(self, reactor: Any, expired: Callable[[DeviceConnection], None]) -> None:
        self._expired = expired
        self._deadlines = Deadlines(reactor, IDLE_SECONDS)
        self._kept: dict[DeviceConnection, Deadline] = {}  # the one that has been kept longest first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, connection: DeviceConnection) -> None:
        """Keep a connection on which nothing is under way."""
        self._kept[connection] = self._deadlines.begin(lambda: self._end(connection))

    def take(self, address: Address) -> DeviceConnection | None:
        """The connection to that address that was used last, if there is any; it is not kept any more."""
        for connection in reversed(self._kept):
            if connection.address.is_same_place(address):
                self.discard(connection)
                return connection
        return None

    def longest(self) -> DeviceConnection:
        """The connection that has been idle longest; it is not kept any more. There must be one."""
        connection = next(iter(self._kept))
        self.discard(connection)
        return connection

    def discard(self, connection: DeviceConnection) -> None:
        """Keep a connection no longer, if it was kept: it is gone, or in use."""
        deadline = self._kept.pop(connection, None)
        if deadline is not None:
            deadline.lift()

    def _end(self, connection: DeviceConnection) -> None:
        del self._kept[connection]
        self._expired(connection)

    def stop(self) -> None:
        """Call `expired` no more."""
        self._deadlines.stop()
