"""The files of one scan in the folder of a destination, hidden until they are complete. All functions block.

The files of a scan begin with `.wsdgateway-` and its id, and end in `.part`::

    .wsdgateway-ID.part           what is needed to finish the scan after a crash; locked while the scan runs
    .wsdgateway-ID-3.part         the third page, arriving
    .wsdgateway-ID-3.page.part    the third page, complete and synced
    .wsdgateway-ID-N.out.part     a file that is being made from pages

A file gets its final name by a hard link, so that nothing is overwritten and no reader sees a part of it.
"""

import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from wsdgateway.bridge.destinations.filenames import EXTENSIONS, candidates
from wsdgateway.config.destinationchecks import file_name
from wsdgateway.config.wrong import Wrong
from wsdgateway.storage.ownfolder import sync
from wsdgateway.storage.spool import SpoolFile

PREFIX, PART, PAGE, OUT = ".wsdgateway-", ".part", ".page.part", ".out.part"
MODE = 0o640
MAX_RECORD = 65536  # bytes
MAX_DOTS, MAX_LINES = 10000, 65535  # per inch, and of a page; a scanner or a damaged record may say anything
USUAL_DOTS = 300
MAX_ENTRIES = 100000  # of a folder that are looked at for files of earlier scans
_OWN = re.compile(
    r"\.wsdgateway-(?P<id>[0-9a-f]{8}-[0-9a-f-]{27})(?:-(?P<number>\d{1,9})(?P<kind>\.page|\.out)?)?\.part")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


def _dots(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value <= MAX_DOTS else USUAL_DOTS


def _lines(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value <= MAX_LINES else 0


@attrs.frozen
class Record:
    """The record for finishing a scan: scanner, destination, format and pattern of its files, and their values.

    `dots` is the resolution per inch, `lines` the number of lines of a page if the image does not say it; 0 if nothing
    says it.
    """

    scanner: str
    destination: str
    format: str
    pattern: str
    values: dict[str, str]
    dots: int = attrs.field(converter=_dots)
    lines: int = attrs.field(converter=_lines)

    def dump(self) -> bytes:
        """The record as bytes."""
        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def load(cls, data: bytes) -> "Record | None":
        """The record in bytes; None if they are none."""
        try:
            made = cls(**json.loads(data))
            texts = (made.scanner, made.destination, made.format, *made.values, *made.values.values())
            file_name(made.pattern)
        except (ValueError, TypeError, AttributeError, RecursionError, Wrong):
            return None
        is_valid = all(isinstance(one, str) for one in texts) and made.format in EXTENSIONS
        return made if is_valid else None


class ScanFolder:
    """The files of one scan, named by its `scan_id`, a uuid. Raises `OSError` from each method."""

    def __init__(self, folder: Path, scan_id: str) -> None:
        self.folder = folder
        self._id = scan_id
        self._lock: int | None = None

    @property
    def scan_id(self) -> str:
        """The id of the scan."""
        return self._id

    def _path(self, ending: str) -> Path:
        return self.folder / f"{PREFIX}{self._id}{ending}"

    def begin(self, record: Record) -> None:
        """Make and lock the file with the record, which shows that the folder can be written to."""
        self._lock = os.open(self._path(PART), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self.note(record)
        except OSError:
            self.end()
            raise

    def note(self, record: Record) -> None:
        """Replace the record, which the scanner's JobId completes."""
        assert self._lock is not None, "the scan has not begun, or has ended"
        data = record.dump()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, data, 0)
        os.fsync(self._lock)

    def new_page(self, number: int) -> SpoolFile:
        """Make the file of a page that arrives. One that broke off before is deleted."""
        path = self._path(f"-{number}{PART}")
        path.unlink(missing_ok=True)
        return SpoolFile(path)

    def keep(self, arrived: Path, number: int) -> Path:
        """Mark the page in a file that `new_page` made as complete, and sync it."""
        sync(arrived)
        kept = self._path(f"-{number}{PAGE}")
        arrived.rename(kept)
        return kept

    def new_output(self, number: int) -> Path:
        """Make an empty file to write a converted page or a document to."""
        path = self._path(f"-{number}{OUT}")
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return path

    def publish(self, source: Path, record: Record, extension: str, number: int | None) -> Path:
        """Give a complete file its final name, the first one that is free; `number` is that of the page."""
        descriptor = os.open(source, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, MODE)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for name in candidates(record.pattern, record.values, extension, number):
            final = self.folder / name
            if _link(source, final):
                source.unlink(missing_ok=True)
                sync(self.folder)
                return final
        raise OSError(errno.EEXIST, f"no name is free for {record.pattern}", str(self.folder))

    def end(self) -> None:
        """Delete the remaining files of the scan.

        The record is the first, so that after a crash in between no file is made of the pages that are left.
        """
        self._path(PART).unlink(missing_ok=True)
        for path in self._left():
            with suppress(FileNotFoundError):
                path.unlink()
        self.leave()

    def leave(self) -> None:
        """Leave the files to the next start."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _left(self) -> list[Path]:
        return [self.folder / name for name, found in _own_files(self.folder) if found["id"] == self._id
                and found["number"] is not None]

    # Scans of an earlier start.

    def take_over(self) -> Record | None:
        """Lock the scan of an earlier start, and return its record; None if there is none, or the scan still runs."""
        try:
            lock = os.open(self._path(PART), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            pass  # a file system without locks
        self._lock = lock
        return Record.load(os.pread(lock, MAX_RECORD, 0))

    @property
    def is_taken(self) -> bool:
        """True if the scan is locked by this object."""
        return self._lock is not None

    def is_running(self) -> bool:
        """True if the scan has a file with its record, which another object then has locked."""
        return self._path(PART).exists()

    def kept(self) -> list[tuple[int, Path]]:
        """The number and the file of each complete page, in order."""
        return sorted((int(found["number"]), self.folder / name) for name, found in _own_files(self.folder)
                      if found["id"] == self._id and found["kind"] == ".page")


def _own_files(folder: Path) -> Iterator[tuple[str, re.Match[str]]]:
    """The names of files of scans in a folder."""
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= MAX_ENTRIES:
                return
            found = _OWN.fullmatch(entry.name)
            if found is not None and entry.is_file(follow_symlinks=False):
                yield entry.name, found


def scans_in(folder: Path) -> list[str]:
    """The ids of the scans of which a folder holds files."""
    try:
        return sorted({found["id"] for _, found in _own_files(folder)})
    except (FileNotFoundError, NotADirectoryError):
        return []


def problem_with(folder: Path) -> str | None:
    """Why the current user cannot write files into a folder; None if it can."""
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if not is_folder:
        return f"{folder}: must be a folder"
    return None if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else (
        f"{folder}: is not writable for the user who runs this check")


def _link(source: Path, final: Path) -> bool:
    """Give a file another name; returns False if that name is taken."""
    try:
        os.link(source, final, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):  # a file system without hard links, such as FAT
            return False
        source.rename(final)
        return True
    # Programs that watch a folder by inotify, such as Paperless-ngx, wait for a file to be closed after writing.
    with suppress(OSError):
        os.close(os.open(final, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
    return True
