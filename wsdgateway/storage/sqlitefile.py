"""The file of a SQLite store: claims it for one gateway, prepares it for use, and reads its content.

A file that cannot be written to can still be read.
"""

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.problems import KEEP, no_folder, unusable
from wsdgateway.storage.rows import (
    ADOPTED,
    ALL,
    ESCL_OFFERS,
    ESCL_PORTS,
    FINISHED,
    HELD,
    OWN_JOBS,
    SUBSCRIPTIONS,
    read_finished_job,
    read_held,
    read_kept_offer,
    read_subscription,
)
from wsdgateway.storage.schema import connect_read_only, open_private, prepare, verify
from wsdgateway.storage.store import Content, FinishedJob, NotOurs, StoreError, Unreadable


@attrs.frozen
class Opened:
    """A file that is ready for use; while `claim` is open, other gateways cannot use the file."""

    claim: BinaryIO
    content: Content


def open_file(path: Path) -> Opened:
    """Prepares a file for use, in this thread. Raises `StoreError`, and leaves the file unchanged then."""
    claim = claim_file(path)
    try:
        prepare(path, lambda connection: _read_all(connection, path))
        with closing(sqlite3.connect(path)) as connection:
            return Opened(claim, _read_all(connection, path))
    except StoreError:
        claim.close()
        raise


def claim_file(path: Path) -> BinaryIO:
    """Opens the file, which is locked while it is open. Raises `StoreError` if another process has the lock."""
    if not path.parent.exists():
        raise no_folder(path)
    try:
        file = os.fdopen(open_private(path), "ab")
    except OSError as error:
        _check_unclaimed(path)
        raise unusable(path, error, look=True) from None
    try:
        _lock(path, file)
    except StoreError:
        file.close()
        raise
    return file


def _lock(path: Path, file: Any) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NotOurs(f"{path}: another gateway is using the store; stop it, or give another file") from None
    except OSError:
        pass  # a file system without locks


def _check_unclaimed(path: Path) -> None:
    """Checks a file that cannot be written to. Raises `NotOurs` if another gateway uses it."""
    with suppress(OSError), path.open("rb") as file:
        _lock(path, file)


def _read_all(connection: sqlite3.Connection, path: Path) -> Content:
    """Reads the content of a file. Raises `StoreError` for unreadable entries now, before clients depend on them."""
    connection.text_factory = _text
    try:
        return _content(connection)
    except sqlite3.Error as error:
        raise unusable(path, error, look=True) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"{path}: a subscription in the store cannot be read: {error}; {KEEP}") from None


def _text(data: bytes) -> str:
    # Raises ValueError if it is not UTF-8; SQLite's own error could not be told from others.
    return data.decode("utf-8")


def _content(connection: sqlite3.Connection) -> Content:
    return Content(
        tuple(map(read_subscription, connection.execute(SUBSCRIPTIONS))),
        tuple(map(read_held, connection.execute(HELD))),
        tuple(Adopted(*row) for row in connection.execute(ADOPTED)),
        tuple((row[0], row[1], int(row[2])) for row in connection.execute("SELECT * FROM stand_in ORDER BY rowid")),
        connection.execute("SELECT max(id) FROM instance").fetchone()[0],
        tuple(OwnJob(*row) for row in connection.execute(OWN_JOBS)),
        tuple(connection.execute(ESCL_PORTS)), tuple(map(read_kept_offer, connection.execute(ESCL_OFFERS))))


def read_only(path: Path) -> Content | None:
    """Returns the content of a file that cannot be written; None if it is unreadable or not up to date."""
    try:
        with closing(connect_read_only(path)) as connection:
            return _content(connection) if verify(connection, path) else None
    except (sqlite3.Error, OSError, StoreError, ValueError, TypeError, KeyError):
        return None


def read_finished(path: Path, scanner: str, most: int | None = None) -> list[FinishedJob]:
    """Returns the kept jobs of a scanner in a file that cannot be written to; empty if it cannot be read either.

    With `most`, at most so many of the latest ones.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            return [read_finished_job(row) for row in connection.execute(
                FINISHED, (scanner, ALL if most is None else most))]
    except (sqlite3.Error, OSError, ValueError, TypeError):
        return []
