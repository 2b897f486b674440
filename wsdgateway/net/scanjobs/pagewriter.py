"""Writes a page to its file in a thread, and slows the scanner down if the disk is slower.

Measured on a fast disk, with pieces of 512 KiB: most writes take 0.1 ms, one in a hundred 2.3 ms, the longest 16 ms.
On a memory card, or while the system writes much else, they take seconds, in which nothing else would be served.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.net.scanners.reply import Response
from wsdgateway.storage.spool import SpoolFile

MAX_PENDING = 4 << 20  # bytes in memory, above which the scanner is not read
LOW = 1 << 20  # bytes in memory, below which it is read again


class PageWriter:
    """Writes one page::

        idle ──bytes──► writing ──written──► idle
                           └──disk error──► failed

    `on_written` is called when `file.size` has grown, `on_failed` with the reason if writing fails. `admit` is asked
    before bytes are queued: if it returns False they are held, and the scanner is not read until `resume`.
    """

    log = Logger()

    def __init__(self, reactor: Any, file: SpoolFile, *, admit: Callable[[int], bool],
                 on_written: Callable[[], None], on_failed: Callable[[str], None]) -> None:
        self._reactor = reactor
        self.file = file
        self._admit = admit
        self._on_written = on_written
        self._on_failed = on_failed
        self.response: Response | None = None
        self._held: list[bytes] = []
        self._queued: list[bytes] = []
        self._pending = 0
        self._writing: Deferred[None] | None = None
        self._paused = False
        self._failed = False
        self._dropped = False
        self._waiting: list[Deferred[None]] = []

    def take(self, data: memoryview) -> None:
        """Receive the next bytes of the image."""
        if self._failed or self._dropped:
            return
        piece = bytes(data)
        self._pending += len(piece)
        if self._held or not self._admit(len(piece)):
            self._held.append(piece)
            if self._dropped:
                self._clear()
        else:
            self._queued.append(piece)
            self._write()
        self._throttle()

    def pending(self) -> int:
        """The number of bytes that have been received and are not written yet."""
        return self._pending

    def resume(self) -> None:
        """Offer the held bytes again."""
        while self._held and self._admit(len(self._held[0])):
            self._queued.append(self._held.pop(0))
        self._write()
        self._throttle()

    def _throttle(self) -> None:
        if self.response is None:
            return
        if not self._paused and (self._held or self._pending > MAX_PENDING):
            self._paused = True
            self.response.pauseProducing()
        elif self._paused and not self._held and self._pending < LOW:
            self._paused = False
            self.response.resumeProducing()

    def _write(self) -> None:
        if self._writing is not None or not self._queued or self._failed:
            return
        data = self._queued[0] if len(self._queued) == 1 else b"".join(self._queued)
        self._queued.clear()
        writing = self._writing = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self.file.write, data)
        writing.addBoth(self._written, len(data))
        writing.addErrback(lambda failure: self.log.failure("Writing a page to the spool failed", failure))

    def _written(self, result: Any, size: int) -> None:
        self._writing = None
        self._pending -= size
        if isinstance(result, Failure):
            result.trap(OSError)
            self._failed = True
            self._clear()
            error: Any = result.value
            self._on_failed(f"{self.file.path.parent}: {error.strerror or error}")
        elif not self._dropped:
            self._on_written()
            self._write()
        self._throttle()
        self._tell()

    def _tell(self) -> None:
        if self._writing is None and not self._queued and not self._held:
            waiting, self._waiting = self._waiting, []
            for idle in waiting:
                idle.callback(None)

    def _clear(self) -> None:
        self._pending -= sum(map(len, self._held)) + sum(map(len, self._queued))
        self._held.clear()
        self._queued.clear()

    def idle(self) -> Deferred[None]:
        """Fires when every byte received so far is written, or never will be."""
        idle: Deferred[None] = Deferred()
        self._waiting.append(idle)
        self._tell()
        return idle

    async def close(self) -> None:
        """Close the file when everything is written."""
        await self.idle()
        self.file.close()

    async def delete(self) -> None:
        """Delete the file, and drop the bytes that are not written yet."""
        self._dropped = True
        self._clear()
        self._throttle()
        await self.idle()
        # Deleting a large file takes long on some file systems.
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self.file.delete)
