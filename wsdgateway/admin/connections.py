"""Limits the connections to the admin site: their number, the time that each may take, and the size of a header block.

RFC 9112 section 9; `[admin] connections`, `[limits] header_timeout` and `keepalive_timeout`. twisted.web only times out
silent connections; here a deadline also bounds each whole request, body included, however slowly its bytes arrive::

              the whole request             answered
    arriving ───────────────────► answering ────────► waiting
       ▲                                                 │
       └─────────────────────────────────────────────────┘
                    first byte of the next request

    header_timeout applies while arriving, from the opening of the connection or the first byte; keepalive_timeout
    while waiting. Each state can lead to closing, after which the connection is aborted if its client stops reading.

`bridge.access.admission` decides which connections are closed to make room for a new one.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from wsdgateway.bridge.access.admission import SharedConnections
from wsdgateway.http.messages import response_head
from wsdgateway.http.requests import MAX_HEADER_BLOCK
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.net.transport.timeouts import MovingDeadline

_TOO_LARGE = b"The header block is larger than %d bytes.\n" % MAX_HEADER_BLOCK
CLOSING_SECONDS = 5.0  # for a client to read a refusal, if nothing else is being written


@attrs.frozen
class AdminLimits:
    """Limits of the admin site: the number of connections, and time-outs in seconds."""

    connections: int = 200
    header_timeout: float = 15.0
    keepalive_timeout: float = 60.0


class AdminConnections:
    """The open connections of an admin site, and their limits. `seconds` is a monotonic clock."""

    log = Logger()

    def __init__(self, reactor: Any, limits: AdminLimits, seconds: Callable[[], float]) -> None:
        self.reactor = reactor
        self.limits = limits
        self.seconds = seconds
        self._open: SharedConnections[AdminChannel] = SharedConnections()
        self.arrives = self._open.arrives
        self.answers = self._open.answers
        self.waits = self._open.waits
        self.left = self._open.left
        self._throttle = LogThrottle()

    def __len__(self) -> int:
        return len(self._open)

    def admits(self, channel: "AdminChannel") -> bool:
        """True if a new connection may stay. May close connections that wait for a request to make room for it."""
        closed, is_admitted = self._open.arrived(channel, self.limits.connections)
        if (closed or not is_admitted) and self._throttle.allows("", self.seconds()):
            self.log.warn("[admin] connections = {most}: the limit is reached; new connections replace those that "
                          "have waited longest for a request (logged at most once a minute)",
                          most=self.limits.connections)
        for longest in closed:
            longest.close_unanswered()
        return is_admitted

    def close_all(self) -> None:
        """Close every connection on which no request is being answered."""
        for channel in self._open.unanswered:
            channel.close_unanswered()


class AdminChannel(HTTPChannel):
    """One connection to the admin site. The site sets `connections`, which holds all of its connections."""

    connections: AdminConnections
    transport: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        self._state = "arriving"
        self._heard = False
        self._head = 0  # bytes of the header block so far
        self._deadline = MovingDeadline(self.connections.reactor, self.connections.seconds, self._late)
        if not self.connections.admits(self):
            self._state = "closing"
            self.transport.abortConnection()
            return
        self._arrive()

    def _arrive(self) -> None:
        self._state = "arriving"
        self._deadline.within(self.connections.limits.header_timeout)
        self.connections.arrives(self)

    def dataReceived(self, data: bytes) -> None:
        if self._state == "closing":
            return
        self._heard = True
        if self._state == "waiting":
            self._arrive()
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Receive a line of a header block."""
        if self._state == "closing":
            return
        self._head += len(line) + len(self.delimiter)
        if self._head > MAX_HEADER_BLOCK:
            self.refuse(431, _TOO_LARGE)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is longer than a header block may be; the end of it has not arrived yet."""
        if self._state != "closing":
            self.refuse(431, _TOO_LARGE)

    def rawDataReceived(self, data: bytes) -> None:
        """Receive a part of a body; ignore what follows a request that was refused."""
        if self._state != "closing":
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """Receive the end of a request. No deadline applies while it is answered: a stream lasts for days."""
        if self._state == "closing":
            return  # refused for its size
        self._state = "answering"
        self._head = 0
        self._deadline.at = None
        self.connections.answers(self)
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Receive the end of an answer. Data that arrived in the meantime belongs to the next request."""
        if self._state != "closing":
            if self._dataBuffer:
                self._arrive()
            else:
                self._state = "waiting"
                self._deadline.within(self.connections.limits.keepalive_timeout)
                self.connections.waits(self)
        super().requestDone(request)

    def _late(self) -> None:
        if self._state == "closing":
            self.transport.abortConnection()
            return
        if self._state == "arriving" and self._heard:
            self.refuse(408, b"The request took too long to arrive.\n")
        else:
            self.close_unanswered()

    def close_unanswered(self) -> None:
        """Close a connection that waits for a request: its client has had the time to read the last answer."""
        self._state = "arriving"
        self.loseConnection()

    def refuse(self, status: int, reason: bytes) -> None:
        """Answer an incomplete request with an error, and close the connection."""
        self.transport.write(response_head(status, [
            (b"Connection", b"close"), (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(reason))]) + reason)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close the connection once the client has read what is written; it has keepalive_timeout to read an answer."""
        if self._state == "closing":
            return
        is_answered = self._state in ("answering", "waiting")
        self._state = "closing"
        self.connections.left(self)
        self._deadline.within(self.connections.limits.keepalive_timeout if is_answered else CLOSING_SECONDS)
        super().loseConnection()

    def connectionLost(self, reason: Failure = Failure(ConnectionLost())) -> None:  # noqa: B008
        self._state = "closing"
        self._deadline.stop()
        self.connections.left(self)
        super().connectionLost(reason)
