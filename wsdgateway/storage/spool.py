"""The spool: a private folder with the pages of scan jobs, in files that can be read while they grow.

A page is named after its job, by the gateway's own name for it, and a number; nothing that a scanner or client sends
becomes part of a name. Pages are of no use to a later start, so each start deletes those of the one before. A folder
with any other file is refused, because the configuration must have named it by mistake.
"""

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

from wsdgateway.storage.ownfolder import OwnFolder, is_locked, problem_with_own_folder
from wsdgateway.storage.store import NotOurs, StoreError

PREFIX, SUFFIX = "scan-", ".page"
LOCK = "scan.lock"
MAX_FILES = 100000  # in the folder at the start; a folder with more is another program's
_JOB = re.compile(r"[0-9a-zA-Z-]{1,64}")
_PAGE = re.compile(rf"{PREFIX}[0-9a-zA-Z-]{{1,64}}\.\d{{1,9}}{re.escape(SUFFIX)}")


class SpoolFile:
    """The file of a page. `size` is the number of bytes that can be read. Its methods block while the disk is slow.

    A reader keeps its bytes when the file is deleted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._descriptor: int | None = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)

    def write(self, data: bytes) -> None:
        """Append bytes. Raises `OSError`, with a part of them written at most."""
        if self._descriptor is None:
            return  # deleted meanwhile
        rest = memoryview(data)
        while rest:
            rest = rest[os.pwrite(self._descriptor, rest, self.size + len(data) - len(rest)):]
        self.size += len(data)

    def reader(self) -> "SpoolReader":
        """A reader with its own descriptor. Raises `OSError`."""
        return SpoolReader(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))

    def close(self) -> None:
        """Close the file, since it is complete."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def delete(self) -> None:
        """Close and delete the file."""
        self.close()
        with suppress(FileNotFoundError):
            self.path.unlink()


class SpoolReader:
    """Reads a page from any place in it, also after its file was deleted."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at that offset; empty where nothing was written yet. Raises `OSError`."""
        assert self._descriptor is not None, "the reader is closed"
        return os.pread(self._descriptor, size, offset)

    def close(self) -> None:
        """Close it; further calls have no effect."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Spool:
    """The spool's folder, from `open` to `close`; no other process can use it meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = OwnFolder(folder, "spool", LOCK)
        self._identity: tuple[int, int] | None = None
        self._last = 0

    def open(self) -> int:
        """Make the folder, or delete what an earlier start has left in it. Returns the number of deleted pages.

        Raises `NotOurs` for a folder that holds other files or that another gateway uses, and `StoreError` for one that
        cannot be used. Nothing is deleted then.
        """
        try:
            return self._open()
        except OSError as error:
            self.close()
            raise StoreError(
                f"{self.folder}: the spool cannot be used: {error.strerror}; it must be a folder of the gateway's own, "
                "or a new one in an existing folder, writable for its user") from None
        except StoreError:
            self.close()
            raise

    def _open(self) -> int:
        self._identity, leftovers = self._own.claim(self.leftovers)
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    def leftovers(self) -> list[Path]:
        """The pages of an earlier start. Raises `NotOurs` if there are other files."""
        leftovers: list[Path] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name == LOCK and entry.is_file(follow_symlinks=False):
                    continue
                if len(leftovers) >= MAX_FILES or not (
                        _PAGE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)):
                    raise NotOurs(f"{self.folder}: the spool must be a folder of its own, but it contains "
                                  f"{entry.name!r}; move that away, or give another folder")
                leftovers.append(self.folder / entry.name)
        return leftovers

    def create(self, job_id: str) -> SpoolFile:
        """Create the file of the next page of a job, given by the gateway's own name for it. Raises `OSError`.

        A folder that was removed is made again.
        """
        if not _JOB.fullmatch(job_id):
            raise ValueError(f"{job_id!r} must be up to 64 letters, digits and hyphens")
        self._last += 1
        self._check_folder()
        return SpoolFile(self.folder / f"{PREFIX}{job_id}.{self._last}{SUFFIX}")

    def _check_folder(self) -> None:
        """Make the folder again if it was removed; pages are not written into another one in its place."""
        if self._identity is None:
            return
        try:
            found = self.folder.lstat()
        except FileNotFoundError:
            self.close()
            try:
                self._open()
            except StoreError as error:
                raise OSError(errno.EBUSY, str(error)) from None
            return
        if (found.st_dev, found.st_ino) != self._identity:
            raise OSError(errno.ENOTDIR, "another file or folder has taken the place of the spool; restart the gateway")

    def close(self) -> None:
        """Let other processes use the folder."""
        self._own.release()


def problem_with_spool(folder: Path) -> str | None:
    """The reason why the gateway could not use a folder as its spool; None if it could. Nothing is changed."""
    return problem_with_own_folder(folder, Spool(folder).leftovers)


def is_spool_in_use(folder: Path) -> bool:
    """True if a gateway that runs is using a folder as its spool."""
    return is_locked(folder / LOCK)
