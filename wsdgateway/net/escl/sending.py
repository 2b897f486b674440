"""Sends a page to a client, also while it still arrives from the scanner, at the speed of the client.

The file is read in threads, because a slow disk must not delay other clients. The page counts as sent when the client's
host has acknowledged all of it; a connection that is lost before leaves the page for the next request.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from wsdgateway.net.server.exchange import Exchange

PIECE = 262144  # bytes read at once
STALL_SECONDS = 60.0  # for which a client may read nothing
POLL_SECONDS = 0.05  # between looks at what the client has still to read, at the end of a page


class Page(Protocol):
    """A page that is being sent. `size` bytes can be read; it is `complete`, or `gone` if it will never be."""

    @property
    def size(self) -> int: ...

    @property
    def complete(self) -> bool: ...

    @property
    def gone(self) -> bool: ...


class Reader(Protocol):
    """Reads the bytes of a page."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at that offset. Raises `OSError`."""

    def close(self) -> None:
        """Close the file."""


@implementer(IPushProducer)
class _Flow:
    """Waits while the client reads more slowly than the page is read."""

    def __init__(self, reactor: Any, exchange: Exchange, page: Page, changed: Callable[[], Deferred[None]]) -> None:
        self._reactor = reactor
        self._exchange = exchange
        self._page = page
        self._changed = changed
        self._paused = False
        self._waiting: Deferred[None] | None = None
        exchange.producer = self
        exchange.on_gone = self.wake

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self.wake()

    def stopProducing(self) -> None:
        self.wake()

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    async def wait(self, seconds: float) -> bool:
        """Wait for a change, for at most so many seconds, or until the client leaves. Returns False if time is over."""
        waiting = self._waiting = self._changed()
        try:
            await waiting.addTimeout(seconds, self._reactor)
        except TimedOut:
            return False
        except CancelledError:
            pass
        finally:
            self._waiting = None
        return True

    async def is_ready(self) -> bool:
        """Wait until the client can be sent more.

        Returns False if it has left, or reads nothing any more, or if the job was canceled and the page deleted.
        """
        before, limit = self._exchange.pending(), self._reactor.seconds() + STALL_SECONDS
        while self._paused and not self.is_over:
            if not await self.wait(max(0.0, limit - self._reactor.seconds())):
                if self._exchange.pending() >= before:
                    return False
                before, limit = self._exchange.pending(), self._reactor.seconds() + STALL_SECONDS
        return not self.is_over

    @property
    def is_over(self) -> bool:
        """True if the client has left, or the page has been deleted."""
        return self._exchange.gone or self._page.gone


async def send(reactor: Any, exchange: Exchange, page: Page, reader: Reader, changed: Callable[[], Deferred[None]],
               headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Send a page as the body of an answer with status 200. Returns whether the client was sent all of it.

    `changed` gives a Deferred that fires when more of the page has arrived, or when it is gone, which ends this. If it
    cannot be completed, the connection is aborted, so that the client does not take the part for the whole. Raises
    `OSError` from reading the file.
    """
    flow = _Flow(reactor, exchange, page, changed)
    length = page.size if page.complete else None
    exchange.stream(200, b"OK", headers, length)
    offset = 0
    try:
        while await flow.is_ready():
            if offset < page.size:
                data = await deferToThreadPool(reactor, reactor.getThreadPool(), reader.read, offset,
                                               min(PIECE, page.size - offset))
                if not data:
                    break
                if not exchange.gone:
                    exchange.write(data)
                offset += len(data)
            elif page.complete:
                return await _finish(reactor, exchange, flow, length)
            else:
                await flow.wait(STALL_SECONDS * 10)
        return False
    finally:
        exchange.on_gone = None
        if exchange.producer is flow:  # not finished
            exchange.producer = None
            if not exchange.gone:
                exchange.abort()


async def _finish(reactor: Any, exchange: Exchange, flow: _Flow, length: int | None) -> bool:
    """Wait until the client's host has acknowledged everything, and end the answer."""
    def unread() -> int:
        return exchange.pending() + exchange.unacknowledged()

    delay, before, limit = 0.0, unread(), reactor.seconds() + STALL_SECONDS
    while (left := unread()) and not flow.is_over:
        if left < before:
            before, limit = left, reactor.seconds() + STALL_SECONDS
        elif reactor.seconds() >= limit:
            return False
        await deferLater(reactor, delay)
        delay = min(2 * delay + 0.001, POLL_SECONDS)
    if exchange.gone:  # clients that know the length may hang up when they have all of it
        return exchange.has_all
    if left:
        return False
    exchange.on_gone = None
    exchange.finish(length)
    return True
