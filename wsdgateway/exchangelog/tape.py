"""Records one exchange on both sides while it takes place.

Messages are kept in memory until the exchange is over, as the gateway does anyway; images go to disk as they arrive, or
are left out.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

import attrs

from wsdgateway.exchangelog.images import Sieve, carries_images
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.http.messages import first
from wsdgateway.http.responses import BadAnswer, Data, Head, ResponseReader
from wsdgateway.mtom.multipart import boundary_of

CLIENT, DEVICE, EVENT = "client", "device", "event"
MAX_HELD = 8 << 20  # bytes of one answer in memory
MAX_ENVELOPE = 1 << 20  # bytes before an image
SPILL = 65536  # bytes of an answer with images that are held before it goes to disk; they include its envelope


@attrs.frozen
class Message:
    """A recorded message; `spilled` if its beginning is on disk already."""

    side: str
    is_request: bool
    raw: bytes
    spilled: bool = False

    @property
    def suffix(self) -> str:
        """The suffix of its file name."""
        return suffix_of(self.side, self.is_request)


def suffix_of(side: str, is_request: bool) -> str:
    """Returns the suffix of a message's file name."""
    return f"{side}.{'request' if is_request else 'response'}.http"


class _Answer(Protocol):
    @property
    def spilled(self) -> bool: ...

    @property
    def size(self) -> int: ...

    def feed(self, data: bytes) -> None: ...

    def kept(self) -> bytes: ...


class _State(Enum):
    """States of a `_Whole`; the values say where the bytes of an answer go."""

    LOOKING = "to memory, until its beginning shows whether it contains images"
    HELD = "to memory"
    IMAGES = "to memory, until everything that may have to be masked has arrived"
    SPILLED = "to disk"


_LOOKING, _HELD, _IMAGES, _SPILLED = _State


class _Whole:
    """Records an answer with its images; an answer that has any goes to disk as it arrives::

    looking ──there are images──► images ──more than SPILL, and past the envelope──► spilled
       │
       └──there are none, or it can't be read──► held
    """

    def __init__(self, masks: Masks, spill: Callable[[bytes], None]) -> None:
        self._masks = masks
        self._spill = spill
        self._state = _LOOKING
        self._held = bytearray()
        self._reader = ResponseReader(lenient=True)
        self._head: Head  # images
        self._begin = b""

    @property
    def spilled(self) -> bool:
        return self._state is _SPILLED

    @property
    def size(self) -> int:
        return len(self._held)

    def feed(self, data: bytes) -> None:
        if self._state is _SPILLED:
            self._spill(data)
            return
        self._held += data
        if self._state is _LOOKING:
            self._look(data)
        if self._state is _IMAGES and len(self._held) > SPILL and self._is_past_envelope():
            self._state = _SPILLED
            self._spill(self._masks.message(bytes(self._held), request=False))
            self._held.clear()

    def _look(self, data: bytes) -> None:
        """Checks whether the answer carries images."""
        try:
            for event in self._reader.feed(data):
                if isinstance(event, Head):
                    self._head = event
                elif isinstance(event, Data):
                    self._begin += event.data
                has_images = carries_images(self._head, self._begin)
                if has_images is not None:
                    self._state = _IMAGES if has_images else _HELD
                    return
        except BadAnswer:
            self._state = _HELD

    def _is_past_envelope(self) -> bool:
        """True if everything that may have to be masked has arrived."""
        boundary = boundary_of(first(self._head.headers, b"content-type") or b"")
        return boundary is None or self._held.count(b"--" + boundary) > 1 or len(self._held) > MAX_ENVELOPE

    def kept(self) -> bytes:
        return self._masks.message(bytes(self._held), request=False)


class _WithoutImages:
    """Records an answer without its images."""

    spilled = False

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._sieve = Sieve()

    @property
    def size(self) -> int:
        return self._sieve.size

    def feed(self, data: bytes) -> None:
        self._sieve.feed(data)

    def kept(self) -> bytes:
        return self._masks.message(self._sieve.kept(), request=False, coded=not self._sieve.leaves_out)


class Keeper(Protocol):
    """Stores tapes."""

    def spill(self, tape: "Tape", suffix: str, data: bytes) -> None:
        """Appends a piece of an answer that is not kept in memory."""

    def end(self, tape: "Tape", began: float, took: float, scanner: str | None, operation: str) -> str | None:
        """Ends an exchange. Returns the name that its files begin with, or None if it is not kept."""


class Tape:
    """The recording of one exchange, identified by `key`. With `images`, images are kept.

    `lost` is the reason why the exchange cannot be stored whole; empty if it can. `incoming` is the side of the peer
    that connected to the gateway: a client, or a scanner with an event.
    """

    def __init__(self, keeper: Keeper, key: int, masks: Masks, *, images: bool) -> None:
        self.key = key
        self.lost = ""
        self.begun: set[str] = set()  # suffixes of files that exist already; used by the keeper
        self.incoming = CLIENT
        self._keeper = keeper
        self._masks = masks
        self._images = images
        self._requests: dict[str, bytes] = {}
        self._answers: dict[str, _Answer] = {}

    def request(self, side: str, raw: bytes) -> None:
        """Records a complete request on a side. A repeated request replaces the first one and the answer to it."""
        self._requests[side] = raw
        self._answers.pop(side, None)

    def response(self, side: str, *pieces: bytes | memoryview) -> None:
        """Records the next bytes of the answer on a side."""
        answer = self._answers.get(side)
        if answer is None:
            answer = self._answers[side] = self._begin(side)
        for piece in pieces:
            if not self.lost:
                answer.feed(bytes(piece))
        if answer.size > MAX_HELD:
            self.lost = self.lost or f"an answer of more than {MAX_HELD} bytes without images"
            del self._answers[side]

    def _begin(self, side: str) -> _Answer:
        if not self._images:
            return _WithoutImages(self._masks)
        suffix = suffix_of(side, False)
        return _Whole(self._masks, lambda data: self._keeper.spill(self, suffix, data))

    def end(self, began: float, took: float, scanner: str | None, operation: str) -> str | None:
        """Ends the recording. Returns the name that its files begin with, or None if it is not kept.

        `began` is in seconds since 1970, `took` in seconds.
        """
        return self._keeper.end(self, began, took, scanner, operation)

    @property
    def size(self) -> int:
        """Number of bytes held in memory."""
        return sum(map(len, self._requests.values())) + sum(answer.size for answer in self._answers.values())

    def messages(self) -> list[Message]:
        """Returns the masked messages; the device's side only if it differs from the client's."""
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
