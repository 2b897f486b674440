"""The established connections to one device: in use, idle, or closing.

RFC 9112 section 9.3. Each is in one of three states, and leaves the pool when it is lost::

    in use ◄──take── idle
      │ │             ▲ │
      │ └────keep─────┘ │
      └─────close───────┴────► closing ──lost, after LINGER_SECONDS at the latest──► (out)

A device counts a connection until it is lost, so one that is closing still takes up a place.
"""

from collections.abc import Iterator
from typing import Any

from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.scanners.keepalive import IdleConnections
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.timeouts import Deadlines

LINGER_SECONDS = 1.0


class ConnectionPool:
    """The connections to one device. Its length is the number of places taken up."""

    def __init__(self, reactor: Any) -> None:
        self._open: dict[DeviceConnection, None] = {}  # in use, or idle; as they were made
        self._idle = IdleConnections(reactor, self.close)
        self._closing: dict[DeviceConnection, None] = {}
        self._lingering = Deadlines(reactor, LINGER_SECONDS)

    def __len__(self) -> int:
        return len(self._open) + len(self._closing)

    @property
    def open(self) -> int:
        """Number of connections in use or idle."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        return len(self._idle)

    @property
    def is_quiet(self) -> bool:
        """True if no connection is in use."""
        return len(self._idle) == len(self._open)

    def requests(self) -> Iterator[ScannerRequest]:
        """Returns the requests in progress."""
        return (connection.request for connection in self._open if connection.request is not None)

    def add(self, connection: DeviceConnection) -> None:
        """Adds a new connection, which is in use."""
        self._open[connection] = None

    def take(self, address: Address) -> DeviceConnection | None:
        """Returns the most recently used idle connection to that address, now in use; None if there is none."""
        return self._idle.take(address)

    def keep(self, connection: DeviceConnection) -> None:
        """Makes a connection idle that was in use; ignores one that is closing."""
        if connection in self._open:
            self._idle.keep(connection)

    def make_room(self) -> None:
        """Closes the connection that has been idle longest, unless another one is closing already."""
        if self._idle and not self._closing:
            self.close(self._idle.longest())

    def close(self, connection: DeviceConnection) -> None:
        """Closes a connection; its place is free once it is lost."""
        self._open.pop(connection, None)
        if not connection.lost:
            self._closing[connection] = None
            connection.transport.loseConnection()
            self._lingering.begin(connection.abort)

    def gone(self, connection: DeviceConnection) -> None:
        """Removes a lost connection."""
        self._open.pop(connection, None)
        self._closing.pop(connection, None)
        self._idle.discard(connection)

    def close_idle(self) -> None:
        """Closes every idle connection."""
        while self._idle:
            self.close(self._idle.longest())

    def stop(self) -> None:
        """Closes every connection immediately. The requests in progress must have ended before."""
        self.close_idle()
        for connection in list(self._open):
            connection.abort()
        for connection in list(self._closing):
            connection.abort()
        self._lingering.stop()
        self._idle.stop()
