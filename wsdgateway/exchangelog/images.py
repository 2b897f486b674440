"""Removes images from an answer while it arrives, and notes their length, SHA-256, format and size in pixels.

RFC 2046 section 5.1; XOP. A stored answer has the device's head as it was, then the body without transfer coding, a
note in place of each image, and a final line that marks it as stored in this way; in a multipart body that line is an
epilogue.
"""

import hashlib
import re
from enum import Enum
from io import BytesIO

import attrs
from PIL import Image

from wsdgateway.exchangelog.masking import looks_like_xml
from wsdgateway.http.layout import layout
from wsdgateway.http.messages import first, media_type
from wsdgateway.http.responses import BadAnswer, Data, Head, ResponseReader
from wsdgateway.mtom.multipart import (
    BadMultipart,
    Closed,
    Event,
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
)

MAX_LOOKED_AT = 65536  # bytes of an image that are read for its size in pixels
MAX_BLANK = 4096  # bytes of white space that may precede an XML document
MAX_KEPT = 1 << 20  # bytes kept besides the images
_TEXTS = (b"application/soap+xml", b"application/xml")
_UNDECIDED = (b"\xef", b"\xef\xbb", b"\xff", b"\xfe")  # an incomplete byte order mark, or a JPEG image
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
_NOTE = re.compile(rb"<image left out: (\d{1,12}) bytes, SHA-256 ([0-9a-f]{64})"
                   rb"(?:, (JPEG|PNG|TIFF|BMP) (\d{1,5})x(\d{1,5})(?: at (\d{1,5}) dpi)?)?>")
_END = re.compile(rb"\r\n<end of capture, without transfer coding(, broken off)?>\r\n\Z")


@attrs.frozen
class LeftOut:
    """An image that was left out. `width`, `height` and `resolution` (dots per inch) are 0 if they are unknown."""

    length: int
    sha256: str
    format: str = ""
    width: int = 0
    height: int = 0
    resolution: int = 0

    def note(self) -> bytes:
        """Returns the note that replaces the image."""
        size = f", {self.format} {self.width}x{self.height}" if self.format else ""
        dots = f" at {self.resolution} dpi" if self.format and self.resolution else ""
        return f"<image left out: {self.length} bytes, SHA-256 {self.sha256}{size}{dots}>".encode()


def read_note(content: bytes) -> LeftOut | None:
    """Parses a note about a left-out image; returns None if the content is not such a note."""
    found = _NOTE.fullmatch(content)
    if found is None:
        return None
    return LeftOut(int(found[1]), found[2].decode(), (found[3] or b"").decode(), int(found[4] or 0),
                   int(found[5] or 0), int(found[6] or 0))


@attrs.frozen
class Kept:
    """The stored content of an answer without its images. `whole` is False if the answer was cut off."""

    content: bytes
    whole: bool


def without_images(content: bytes) -> Kept | None:
    """Returns the content of an answer that was stored without images; None if it was stored as on the wire."""
    end = _END.search(content[-100:])
    if end is None:
        return None
    return Kept(content[:len(content) - len(end[0])], end[1] is None)


def carries_images(head: Head, begin: bytes) -> bool | None:
    """True if an answer carries images, or other content that may be as large; None while that is undecided.

    The media types that scanners give for images are unreliable: except for multipart bodies, the first bytes of the
    content (`begin`) decide.
    """
    media = media_type(first(head.headers, b"content-type"))
    if media.startswith(b"multipart/"):
        return True
    if media in _TEXTS or media.startswith(b"text/") or head.length == 0 or head.status in (204, 304):
        return False
    if begin in _UNDECIDED or (len(begin) < MAX_BLANK and not begin.strip()):
        return None
    return not looks_like_xml(begin)


