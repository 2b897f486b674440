"""A private folder of the gateway's own that one process uses at a time, for the spool and for the upload queue."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from wsdgateway.storage.store import NotOurs, StoreError

LOCKS = Path("/proc/locks")
_T = TypeVar("_T")


class OwnFolder:
    """The folder, used from `claim` to `release`. `purpose` names it in errors, `lock` is the name of its lock file."""

    def __init__(self, path: Path, purpose: str, lock: str) -> None:
        self.path = path
        self._purpose = purpose
        self._lock_file = path / lock
        self._lock: int | None = None

    def claim(self, check: Callable[[], _T]) -> tuple[tuple[int, int], _T]:
        """Make the folder, or check its content, and keep other processes from using it.

        Returns the folder's device and inode, and the result of `check`, before which nothing is changed. Raises
        `NotOurs` for a folder of another user or one that another gateway uses, and `OSError`.
        """
        with suppress(FileExistsError):
            self.path.mkdir(0o700)
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise NotOurs(f"{self.path}: the {self._purpose} must be a folder that belongs to the gateway's user; give "
                          "another folder")
        checked = check()
        self._lock = os.open(self._lock_file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotOurs(f"{self.path}: another gateway is using the {self._purpose}; stop it, or give another folder"
                          ) from None
        except OSError:
            pass  # a file system without locks
        self.path.chmod(0o700)
        return (found.st_dev, found.st_ino), checked

    def release(self) -> None:
        """Let other processes use the folder."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def problem_with_own_folder(folder: Path, check: Callable[[], object]) -> str | None:
    """The reason why the gateway could not use a folder as its own; None if it could. Nothing is changed.

    `check` looks at the content, and raises `StoreError`.
    """
    if not os.path.lexists(folder):
        parent = folder.parent
        return None if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK) else (
            f"{folder}: the folder {parent} does not exist, or is not writable for the user who runs this check")
    if folder.is_symlink() or not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"{folder}: must be a folder that is writable for the user who runs this check"
    try:
        check()
    except StoreError as error:
        return str(error)
    return None


def is_locked(lock: Path, locks: Path = LOCKS) -> bool:
    """True if a process holds the lock on a lock file, so far as the system's table of locks shows. Takes no lock.

    proc(5), /proc/locks. Only inodes are compared, since the numbers of some file systems differ there.
    """
    try:
        inode, lines = str(lock.stat().st_ino), locks.read_text().splitlines()
    except OSError:
        return False
    return any(fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode
               for fields in map(str.split, lines) if len(fields) > 5)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
