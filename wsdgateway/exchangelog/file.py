"""The log file, one line per exchange: rotated by size and by day, and reopened after another program has moved it."""

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.logfile import LogFile

from wsdgateway.exchangelog.background import Background
from wsdgateway.exchangelog.entry import Entry, write_entry

MODE = 0o640
FLUSH_SECONDS = 0.1
MAX_BUFFERED = 20000  # lines


class RotatingFile(LogFile):
    """A log file that is rotated by size and at midnight, local time; at most `keep` old files are kept."""

    def __init__(self, path: Path, *, size: int, keep: int) -> None:
        self._day = 0
        super().__init__(path.name, str(path.parent), size, MODE, keep)

    def _openFile(self) -> None:
        # LogFile itself would change the umask of the whole process for a moment; other threads are running.
        file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK, MODE)
        is_plain = stat.S_ISREG(os.fstat(file).st_mode)
        os.close(file)
        if not is_plain:
            raise OSError(errno.EINVAL, "not a regular file", self.path)
        super()._openFile()
        self._day = _day(os.fstat(self._file.fileno()).st_mtime if self.size else time.time())

    def shouldRotate(self) -> bool:
        return bool(self.size) and (self.size >= self.rotateLength or _day(time.time()) != self._day)

    def write(self, data: bytes) -> None:
        """Writes all of `data` or nothing: an error truncates the file to its former size. Raises `OSError`."""
        if self.shouldRotate():
            self.rotate()
        self.size = self._file.seek(0, os.SEEK_END)  # another program may have emptied it
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest):]
        except OSError:
            self._file.truncate(self.size)
            self._file.seek(self.size)
            raise
        self.size += len(data)


def _day(seconds: float) -> int:
    return time.localtime(seconds).tm_yday


class LogFileWriter:
    """Writes entries to the log file, in batches. `count` is called with an outcome and a number of lines."""

    def __init__(self, reactor: Any, path: Path, *, size: int, keep: int, count: Callable[[str, int], None]) -> None:
        self._reactor = reactor
        self._path = path
        self._size = size
        self._keep = keep
        self._background = Background(reactor, f"[exchange_log] path = {path}", count)
        self._buffer: list[Entry] = []
        self._timer: IDelayedCall | None = None
        self._file: RotatingFile | None = None

    def add(self, entry: Entry) -> None:
        """Adds an entry; it is passed to the writing thread within `FLUSH_SECONDS`."""
        if not self._buffer:
            self._timer = self._reactor.callLater(FLUSH_SECONDS, self._flush)
        self._buffer.append(entry)
        if len(self._buffer) >= MAX_BUFFERED:
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        entries, self._buffer = self._buffer, []
        if entries:
            data = "".join([write_entry(entry) + "\n" for entry in entries]).encode()
            self._background.put(lambda: self._write(data), len(data), len(entries))

    def _write(self, data: bytes) -> None:
        """Writes a batch; runs in a thread."""
        if self._file is None:
            self._file = self._open()
        try:
            self._file.write(data)
        except OSError:
            self._close()
            raise

    def _open(self) -> RotatingFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFile(self._path, size=self._size, keep=self._keep)

    def _close(self) -> None:
        """Closes the file; runs in a thread."""
        file, self._file = self._file, None
        if file is not None and not file.closed:
            file.close()

    def reopen(self) -> None:
        """Closes the file and writes further lines to a new one; called when another program has moved the file."""
        self._flush()
        self._background.put(self._close, 0, 0)

    def stop(self) -> Deferred[None]:
        """Writes the remaining lines and closes the file. Fires when done."""
        self._flush()
        self._background.put(self._close, 0, 0)
        return self._background.stop()