class _Measure:
    """Measures an image as it passes."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._length = 0
        self._begin = b""

    def see(self, data: bytes | memoryview) -> None:
        self._sum.update(data)
        self._length += len(data)
        if len(self._begin) < MAX_LOOKED_AT:
            self._begin += bytes(data[:MAX_LOOKED_AT - len(self._begin)])

    def result(self) -> LeftOut:
        bare = LeftOut(self._length, self._sum.hexdigest())
        try:
            with Image.open(BytesIO(self._begin), formats=_FORMATS) as image:
                dots = image.info.get("dpi", (0, 0))[0]
                return attrs.evolve(bare, format=image.format or "", width=image.width, height=image.height,
                                    resolution=round(float(dots)))
        except Exception:  # decoders raise all kinds of errors for broken images; the note then says less
            return bare


class _State(Enum):
    """States of a `Sieve`; the values describe how it treats the bytes of an answer."""

    HEAD = "kept until the head has arrived"
    DECIDING = "kept until the content shows its type"
    AS_IS = "kept unchanged"
    IMAGE = "measured as one image"
    PARTS = "kept or measured, part by part"
    ENDED = "nothing"


_HEAD, _DECIDING, _AS_IS, _IMAGE, _PARTS, _ENDED = _State


class Sieve:
    """Takes the bytes of an answer as on the wire; `kept` returns them without images. All else stays unchanged::

    head ───────► deciding ──it is an image──► image ──┐
     │ multipart     │                                 ├──over, or can't be read any more──► ended
     ├───────────────┼───────────────────────► parts ──┘
     │               │
     └───────────────┴──no images, can't be read, or over before that is decided──► as is
    """

    def __init__(self) -> None:
        self._state = _HEAD
        self._reader = ResponseReader(lenient=True)
        self._raw = bytearray()
        self._head: Head  # from deciding on
        self._begin = b""
        self._parts: MultipartReader  # parts
        self._delimiter = b""
        self._number = 0
        self._measure: _Measure | None = None  # image; parts, but for the first one
        self._kept: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Processes the next bytes."""
        if self._state is _ENDED:
            return
        if not self.leaves_out:
            self._raw += data
        if self._state is _AS_IS:
            return
        try:
            for event in self._reader.feed(data):
                if isinstance(event, Head):
                    self._head = event
                    self._state = _DECIDING
                    self._decide()
                elif isinstance(event, Data):
                    self._data(event.data)
        except (BadAnswer, BadMultipart):
            self._end(readable=False)

    def _data(self, data: bytes) -> None:
        if self._state is _DECIDING:
            self._begin = data = self._begin + data
            self._decide()
        if self._state is _IMAGE:
            assert self._measure is not None
            self._measure.see(data)
        elif self._state is _PARTS:
            self._see(self._parts.feed(data))

    def _decide(self) -> None:
        head = self._head
        has_images = carries_images(head, self._begin)
        if has_images is None:
            return
        if not has_images:
            self._state = _AS_IS
            return
        raw = bytes(self._raw)
        found = layout(raw, request=False)
        self._keep(raw[found.start:found.head])
        self._raw.clear()
        boundary = boundary_of(first(head.headers, b"content-type") or b"")
        if boundary is not None:
            self._state = _PARTS
            self._parts = MultipartReader(boundary)
            self._delimiter = b"--" + boundary
        else:
            self._state = _IMAGE
            self._measure = _Measure()

    def _see(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PartBegin):
                self._number += 1
                self._keep(self._delimiter + b"\r\n" + event.head + b"\r\n\r\n")
                self._measure = _Measure() if self._number > 1 else None
            elif isinstance(event, PartData):
                if self._measure is not None:
                    self._measure.see(event.data)
                else:
                    self._keep(bytes(event.data))
            elif isinstance(event, PartEnd):
                self._end_image()
                self._keep(b"\r\n")
            elif isinstance(event, Closed):
                self._keep(self._delimiter + b"--")

    def _keep(self, data: bytes) -> None:
        if self._size + len(data) <= MAX_KEPT:
            self._kept.append(data)
            self._size += len(data)

    def _end_image(self) -> None:
        if self._measure is not None:
            self._keep(self._measure.result().note())
            self._measure = None

    def _end(self, *, readable: bool = True) -> None:
        """Ends the answer: it is complete, or (not `readable`) the rest cannot be parsed."""
        state, self._state = self._state, _ENDED if self.leaves_out else _AS_IS
        if state is not _IMAGE and state is not _PARTS:
            return
        if state is _PARTS and readable:
            self._see(self._parts.end())
        try:
            self._reader.eof()
            whole = readable and (state is _IMAGE or self._parts.closed)
        except BadAnswer:
            whole = False
        self._end_image()
        if state is _PARTS and not self._parts.closed:
            self._keep(b"\r\n" + self._delimiter + b"--")
        self._kept.append(b"\r\n<end of capture, without transfer coding%b>\r\n" % (b"" if whole else b", broken off"))

    @property
    def size(self) -> int:
        """Number of bytes held in memory."""
        return self._size + len(self._raw)

    @property
    def leaves_out(self) -> bool:
        """True if the answer carries images, and is therefore stored without transfer coding."""
        return self._state is _IMAGE or self._state is _PARTS or self._state is _ENDED

    def kept(self) -> bytes:
        """Ends the answer and returns its stored form."""
        self._end()
        return b"".join(self._kept) if self.leaves_out else bytes(self._raw)
