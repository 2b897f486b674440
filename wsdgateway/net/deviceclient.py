"""Connections to one device: a bounded pool, a bounded queue, a bounded rate, time-outs, a circuit breaker.

RFC 9112 section 9. Scanners take one or two connections at a time and hang when pressed, so all that
goes to a device goes through here.
"""

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet import error as neterror
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.net.circuit import Circuit
from wsdgateway.net.deadlines import Deadline, Deadlines
from wsdgateway.net.devicecall import Address, Call, Response
from wsdgateway.net.deviceconnection import DeviceConnection, Insecure
from wsdgateway.net.failures import Unavailable
from wsdgateway.net.outbox import PostOffice
from wsdgateway.net.pace import Pace
from wsdgateway.net.routes import zoned
from wsdgateway.net.waitingline import WaitingLine
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import BY_THE_SYSTEM, Caller, Trust

CONNECT_TIMEOUT = 10.0
LINGER_SECONDS = 1.0
IDLE_SECONDS = 5.0  # a connection kept longer takes a place that the device could give to others

CONNECT_ERRORS = (neterror.ConnectError, neterror.TimeoutError, neterror.DNSLookupError,
                   neterror.ConnectingCancelledError, CancelledError, OSError, Insecure,
                   ValueError)  # of a name that can't be one
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # what we have run out of ourselves


def endpoint_of(reactor: Any, address: Address, zone: str, timeout: float, trust: Trust) -> IStreamClientEndpoint:
    """Where a connection is made to. Raises `BadFile`, if there is something wrong with the file of the authority."""
    endpoint: IStreamClientEndpoint
    if isIPAddress(address.host):
        endpoint = TCP4ClientEndpoint(reactor, address.host, address.port, timeout)
    elif isIPv6Address(address.host):
        endpoint = TCP6ClientEndpoint(reactor, zoned(address.host, zone), address.port, timeout)
    else:
        endpoint = HostnameEndpoint(reactor, address.host.encode("idna"), address.port, timeout)
    return wrapClientTLS(Caller(trust, address.host), endpoint) if address.secure else endpoint


