"""Keeps idle connections to a device open for a short while, for its next request.

RFC 9112 section 9.3. A connection kept longer would take up a place that the device could give to others.
"""

from collections.abc import Callable
from typing import Any

from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.transport.timeouts import Deadline, Deadlines

IDLE_SECONDS = 5.0


class IdleConnections:
    """The idle connections of one device. `expired` is called with those idle for `IDLE_SECONDS`.

    They may lead to several addresses.
    """

    def __init__(self, reactor: Any, expired: Callable[[DeviceConnection], None]) -> None:
        self._expired = expired
        self._deadlines = Deadlines(reactor, IDLE_SECONDS)
        self._kept: dict[DeviceConnection, Deadline] = {}  # ordered by idle time, longest first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, connection: DeviceConnection) -> None:
        """Keeps a connection with no exchange in progress."""
        self._kept[connection] = self._deadlines.begin(lambda: self._end(connection))

    def take(self, address: Address) -> DeviceConnection | None:
        """Removes and returns the most recently used connection to that address, or None."""
        for connection in reversed(self._kept):
            if connection.address.is_same_place(address):
                self.discard(connection)
                return connection
        return None

    def longest(self) -> DeviceConnection:
        """Removes and returns the connection that has been idle longest. There must be one."""
        connection = next(iter(self._kept))
        self.discard(connection)
        return connection

    def discard(self, connection: DeviceConnection) -> None:
        """Removes a connection that is lost or in use, if it was kept."""
        deadline = self._kept.pop(connection, None)
        if deadline is not None:
            deadline.lift()

    def _end(self, connection: DeviceConnection) -> None:
        del self._kept[connection]
        self._expired(connection)

    def stop(self) -> None:
        """Stops calling `expired`."""
        self._deadlines.stop()
