"""A client's connection: bytes in, turns out, in order; limits on everything a client can make us wait for.

RFC 9112 section 9. One request at a time is answered; while one waits behind it, nothing more is read.
"""

from collections import deque
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.exchangelog.tape import CLIENT, Tape
from wsdgateway.http.layout import Splitter
from wsdgateway.http.messages import response_head
from wsdgateway.http.requests import Refusal, Request, RequestReader
from wsdgateway.net.outbox import Outbox, PostOffice
from wsdgateway.net.turn import Turn

LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 8 * 1024 * 1024
MAX_REFUSED = 100  # connections beyond the bound that are told so; more than that are closed without a word


@attrs.frozen
class Limits:
    """What a client may use: bytes of a body, connections, seconds. The contract's `[limits]`."""

    request_body: int = 1048576
    connections: int = 2000
    keepalive_timeout: float = 60.0
    header_timeout: float = 15.0


class Door(Protocol):
    """What a connection needs of the listener that it came in by."""

    reactor: Any
    limits: Limits
    connections: set["ClientConnection"]
    post: PostOffice
    draining: bool

    @property
    def records(self) -> bool:
        """Whether exchanges are recorded as they are on the wire."""

    def seconds(self) -> float:
        """A monotonic clock."""

    def respond(self, turn: Turn) -> None:
        """Answer a request, now or later."""

    def tape(self) -> Tape | None:
        """What an exchange that begins is recorded on, if it is."""

    def refused(self, connection: "ClientConnection", refusal: Refusal) -> None:
        """A connection's request is not answered, but refused."""

    def base(self, host: str, port: int) -> str:
        """The URL for clients that have reached us at this address."""

    def date(self) -> bytes:
        """The Date field for now."""

    def arrived(self, connection: "ClientConnection") -> int:
        """A connection is there. By how many that is too many, 0 if it is none."""

    def left(self, connection: "ClientConnection") -> None:
        """A connection is gone."""

    def idles(self, connection: "ClientConnection") -> None:
        """It has been answered, and waits for its next request."""

    def works(self, connection: "ClientConnection") -> None:
        """It does not wait for its next request any more, or is being closed."""


