"""Connections that are kept for the next request to a device, for a short while.

RFC 9112 section 9.3. One kept longer would take a place that the device could give to others.
"""

from collections.abc import Callable
from typing import Any

from wsdgateway.net.scanners.address import Address
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.transport.timeouts import Deadline, Deadlines

IDLE_SECONDS = 5.0


class IdleConnections:
    """Those of one device, which may answer in several places. `expired` gets those kept for `IDLE_SECONDS`."""

    def __init__(self, reactor: Any, expired: Callable[[DeviceConnection], None]) -> None:
        self._expired = expired
        self._deadlines = Deadlines(reactor, IDLE_SECONDS)
        self._kept: dict[DeviceConnection, Deadline] = {}  # the one that has been kept longest first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, connection: DeviceConnection) -> None:
        """Nothing is under way on it."""
        self._kept[connection] = self._deadlines.begin(lambda: self._end(connection))

    def take(self, address: Address) -> DeviceConnection | None:
        """The one to that place that was used last, if there is any; it is not kept any more."""
        for connection in reversed(self._kept):
            if connection.address.is_same_place(address):
                self.discard(connection)
                return connection
        return None

    def longest(self) -> DeviceConnection:
        """The one that has been kept longest; it is not kept any more. There must be one."""
        connection = next(iter(self._kept))
        self.discard(connection)
        return connection

    def discard(self, connection: DeviceConnection) -> None:
        """It is gone, or in use; if it was kept."""
        deadline = self._kept.pop(connection, None)
        if deadline is not None:
            deadline.lift()

    def _end(self, connection: DeviceConnection) -> None:
        del self._kept[connection]
        self._expired(connection)

    def stop(self) -> None:
        """Wait for no time to end any more."""
        self._deadlines.stop()