class DeviceClient:
    """Everything that goes to one device. Times are in seconds.

    `on_recovered` is called when the device takes a connection after it did not; with True if it counted as
    unreachable. `on_reachable` is called when it answers after it did not, or the other way round. `heard_at` is when
    it last said something, or when we began to listen; `zone` the interface over which link-local addresses are
    reached; `trust` judges a device that is asked by TLS; `pace` bounds how often it is asked, several clients of one
    device share it.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], max_connections: int, timeout: float,
                 idle_timeout: float, lenient: bool, trust: Trust = BY_THE_SYSTEM, pace: Pace | None = None,
                 on_recovered: Callable[[bool], None] = lambda was_open: None,
                 on_reachable: Callable[[], None] = lambda: None) -> None:
        self.reactor = reactor
        self.idle_timeout = idle_timeout
        self.lenient = lenient
        self.trust = trust
        self.peers: set[str] = set()
        self._seconds = seconds
        self._limit = max_connections
        self._timeout = timeout
        self._on_recovered = on_recovered
        self._on_reachable = on_reachable
        self.zone = ""
        self.post = PostOffice(reactor)
        self._circuit = Circuit()
        self._reachable: bool | None = None
        self.heard_at = seconds()
        self._line = WaitingLine(reactor, seconds, pace or Pace(0.0), self._next)
        self._open: set[DeviceConnection] = set()
        self._closing: set[DeviceConnection] = set()
        self._idle: list[tuple[DeviceConnection, Deadline]] = []
        self._exchanges = Deadlines(reactor, timeout)
        self._former: list[Deadlines] = []
        self._quiet: list[Deferred[None]] = []
        self._idling = Deadlines(reactor, IDLE_SECONDS)
        self._lingering = Deadlines(reactor, LINGER_SECONDS)
        self._connecting: dict[Call, Deferred[DeviceConnection]] = {}
        self._stopped: Deferred[None] | None = None

    @property
    def reachable(self) -> bool | None:
        """Whether the device answered when it was last asked; None before that."""
        return self._reachable

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._line)

    def _found(self, reachable: bool) -> None:
        if self._reachable is not reachable:
            self._reachable = reachable
            self._on_reachable()

    def adjust(self, *, max_connections: int, timeout: float, idle_timeout: float, lenient: bool) -> None:
        """Other bounds for what begins from now on."""
        if timeout != self._timeout:
            self._former.append(self._exchanges)
            self._exchanges = Deadlines(self.reactor, timeout)
        self._limit, self._timeout, self.idle_timeout, self.lenient = max_connections, timeout, idle_timeout, lenient
        self._next()

    def quiet(self) -> Deferred[None]:
        """Fires when nothing is under way to the device."""
        quiet: Deferred[None] = Deferred(self._quiet.remove)
        self._quiet.append(quiet)
        self._next()
        return quiet

    def moved(self) -> None:
        """It is somewhere else from now on: what failed before says nothing of it."""
        self._circuit = Circuit()
        self.peers = set()

    def request(self, call: Call) -> Deferred[Response]:
        """Send a request. Fires with its `Response`, or fails with a `DeviceError`."""
        if self._stopped is not None:
            call.fail(Unavailable(call.address.host, "the gateway is stopping"))
            return call.answered
        call.deadline = self._exchanges.begin(lambda: self._expired(call))
        self._place(call)
        return call.answered

    def again(self, call: Call) -> None:
        """A repeatable request whose connection broke goes out once more."""
        if self._stopped is not None:
            call.fail(Unavailable(call.address.host, "the gateway is stopping"))
        else:
            self._place(call)

    def _place(self, call: Call) -> None:
        """Give the call a connection, a place in the queue, or an error."""
        held = self._line.is_held(call)
        idle = None if held else self._take_idle(call)
        if idle is not None:
            self._send(idle, call)
        elif not held and self._has_room(call):
            self._connect(call)
        else:
            self._line.join(call)

    def _send(self, idle: DeviceConnection, call: Call) -> None:
        self._line.goes(call)
        idle.send(call)

    def _has_room(self, call: Call) -> bool:
        """Whether a connection may be opened now; an urgent call may use one more.

        An idle one is closed to make room; there is room once it is gone, for many a device counts it until then.
        """
        limit = self._limit + (1 if call.operation.urgent else 0)
        if len(self._open) + len(self._connecting) + len(self._closing) < limit:
            return True
        if self._idle and not self._closing:
            self._drop_idle(0)
        return False

    def _take_idle(self, call: Call) -> DeviceConnection | None:
        """An idle connection to the call's address, if it is one that may go out on it."""
        if not call.operation.repeatable or call.resent:
            return None
        for position in range(len(self._idle) - 1, -1, -1):
            connection, deadline = self._idle[position]
            if connection.address.is_same_place(call.address):
                del self._idle[position]
                deadline.lift()
                return connection
        return None

    def _drop_idle(self, position: int) -> None:
        connection, deadline = self._idle.pop(position)
        deadline.lift()
        self._close(connection)

    def _close(self, connection: DeviceConnection) -> None:
        """Let go of a connection; its place is free when it is gone, `LINGER_SECONDS` from now at the latest."""
        self._open.discard(connection)
        if not connection.lost:
            self._closing.add(connection)
            connection.transport.loseConnection()
            self._lingering.begin(connection.abort)

    def _connect(self, call: Call) -> None:
        if not self._circuit.admits(self._seconds()):
            call.fail(Unavailable(call.address.host, "it does not take connections; the next try is within 5 seconds"))
            return
        self._line.goes(call)
        address = call.address  # alone: Twisted's connectors are cycles, and would keep the whole call with them
        factory = Factory.forProtocol(lambda: DeviceConnection(self, address))
        factory.noisy = False
        try:
            attempt: Deferred[Any] = endpoint_of(
                self.reactor, call.address, self.zone, min(CONNECT_TIMEOUT, self._timeout), self.trust).connect(factory)
        except BadFile as bad:
            self._circuit.abandoned()
            call.fail(Unavailable(call.address.host, f"its ca has to be {bad}"))
            return
        attempt.addCallback(lambda connection: connection.ready)
        self._connecting[call] = attempt
        attempt.addCallbacks(self._connected, self._not_connected, callbackArgs=(call,), errbackArgs=(call,))
        attempt.addErrback(lambda failure: self.log.failure("while connecting to {host}", failure,
                                                            host=call.address.host))

    def _connected(self, connection: DeviceConnection, call: Call) -> None:
        self._connecting.pop(call, None)
        was_open = self._circuit.is_open
        failures = self._circuit.succeeded()
        self._open.add(connection)
        if call.answered.called:
            self.released(connection, reusable=True)
        else:
            connection.send(call)
        if failures:
            self._on_recovered(was_open)

    def _not_connected(self, failure: Failure, call: Call) -> None:
        self._connecting.pop(call, None)
        if failure.check(*CONNECT_ERRORS) is None:
            self.log.failure("while connecting to {host}", failure, host=call.address.host)
        if call.abandoned or getattr(failure.value, "osError", None) in _OURS:
            self._circuit.abandoned()  # which says nothing about the device
        else:
            self._circuit.failed(self._seconds())
            self._found(False)
        peer = f"{call.address.host}:{call.address.port}"
        call.fail(Unavailable(peer, f"no connection ({failure.getErrorMessage()})"))
        if self._circuit.is_open and self._stopped is None:
            for other in self._line.disperse():
                other.fail(Unavailable(other.address.host, "it does not take connections"))
        else:
            self._next()

    def _expired(self, call: Call) -> None:
        """The time for the whole exchange is over."""
        if self._reachable and call.connection is not None:
            self._found(False)
        self._end(call, f"no complete answer within {self._timeout:g} seconds")

    def abandon(self, call: Call) -> None:
        """Nobody wants the answer any more: close the connection that it would have come on."""
        call.abandoned = True
        self._end(call, "the client went away")

    def _end(self, call: Call, why: str) -> None:
        error = Unavailable(call.address.host, why)
        call.lift_deadline()
        if call in self._connecting:
            self._connecting[call].cancel()
        elif call.connection is not None:
            connection = call.connection
            assert isinstance(connection, DeviceConnection)
            if connection.call is call:
                connection.expire(error)
        else:
            self._line.leave(call)
        call.fail(error)

    # Called by connections.

    def answered(self) -> None:
        """The head of an answer has come."""
        self.heard_at = self._seconds()
        self._found(True)

    def reached(self, peer: str) -> None:
        """A connection was made to that IP address."""
        self.peers = {*list(self.peers)[-15:], peer}

    def released(self, connection: DeviceConnection, *, reusable: bool) -> None:
        """An exchange is over; the connection is idle from now on, or closed: the one beyond the limit always is."""
        if not reusable or self._stopped is not None or len(self._open) > self._limit:
            self._close(connection)
        elif connection in self._open:
            self._idle.append((connection, self._idling.begin(lambda: self._idle_too_long(connection))))
        self._next()

    def _idle_too_long(self, connection: DeviceConnection) -> None:
        for position, (idle, _) in enumerate(self._idle):
            if idle is connection:
                self._drop_idle(position)
                return

    def closed(self, connection: DeviceConnection) -> None:
        """The connection is gone."""
        self._open.discard(connection)
        self._closing.discard(connection)
        for position, (idle, deadline) in enumerate(self._idle):
            if idle is connection:
                deadline.lift()
                del self._idle[position]
                break
        self._next()

    def _next(self) -> None:
        if self._stopped is not None:
            if not (self._open or self._closing or self._connecting or self._stopped.called):
                self._stopped.callback(None)
            return
        while self._line:
            call = self._line.first
            if self._line.is_held(call):
                return
            idle = self._take_idle(call)
            if idle is None and not self._has_room(call):
                return
            self._line.leave(call)
            if idle is not None:
                self._send(idle, call)
            else:
                self._connect(call)
        if self._quiet and not self._connecting and len(self._idle) == len(self._open):
            quiet, self._quiet = self._quiet, []
            for waiting in quiet:
                waiting.callback(None)

    def stop(self) -> Deferred[None]:
        """Close everything; what runs fails. Fires when the last connection is gone."""
        if self._stopped is None:
            self._stopped = Deferred()
            for call in (*self._line.disperse(), *self._connecting):
                self._end(call, "the gateway is stopping")
            while self._idle:
                self._drop_idle(0)
            for connection in self._open:
                if connection.call is not None:
                    connection.call.lift_deadline()
                connection.abort()
            for connection in self._closing:
                connection.abort()
            self._line.stop()
            self._lingering.stop()
            for deadlines in (self._exchanges, *self._former):
                deadlines.stop()
            self._idling.stop()
            self._next()
        return self._stopped