@implementer(IPushProducer, IHalfCloseableProtocol)
class ClientConnection(TwistedProtocol):
    """One client's connection.

    Its deadline is one timer, looked at when it fires: moving a deadline costs an attribute, not a timer.
    """

    transport: Any
    log = Logger()

    def __init__(self, door: Door, client: str, peer: str) -> None:
        self.client = client
        self.peer = peer
        self._door = door
        self._reader = RequestReader(door.limits.request_body)
        self._waiting: deque[tuple[Request, Tape | None]] = deque()
        self._splitter: Splitter | None = None
        self._refusal: Refusal | None = None
        self._turn: Turn | None = None
        self._paused = False
        self._read_closed = False
        self._lost = False
        self._lingering = 0
        self._timer: IDelayedCall | None = None
        self._deadline = 0.0
        self._timer_at = 0.0
        self._asking = False
        self._looping = False
        self._reading = True
        self._expected = False
        self._last_pending = 0

    def connectionMade(self) -> None:
        beyond = self._door.arrived(self)
        self._outbox = Outbox(self.transport, self._door.post)
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._expect_within(self._door.limits.header_timeout)
        if beyond > MAX_REFUSED:
            self.abort()
        elif beyond > 0:
            self._refuse(Refusal(503, "Too many connections; try again later."))

    # Reading.

    def dataReceived(self, data: bytes) -> None:
        if self._lingering:
            self._lingering += len(data)
            if self._lingering > MAX_LINGER_BYTES:
                self.abort()
            return
        if self._reader.finished:
            return  # what follows the last request is none, and is not kept
        self._door.works(self)
        if self._splitter is not None:
            self._splitter.feed(data)
        elif self._door.records and not self._reader.reading:
            self._splitter = Splitter()
            self._splitter.feed(data)
        for event in self._reader.feed(data):
            if isinstance(event, Request):
                self._waiting.append((event, self._record()))
                self._expected = False
            elif isinstance(event, Refusal):
                self._refusal = event
            else:
                self._expected = True
        if not self._reader.reading:
            self._splitter = None  # at most empty lines are left in it
        if self._turn is None and not (self._asking or self._paused or self._waiting):
            self._asking = True
            self._expect_within(self._door.limits.header_timeout)
        self._next()

    def _record(self) -> Tape | None:
        """What the exchange that a whole request begins is recorded on."""
        raw = b"" if self._splitter is None else self._splitter.take()
        tape = self._door.tape() if raw else None
        if tape is None:
            self._splitter = None
        else:
            tape.request(CLIENT, raw)
        return tape

    def _next(self) -> None:
        """Begin the next turn, if there is a request and the last one is over."""
        self._looping = True
        while self._turn is None and self._waiting and not self._paused and not self._lost:
            turn = self._turn = Turn(self, *self._waiting.popleft())
            self._asking = False
            self._deadline = 0.0
            self._door.respond(turn)
        self._looping = False
        if self._expected and self._turn is None and not self._waiting and not self._paused and not self._lost:
            self._expected = False
            if self._reader.reading:  # else the body came without waiting for our word
                self.write([b"HTTP/1.1 100 Continue\r\n\r\n"])
        if self._turn is None and self._refusal is not None and not self._lingering:
            self._refuse(self._refusal)
        self._read_if_wanted()

    def _read_if_wanted(self) -> None:
        if self._lost:
            return
        wanted = not self._waiting or bool(self._lingering)
        if wanted != self._reading and not self._read_closed:
            self._reading = wanted
            if wanted:
                self.transport.startReading()
            else:
                self.transport.stopReading()

    def _refuse(self, refusal: Refusal) -> None:
        """Say what is wrong, then read on a while without looking: a reset would take the answer away."""
        self.write([response_head(refusal.status, [
            (b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", b"%d" % len(refusal.body)),
            (b"Connection", b"close")])[:-2], self._door.date(), b"\r\n", refusal.body])
        self._door.refused(self, refusal)
        self._linger()

    def _linger(self) -> None:
        self._lingering = 1
        self._waiting.clear()
        if self._read_closed:
            self._close()
            return
        self._outbox.flush()
        self.transport.unregisterProducer()
        if isinstance(self.transport, TLSMemoryBIOProtocol):
            self.transport.loseConnection()  # TLS says that it ends, and waits for the client to say so, too
        else:
            self.transport.loseWriteConnection()
        self._expect_within(LINGER_SECONDS)

    def _close(self) -> None:
        """Close once everything is written. A transport with a paused producer would wait for it for ever."""
        self._door.works(self)
        self._outbox.flush()
        self._last_pending = self.pending()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    # The channel of a turn.

    def write(self, pieces: list[bytes | memoryview]) -> None:
        """Send bytes; dropped once the client is gone."""
        if not self._lost:
            self._outbox.write(b"".join(pieces))

    def date(self) -> bytes:
        """The Date field for now."""
        return self._door.date()

    def base(self) -> str:
        """The URL, without a path, under which the client reached us."""
        here = self.transport.getHost()
        return self._door.base(getattr(here, "host", ""), getattr(here, "port", 0))

    def has_left(self) -> bool:
        """Whether the client has closed its side, which most do only when they go."""
        return self._read_closed

    def pending(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._outbox.pending

    def turn_over(self, turn: Turn, keep_alive: bool) -> None:
        """The answer is complete; read the next request, or close."""
        self._turn = None
        if self._lost:
            return
        if keep_alive and not self._read_closed and not self._door.draining:
            self._asking = self._reader.reading
            self._expect_within(self._door.limits.header_timeout if self._asking and not self._paused
                                else self._door.limits.keepalive_timeout)
            if not self._looping and (self._waiting or self._refusal or self._expected):
                self._next()
            self._perhaps_idle()
        else:
            self._waiting.clear()
            self._refusal = None
            self._expect_within(self._door.limits.keepalive_timeout)
            self._close()

    def _perhaps_idle(self) -> None:
        """Say so if nothing is under way here: no request, no part of one, and no answer that the client has to take.

        RFC 9112, section 9.5: such a connection may be closed at any time. One that has asked nothing yet is not meant:
        its first request is on its way, and `header_timeout` bounds it.
        """
        if self._turn is None and not (self._asking or self._waiting or self._refusal or self._paused or self._lost
                                       or self._lingering):
            self._door.idles(self)

    def drain(self) -> None:
        """Close now, or as soon as the request under way has been answered."""
        if self._turn is None and not self._lost and not self._lingering:
            self._expect_within(self._door.limits.keepalive_timeout)
            self._close()

    def abort(self) -> None:
        """Close so that the client can't take what it has for the whole."""
        if not self._lost:
            self.transport.abortConnection()

    # Time.

    def _expect_within(self, seconds: float) -> None:
        """Something must happen within so many seconds."""
        now = self._door.seconds()
        self._deadline = now + seconds
        if self._timer is None:
            self._timer = self._door.reactor.callLater(seconds, self._look)
        elif self._timer_at > self._deadline:
            self._timer.reset(seconds)
        else:
            return
        self._timer_at = self._deadline

    def _look(self) -> None:
        self._timer = None
        left = self._deadline - self._door.seconds()
        if self._deadline == 0.0 or (self._turn is not None and not self._paused):
            return  # a turn is running; its own times bound it
        if left > 0.0:
            self._timer_at = self._deadline
            self._timer = self._door.reactor.callLater(left, self._look)
        elif 0 < (pending := self.pending()) < self._last_pending:
            self._last_pending = pending  # slow, and reading
            self._expect_within(self._door.limits.keepalive_timeout)
        elif self._lingering or self._paused:
            self.abort()
        elif self._asking and self._reader.reading:
            self._refuse(Refusal(408, "The request took too long."))
        else:
            self._close()
            self._lingering = 1
            self._expect_within(LINGER_SECONDS)

    # IPushProducer: the client takes answers slower than they come, or fast again.

    def pauseProducing(self) -> None:
        self._paused = True
        if self._turn is not None and self._turn.producer is not None:
            self._turn.producer.pauseProducing()
        else:
            self._last_pending = self.pending()
            self._expect_within(self._door.limits.keepalive_timeout)

    def resumeProducing(self) -> None:
        self._paused = False
        if self._turn is not None:
            self._deadline = 0.0
        if self._turn is not None and self._turn.producer is not None:
            self._turn.producer.resumeProducing()
        elif self._turn is None and not self._lost:
            self._next()
            self._perhaps_idle()

    def stopProducing(self) -> None:
        """The transport is going away; connectionLost follows."""

    # The end.

    def readConnectionLost(self) -> None:
        """The client has said all it will. What it asked is still answered; only an image counts as not wanted."""
        self._read_closed = True
        if self._turn is None and not self._waiting:
            self._close()
        elif self._turn is not None and self._turn.on_gone is not None:
            self.abort()

    def writeConnectionLost(self) -> None:
        """Our half is closed after a refusal."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._reader.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.gone = True
            if turn.on_gone is not None:
                turn.on_gone()
        self._door.left(self)
