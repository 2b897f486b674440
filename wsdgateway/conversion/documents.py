"""Joins pages into one PDF, with the memory of one page.

img2pdf keeps all images of a PDF in memory, and so does `pikepdf.Pdf.pages`. So each page becomes a PDF of its own in a
file without a name, and qpdf, which copies the images piece by piece, writes the PDF of `PAGES_AT_ONCE` pages. If there
are more, it joins these in the same way. Meanwhile up to twice the bytes of the pages are on the disk of the target, in
addition to the target. Measured with 200 pages of 6 MB: 63 MB of memory.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import pikepdf

from wsdgateway.bridge.frontends.escl.formats import PDF
from wsdgateway.conversion.images import check_size, open_existing, whole, with_clear_errors, wrap
from wsdgateway.conversion.kinds import MAX_PAGES, START, Unconvertible, kind_of

PAGES_AT_ONCE = 100  # open files


@with_clear_errors
def join(sources: Sequence[Path], target: Path, dots: int, height: int) -> dict[int, str]:
    """Write pages, in that order, to one PDF in a file that must exist. Pages may be images or PDFs.

    Returns the positions of pages that cannot be converted and are left out, each with the reason. `dots` is the
    resolution per inch, `height` the number of lines of images that do not say it. Raises `Unconvertible` if no page is
    left, or `OSError`; the file is incomplete then.
    """
    left_out: dict[int, str] = {}
    with ExitStack() as files:
        if not 0 < len(sources) <= MAX_PAGES:
            raise Unconvertible(f"a PDF must have 1 to {MAX_PAGES} pages")
        file = files.enter_context(open_existing(target))
        parts = []
        for first in range(0, len(sources), PAGES_AT_ONCE):
            with ExitStack() as pages:
                group = []
                for position, source in enumerate(sources[first:first + PAGES_AT_ONCE], first):
                    try:
                        group.append(pages.enter_context(_page(source, target.parent, dots, height)))
                    except Unconvertible as error:
                        left_out[position] = str(error)
                if not group:
                    continue
                if len(sources) <= PAGES_AT_ONCE:
                    _write(group, file)
                    return left_out
                part = files.enter_context(_unnamed(target.parent))
                _write(group, part)
                parts.append(part)
        if not parts:
            raise Unconvertible(left_out[0])
        _write(parts, file)
    return left_out


@with_clear_errors
def _page(source: Path, folder: Path, dots: int, height: int) -> BinaryIO:
    """An open file with the PDF of one page."""
    check_size(source)
    with ExitStack() as opened:
        original = opened.enter_context(source.open("rb"))
        if kind_of(original.read(START)) == PDF:
            pikepdf.open(original).close()
            opened.pop_all()
            return original
    page = _unnamed(folder)
    try:
        wrap(whole(source, height), page, dots)
    except BaseException:
        page.close()
        raise
    return page


def _write(parts: Sequence[BinaryIO], target: BinaryIO) -> None:
    """Write the pages of several PDFs into one."""
    for part in parts:
        part.flush()
    qpdf = pikepdf.Job(["qpdf", "--empty", "--pages", *map(_path, parts), "--", "--stream-data=preserve",
                        "--warning-exit-0", _path(target)])
    qpdf.run()


def _path(file: BinaryIO) -> str:
    return f"/proc/self/fd/{file.fileno()}"


def _unnamed(folder: Path) -> BinaryIO:
    """A new file in that folder which is gone when it is closed, also after a crash."""
    with suppress(OSError):
        return open(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b")
    # File systems without such files. After a crash in between, the next start deletes this as a page of the spool.
    path = folder / f"scan-{uuid4().hex}.0.page"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    path.unlink()
    return open(descriptor, "w+b")
