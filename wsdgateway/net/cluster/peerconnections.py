"""The connections to one other gateway, and the requests that wait for one.

RFC 9112 section 9. They are `net.scanners`' connections, which read an answer strictly; the rest differs from a device:
there are many connections, no rate and no circuit breaker, and a request whose connection breaks is never sent again.
"""

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.health.causes import Cause
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.responses import Head
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.scanners.connector import CONNECT_ERRORS, endpoint_of, factory_for
from wsdgateway.net.scanners.failures import Insecure, text_of
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.pool import ConnectionPool
from wsdgateway.net.scanners.request import ANSWERED, CONNECTING, SENT, ScannerRequest
from wsdgateway.net.transport.errors import STOPPING, DeviceError, Unavailable
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.identity import BadIdentity

CONNECT_SECONDS = 2.0  # until a connection to another gateway is open, handshake included
MAX_CONNECTIONS = 200  # to one other gateway
MAX_WAITING = 400  # requests that wait for a connection to one gateway


class NoRoom(Unavailable):
    """Too many requests wait for a connection to the other gateway. Nothing was sent."""


class PeerConnections:
    """The connections to one gateway, and the requests that wait for one. It is the owner of its connections."""

    log = Logger()

    def __init__(self, reactor: Any, options: ScannerOptions, post: WriteScheduler) -> None:
        self.reactor = reactor
        self.options = options
        self.post = post
        self.heads: KnownHeads[Head] = KnownHeads()
        self._pool = ConnectionPool(reactor)
        self._waiting: deque[ScannerRequest] = deque()
        self._connecting: dict[ScannerRequest, Deferred[Any]] = {}
        self._stopped = False
        self._empty: list[Deferred[None]] = []

    @property
    def is_unused(self) -> bool:
        """True if there is no request and no connection."""
        return not (len(self._pool) or self._waiting or self._connecting)

    def has(self, request: ScannerRequest) -> bool:
        """True if the request waits here, or is in progress."""
        return (request in self._connecting or request in self._waiting
                or any(other is request for other in self._pool.requests()))

    def begin(self, request: ScannerRequest) -> None:
        """Send a request as soon as there is a connection for it."""
        idle = self._pool.take(request.address)
        if idle is not None:
            idle.send(request)
        elif len(self._pool) + len(self._connecting) < MAX_CONNECTIONS:
            self._connect(request)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(request)
        else:
            request.fail(NoRoom(request.address.host, f"{MAX_WAITING} requests wait for a connection already"))

    def _connect(self, request: ScannerRequest) -> None:
        address = request.address
        request.state = CONNECTING
        try:
            endpoint = endpoint_of(self.reactor, address, "", CONNECT_SECONDS, self.options.trust)
        except BadFile as bad:
            key = bad.key if isinstance(bad, BadIdentity) else "ca"
            request.fail(Unavailable(address.host, f"[cluster] {key} must be {bad}"))
            return
        attempt: Deferred[Any] = endpoint.connect(factory_for(self, address))
        attempt.addCallback(lambda connection: connection.ready)
        attempt.addTimeout(CONNECT_SECONDS, self.reactor)
        self._connecting[request] = attempt
        attempt.addCallbacks(self._connected, self._not_connected, callbackArgs=(request,), errbackArgs=(request,))
        attempt.addErrback(lambda failure: self.log.failure("Connecting to the gateway at {host} failed", failure,
                                                            host=address.host))

    def _connected(self, connection: DeviceConnection, request: ScannerRequest) -> None:
        self._connecting.pop(request, None)
        self._pool.add(connection)
        if request.answered.called or self._stopped:
            self.released(connection, reusable=not self._stopped)
        else:
            connection.send(request)

    def _not_connected(self, failure: Failure, request: ScannerRequest) -> None:
        self._connecting.pop(request, None)
        if failure.check(*CONNECT_ERRORS) is None:
            self.log.failure("Connecting to the gateway at {host} failed", failure, host=request.address.host)
        why = text_of(failure.value)
        if isinstance(failure.value, Insecure):
            why = f"{failure.value.cause.clause}; set [cluster] ca to the file of its authority"
        request.fail(Unavailable(f"{request.address.host}:{request.address.port}", why))
        self._next()

    def _next(self) -> None:
        while self._waiting and not self._stopped:
            request = self._waiting[0]
            idle = self._pool.take(request.address)
            if idle is not None:
                self._waiting.popleft()
                idle.send(request)
            elif len(self._pool) + len(self._connecting) < MAX_CONNECTIONS:
                self._waiting.popleft()
                self._connect(request)
            else:
                return
        if self._stopped and self.is_unused:
            empty, self._empty = self._empty, []
            for waiting in empty:
                waiting.callback(None)

    def end(self, request: ScannerRequest, error: Unavailable, state: Any = None) -> None:
        """End a request, and close its connection."""
        former = request.state
        if state is not None:
            request.state = state
        if request in self._waiting:
            self._waiting.remove(request)
        elif former in (SENT, ANSWERED) and isinstance(request.connection, DeviceConnection) and (
                request.connection.request is request):
            request.connection.expire(error)
        request.fail(error)
        connecting = self._connecting.get(request)
        if connecting is not None:
            connecting.cancel()

    def stop(self) -> None:
        """Close every connection."""
        self._stopped = True
        for request in (*self._waiting, *self._connecting, *self._pool.requests()):
            self.end(request, Unavailable(request.address.host, STOPPING))
        self._pool.stop()

    def closed_all(self) -> Deferred[None]:
        """Fires when every connection is closed."""
        empty: Deferred[None] = Deferred()
        self._empty.append(empty)
        self._next()
        return empty

    # The interface for connections.

    def reached(self, peer: str) -> None:
        """Do nothing."""

    def received(self) -> None:
        """Do nothing."""

    def answered(self) -> None:
        """Do nothing."""

    def completed(self) -> None:
        """Do nothing."""

    def broken(self, cause: Cause) -> None:
        """Do nothing: the request fails, too."""

    def released(self, connection: DeviceConnection, *, reusable: bool) -> None:
        """Make a connection idle after an exchange, or close it."""
        if reusable and not self._stopped:
            self._pool.keep(connection)
        else:
            self._pool.close(connection)
        self._next()

    def closed(self, connection: DeviceConnection) -> None:
        """Forget a lost connection."""
        self._pool.gone(connection)
        self._next()

    def resend(self, request: ScannerRequest) -> None:
        """Fail a request whose connection broke before an answer: it may have been carried out."""
        what = "it closed the connection without an answer"
        if request.address.secure:
            what += "; if it did not accept this gateway's certificate, its log says so"  # TLS 1.3 tells it so late
        error: DeviceError = Unavailable(f"{request.address.host}:{request.address.port}", what)
        request.fail(error)
