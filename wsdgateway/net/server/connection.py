"""A client's connection: reads requests, answers them in order, and enforces the client's limits.

RFC 9112 section 9. One request at a time is answered; while another one is queued, nothing more is read.
`net.server.connectionstates` has a diagram of the states.
"""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.access.admission import Admission
from wsdgateway.http.requests import Refusal, RequestReader
from wsdgateway.net.server import connectionstates as states
from wsdgateway.net.server.connectionstates import ANSWERED, ARRIVING, BEGINNING, GONE, PENDING, SOME, WAITING, WHOLE
from wsdgateway.net.server.exchange import Exchange, refusal_answer
from wsdgateway.net.server.protocols import Server
from wsdgateway.net.server.requestqueue import RequestQueue
from wsdgateway.net.transport.timeouts import MovingDeadline
from wsdgateway.net.transport.writebatching import CoalescedWriter

LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 8 * 1024 * 1024

# The states in which incoming data may be a request.
_LISTENING = (WAITING, ARRIVING, states.ANSWERING, BEGINNING)


@implementer(IPushProducer, IHalfCloseableProtocol)
class ClientConnection(TwistedProtocol):
    """One client's connection over its whole life. `state` is one of `connectionstates`.

    `client` is the client's IP address, `peer` the same with its port.
    """

    transport: Any

    def __init__(self, server: Server, client: str, peer: str) -> None:
        self.client = client
        self.peer = peer
        self.state = WAITING
        self._server = server
        self._reader = RequestReader(server.limits.request_body)
        self._queue = RequestQueue(self._reader, server)
        self._deadline = MovingDeadline(server.reactor, server.seconds, self._overdue)
        self._exchange: Exchange | None = None
        self._paused = False  # the client reads more slowly than answers are written
        self._reading = True  # from the transport; False while a request is queued
        self._read_closed = False
        self._received = 0
        self._lingers_from: int | None = None  # the number of bytes received when it began to linger
        self._last_pending = 0
        self._here: IAddress | None = None

    def connectionMade(self) -> None:
        admission = self._server.arrived(self)
        self._writer = CoalescedWriter(self.transport, self._server.writes)
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._deadline.within(self._server.limits.header_timeout)
        if admission is Admission.HUNG_UP_ON:
            self.abort()
        elif admission is Admission.REFUSED:
            self._queue.refusal = Refusal(503, "Too many connections; try again later.")
            self._step(states.REFUSED)

    def _step(self, happened: str) -> None:
        """Go to the next state, and perform the action of the transition."""
        self.state, act = _STEPS[self.state][happened]
        act(self)

    def _nothing(self) -> None:
        """Do nothing on a transition."""

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""
        return isinstance(self.transport, TLSMemoryBIOProtocol)

    @property
    def path(self) -> bytes:
        """The path of the request that is being read, or was read last."""
        return self._reader.path

    # Reading.

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if (self.state is WAITING or (self._queue.held and self.state is ARRIVING)) and self._serve_known(data):
            return
        if self._reader.finished or self.state not in _LISTENING:
            # Data after the last request is not a request, and is discarded.
            if self._lingers_from is not None and self._received - self._lingers_from >= MAX_LINGER_BYTES:
                self._step(states.ABORT)
            return
        self._server.works(self)
        self._queue.take(data)
        if self.state is WAITING and not (self._paused or self._queue.requests):
            self._step(SOME)
        self._go_on()

    def _serve_known(self, data: bytes) -> bool:
        """Answer a request that the gateway knows, or hold the first piece of one. Returns False for anything else."""
        if self._paused or self._read_closed:
            return False
        found = self._queue.find_known(data, self.client, self.peer)
        if found is None and not self._queue.hold(data):
            return False
        self._server.works(self)
        if found is None:
            self._step(SOME)
        elif isinstance(found, tuple):
            self.state = states.ANSWERING
            self._writer.write(found[0])
            self.exchange_over(found[1])
        else:
            self.state = BEGINNING
            self._hand_over(Exchange(self, found.request), found.serve)
        return True

    def _go_on(self) -> None:
        """Begin the next request, if there is one and the last one has been answered."""
        queue = self._queue
        requests = queue.requests
        while requests and not self._paused and (self.state is WAITING or self.state is ARRIVING):
            self.state, act = _STEPS[self.state][WHOLE]  # `_step`, inlined for speed: every request takes this path
            act(self)
        if self.state is WAITING or self.state is ARRIVING:
            if queue.expected and not (requests or self._paused):
                queue.expected = False
                if self._reader.reading:  # else the body came without waiting for 100 Continue
                    self.write([b"HTTP/1.1 100 Continue\r\n\r\n"])
            if queue.refusal is not None:
                self._step(states.REFUSED)
        if bool(requests) is self._reading and self.state is not GONE and not self._read_closed:
            self._reading = not requests
            if self._reading:
                self.transport.startReading()
            else:
                self.transport.stopReading()

    def _arrives(self) -> None:
        limits = self._server.limits
        self._deadline.within(limits.keepalive_timeout if self._paused else limits.header_timeout)

    def _begin(self) -> None:
        self._hand_over(Exchange(self, *self._queue.requests.popleft()), self._server.respond)

    def _hand_over(self, exchange: Exchange, serve: Callable[[Exchange], None]) -> None:
        self._exchange = exchange
        self._deadline.at = None  # an exchange has its own time-outs
        serve(exchange)
        if self.state is BEGINNING:
            self._step(PENDING)

    # Refusing and closing.

    def _refuse(self) -> None:
        """Send the refusal, then discard further data for a while: a reset could destroy the answer."""
        refusal = self._queue.refusal
        assert refusal is not None
        bare = self._server.refuses_bare(self._reader.path)
        self.write(refusal_answer(refusal, self._server.date(), bare=bare))
        self._server.refused(self, refusal)
        self._lingers_from = self._received
        self._queue.requests.clear()
        if self._read_closed:
            self._close()
            return
        self._writer.flush()
        self.transport.unregisterProducer()
        if self.secure:
            self.transport.loseConnection()  # sends close_notify, and waits for the client's
        else:
            self.transport.loseWriteConnection()
        self._deadline.within(LINGER_SECONDS)

    def _refuse_late(self) -> None:
        self._queue.refusal = Refusal(408, "The request took too long.")
        self._refuse()

    def _leave(self) -> None:
        """Close, and stop waiting for the client to read the answer."""
        self._close()
        self._lingers_from = self._received
        self._deadline.within(LINGER_SECONDS)

    def _end(self) -> None:
        self._queue.requests.clear()
        self._queue.refusal = None
        self._close_in_time()

    def _close_in_time(self) -> None:
        self._deadline.within(self._server.limits.keepalive_timeout)
        self._close()

    def _close(self) -> None:
        """Close once everything is written. A transport with a registered, paused producer would never close.

        RFC 8446, section 6.1: the sender of close_notify need not wait for the peer's. Many peers never send one.
        """
        self._server.works(self)
        self._writer.flush()
        self._last_pending = self.pending()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        if self.secure:
            self.transport.transport.loseConnection()

    def _break_off(self) -> None:
        self.transport.abortConnection()

    # The channel of an exchange.

    def write(self, pieces: list[bytes | memoryview]) -> None:
        """Send bytes; they are discarded if the client has disconnected."""
        if self.state is not GONE:
            self._writer.write(b"".join(pieces))

    def date(self) -> bytes:
        """The current Date field."""
        return self._server.date()

    @property
    def port(self) -> int:
        """The local TCP port; 0 for a local socket."""
        return int(getattr(self._local_address(), "port", 0))

    def base(self) -> str:
        """The URL, without a path, at which the client reached the gateway."""
        here = self._local_address()
        return self._server.base(getattr(here, "host", ""), getattr(here, "port", 0))

    def _local_address(self) -> IAddress | None:
        """The address that the client has connected to, which takes a system call to find out."""
        if self._here is None:
            self._here = self.transport.getHost()
        return self._here

    def has_left(self) -> bool:
        """True if the client has closed its sending side, which most clients only do when they disconnect."""
        return self._read_closed

    def pending(self) -> int:
        """The number of bytes that the client has not read yet."""
        return self._writer.pending

    def unacknowledged(self) -> int:
        """The number of bytes that the client's host has not acknowledged yet; 0 if that is not known."""
        return self._writer.unacknowledged

    def exchange_over(self, keep_alive: bool) -> None:
        """End the exchange: read the next request, or close."""
        self._exchange = None
        if keep_alive and not self._read_closed and not self._server.draining:
            self.state, act = _STEPS[self.state][states.ANSWERED_AMID if self._reader.reading else ANSWERED]
            act(self)
            self._perhaps_idle()
        else:
            self._step(states.ANSWERED_LAST)

    def _rest(self) -> None:
        self._deadline.within(self._server.limits.keepalive_timeout)

    def _rest_and_go_on(self) -> None:
        self._rest()
        self._go_on_with_what_waits()

    def _arrives_and_goes_on(self) -> None:
        self._arrives()
        self._go_on_with_what_waits()

    def _go_on_with_what_waits(self) -> None:
        queue = self._queue
        if queue.requests or queue.refusal or queue.expected:
            self._go_on()

    def _perhaps_idle(self) -> None:
        """Report the connection as idle if it has no request, no part of one, and no unread answer.

        RFC 9112, section 9.5: such a connection may be closed at any time. A new connection is not reported: its first
        request is about to arrive, and `header_timeout` limits the wait.
        """
        if self.state is WAITING and not (self._queue.requests or self._queue.refusal or self._paused):
            self._server.idles(self)

    # Events from the server and timers.

    def drain(self) -> None:
        """Close now, or as soon as the request in progress has been answered."""
        self._step(states.DRAIN)

    def can_make_room(self) -> bool:
        """True if closing would lose no answer that the client waits for, at most an incomplete request."""
        return self._exchange is None and self.state not in (states.ABORTED, GONE) and not self.pending()

    def abort(self) -> None:
        """Abort the connection, so that the client cannot mistake a partial answer for a complete one."""
        self._step(states.ABORT)

    def _overdue(self) -> None:
        """Handle the end of a time limit."""
        self._queue.take(b"")
        if 0 < (pending := self.pending()) < self._last_pending:
            self._last_pending = pending  # the client reads slowly
            self._deadline.within(self._server.limits.keepalive_timeout)
        elif self._paused:
            self._step(states.ABORT)
        else:
            self._step(states.LATE if self.state is ARRIVING and self._reader.reading else states.OVERDUE)

    # IPushProducer: the client reads more slowly than answers arrive, or has caught up.

    def pauseProducing(self) -> None:
        self._paused = True
        if self._exchange is not None and self._exchange.producer is not None:
            self._exchange.producer.pauseProducing()
        else:
            self._last_pending = self.pending()
            self._deadline.within(self._server.limits.keepalive_timeout)

    def resumeProducing(self) -> None:
        self._paused = False
        if self._exchange is not None:
            self._deadline.at = None
            if self._exchange.producer is not None:
                self._exchange.producer.resumeProducing()
        else:
            self._go_on()
            self._perhaps_idle()

    def stopProducing(self) -> None:
        """Do nothing: the transport is closing, and connectionLost follows."""

    def readConnectionLost(self) -> None:
        """Handle the end of the client's data.

        Its requests are still answered, but the transfer of an image is aborted.
        """
        self._read_closed = True
        if self._exchange is None and not self._queue.requests:
            self._step(states.HALF_CLOSED)
        elif self._exchange is not None and self._exchange.on_gone is not None:
            self._exchange.has_all = not self.pending() and not self.unacknowledged()
            self.abort()

    def writeConnectionLost(self) -> None:
        """Do nothing: the gateway has closed its sending side after a refusal."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._queue.take(b"")
        self._step(states.LOST)
        if self._reader.reading and self._lingers_from is None:  # else it has been refused
            self._server.broken_off(self)
        self._reader.close()
        self._deadline.stop()
        self._queue.requests.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.gone = True
            # With TLS, readConnectionLost is not called.
            exchange.has_all = exchange.has_all or (getattr(self.transport, "is_ended", False) and not self.pending())
            if exchange.on_gone is not None:
                exchange.on_gone()
        self._server.left(self)
        if not self._received and isinstance(reason.value, SSL.Error):
            self._server.not_secured(self, reason.value)


# The table with functions in place of their names, since each request takes a step or two.
_STEPS = {state: {happened: (following, vars(ClientConnection)[act]) for happened, (following, act) in row.items()}
          for state, row in states.table().items()}
