"""A client's connection: bytes in, turns out, in order; limits on everything a client can make us wait for.

RFC 9112 section 9. One request at a time is answered; while one waits behind it, nothing more is read.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.http.messages import response_head
from wsdgateway.http.requests import Refusal, RequestReader
from wsdgateway.net.server.admission import Admission, Door
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.requestqueue import RequestQueue
from wsdgateway.net.transport.coalescing import CoalescedWriter
from wsdgateway.net.transport.timeouts import MovingDeadline

LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 8 * 1024 * 1024


@implementer(IPushProducer, IHalfCloseableProtocol)
class ClientConnection(TwistedProtocol):
    """One client's connection, over its whole life."""

    transport: Any

    def __init__(self, door: Door, client: str, peer: str) -> None:
        self.client = client
        self.peer = peer
        self._door = door
        self._reader = RequestReader(door.limits.request_body)
        self._inbox = RequestQueue(self._reader, door)
        self._deadline = MovingDeadline(door.reactor, door.seconds, self._overdue)
        self._turn: Exchange | None = None
        self._paused = False
        self._read_closed = False
        self._lost = False
        self._aborted = False
        self._silent = True
        self._lingering = 0
        self._asking = False
        self._looping = False
        self._reading = True
        self._last_pending = 0

    def connectionMade(self) -> None:
        admission = self._door.arrived(self)
        self._writer = CoalescedWriter(self.transport, self._door.post)
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._deadline.within(self._door.limits.header_timeout)
        if admission is Admission.HUNG_UP_ON:
            self.abort()
        elif admission is Admission.REFUSED:
            self._refuse(Refusal(503, "Too many connections; try again later."))

    @property
    def secure(self) -> bool:
        """Whether it is one with TLS."""
        return isinstance(self.transport, TLSMemoryBIOProtocol)

    @property
    def path(self) -> bytes:
        """The path of the request that is being read, or was read last."""
        return self._reader.path

    # Reading.

    def dataReceived(self, data: bytes) -> None:
        self._silent = False
        if self._lingering:
            self._lingering += len(data)
            if self._lingering > MAX_LINGER_BYTES:
                self.abort()
            return
        if self._reader.finished:
            return  # what follows the last request is none, and is not kept
        self._door.works(self)
        self._inbox.take(data)
        if self._turn is None and not (self._asking or self._paused or self._inbox.requests):
            self._asking = True
            self._deadline.within(self._door.limits.header_timeout)
        self._next()

    def _next(self) -> None:
        """Begin the next turn, if there is a request and the last one is over."""
        inbox = self._inbox
        self._looping = True
        while self._turn is None and inbox.requests and not self._paused and not self._lost:
            turn = self._turn = Exchange(self, *inbox.requests.popleft())
            self._asking = False
            self._deadline.at = None  # a turn has times of its own
            self._door.respond(turn)
        self._looping = False
        if inbox.expected and self._turn is None and not inbox.requests and not self._paused and not self._lost:
            inbox.expected = False
            if self._reader.reading:  # else the body came without waiting for our word
                self.write([b"HTTP/1.1 100 Continue\r\n\r\n"])
        if self._turn is None and inbox.refusal is not None and not self._lingering:
            self._refuse(inbox.refusal)
        self._read_if_wanted()

    def _read_if_wanted(self) -> None:
        if self._lost:
            return
        wanted = not self._inbox.requests or bool(self._lingering)
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
        self._inbox.requests.clear()
        if self._read_closed:
            self._close()
            return
        self._writer.flush()
        self.transport.unregisterProducer()
        if self.secure:
            self.transport.loseConnection()  # TLS says that it ends, and waits for the client to say so, too
        else:
            self.transport.loseWriteConnection()
        self._deadline.within(LINGER_SECONDS)

    def _close(self) -> None:
        """Close once everything is written. A transport with a paused producer would wait for it for ever.

        RFC 8446, section 6.1: whoever says that TLS ends need not wait for the other side to say so. Many never do.
        """
        self._door.works(self)
        self._writer.flush()
        self._last_pending = self.pending()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        if self.secure:
            self.transport.transport.loseConnection()

    # The channel of a turn.

    def write(self, pieces: list[bytes | memoryview]) -> None:
        """Send bytes; dropped once the client is gone."""
        if not self._lost:
            self._writer.write(b"".join(pieces))

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
        return self._writer.pending

    def exchange_over(self, turn: Exchange, keep_alive: bool) -> None:
        """The answer is complete; read the next request, or close."""
        self._turn = None
        if self._lost:
            return
        if keep_alive and not self._read_closed and not self._door.draining:
            self._asking = self._reader.reading
            self._deadline.within(self._door.limits.header_timeout if self._asking and not self._paused
                                else self._door.limits.keepalive_timeout)
            if not self._looping and (self._inbox.requests or self._inbox.refusal or self._inbox.expected):
                self._next()
            self._perhaps_idle()
        else:
            self._inbox.requests.clear()
            self._inbox.refusal = None
            self._deadline.within(self._door.limits.keepalive_timeout)
            self._close()

    def _perhaps_idle(self) -> None:
        """Say so if nothing is under way here: no request, no part of one, and no answer that the client has to take.

        RFC 9112, section 9.5: such a connection may be closed at any time. One that has asked nothing yet is not meant:
        its first request is on its way, and `header_timeout` bounds it.
        """
        if self._turn is None and not (self._asking or self._inbox.requests or self._inbox.refusal or self._paused
                                       or self._lost or self._lingering):
            self._door.idles(self)

    def drain(self) -> None:
        """Close now, or as soon as the request under way has been answered."""
        if self._turn is None and not self._lost and not self._lingering:
            self._deadline.within(self._door.limits.keepalive_timeout)
            self._close()

    def can_make_room(self) -> bool:
        """Whether nothing is lost here but what the client has not asked to the end: no answer that it waits for."""
        return self._turn is None and not (self._lost or self._aborted or self.pending())

    def abort(self) -> None:
        """Close so that the client can't take what it has for the whole."""
        if not self._lost:
            self._aborted = True
            self.transport.abortConnection()

    def _overdue(self) -> None:
        """What had to happen by now has not."""
        if 0 < (pending := self.pending()) < self._last_pending:
            self._last_pending = pending  # slow, and reading
            self._deadline.within(self._door.limits.keepalive_timeout)
        elif self._lingering or self._paused:
            self.abort()
        elif self._asking and self._reader.reading:
            self._refuse(Refusal(408, "The request took too long."))
        else:
            self._close()
            self._lingering = 1
            self._deadline.within(LINGER_SECONDS)

    # IPushProducer: the client takes answers slower than they come, or fast again.

    def pauseProducing(self) -> None:
        self._paused = True
        if self._turn is not None and self._turn.producer is not None:
            self._turn.producer.pauseProducing()
        else:
            self._last_pending = self.pending()
            self._deadline.within(self._door.limits.keepalive_timeout)

    def resumeProducing(self) -> None:
        self._paused = False
        if self._turn is not None:
            self._deadline.at = None
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
        if self._turn is None and not self._inbox.requests:
            self._close()
        elif self._turn is not None and self._turn.on_gone is not None:
            self.abort()

    def writeConnectionLost(self) -> None:
        """Our half is closed after a refusal."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._reader.reading and not self._lingering:  # else it has been refused
            self._door.broken_off(self)
        self._reader.close()
        self._deadline.stop()
        self._inbox.requests.clear()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.gone = True
            if turn.on_gone is not None:
                turn.on_gone()
        self._door.left(self)
        if self._silent and isinstance(reason.value, SSL.Error):
            self._door.not_secured(self, reason.value)
