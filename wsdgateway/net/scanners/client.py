"""Connections to one device: a bounded pool, a bounded queue, a bounded rate, time-outs.

RFC 9112 section 9. Scanners take one or two connections at a time and hang when pressed, so all that
goes to a device goes through here.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.python.failure import Failure

from wsdgateway.net.scanners.capacity import Capacity
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.scanners.connector import Attempts
from wsdgateway.net.scanners.keepalive import IdleConnections
from wsdgateway.net.scanners.queue import ScannerQueue
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.coalescing import WriteScheduler
from wsdgateway.net.transport.errors import Busy, Unavailable
from wsdgateway.net.transport.timeouts import Deadlines
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust

LINGER_SECONDS = 1.0


class DeviceClient:
    """Everything that goes to one device. Times are in seconds.

    `timeout` bounds one exchange, from the moment at which the request goes to the device; before that, it bounds the
    wait for a turn. So a request that is sent has the whole time, and one whose turn did not come says nothing about
    the device.

    `on_recovered` is called when the device takes a connection after it did not; with True if it counted as
    unreachable. `on_reachable` is called when it answers after it did not, or the other way round. `heard_at` is when
    it last said something, or when we began to listen; `zone` the interface over which link-local addresses are
    reached; `trust` judges a device that is asked by TLS; `rate_limit` bounds how often it is asked, several clients of
    one device share it.
    """

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], max_connections: int, timeout: float,
                 idle_timeout: float, lenient: bool, trust: Trust = BY_THE_SYSTEM, rate_limit: RateLimit | None = None,
                 on_recovered: Callable[[bool], None] = lambda was_open: None,
                 on_reachable: Callable[[], None] = lambda: None) -> None:
        self.reactor = reactor
        self.idle_timeout = idle_timeout
        self.lenient = lenient
        self.trust = trust
        self.peers: set[str] = set()
        self._seconds = seconds
        self._limit = max_connections
        self._capacity = Capacity()
        self._timeout = timeout
        self._on_recovered = on_recovered
        self._on_reachable = on_reachable
        self.zone = ""
        self.post = WriteScheduler(reactor)
        self._reachable: bool | None = None
        self.heard_at = seconds()
        self._line = ScannerQueue(reactor, seconds, rate_limit or RateLimit(0.0), self._next)
        self._open: set[DeviceConnection] = set()
        self._closing: set[DeviceConnection] = set()
        self._idle = IdleConnections(reactor, self._close)
        self._exchanges = Deadlines(reactor, timeout)
        self._former: list[Deadlines] = []
        self._quiet: list[Deferred[None]] = []
        self._lingering = Deadlines(reactor, LINGER_SECONDS)
        self._attempts = Attempts(self, seconds, connected=self._connected, not_connected=self._not_connected,
                                  is_occupied=self._is_occupied)
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
        self._attempts.moved()
        self._capacity.forget()
        self.peers = set()

    def request(self, call: ScannerRequest) -> Deferred[Response]:
        """Send a request. Fires with its `Response`, or fails with a `DeviceError`."""
        if self._stopped is not None:
            call.fail(Unavailable(call.address.host, "the gateway is stopping"))
            return call.answered
        if self.trust.demanded and not call.address.secure:
            call.fail(Unavailable(call.address.host, "it is to be asked by TLS, and the address that it gives is http"))
            return call.answered
        self._place(call)
        return call.answered

    def again(self, call: ScannerRequest) -> None:
        """A repeatable request whose connection broke goes out once more.

        A connection that was made for it, and that the device closed beside another exchange, was one too many.
        """
        if self._stopped is not None:
            call.fail(Unavailable(call.address.host, "the gateway is stopping"))
            return
        others = self._under_way()
        if others and isinstance(call.connection, DeviceConnection) and call.connection.requests == 1:
            self._capacity.refused(others, self._seconds())
            call.taken_back = True
        self._place(call)

    def _place(self, call: ScannerRequest) -> None:
        """Give the call a connection, a place in the queue, or an error."""
        if not self._goes_now(call):
            call.lift_deadline()
            call.deadline = self._exchanges.begin(lambda: self._waited(call))
            self._line.join(call)

    def _goes_now(self, call: ScannerRequest) -> bool:
        """Give the call a connection, or an error, if it can have one now."""
        if self._line.is_held(call):
            return False
        idle = self._take_idle(call)
        if idle is not None:
            self._goes(call)
            idle.send(call)
        elif self._has_room(call):
            self._connect(call)
        else:
            return False
        return True

    def also_for(self, call: ScannerRequest, client: str) -> None:
        """Another client waits for the answer to the call, which may go in that client's turn, too."""
        self._line.share(call, client)

    def _goes(self, call: ScannerRequest) -> None:
        """Start the time-out of a call whose turn has come."""
        self._line.goes(call)
        call.lift_deadline()
        call.went_at = self._seconds()
        call.deadline = self._exchanges.begin(lambda: self._expired(call))

    def _has_room(self, call: ScannerRequest) -> bool:
        """Whether a connection may be opened now; an urgent call may use one more.

        An idle one is closed to make room; there is room once it is gone, for many a device counts it until then.
        """
        has_one_more = call.operation.urgent
        if self._line.others_are_due and self._is_urgent_under_way():
            has_one_more = not has_one_more  # the urgent ones keep to that one connection
        limit = self._limit + (1 if has_one_more else 0)
        if not call.operation.urgent:
            limit = self._capacity.most(limit, self._seconds())
        if len(self._open) + len(self._attempts) + len(self._closing) < limit:
            return True
        if self._idle and not self._closing:
            self._close(self._idle.longest())
        return False

    def _under_way(self) -> int:
        """How many exchanges the device has taken, and not ended."""
        return sum(connection.call is not None for connection in self._open)

    def _is_occupied(self, call: ScannerRequest, failure: Failure) -> bool:
        """Whether the device did not take a connection for the call because it is serving another."""
        if not self._under_way():
            return False
        is_refused = failure.check(ConnectionRefusedError) is not None
        return is_refused or (failure.check(TimeoutError) is not None and self.heard_at > call.went_at)

    def _is_urgent_under_way(self) -> bool:
        under_way = (*self._attempts, *(connection.call for connection in self._open))
        return any(call is not None and call.operation.urgent for call in under_way)

    def _take_idle(self, call: ScannerRequest) -> DeviceConnection | None:
        """An idle connection to the call's address, if it is one that may go out on it."""
        if not call.operation.repeatable or call.resent:
            return None
        return self._idle.take(call.address)

    def _close(self, connection: DeviceConnection) -> None:
        """Let go of a connection; its place is free when it is gone, `LINGER_SECONDS` from now at the latest."""
        self._open.discard(connection)
        if not connection.lost:
            self._closing.add(connection)
            connection.transport.loseConnection()
            self._lingering.begin(connection.abort)

    def _connect(self, call: ScannerRequest) -> None:
        if not self._attempts.circuit.admits(self._seconds()):
            self._line.leave(call)
            call.fail(Unavailable(call.address.host, "it does not take connections; the next try is within 5 seconds"))
            return
        self._goes(call)
        self._attempts.begin(call, self.zone, self._timeout)

    def _connected(self, connection: DeviceConnection, call: ScannerRequest) -> None:
        was_open = self._attempts.circuit.is_open
        failures = self._attempts.circuit.succeeded()
        self._open.add(connection)
        if failures:
            # Before the request goes out: what is learnt of a recovery must not outdate the answer to it.
            self._on_recovered(was_open)
        if call.answered.called:
            self.released(connection, reusable=True)
        else:
            connection.send(call)

    def _not_connected(self, call: ScannerRequest, error: Unavailable, is_to_blame: bool) -> None:
        if is_to_blame:
            self._found(False)
        others = self._under_way()
        if isinstance(error, Busy) and others and not call.operation.urgent and not call.answered.called:
            self._capacity.refused(others, self._seconds())
            call.taken_back = True
            self._place(call)
            return
        call.fail(error)
        if is_to_blame and self._attempts.circuit.is_open and self._stopped is None:
            for other in self._line.disperse():
                other.fail(Unavailable(other.address.host, "it does not take connections"))
        else:
            self._next()

    def _waited(self, call: ScannerRequest) -> None:
        """The call's turn has not come in time."""
        self._line.leave(call)
        call.fail(Busy(call.address.host, f"this request waited {self._timeout:g} seconds for its turn"))

    def _expired(self, call: ScannerRequest) -> None:
        """The time for the exchange is over. A device that has said anything meanwhile is busy, and not away."""
        if self._reachable and call not in self._attempts and self.heard_at <= call.went_at:
            self._found(False)
        self._end(call, f"no complete answer within {self._timeout:g} seconds")

    def abandon(self, call: ScannerRequest) -> None:
        """Nobody wants the answer any more: close the connection that it would have come on."""
        call.abandoned = True
        self._end(call, "the client went away")

    def _end(self, call: ScannerRequest, why: str) -> None:
        error = Unavailable(call.address.host, why)
        call.lift_deadline()
        if call in self._attempts:
            self._attempts.cancel(call)
        elif call.connection is not None:
            connection = call.connection
            assert isinstance(connection, DeviceConnection)
            if connection.call is call:
                connection.expire(error)
        else:
            self._line.leave(call)
        call.fail(error)

    # Called by connections.

    def heard(self) -> None:
        """The device has said something."""
        self.heard_at = self._seconds()

    def answered(self) -> None:
        """The head of an answer has come."""
        self._found(True)

    def reached(self, peer: str) -> None:
        """A connection was made to that IP address."""
        self.peers = {*list(self.peers)[-15:], peer}

    def released(self, connection: DeviceConnection, *, reusable: bool) -> None:
        """An exchange is over; the connection is idle from now on, or closed: the one beyond the limit always is."""
        if not reusable or self._stopped is not None or len(self._open) > self._limit:
            self._close(connection)
        elif connection in self._open:
            self._idle.keep(connection)
        self._next()

    def closed(self, connection: DeviceConnection) -> None:
        """The connection is gone."""
        self._open.discard(connection)
        self._closing.discard(connection)
        self._idle.discard(connection)
        self._next()

    def _next(self) -> None:
        if self._stopped is not None:
            if not (self._open or self._closing or self._attempts or self._stopped.called):
                self._stopped.callback(None)
            return
        while any(self._goes_now(call) for call in self._line.candidates()):
            pass
        if self._line:
            return
        if self._quiet and not self._attempts and len(self._idle) == len(self._open):
            quiet, self._quiet = self._quiet, []
            for waiting in quiet:
                waiting.callback(None)

    def stop(self) -> Deferred[None]:
        """Close everything; what runs fails. Fires when the last connection is gone."""
        if self._stopped is None:
            self._stopped = Deferred()
            for call in (*self._line.disperse(), *self._attempts):
                self._end(call, "the gateway is stopping")
            while self._idle:
                self._close(self._idle.longest())
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
            self._idle.stop()
            self._next()
        return self._stopped
