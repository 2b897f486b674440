"""Converts pages between image formats, and wraps them into PDF, in threads, a few at a time.

A JPEG image is wrapped unchanged by img2pdf; the size of the page follows from the resolution that the client has asked
for, since scanners often write a wrong one into the image. Everything else is converted by Pillow.
"""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import img2pdf
from PIL import Image, UnidentifiedImageError
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool

from wsdgateway.bridge.frontends.escl.formats import BMP, JPEG, PDF, PNG, TIFF
from wsdgateway.bridge.frontends.escl.jpeg import NotJpeg, find_frame, real_height

MAX_AT_ONCE = 2  # conversions
MAX_PIXELS = 150_000_000  # of a page that is decoded: A4 at 1200 dpi has 139 million
MAX_BYTES = 512 << 20  # of a page that is converted, which is in memory meanwhile
JPEG_QUALITY = 85
_POINTS = 72.0  # per inch
_STARTS = ((b"\xff\xd8", JPEG), (b"%PDF", PDF), (b"\x89PNG", PNG), (b"II*\x00", TIFF), (b"MM\x00*", TIFF), (b"BM", BMP))
_PILLOW = {JPEG: "JPEG", PNG: "PNG", TIFF: "TIFF", BMP: "BMP"}
_READ = ("JPEG", "PNG", "TIFF", "BMP", "DIB")
START = 8  # bytes by which `kind_of` recognises a page


class Unconvertible(Exception):
    """A page cannot be converted; the text says why."""


def kind_of(start: bytes) -> str | None:
    """The media type of an image by its first bytes; None if it is none that eSCL knows."""
    return next((media for signature, media in _STARTS if start.startswith(signature)), None)


@attrs.frozen
class Converter:
    """Converts pages in the threads of a reactor."""

    reactor: Any
    turns: DeferredSemaphore = attrs.field(factory=lambda: DeferredSemaphore(MAX_AT_ONCE))

    def convert(self, source: Path, target: Path, media: str, dots: int, height: int) -> Deferred[None]:
        """Write the page in one file to another one, which must exist, in that media type.

        `dots` is the resolution per inch, `height` the number of lines if the image does not say it. Fails with
        `Unconvertible` or `OSError`.
        """
        return self.turns.run(
            deferToThreadPool, self.reactor, self.reactor.getThreadPool(), convert, source, target, media, dots, height)

    def size_of(self, source: Path) -> Deferred[tuple[int, int, int]]:
        """The width and height in pixels, and the bytes in a line, of an image. Fails with `Unconvertible`."""
        return deferToThreadPool(self.reactor, self.reactor.getThreadPool(), size_of, source)


def convert(source: Path, target: Path, media: str, dots: int, height: int) -> None:
    """Convert a page, as `Converter.convert`."""
    try:
        # A file that is deleted meanwhile must not be made again.
        with open(os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "w+b") as file, _without_warnings():
            _convert(source, file, media, dots, height)
        return
    except Exception as error:  # Pillow, img2pdf and pikepdf raise many kinds for damaged images
        problem = _plain(error)
    raise problem


def _plain(error: Exception) -> Exception:
    """The error to raise in place of another one, whose traceback would keep the image in memory."""
    if isinstance(error, UnidentifiedImageError):
        return Unconvertible("it is no JPEG, PNG, TIFF or BMP image")
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, error.strerror)
    return Unconvertible(str(error) if isinstance(error, Unconvertible) else f"{type(error).__name__}: {error}")


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore Python's warnings: those of Pillow are about the scanner's image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _convert(source: Path, target: BinaryIO, media: str, dots: int, height: int) -> None:
    if source.stat().st_size > MAX_BYTES:
        raise Unconvertible(f"it has more than {MAX_BYTES} bytes")
    data = _repaired(source.read_bytes(), height)
    if kind_of(data[:START]) == media:
        target.write(data)
        return
    with Image.open(io.BytesIO(data), formats=_READ) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Unconvertible(f"it has more than {MAX_PIXELS} pixels")
        if media == PDF:
            _wrap(data, target, dots)
        else:
            _reencode(image, target, media, dots)


def _repaired(data: bytes, height: int) -> bytes:
    """The image, with its real height if its header does not have it."""
    try:
        frame = find_frame(data)
    except NotJpeg:
        return data
    if frame is None or frame.is_height_known:
        return data
    lines = real_height(data, height)
    return data[:frame.position] + lines.to_bytes(2) + data[frame.position + 2:]


def _wrap(data: bytes, target: BinaryIO, dots: int) -> None:
    def layout(width: int, height: int, resolution: tuple[float, float]) -> tuple[float, float, float, float]:
        size = width * _POINTS / dots, height * _POINTS / dots
        return (*size, *size)

    logging.getLogger("img2pdf").setLevel(logging.ERROR)  # its advice is for users of its own command
    # Further images in a file were not asked for, and may be many.
    img2pdf.convert(data, outputstream=target, layout_fun=layout, rotation=img2pdf.Rotation.ifvalid,
                    creator="wsdgateway", first_frame_only=True)


def _reencode(image: Image.Image, target: BinaryIO, media: str, dots: int) -> None:
    if media == JPEG:
        gray = image.mode in ("1", "L", "LA", "I;16", "I")
        image = image.convert("L" if gray else "RGB")
        image.save(target, "JPEG", quality=JPEG_QUALITY, dpi=(dots, dots))
    else:
        image.save(target, _PILLOW[media], dpi=(dots, dots))


def size_of(source: Path) -> tuple[int, int, int]:
    """The size of an image, as `Converter.size_of`."""
    try:
        with _without_warnings(), Image.open(source, formats=_READ) as image:
            bits = 1 if image.mode == "1" else 8 * len(image.getbands())
            return image.width, image.height, (image.width * bits + 7) // 8
    except Exception as error:
        problem = _plain(error)
    raise Unconvertible(str(problem))
