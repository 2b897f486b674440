"""What one exchange looks like on the wire, on both sides, while it goes on.

Messages are kept in memory until the exchange is over, which they are in a gateway anyway; images go to disk as they
pass, or are left out.
"""

from collections.abc import Callable
from typing import Protocol

import attrs

from wsdgateway.exchangelog.images import Sieve, carries_images
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.http.layout import layout

CLIENT, DEVICE, EVENT = "client", "device", "event"
SPILL = 65536  # of an answer with images, before it goes to disk: its envelope is in there


@attrs.frozen
class Message:
    """A message of an exchange as it is kept; `spilled` if its beginning is on disk already."""

    side: str
    is_request: bool
    raw: bytes
    spilled: bool = False

    @property
    def suffix(self) -> str:
        """How the name of its file ends."""
        return suffix_of(self.side, self.is_request)


def suffix_of(side: str, is_request: bool) -> str:
    """How the name of a message's file ends."""
    return f"{side}.{'request' if is_request else 'response'}.http"


class _Answer(Protocol):
    spilled: bool

    def feed(self, data: bytes) -> None: ...

    def kept(self) -> bytes: ...


class _Whole:
    """An answer with its images: one that has any goes to disk as it comes."""

    def __init__(self, masks: Masks, spill: Callable[[bytes], None]) -> None:
        self._masks = masks
        self._spill = spill
        self._held = bytearray()
        self._images: bool | None = None
        self.spilled = False

    def feed(self, data: bytes) -> None:
        if self.spilled:
            self._spill(data)
            return
        self._held += data
        if self._images is None:
            found = layout(bytes(self._held[:SPILL]), request=False)
            if found.pieces or found.end is not None or len(self._held) > SPILL:
                self._images = carries_images(bytes(self._held[found.start:found.head]))
        if self._images and len(self._held) > SPILL:
            self.spilled = True
            self._spill(self._masks.message(bytes(self._held), request=False))
            self._held.clear()

    def kept(self) -> bytes:
        return self._masks.message(bytes(self._held), request=False)


class _WithoutImages:
    """An answer without its images."""

    spilled = False

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._sieve = Sieve()

    def feed(self, data: bytes) -> None:
        self._sieve.feed(data)

    def kept(self) -> bytes:
        return self._masks.message(self._sieve.kept(), request=False, coded=not self._sieve.leaves_out)


class Keeper(Protocol):
    """Where tapes are kept."""

    def spill(self, tape: "Tape", suffix: str, data: bytes) -> None:
        """More of an answer that is not kept in memory."""

    def end(self, tape: "Tape", began: float, scanner: str | None, operation: str) -> str | None:
        """The exchange is over; the name that its files begin with, None if they are not kept."""


class Tape:
    """One exchange, told from others by its `key`. `images`: they are kept. `lost` says why it can't be kept whole.

    `incoming` is the side of whoever came to us: a client, or a scanner with an event.
    """

    def __init__(self, keeper: Keeper, key: int, masks: Masks, *, images: bool) -> None:
        self.key = key
        self.lost = ""
        self.incoming = CLIENT
        self._keeper = keeper
        self._masks = masks
        self._images = images
        self._requests: dict[str, bytes] = {}
        self._answers: dict[str, _Answer] = {}

    def request(self, side: str, raw: bytes) -> None:
        """A request on that side, whole; one that is sent again replaces the first, and what was answered to it."""
        self._requests[side] = raw
        self._answers.pop(side, None)

    def response(self, side: str, *pieces: bytes | memoryview) -> None:
        """The next bytes of the answer on that side."""
        answer = self._answers.get(side)
        if answer is None:
            answer = self._answers[side] = self._begin(side)
        for piece in pieces:
            answer.feed(bytes(piece))

    def _begin(self, side: str) -> _Answer:
        if not self._images:
            return _WithoutImages(self._masks)
        suffix = suffix_of(side, False)
        return _Whole(self._masks, lambda data: self._keeper.spill(self, suffix, data))

    def end(self, began: float, scanner: str | None, operation: str) -> str | None:
        """It is over; the name that its files begin with, None if they are not kept. `began` in seconds since 1970."""
        return self._keeper.end(self, began, scanner, operation)

    def messages(self) -> list[Message]:
        """What was said, as it is to be kept; the device's side only if it differs from the client's."""
        ours, theirs = self._side(CLIENT, self.incoming), self._side(DEVICE, DEVICE)
        if [message.raw for message in ours] == [message.raw for message in theirs] and not any(
                message.spilled for message in theirs):
            return ours
        return ours + theirs

    def _side(self, side: str, name: str) -> list[Message]:
        kept = []
        if side in self._requests:
            kept.append(Message(name, True, self._masks.message(self._requests[side], request=True)))
        if side in self._answers:
            answer = self._answers[side]
            kept.append(Message(name, False, answer.kept(), answer.spilled))
        return kept
