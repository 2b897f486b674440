"""Explains why a store cannot be used: the cause given by SQLite or the system, and what to do about it."""

import errno
import os
import pwd
import sqlite3
from pathlib import Path

from wsdgateway.storage.store import NotOurs, StoreError, Unreadable

# Errors of this program rather than of the file or the disk.
LOGICAL = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError,
           sqlite3.NotSupportedError)
ROOM = 65536  # bytes: SQLite needs some pages for a transaction
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL = (errno.ENOSPC, errno.EDQUOT)
KEEP = "nothing was changed. Move the file away, or replace it with a good copy"


def unusable(path: Path, error: Exception, *, look: bool = False) -> StoreError:
    """Returns the error for a file on which an operation failed.

    With `look`, the file system is examined for the reason, which may take long if it hangs.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return Unreadable(f"{path}: the store is damaged: {error}; {KEEP}")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{path}: the store cannot be used: {error}; another program has it open; stop that program")
    if look and path.is_dir():
        return Unreadable(f"{path}: the store cannot be used: it is a folder; give a file, or move the folder away")
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in _FULL:
        return _full(path, f": {error}")
    problem = problem_of_folder(path, f": {error}") if look else None
    return problem or StoreError(
        f"{path}: the store cannot be used: {error}; it must be a SQLite file of this program or a new file in an "
        f"existing folder, both writable for the user {_user()}, with free space on the disk")


def no_folder(path: Path) -> NotOurs:
    """Returns the error for a store in a folder that does not exist."""
    return NotOurs(f"{path}: the store cannot be used: the folder {path.parent} does not exist; create it, or give "
                   "another file")


def problem_of_folder(path: Path, said: str = "") -> StoreError | None:
    """Returns an error if the file system of a store is full or read-only, otherwise None.

    `said` is the outcome of an attempt to write.
    """
    if _is_full(path.parent):
        return _full(path, said)
    if _is_read_only(path.parent):
        return StoreError(f"{path}: the store cannot be written to{said}: the file system of {path.parent} is "
                          "mounted read-only; mount it read-write")
    return None


def _full(path: Path, said: str) -> StoreError:
    return StoreError(f"{path}: the store cannot be written to{said}: the folder {path.parent} is full; free space "
                      "on its file system, or raise the quota")


def _is_full(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < ROOM or (found.f_files > 0 and found.f_favail == 0)


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _user() -> str:
    """The name of the user that runs this process."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
