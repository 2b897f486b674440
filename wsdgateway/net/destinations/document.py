"""Makes a PDF of several pages, in a process of its own: `python -m wsdgateway.net.destinations.document`.

The process reads what to do as JSON from its standard input, and writes the outcome as JSON to its standard output.
img2pdf keeps all images in memory, so that the process needs as much as the pages, and some 40 MB: 353 MB for 200 pages
of 1.6 MB. So a document has at most `MAX_BYTES` of pages. The memory is free again when the process has ended.
"""

import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import img2pdf

from wsdgateway.bridge.frontends.escl.jpeg import NotJpeg, find_frame, real_height

MAX_BYTES = 512 << 20  # of the pages of one document
MAX_REASON = 300  # characters
_POINTS = 72.0  # per inch


@attrs.frozen
class Assembled:
    """The outcome: the positions of the pages that are not in the document, each with the reason."""

    left_out: dict[int, str]


def assemble(pages: Sequence[Path], target: Path, dots: int, lines: int) -> Assembled:
    """Write a document with these images to a file that exists. Raises `OSError`.

    `dots` is the resolution per inch, `lines` the number of lines of an image that does not say it. An image that
    cannot be used is left out; without any usable one the file stays empty.
    """
    images = [_repaired(page.read_bytes(), lines) for page in pages]
    left_out: dict[int, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of Pillow are about the scanner's image
        try:
            _write(images, target, dots)
            return Assembled({})
        except OSError as error:
            if error.errno is not None:
                raise
        except Exception:  # img2pdf raises many kinds for damaged images; the next step finds them
            pass
        for position, image in enumerate(images):
            try:
                _convert([image], io.BytesIO(), dots)
            except Exception as error:
                left_out[position] = f"{type(error).__name__}: {error}"[:MAX_REASON]
        usable = [image for position, image in enumerate(images) if position not in left_out]
        if usable:
            _write(usable, target, dots)
    return Assembled(left_out)


def _write(images: list[bytes], target: Path, dots: int) -> None:
    with open(os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_TRUNC), "w+b") as file:
        _convert(images, file, dots)


def _convert(images: list[bytes], file: BinaryIO, dots: int) -> None:
    def layout(width: int, height: int, resolution: tuple[float, float]) -> tuple[float, float, float, float]:
        size = width * _POINTS / dots, height * _POINTS / dots
        return (*size, *size)

    logging.getLogger("img2pdf").setLevel(logging.ERROR)  # its advice is for users of its own command
    img2pdf.convert(images, outputstream=file, layout_fun=layout, rotation=img2pdf.Rotation.ifvalid,
                    creator="wsdgateway", first_frame_only=True)


def _repaired(data: bytes, lines: int) -> bytes:
    """The image, with its real height if its header does not have it."""
    try:
        frame = find_frame(data)
    except NotJpeg:
        return data
    if frame is None or frame.is_height_known:
        return data
    return data[:frame.position] + real_height(data, lines).to_bytes(2) + data[frame.position + 2:]


def request(pages: Sequence[Path], target: Path, dots: int, lines: int) -> bytes:
    """What the process reads."""
    return json.dumps({"pages": [str(page) for page in pages], "target": str(target), "dots": dots,
                       "lines": lines}).encode()


def read_answer(data: bytes) -> Assembled:
    """What the process has written. Raises `OSError` if that says so, and `ValueError` if it is no answer."""
    try:
        found: Any = json.loads(data)
        if "errno" in found:
            raise OSError(int(found["errno"]), str(found["text"]))
        return Assembled({int(position): str(why) for position, why in found["left_out"].items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


def main() -> None:
    """Do what the standard input says."""
    with suppress(OSError):  # the sandbox of the unit forbids it
        os.nice(10)  # clients must not wait for it
    asked = json.loads(sys.stdin.buffer.read())
    try:
        done = assemble([Path(page) for page in asked["pages"]], Path(asked["target"]), asked["dots"], asked["lines"])
        answer: dict[str, Any] = {"left_out": done.left_out}
    except OSError as error:
        answer = {"errno": error.errno or 0, "text": error.strerror or str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
