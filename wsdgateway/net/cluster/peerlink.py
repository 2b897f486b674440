"""The client side of the link between gateways: connections to the other gateways, and the requests on them.

RFC 9112 section 9. Each gateway has a pool of connections of its own. They are `net.scanners`' connections, which read
an answer strictly; the rest differs from a device: there are many connections, no rate and no circuit breaker, and a
request whose connection breaks is never sent again by itself.

A request that has been sent fails if no answer begins within the time limit, or if the scanner has another owner by
then: a gateway whose process is stopped keeps its connections, and would never answer. Once an answer has begun, only
stalls are limited in time.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.health.causes import Cause
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.responses import Head
from wsdgateway.http.urls import Address, address_of
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.scanners.connector import CONNECT_ERRORS, endpoint_of, factory_for
from wsdgateway.net.scanners.failures import Insecure, text_of
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.pool import ConnectionPool
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.request import ABANDONED, ANSWERED, CONNECTING, SENT, ScannerRequest
from wsdgateway.net.transport.errors import DISCONNECTED, STOPPING, DeviceError, Unavailable
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.scan.operations import Operation
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust

CONNECT_SECONDS = 2.0  # until a connection to another gateway is open, handshake included
ANSWER_SECONDS = 130.0  # until an answer begins: twice the default time-out of a scanner, and a margin
STALL_SECONDS = 70.0  # between two pieces of an answer: the default idle time-out of a scanner, and a margin
MARGIN_SECONDS = 10.0  # that an answer may take more than the owner's own time limits
LOOK_SECONDS = 1.0  # between two looks at requests without an answer
MAX_CONNECTIONS = 200  # to one other gateway
MAX_WAITING = 400  # requests that wait for a connection to one gateway
PASSED = Operation("passed", repeatable=True)  # may use an idle connection; `PeerLink` never sends it again


def limits_for(sections: Iterable[ScannerConfig]) -> tuple[float, float]:
    """The time limits that leave the owner those of these scanners: until an answer begins, and between its pieces."""
    listed = list(sections)
    return (max([ANSWER_SECONDS, *(2 * one.timeout + MARGIN_SECONDS for one in listed)]),
            max([STALL_SECONDS, *(one.idle_timeout + MARGIN_SECONDS for one in listed)]))


def _not_pointless() -> None:
    """The check of a call that is over."""


class NoRoom(Unavailable):
    """Too many requests wait for a connection to the other gateway. Nothing was sent."""


@attrs.define(eq=False)
class Call:
    """A request to another gateway, from `began` on, a time in seconds.

    `request` is the request on the wire. `is_pointless` is called each second until the answer begins, and returns why
    it can no longer be expected, or None.
    """

    request: ScannerRequest
    began: float
    is_pointless: Callable[[], str | None]
    doubts: int = 0

    @property
    def answered(self) -> Deferred[Response]:
        """Fires with the answer when it begins, or fails with a `DeviceError`."""
        return self.request.answered

    @property
    def sent(self) -> bool:
        """True if the other gateway may have received the request."""
        return self.request.sent


class PeerLink:
    """The connections to all other gateways. `seconds` is a monotonic clock.

    `secret` returns the secret of the gateways in hexadecimal digits, empty until it is known. Their certificates are
    verified by `trust`. `answer_seconds` and `stall_seconds` limit the wait for an answer and between its pieces.
    """

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], secret: Callable[[], bytes],
                 trust: Trust = BY_THE_SYSTEM, writes: WriteScheduler | None = None,
                 answer_seconds: float = ANSWER_SECONDS, stall_seconds: float = STALL_SECONDS) -> None:
        self.reactor = reactor
        self.seconds = seconds
        self.secret = secret
        self.post = writes or WriteScheduler(reactor)
        self._trust = trust
        self._peers: dict[str, _Peer] = {}
        self._calls: set[Call] = set()
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self.limit(answer_seconds, stall_seconds)

    def limit(self, answer_seconds: float, stall_seconds: float) -> None:
        """Change the time limits of future requests and answers."""
        self._answer_seconds = answer_seconds
        self.options = ScannerOptions(
            ScannerConfig("peer", max_connections=MAX_CONNECTIONS, idle_timeout=stall_seconds), trust=self._trust)
        for peer in self._peers.values():
            peer.options = self.options

    def call(self, owner: Registration, head: bytes, body: bytes, is_pointless: Callable[[], str | None]) -> Call:
        """Send a request to a gateway. `owner` must have an address."""
        try:
            address = address_of(owner.address)
        except ValueError as error:
            request = ScannerRequest(Address(owner.address, 0, b"", b""), PASSED, body, [])
            request.fail(Unavailable(owner.address, str(error)))
            return Call(request, self.seconds(), is_pointless)
        call = Call(ScannerRequest(address, PASSED, body, [], head=head), self.seconds(), is_pointless)
        if self._stopped:
            call.request.fail(Unavailable(address.host, STOPPING))
            return call
        self._calls.add(call)
        call.answered.addBoth(self._over, call)
        if self._timer is None:
            self._timer = self.reactor.callLater(LOOK_SECONDS, self._look)
        self._peer(owner).begin(call.request)
        return call

    def _peer(self, owner: Registration) -> "_Peer":
        peer = self._peers.get(owner.address)
        if peer is None:
            for address, other in list(self._peers.items()):  # gateways come and go
                if other.is_unused:
                    other.stop()
                    del self._peers[address]
            peer = self._peers[owner.address] = _Peer(self)
        return peer

    def abandon(self, call: Call) -> None:
        """Close the connection of a request whose answer is no longer wanted."""
        self._end(call, DISCONNECTED, ABANDONED)

    def _over(self, result: Any, call: Call) -> Any:
        self._calls.discard(call)
        call.is_pointless = _not_pointless  # the former one refers to the call: a cycle
        return result

    def _look(self) -> None:
        """End the requests without an answer that have none to expect."""
        self._timer = None
        now = self.seconds()
        for call in list(self._calls):
            if now - call.began >= self._answer_seconds:
                self._end(call, f"no answer within {self._answer_seconds:g} s")
                continue
            why = call.is_pointless()
            call.doubts = 0 if why is None else call.doubts + 1
            if why is not None and call.doubts > 1:  # the owner lets running requests end when it hands over
                self._end(call, why)
        if self._calls and not self._stopped:
            self._timer = self.reactor.callLater(LOOK_SECONDS, self._look)

    def _end(self, call: Call, why: str, state: Any = None) -> None:
        peer = next((one for one in self._peers.values() if one.has(call.request)), None)
        error = Unavailable(call.request.address.host, why)
        if peer is None:
            call.request.fail(error)
        else:
            peer.end(call.request, error, state)

    async def stop(self) -> None:
        """Close every connection; requests in progress fail."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for peer in self._peers.values():
            peer.stop()
        for peer in self._peers.values():
            await peer.closed_all()


class _Peer:
    """The connections to one gateway, and the requests that wait for one. It is the owner of its connections."""

    log = Logger()

    def __init__(self, link: PeerLink) -> None:
        self._link = link
        self.reactor = link.reactor
        self.options = link.options
        self.post = link.post
        self.heads: KnownHeads[Head] = KnownHeads()
        self._pool = ConnectionPool(link.reactor)
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
            request.fail(Unavailable(address.host, f"[cluster] ca must be {bad}"))
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
        error: DeviceError = Unavailable(f"{request.address.host}:{request.address.port}",
                                         "it closed the connection without an answer")
        request.fail(error)
