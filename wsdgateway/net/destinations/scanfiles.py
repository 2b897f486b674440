"""Turns the pages of one scan into files: each page into one, or all of them into a PDF.

Pages that cannot be converted are kept as the scanner has sent them, and so are all pages of a PDF that cannot be made,
since nobody could scan them again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from wsdgateway.bridge.destinations.filenames import EXTENSIONS
from wsdgateway.bridge.destinations.tickets import MEDIA
from wsdgateway.bridge.frontends.escl.formats import BMP, JPEG, PDF, PNG, TIFF
from wsdgateway.conversion.kinds import MAX_PAGES, START, Unconvertible, kind_of
from wsdgateway.net.destinations.after import WrittenFile
from wsdgateway.net.destinations.folder import Record, ScanFolder
from wsdgateway.net.destinations.shared import SharedDestinations

_T = TypeVar("_T")
_RAW = {JPEG: "jpg", PDF: "pdf", PNG: "png", TIFF: "tif", BMP: "bmp"}
OTHER = "bin"  # extension of a page that is no known image


class ScanFiles:
    """The files of one scan. `files` and `pages` count what has been written and kept."""

    log = Logger()

    def __init__(self, shared: SharedDestinations, folder: ScanFolder, record: Record) -> None:
        self._shared = shared
        self._folder = folder
        self.record = record
        self._waiting: list[tuple[int, Path]] = []
        self._done = False
        self.files = 0
        self.pages = 0

    def _in_thread(self, function: Callable[..., _T], *arguments: Any) -> Deferred[_T]:
        reactor = self._shared.reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

    async def begin(self) -> None:
        """Prepare the folder. Raises `OSError`."""
        self._shared.running.add(self._folder.scan_id)
        try:
            await self._in_thread(self._folder.begin, self.record)
        except BaseException:
            self._shared.running.discard(self._folder.scan_id)
            raise

    async def note(self, record: Record) -> None:
        """Complete the record. Raises `OSError`."""
        self.record = record
        await self._in_thread(self._folder.note, record)

    async def take(self, arrived: Path, number: int) -> None:
        """Keep a page that has arrived whole, and write its file if it has one of its own. Raises `OSError`."""
        await self.add(number, await self._in_thread(self._folder.keep, arrived, number))

    async def add(self, number: int, page: Path) -> None:
        """Add a page that is kept in the folder. Raises `OSError`."""
        self.pages += 1
        self._waiting.append((number, page))
        if self.record.format != "pdf":
            await self._write_page(number, page)
            self._waiting.remove((number, page))

    async def _write_page(self, number: int, page: Path) -> None:
        record, media = self.record, MEDIA[self.record.format]
        kind = await self._in_thread(_kind, page)
        if kind == media:
            await self._publish(page, EXTENSIONS[record.format], number)
            return
        target = await self._in_thread(self._folder.new_output, number)
        try:
            await self._shared.converter.convert(page, target, media, record.dots, record.lines)
        except (Unconvertible, OSError) as error:
            await self._in_thread(target.unlink, True)
            await self._publish_raw(number, page, f"it cannot be converted: {_said(error)}")
            return
        await self._publish(target, EXTENSIONS[record.format], number)
        await self._in_thread(page.unlink, True)

    async def _publish(self, source: Path, extension: str, number: int | None, pages: int = 1) -> None:
        path = await self._in_thread(self._folder.publish, source, self.record, extension, number)
        self.files += 1
        self.log.info("{scanner}: {destination}: wrote {path}", scanner=self.record.scanner,
                      destination=self.record.destination, path=str(path))
        self._shared.written(WrittenFile(path, self.record.scanner, self.record.destination, pages))

    async def _publish_raw(self, number: int, page: Path, why: str) -> None:
        kind = await self._in_thread(_kind, page)
        await self._publish(page, _RAW.get(kind or "", OTHER), number)
        self.log.warn("{scanner}: {destination}: page {number} is kept as the scanner has sent it, because {why}",
                      scanner=self.record.scanner, destination=self.record.destination, number=number, why=why)

    async def finish(self) -> None:
        """Write the pages that have no file yet, then delete the parts. Raises `OSError`, and deletes nothing then."""
        if self.record.format == "pdf":
            for first in range(0, len(self._waiting), MAX_PAGES):
                await self._write_document(self._waiting[first:first + MAX_PAGES])
        else:
            for number, page in self._waiting:
                await self._publish_raw(number, page, "its file could not be written")
        self._waiting.clear()
        await self.discard()

    async def _write_document(self, pages: list[tuple[int, Path]]) -> None:
        record = self.record
        try:
            target = await self._in_thread(self._folder.new_output, 0)
            damaged = await self._shared.converter.join(
                [path for _, path in pages], target, record.dots, record.lines)
        except (Unconvertible, OSError) as error:
            left_out = dict.fromkeys(range(len(pages)), f"the PDF cannot be made: {_said(error)}")
        else:
            left_out = {position: f"it cannot be used in a PDF: {why}" for position, why in damaged.items()}
            await self._publish(target, EXTENSIONS[record.format], None, len(pages) - len(left_out))
        for position, (number, page) in enumerate(pages):
            if position in left_out:
                await self._publish_raw(number, page, left_out[position])

    def leave(self) -> None:
        """Release the folder. The next scan into it, or the next start, finishes a scan that is not done."""
        self._folder.leave()
        self._shared.running.discard(self._folder.scan_id)
        if not self._done:
            self._shared.unfinished.add(self._folder.folder)

    async def discard(self) -> None:
        """Delete everything that has no final name. Raises `OSError`."""
        await self._in_thread(self._folder.end)
        self._done = True


def _said(error: Exception) -> str:
    return str((isinstance(error, OSError) and error.strerror) or error)


def _kind(page: Path) -> str | None:
    with page.open("rb") as file:
        return kind_of(file.read(START))
