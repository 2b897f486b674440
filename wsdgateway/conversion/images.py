"""Converts a page from one image format into another, and into PDF.

A JPEG image is wrapped into PDF unchanged by img2pdf; the size of the page follows from the resolution that the client
has asked for, since scanners often write a wrong one into the image. Everything else is converted by Pillow, which
reads from the file, so that only the decoded image is in memory: 4 bytes for a pixel in color.
"""

import io
import logging
import os
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import img2pdf
from PIL import Image, UnidentifiedImageError

from wsdgateway.bridge.frontends.escl.formats import BMP, JPEG, PDF, PNG, TIFF
from wsdgateway.bridge.frontends.escl.jpeg import MAX_HEADER, NotJpeg, find_frame, real_height
from wsdgateway.conversion.kinds import MAX_BYTES, MAX_PIXELS, START, Unconvertible, kind_of

JPEG_QUALITY = 85
_POINTS = 72.0  # per inch
_PILLOW = {JPEG: "JPEG", PNG: "PNG", TIFF: "TIFF", BMP: "BMP"}
_READ = ("JPEG", "PNG", "TIFF", "BMP", "DIB")
_P = ParamSpec("_P")
_R = TypeVar("_R")
Image.MAX_IMAGE_PIXELS = None  # the bound is MAX_PIXELS


def with_clear_errors(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, raising `Unconvertible` and `OSError` in place of what Pillow, img2pdf and pikepdf raise.

    Python's warnings are ignored meanwhile: those of Pillow are about the scanner's image.
    """
    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(*args, **kwargs)
        except Exception as error:  # damaged images raise many kinds
            problem = _plain(error)
        raise problem

    return run


@with_clear_errors
def convert(source: Path, target: Path, media: str, dots: int, height: int) -> None:
    """Write the page in one file to another one, which must exist, in that media type.

    `dots` is the resolution per inch, `height` the number of lines if the image does not say it. Raises `Unconvertible`
    or `OSError`.
    """
    with open_existing(target) as file:
        _convert(source, file, media, dots, height)


def open_existing(target: Path) -> BinaryIO:
    """Open a file for writing. One that is deleted meanwhile must not be made again."""
    return open(os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "w+b")


def _plain(error: Exception) -> Exception:
    """The error to raise in place of another one, whose traceback would keep the image in memory."""
    if isinstance(error, UnidentifiedImageError):
        return Unconvertible("it is no JPEG, PNG, TIFF or BMP image")
    if isinstance(error, MemoryError):
        return Unconvertible("it needs more memory than a conversion may use; scan with a lower resolution")
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, error.strerror)
    return Unconvertible(str(error) if isinstance(error, Unconvertible) else f"{type(error).__name__}: {error}")


def _convert(source: Path, target: BinaryIO, media: str, dots: int, height: int) -> None:
    check_size(source)
    with source.open("rb") as file:
        start = file.read(MAX_HEADER + 16)
    if _lacks_height(start) or kind_of(start[:START]) == media:
        data = whole(source, height)
        if kind_of(data[:START]) == media:
            target.write(data)
            return
        original: Path | io.BytesIO = io.BytesIO(data)
        del data
    else:
        original = source
    if media == PDF:
        wrap(original.read_bytes() if isinstance(original, Path) else original.getvalue(), target, dots)
    else:
        with Image.open(original, formats=_READ) as image:
            _check_pixels(image)
            _reencode(image, target, media, dots)


def check_size(source: Path) -> None:
    """Raise `Unconvertible` for a file that is too large."""
    if source.stat().st_size > MAX_BYTES:
        raise Unconvertible(f"it has more than {MAX_BYTES} bytes")


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise Unconvertible(f"it has more than {MAX_PIXELS} pixels")


def _lacks_height(start: bytes) -> bool:
    try:
        frame = find_frame(start)
    except NotJpeg:
        return False
    return frame is not None and not frame.is_height_known


def whole(source: Path, height: int) -> bytes:
    """The image in a file, with its real height if its header does not have it."""
    data = source.read_bytes()
    try:
        frame = find_frame(data[:MAX_HEADER + 16])
    except NotJpeg:
        return data
    if frame is None or frame.is_height_known:
        return data
    return data[:frame.position] + real_height(data, height).to_bytes(2) + data[frame.position + 2:]


def wrap(data: bytes, target: BinaryIO, dots: int) -> None:
    """Write an image as a PDF with one page, of the size that follows from its resolution."""
    with Image.open(io.BytesIO(data), formats=_READ) as image:
        _check_pixels(image)

    def layout(width: int, height: int, resolution: tuple[float, float]) -> tuple[float, float, float, float]:
        size = width * _POINTS / dots, height * _POINTS / dots
        return (*size, *size)

    logging.getLogger("img2pdf").setLevel(logging.ERROR)  # its advice is for users of its own command
    # Further images in a file were not asked for, and may be many.
    img2pdf.convert(data, outputstream=target, layout_fun=layout, rotation=img2pdf.Rotation.ifvalid,
                    creator="wsdgateway", first_frame_only=True)


def _reencode(image: Image.Image, target: BinaryIO, media: str, dots: int) -> None:
    if media == JPEG:
        mode = "L" if image.mode in ("1", "L", "LA", "I;16", "I") else "RGB"
        converted = image if image.mode == mode else image.convert(mode)
        converted.save(target, "JPEG", quality=JPEG_QUALITY, dpi=(dots, dots))
    else:
        image.save(target, _PILLOW[media], dpi=(dots, dots))


@with_clear_errors
def size_of(source: Path) -> tuple[int, int, int]:
    """The width and height in pixels, and the bytes in a line, of an image. Raises `Unconvertible` or `OSError`."""
    with Image.open(source, formats=_READ) as image:
        bits = 1 if image.mode == "1" else 8 * len(image.getbands())
        return image.width, image.height, (image.width * bits + 7) // 8
