"""Relays a device's answer to a client as it arrives, verbatim, at the speed of the slower side.

The data is inspected on the way (`replywatch`): an answer with a document type declaration is not begun, and an
incomplete multipart body is detected. If a device ends its answer by closing the connection, the client must not
mistake an incomplete answer for a complete one. If the answer is complete for HTTP, it is passed on as such, but
recorded as broken.
"""

from collections.abc import Callable
from enum import Enum

import attrs

from wsdgateway.http.messages import first
from wsdgateway.net.scanners.reply import Response
from wsdgateway.net.scanners.replywatch import ReplyWatch
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.errors import DISCONNECTED, BadDevice, DeviceError, Unavailable

HOLD_SECONDS = 1.0  # for a head, so that a fault can still replace it if the first document is refused
MAX_HELD = 65536  # bytes of a body before its first document


@attrs.frozen(eq=False)
class Relayed:
    """The result of relaying an answer: why it is `broken`, its first document, and whether it has `begun`."""

    broken: DeviceError | None
    root: bytes = b""
    begun: bool = True


class _State(Enum):
    """The part of a relayed answer that the client gets."""

    HELD = "nothing yet"
    BEGUN = "the head, and everything before the first document"
    FLOWING = "everything as it arrives"
    REPLACED = "a fault instead"
    BROKEN = "nothing more"


_HELD, _BEGUN, _FLOWING, _REPLACED, _BROKEN = _State


class _Relay:
    """One answer that is being relayed to a client::

                 HOLD_SECONDS            the first document is harmless, or MAX_HELD
            held ────────────► begun ───────────────────────────────────────────────► flowing
             │ │                │                                                      ▲   │
             │ └────────────────┼──────────────────────────────────────────────────────┘   │
             │ a document that  │ the same                                        the same │
             ▼ is refused       ▼                                                          │
            replaced           broken ◄────────────────────────────────────────────────────┘

    The end of the answer also leads from held and begun to flowing. `refused` is the reason for replaced and broken.
    """

    def __init__(self, response: Response, exchange: Exchange, count_image: Callable[[int], None]) -> None:
        self._response = response
        self._exchange = exchange
        self.watch = ReplyWatch(first(response.head.headers, b"content-type") or b"", count_image)
        self._held: list[bytes] = []
        self._size = 0
        self._state = _HELD
        self.refused: DeviceError | None = None

    @property
    def begun(self) -> bool:
        """True if the client has received any of the answer."""
        return self._state is not _HELD and self._state is not _REPLACED

    def take(self, data: bytes) -> None:
        """Receive the next piece of the body."""
        if self.refused is not None:
            return
        self.watch.see(data)
        if self.watch.problem:
            self._refuse(BadDevice(self._response.peer, self.watch.problem))
        elif self._state is _FLOWING:
            self._exchange.write(data)
        else:
            self._held.append(data)
            self._size += len(data)
            if self.watch.decided or self._size > MAX_HELD:
                self.flow()
            elif self._state is _BEGUN and not self.watch.looking:
                self._release()

    def _refuse(self, error: DeviceError) -> None:
        self._state = _BROKEN if self.begun else _REPLACED
        self.refused = error
        self._response.give_up(error)

    def wait_no_more(self) -> None:
        """Send the client the head, and the data before the first document."""
        if self._state is _HELD:
            self._begin()
            self._state = _BEGUN
            if not self.watch.looking:
                self._release()

    def flow(self) -> None:
        """Send the client all data so far, and from then on each piece as it arrives."""
        if self.refused is None:
            if self._state is _HELD:
                self._begin()
            self._state = _FLOWING
            self._release()

    def _begin(self) -> None:
        head = self._response.head
        self._exchange.stream(head.status, head.reason, head.passed_on, head.length)

    def _release(self) -> None:
        for data in self._held:
            self._exchange.write(data)
        self._held.clear()


async def relay(response: Response, exchange: Exchange, count_image: Callable[[int], None]) -> Relayed:
    """Relay the answer to the client; if it can't be completed, close the client's connection.

    If an answer turns out to be broken before it has `begun`, the caller must replace it by a fault.
    """
    head = response.head
    if exchange.gone:
        response.stopProducing()
        return Relayed(Unavailable(response.peer, DISCONNECTED))
    passing = _Relay(response, exchange, count_image)
    exchange.producer = response
    exchange.on_gone = response.stopProducing
    holding = response.call_later(HOLD_SECONDS, passing.wait_no_more)
    try:
        await response.relay(passing.take, exchange.pending)
        if passing.refused is not None:
            raise passing.refused
        passing.watch.end()
        if not head.framed and not passing.watch.whole:
            raise BadDevice(response.peer, "it closed the connection in the middle of an image")
    except DeviceError as error:
        passing.flow()
        if passing.begun and not exchange.gone:
            exchange.abort()
        if not passing.begun:
            exchange.producer = None
        return Relayed(error, begun=passing.begun)
    finally:
        exchange.on_gone = None
        if holding.active():
            holding.cancel()
    passing.flow()
    if not exchange.gone:
        exchange.finish(head.length)
    if not passing.watch.whole:
        return Relayed(BadDevice(response.peer, "its multipart body ends without a closing delimiter"))
    return Relayed(None, bytes(passing.watch.root))
