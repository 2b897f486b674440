"""The client of one device: a bounded connection pool and request queue, a rate limit, and time-outs.

RFC 9112 section 9. Scanners serve one or two connections at a time and hang under load, so all requests to a device go
through its client. `net.scanners.request` shows the states of a request.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.alone import MAX_CONNECTIONS as ALONE_CONNECTIONS
from wsdgateway.bridge.cluster.alone import Alone
from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.health.causes import NO_TLS_ADDRESS, SILENT, Cause
from wsdgateway.bridge.health.contact import Contact
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.responses import Head
from wsdgateway.net.scanners.capacity import Capacity
from wsdgateway.net.scanners.circuitbreaker import LONGEST_PAUSE
from wsdgateway.net.scanners.connection import DeviceConnection
from wsdgateway.net.scanners.connector import Attempts
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.pool import ConnectionPool
from wsdgateway.net.scanners.queue import ScannerQueue
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.request import (
    ABANDONED,
    ANSWERED,
    CONNECTING,
    FAILED,
    SENT,
    WAITING,
    RequestState,
    ScannerRequest,
)
from wsdgateway.net.transport.errors import DISCONNECTED, NOT_OURS, STOPPING, Busy, NotOwned, Unavailable
from wsdgateway.net.transport.timeouts import Deadlines
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.scan.operations import CREATE_SCAN_JOB, RETRIEVE_IMAGE, SUBSCRIBE


class DeviceClient:
    """Sends all requests to one device. Times are in seconds.

    The section's `timeout` limits one exchange, from the moment at which the request is dispatched to the device;
    before that, it limits the wait in the queue. So a dispatched request has the full time, and a time-out in the queue
    says nothing about the device.

    `on_recovered` is called when the device accepts a connection after failures, with True if it counted as
    unreachable. `on_reachable` is called when `reachable` changes, `on_contact` when `contact` does. `last_received` is
    the time at which the device last sent anything, or at which this client was made. `zone` is the interface for
    link-local addresses. `rate_limit` limits the request rate; several clients of one device share it. `writes` sends
    what is written to connections. Nothing is sent unless `holds` is true: else another gateway owns the scanner.
    """

    def __init__(self, reactor: Any, options: ScannerOptions, *, seconds: Callable[[], float], rate_limit: RateLimit,
                 on_recovered: Callable[[bool], None] = lambda was_open: None,
                 on_reachable: Callable[[], None] = lambda: None,
                 on_contact: Callable[[], None] = lambda: None, writes: WriteScheduler | None = None,
                 holds: Callable[[], bool] = always) -> None:
        self.reactor = reactor
        self.options = options
        self.peers: set[str] = set()
        self.rate_limit = rate_limit
        self._seconds = seconds
        self._holds = holds
        self._capacity = Capacity()
        self._on_recovered = on_recovered
        self._on_reachable = on_reachable
        self._on_contact = on_contact
        self.contact = Contact()
        self.zone = ""
        self.post = writes or WriteScheduler(reactor)
        self.heads: KnownHeads[Head] = KnownHeads()
        self._reachable: bool | None = None
        self.last_received = seconds()
        self._queue = ScannerQueue(reactor, seconds, rate_limit, self._next)
        self.connections = ConnectionPool(reactor)
        self._alone: Alone | None = None
        self._timeouts = Deadlines(reactor, options.section.timeout)
        self._former_timeouts: list[Deadlines] = []  # those of former time-outs, until they end
        self._quiet: list[Deferred[None]] = []
        self._attempts = Attempts(self, seconds, connected=self._connected, not_connected=self._not_connected,
                                  is_occupied=self._is_occupied)
        self._stopped: Deferred[None] | None = None

    def beside(self, holds: Callable[[], bool] | None = None) -> "DeviceClient":
        """Makes another client of the same device, with its own connection that does not wait for other requests.

        It may have a check of its own in place of `holds`.
        """
        return DeviceClient(self.reactor, self.options.with_one_connection(), seconds=self._seconds,
                            rate_limit=self.rate_limit, writes=self.post, holds=holds or self._holds)

    @property
    def reachable(self) -> bool | None:
        """True if the device answered the last request; None before the first one."""
        return self._reachable

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._queue)

    def _set_reachable(self, reachable: bool) -> None:
        if self._reachable is not reachable:
            self._reachable = reachable
            self._on_reachable()

    def adjust(self, options: ScannerOptions) -> None:
        """Applies changed limits to future requests."""
        if options.section.timeout != self.options.section.timeout:
            self._former_timeouts.append(self._timeouts)
            self._timeouts = Deadlines(self.reactor, options.section.timeout)
        self.options = options
        self.rate_limit.adjust(options.section)
        self._next()

    def serve_alone(self, alone: Alone | None) -> None:
        """Shares the device with gateways that are not known, or uses its whole capacity again."""
        self._alone = alone
        self.rate_limit.divide(1 if alone is None else alone.gateways)
        self._next()

    @property
    def _max_connections(self) -> int:
        configured = self.options.section.max_connections
        return configured if self._alone is None else min(configured, ALONE_CONNECTIONS)

    def quiet(self) -> Deferred[None]:
        """Fires when no request waits or is in progress, and none has followed the last answer at once."""
        quiet: Deferred[None] = Deferred(self._quiet.remove)
        self._quiet.append(quiet)
        self._next()
        return quiet

    def moved(self) -> None:
        """Forgets earlier failures, because the device has a new address."""
        self._attempts.moved()
        self.contact.moved()
        self._capacity.forget()
        self.peers = set()

    def request(self, request: ScannerRequest) -> Deferred[Response]:
        """Sends a request. Fires with its `Response`, or fails with a `DeviceError`."""
        if self._stopped is not None:
            request.fail(Unavailable(request.address.host, STOPPING))
            return request.answered
        if self.options.trust.demanded and not request.address.secure:
            self._failed(NO_TLS_ADDRESS)
            request.fail(Unavailable(request.address.host, NO_TLS_ADDRESS))
            return request.answered
        self._dispatch_or_queue(request)
        return request.answered

    def resend(self, request: ScannerRequest) -> None:
        """Sends a repeatable request again after its connection broke.

        If the connection was opened for this request, and the device closed it during another exchange, it exceeded the
        device's capacity.
        """
        if self._stopped is not None:
            request.fail(Unavailable(request.address.host, STOPPING))
            return
        others = self._under_way()
        if others and isinstance(request.connection, DeviceConnection) and request.connection.requests == 1:
            self._capacity.refused(others, self._seconds())
            request.refused = True
        self._dispatch_or_queue(request)

    def _dispatch_or_queue(self, request: ScannerRequest) -> None:
        """Gives the request a connection, a place in the queue, or an error."""
        if not self._dispatch(request):
            request.lift_deadline()
            request.deadline = self._timeouts.begin(lambda: self._waited_too_long(request))
            self._queue.add(request)

    def _dispatch(self, request: ScannerRequest) -> bool:
        """Gives the request a connection, or an error, if one is available now; returns False otherwise."""
        if not self._holds():
            self._queue.remove(request)
            request.fail(NotOwned(request.address.host))
            return True
        if self._queue.hold_for_rate(request):
            return False
        idle = self._take_idle(request)
        if idle is not None:
            self._leaves_queue(request)
            idle.send(request)
        elif self._has_room(request):
            self._connect(request)
        else:
            return False
        return True

    def also_for(self, request: ScannerRequest, client: str) -> None:
        """Adds a client that waits for the answer to the request, which may then also be sent in its turn."""
        self._queue.share(request, client)

    def _leaves_queue(self, request: ScannerRequest) -> None:
        """Starts the time-out of a request that is dispatched to the device."""
        self._queue.dispatched(request)
        request.lift_deadline()
        request.dispatched_at = self._seconds()
        request.deadline = self._timeouts.begin(lambda: self._expired(request))

    def _has_room(self, request: ScannerRequest) -> bool:
        """True if a connection may be opened now; if there is no room, closes an idle one to make some."""
        limit = self._capacity.limit(
            self._max_connections, self._seconds(), urgent=request.operation.urgent,
            others_first=self._queue.others_are_due and self._is_urgent_under_way())
        if len(self.connections) + len(self._attempts) < limit:
            return True
        self.connections.make_room()
        return False

    def _under_way(self) -> int:
        """Returns the number of exchanges in progress."""
        return sum(1 for _ in self.connections.requests())

    @property
    def is_scanning(self) -> bool:
        """True while the device is asked for a job or an image; some answer nothing else meanwhile."""
        return any(request.operation in (CREATE_SCAN_JOB, RETRIEVE_IMAGE) for request in self.connections.requests())

    def _is_occupied(self, request: ScannerRequest, failure: Failure) -> bool:
        """True if the device did not accept a connection for the request because it is serving another one."""
        if not self._under_way():
            return False
        is_refused = failure.check(ConnectionRefusedError) is not None
        return is_refused or (
            failure.check(TimeoutError) is not None and self.last_received > request.dispatched_at)

    def _is_urgent_under_way(self) -> bool:
        return any(request.operation.urgent for request in (*self._attempts, *self.connections.requests()))

    def _take_idle(self, request: ScannerRequest) -> DeviceConnection | None:
        """Returns an idle connection to the request's address, if the request may be sent on one."""
        if not request.operation.repeatable or request.times_sent:
            return None
        return self.connections.take(request.address)

    def _connect(self, request: ScannerRequest) -> None:
        if not self._attempts.circuit.admits(self._seconds()):
            self._queue.remove(request)
            cause = self._attempts.circuit.cause
            request.fail(Unavailable(
                request.address.host, f"{cause.clause}; next attempt within {LONGEST_PAUSE:g} s", cause=cause))
            return
        self._leaves_queue(request)
        request.state = CONNECTING
        self._attempts.begin(request, self.zone, self.options.section.timeout)

    def _connected(self, connection: DeviceConnection, request: ScannerRequest) -> None:
        was_open = self._attempts.circuit.is_open
        failures = self._attempts.circuit.succeeded()
        self.connections.add(connection)
        if failures:
            # Before the request is sent: an update caused by the recovery must not make the answer to it out of date.
            self._on_recovered(was_open)
        if not (request.answered.called or self._holds()):
            request.fail(NotOwned(request.address.host))
        if request.answered.called:
            self.released(connection, reusable=True)
        else:
            connection.send(request)

    def _not_connected(self, request: ScannerRequest, error: Unavailable, is_to_blame: bool) -> None:
        if error.cause is not None:
            self._failed(error.cause)
        if is_to_blame:
            self._set_reachable(False)
        others = self._under_way()
        if isinstance(error, Busy) and others and not request.operation.urgent and not request.answered.called:
            self._capacity.refused(others, self._seconds())
            request.refused = True
            request.state = WAITING
            self._dispatch_or_queue(request)
            return
        request.fail(error)
        if is_to_blame and self._attempts.circuit.is_open and self._stopped is None:
            for other in self._queue.clear():
                other.fail(Unavailable(other.address.host, self._attempts.circuit.cause))
        else:
            self._next()

    def _waited_too_long(self, request: ScannerRequest) -> None:
        self._queue.remove(request)
        seconds = self.options.section.timeout
        request.fail(Busy(request.address.host, f"this request waited {seconds:g} s for a connection"))

    def _expired(self, request: ScannerRequest) -> None:
        """Handles the time-out of an exchange.

        A device that has sent anything meanwhile is busy rather than unreachable.
        """
        is_silent = request.state is CONNECTING or self.last_received <= request.dispatched_at
        if is_silent:
            self._failed(SILENT)
        if self._reachable and request.state is not CONNECTING and is_silent:
            self._set_reachable(False)
        why = f"no complete answer within {self.options.section.timeout:g} s"
        self._end(request, f"{SILENT.clause} ({why})" if is_silent else why, cause=SILENT if is_silent else None)

    def disowned(self) -> None:
        """Fails the requests that wait, because another gateway owns the scanner; they can be passed to it."""
        for request in self._queue.clear():
            request.fail(NotOwned(request.address.host))

    def abandon(self, request: ScannerRequest) -> None:
        """Closes the connection of a request whose answer is no longer wanted."""
        self._end(request, DISCONNECTED, ABANDONED)

    def give_up(self, request: ScannerRequest, silent_since: float) -> None:
        """Closes the connection of a request that was sent and has no answer yet, so that it can be asked again.

        A device that restarts, or whose network was interrupted, may never answer it. After silence for the time-out of
        an exchange, the device counts as unreachable, as if the request had lasted so long.
        """
        if request.state is not SENT:
            return
        if self._seconds() - silent_since >= self.options.section.timeout:
            self._expired(request)
        else:
            self._end(request, f"{SILENT.clause} (no answer within {self._seconds() - request.dispatched_at:.0f} s)")

    def _end(self, request: ScannerRequest, why: str, state: RequestState = FAILED, *,
             cause: Cause | None = None) -> None:
        error = Unavailable(request.address.host, why, cause=cause)
        request.lift_deadline()
        former, request.state = request.state, state
        if former is WAITING:
            self._queue.remove(request)
        elif former is CONNECTING:
            self._attempts.cancel(request)
        elif former is SENT or former is ANSWERED:
            connection = request.connection
            assert isinstance(connection, DeviceConnection)
            if connection.request is request:
                connection.expire(error)
        request.fail(error)

    # Called by connections.

    def received(self) -> None:
        """Notes that the device has sent something."""
        self.last_received = self._seconds()

    def answered(self) -> None:
        """Notes that the head of an answer has arrived."""
        changed = self.contact.answered()
        self._set_reachable(True)
        if changed:
            self._on_contact()

    def completed(self) -> None:
        """Notes that an answer has arrived completely."""
        if self.contact.completed():
            self._on_contact()

    def broken(self, cause: Cause) -> None:
        """Notes that the device gave no answer of HTTP on a connection that it had accepted."""
        self._failed(cause)

    def unreachable(self, cause: Cause) -> None:
        """Notes that no request can be sent to the device, for example because its name has no address."""
        self._failed(cause)

    def _failed(self, cause: Cause) -> None:
        if self._stopped is None and self.contact.failed(cause):
            self._on_contact()

    def reached(self, peer: str) -> None:
        """Notes that a connection was made to that IP address."""
        self.peers = {*list(self.peers)[-15:], peer}

    def released(self, connection: DeviceConnection, *, reusable: bool) -> None:
        """Makes a connection idle after an exchange, or closes it; one beyond the limit is always closed."""
        is_one_too_many = self.connections.open > self._max_connections
        if not reusable or self._stopped is not None or is_one_too_many:
            self.connections.close(connection)
        else:
            self.connections.keep(connection)
        self._next()

    def closed(self, connection: DeviceConnection) -> None:
        """Handles the loss of a connection."""
        self.connections.gone(connection)
        self._next()

    def _next(self) -> None:
        if self._stopped is not None:
            if not (self.connections or self._attempts or self._stopped.called):
                self._stopped.callback(None)
            return
        while any(self._dispatch(request) for request in self._queue.candidates()):
            pass
        if self._is_quiet:
            # Not at once: an answer that was just received may lead to another request, such as an Unsubscribe.
            self.reactor.callLater(0, self._tell_quiet)

    @property
    def _is_quiet(self) -> bool:
        return bool(self._quiet) and not self._queue and not self._attempts and self.connections.is_quiet

    def _tell_quiet(self) -> None:
        if self._is_quiet:
            quiet, self._quiet = self._quiet, []
            for waiting in quiet:
                waiting.callback(None)

    def break_off(self) -> None:
        """Fails every request except those for an image that is under way, and Subscribe.

        Another gateway owns the scanner now. What was not sent fails with `NotOwned`. Without the answer to a Subscribe
        nobody could end the subscription.
        """
        for request in (*self._queue.clear(), *self._attempts):
            request.fail(NotOwned(request.address.host))
            self._attempts.cancel(request)
        for request in [one for one in self.connections.requests() if one.operation not in (RETRIEVE_IMAGE, SUBSCRIBE)]:
            self._end(request, NOT_OURS)

    def stop(self) -> Deferred[None]:
        """Closes everything and fails requests in progress. Fires when the last connection has closed."""
        if self._stopped is None:
            self._stopped = Deferred()
            for request in (*self._queue.clear(), *self._attempts, *self.connections.requests()):
                self._end(request, STOPPING)
            self.connections.stop()
            self._queue.stop()
            for timeouts in (self._timeouts, *self._former_timeouts):
                timeouts.stop()
            self._next()
        return self._stopped
