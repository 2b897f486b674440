"""The store of finished jobs, its interface and the two that implement it.

It stands behind the tables in memory: what is written here is never waited for by a status read.
"""

import sqlite3
from collections import deque
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import Interface, implementer

SCHEMA_VERSION = 1


class StoreError(Exception):
    """The store can't be used; the text names it and says what to do."""


@attrs.frozen
class FinishedJob:
    """A job that is over. `finished` is in seconds since 1970, as the gateway's clock told when it learnt of it."""

    scanner: str
    job_id: str
    state: str
    reasons: tuple[str, ...]
    scans_completed: int | None
    created: str | None
    completed: str | None
    finished: float


class IJobStore(Interface):
    """Keeps the last finished jobs of each scanner."""

    def add(job: FinishedJob) -> None:
        """Keep a job; nobody waits for it, a failure is logged."""

    def finished(scanner: str) -> Deferred[list[FinishedJob]]:
        """The kept jobs of a scanner, oldest first."""

    def close() -> Deferred[None]:
        """Finish what is being written."""


@implementer(IJobStore)
class MemoryStore:
    """Forgets everything with the process. `history` is the number of jobs kept for each scanner."""

    def __init__(self, history: int) -> None:
        self._history = history
        self._jobs: dict[str, deque[FinishedJob]] = {}

    def add(self, job: FinishedJob) -> None:
        self._jobs.setdefault(job.scanner, deque(maxlen=self._history)).append(job)

    def finished(self, scanner: str) -> Deferred[list[FinishedJob]]:
        return succeed(list(self._jobs.get(scanner, ())))

    def close(self) -> Deferred[None]:
        return succeed(None)


@implementer(IJobStore)
class SqliteStore:
    """A file. One thread writes, so that the order is kept and the reactor never waits."""

    log = Logger()

    def __init__(self, reactor: Any, path: Path, history: int) -> None:
        self._history = history
        _check(path)
        self._pool = ConnectionPool("sqlite3", str(path), cp_min=1, cp_max=1, cp_noisy=False, cp_reactor=reactor,
                                    check_same_thread=False)

    def add(self, job: FinishedJob) -> None:
        self._pool.runInteraction(self._insert, job).addErrback(
            lambda failure: self.log.failure("a finished job of {scanner} could not be stored", failure,
                                             scanner=job.scanner))

    def _insert(self, transaction: Any, job: FinishedJob) -> None:
        transaction.execute(
            "INSERT INTO finished_job (scanner, job_id, state, reasons, scans_completed, created, completed, finished)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (job.scanner, job.job_id, job.state, " ".join(job.reasons), job.scans_completed, job.created,
             job.completed, job.finished))
        transaction.execute(
            "DELETE FROM finished_job WHERE scanner = ? AND id <= "
            "(SELECT id FROM finished_job WHERE scanner = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (job.scanner, job.scanner, self._history))

    def finished(self, scanner: str) -> Deferred[list[FinishedJob]]:
        rows: Deferred[Any] = self._pool.runQuery(
            "SELECT scanner, job_id, state, reasons, scans_completed, created, completed, finished"
            " FROM finished_job WHERE scanner = ? ORDER BY id", (scanner,))
        return rows.addCallback(lambda found: [
            FinishedJob(row[0], row[1], row[2], tuple(row[3].split()), *row[4:]) for row in found])

    def close(self) -> Deferred[None]:
        # What was begun before this runs first: there is one thread.
        last: Deferred[Any] = self._pool.runQuery("SELECT 1")
        return last.addBoth(lambda _: self._pool.close())


def _check(path: Path) -> None:
    """Make the schema in a new file; refuse one that is damaged or newer, and never overwrite it."""
    try:
        connection = sqlite3.connect(path)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise StoreError(f"{path}: the store was written by a newer version of wsdgateway "
                                 f"(schema {version}, known here is {SCHEMA_VERSION}); use that, or another file")
            if version < 1:
                script = (files("wsdgateway.storage") / "0001-finished-jobs.sql").read_text()
                connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = 1;\nCOMMIT;")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: the store can't be used: {error}; allowed is a SQLite file of this "
                         "program, or a new file in a folder that exists") from None
