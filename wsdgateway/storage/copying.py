"""Copies everything in one store into another, empty one, while no gateway uses either: `wsdgateway store copy`.

The functions block; they are not for a gateway's process.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import attrs

from wsdgateway.storage.problems import unusable
from wsdgateway.storage.rows import differences, read_finished_job, recording
from wsdgateway.storage.sqlitefile import claim_file, open_file
from wsdgateway.storage.store import Content, FinishedJob, NotOurs, StoreError, Unreadable


@attrs.frozen
class Everything:
    """The content of a store and its finished jobs, each scanner's oldest first."""

    content: Content = attrs.Factory(Content)
    finished: tuple[FinishedJob, ...] = ()

    @property
    def counts(self) -> list[tuple[int, str]]:
        """The number of entries of each kind, for people."""
        content = self.content
        return [(len(found), what) for found, what in (
            (content.subscriptions, "subscription(s) of clients"), (content.held, "subscription(s) at scanners"),
            (content.adopted, "adopted scanner(s)"), (self.finished, "finished job(s)"),
            (content.own_jobs, "running job(s) of the gateway's own"), (content.escl_ports, "eSCL port(s)"),
            (content.escl_offers, "eSCL offer(s)"), (content.versions, "MetadataVersion(s)"),
            (() if content.instance is None else (content.instance,), "InstanceId"))]


class Place(Protocol):
    """A store that can be copied. `name` is as in `[gateway] state`, without a password."""

    @property
    def name(self) -> str: ...

    def read(self) -> Everything:
        """Returns everything. Raises `StoreError` if there is no store, or a gateway uses it."""

    def write(self, everything: Everything) -> None:
        """Writes everything at once. Raises `StoreError` if there is something already, or a gateway uses the store."""


def copy(source: Place, target: Place) -> Everything:
    """Copies everything, and returns it. Raises `StoreError`; then nothing was written."""
    everything = source.read()
    target.write(everything)
    return everything


def not_empty(name: str, everything: Everything) -> NotOurs:
    """Returns the error for a target in which there is something."""
    found = ", ".join(f"{count} {what}" for count, what in everything.counts if count)
    return NotOurs(f"{name}: the target must be empty, but has {found}; give another one")


@attrs.frozen
class SqliteFile:
    """A store in a SQLite file."""

    path: Path

    @property
    def name(self) -> str:
        return f"sqlite:{self.path}"

    def read(self) -> Everything:
        """Reads a copy of the file, because an older schema is brought up to date first."""
        if not self.path.exists():
            raise NotOurs(f"{self.path}: there is no store; give the file of a gateway")
        with claim_file(self.path), TemporaryDirectory(prefix="wsdgateway-") as folder:
            copied = Path(folder) / self.path.name
            try:
                with closing(sqlite3.connect(self.path)) as file, closing(sqlite3.connect(copied)) as target:
                    file.backup(target)
                return _read(copied)
            except sqlite3.Error as error:
                raise unusable(self.path, error, look=True) from None
            except StoreError as error:
                raise type(error)(str(error).replace(str(copied), str(self.path))) from None

    def write(self, everything: Everything) -> None:
        opened = open_file(self.path)
        with opened.claim:
            try:
                with closing(sqlite3.connect(self.path)) as connection, connection:
                    present = Everything(opened.content, tuple(_finished(connection)))
                    if present != Everything():
                        raise not_empty(self.name, present)
                    for statement, values in (*differences(Content(), everything.content),
                                              *map(recording, everything.finished)):
                        connection.execute(statement, values)
            except (sqlite3.Error, OSError) as error:
                raise unusable(self.path, error, look=True) from None


def _read(path: Path) -> Everything:
    opened = open_file(path)
    with opened.claim, closing(sqlite3.connect(path)) as connection:
        try:
            return Everything(opened.content, tuple(_finished(connection)))
        except (ValueError, TypeError, AttributeError, sqlite3.Error) as error:
            raise Unreadable(f"{path}: a finished job in the store cannot be read: {error}") from None


def _finished(connection: sqlite3.Connection) -> Sequence[FinishedJob]:
    return [read_finished_job(row) for row in connection.execute(
        "SELECT scanner, job_id, state, reasons, scans_completed, created, completed, finished, superseded "
        "FROM finished_job ORDER BY id")]
