"""The connections to one device that have been made: in use, idle, or being closed.

RFC 9112 section 9.3. Each is in one of three states, and leaves the pool when it is gone::

    in use ◄──take── idle
      │ │             ▲ │
      │ └────keep─────┘ │
      └─────close───────┴────► closing ──gone, LINGER_SECONDS at the latest──► (out)

A device counts a connection until it is gone, so one that is being closed takes up a place still.
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
    """The connections to one device. Its length is the number of places that they take up."""

    def __init__(self, reactor: Any) -> None:
        self._open: set[DeviceConnection] = set()  # in use, or idle
        self._idle = IdleConnections(reactor, self.close)
        self._closing: set[DeviceConnection] = set()
        self._lingering = Deadlines(reactor, LINGER_SECONDS)

    def __len__(self) -> int:
        return len(self._open) + len(self._closing)

    @property
    def open(self) -> int:
        """How many connections are in use or idle."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    @property
    def is_quiet(self) -> bool:
        """Whether no connection is in use."""
        return len(self._idle) == len(self._open)

    def requests(self) -> Iterator[ScannerRequest]:
        """The requests that the device has taken, and not answered to the end."""
        return (connection.request for connection in self._open if connection.request is not None)

    def add(self, connection: DeviceConnection) -> None:
        """Take a connection that has been made; it is in use."""
        self._open.add(connection)

    def take(self, address: Address) -> DeviceConnection | None:
        """The idle connection to that place that was used last, if there is any; it is in use from now on."""
        return self._idle.take(address)

    def keep(self, connection: DeviceConnection) -> None:
        """Let a connection that was in use be idle; nothing is done to one that is being closed."""
        if connection in self._open:
            self._idle.keep(connection)

    def make_room(self) -> None:
        """Close the connection that has been idle longest, unless another one is being closed already."""
        if self._idle and not self._closing:
            self.close(self._idle.longest())

    def close(self, connection: DeviceConnection) -> None:
        """Close a connection; its place is free once it is gone."""
        self._open.discard(connection)
        if not connection.lost:
            self._closing.add(connection)
            connection.transport.loseConnection()
            self._lingering.begin(connection.abort)

    def gone(self, connection: DeviceConnection) -> None:
        """Forget a connection that has been lost."""
        self._open.discard(connection)
        self._closing.discard(connection)
        self._idle.discard(connection)

    def close_idle(self) -> None:
        """Close every connection that is idle."""
        while self._idle:
            self.close(self._idle.longest())

    def stop(self) -> None:
        """Close every connection at once; what runs on them ends without an answer."""
        self.close_idle()
        for connection in list(self._open):
            if connection.request is not None:
                connection.request.lift_deadline()
            connection.abort()
        for connection in list(self._closing):
            connection.abort()
        self._lingering.stop()
        self._idle.stop()
