"""Connections to the admin site: how many there may be, and how long each may take.

RFC 9112 section 9; `[admin] connections`, `[limits] header_timeout` and `keepalive_timeout`. twisted.web times a
connection out that is silent; here a deadline bounds each whole request, body included, however its bytes trickle::

              the whole request             answered
    arriving ───────────────────► answering ────────► waiting
       ▲                                                 │
       └─────────────────────────────────────────────────┘
                    first byte of the next request

    header_timeout while arriving, from the connection or the first byte; keepalive_timeout while waiting; from any of
    them to closing, after which a connection whose client takes nothing more is aborted.

`bridge.access.admission` decides which connections make room for a new one.
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
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.net.transport.timeouts import MovingDeadline

CLOSING_SECONDS = 5.0  # for a client to take what is written, where nothing but a refusal is


@attrs.frozen
class AdminLimits:
    """Limits of the admin site: connections at once, and time-outs in seconds."""

    connections: int = 200
    header_timeout: float = 15.0
    keepalive_timeout: float = 60.0


class AdminConnections:
    """The connections of an admin site, and their limits. `seconds` is a monotonic clock."""

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
        """Whether a new connection may stay; others that wait for a request are closed for it."""
        closed, is_admitted = self._open.arrived(channel, self.limits.connections)
        if (closed or not is_admitted) and self._throttle.allows("", self.seconds()):
            self.log.warn("[admin] connections = {most}: there are so many; for more, those that wait longest for "
                          "a request are closed (said once a minute)", most=self.limits.connections)
        for longest in closed:
            longest.close_unanswered()
        return is_admitted

    def close_all(self) -> None:
        """Close each connection that nothing is being answered on."""
        for channel in self._open.unanswered:
            channel.close_unanswered()


class AdminChannel(HTTPChannel):
    """One connection. `connections`, all of the site's, is set by the site."""

    connections: AdminConnections
    transport: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        self._state = "arriving"
        self._heard = False
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

    def rawDataReceived(self, data: bytes) -> None:
        """A part of a body; what follows a request that was refused is nothing to read."""
        if self._state != "closing":
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """A whole request is there. While it is answered no time is measured: a stream goes on for days."""
        if self._state == "closing":
            return  # refused for its size
        self._state = "answering"
        self._deadline.at = None
        self.connections.answers(self)
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """An answer is written. What came while it was made is the next request, or its beginning."""
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
            self.refuse(408, b"The request has taken too long to arrive.\n")
        else:
            self.close_unanswered()

    def close_unanswered(self) -> None:
        """Close it, although it waits for a request: an answer has had its time to be taken."""
        self._state = "arriving"
        self.loseConnection()

    def refuse(self, status: int, reason: bytes) -> None:
        """Answer a request that is not whole, and close the connection."""
        self.transport.write(response_head(status, [
            (b"Connection", b"close"), (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(reason))]) + reason)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close it when the client has taken what is written; an answer must be taken within keepalive_timeout."""
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
