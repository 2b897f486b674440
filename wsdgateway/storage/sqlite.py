"""A store in a SQLite file. A single thread writes, which keeps the order and never blocks the reactor."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from itertools import starmap
from pathlib import Path
from typing import Any, BinaryIO

import attrs
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.defer import succeed as done
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.problems import KEEP, LOGICAL, no_folder, unusable
from wsdgateway.storage.rows import (
    Statement,
    beginning,
    differences,
    ending,
    forgetting,
    holding,
    offering,
    porting,
    read_finished_job,
    read_held,
    read_kept_offer,
    read_subscription,
    recording,
    releasing,
    saving,
    withdrawing,
)
from wsdgateway.storage.schema import connect_read_only, open_private, prepare, verify
from wsdgateway.storage.store import Content, FinishedJob, IStore, NotOurs, StoreError, Unreadable

_SUBSCRIPTIONS = "SELECT * FROM client_subscription ORDER BY rowid"
_HELD = "SELECT * FROM device_subscription"
_ADOPTED = "SELECT uuid, name FROM adopted ORDER BY rowid"
_ESCL_PORTS = "SELECT scanner, port FROM escl_port ORDER BY rowid"
_ESCL_OFFERS = "SELECT scanner, place, endpoint, labels, elements FROM escl_offer ORDER BY rowid"
_OWN_JOBS = "SELECT scanner, id, job_id, created, answered, client FROM own_job ORDER BY rowid"
_ALL = -1  # as a limit in SQLite
_FINISHED = ("SELECT scanner, job_id, state, reasons, scans_completed, created, completed, finished, superseded FROM "
             "(SELECT * FROM finished_job WHERE scanner = ? ORDER BY id DESC LIMIT ?) ORDER BY id")


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


@implementer(IStore)
class SqliteStore:
    """A store in a file; `history` is the number of jobs kept for each scanner.

    Without `opened`, the file is opened immediately. Raises `StoreError` if the file cannot be used; so do the writes,
    except for errors of this program.
    """

    def __init__(self, reactor: Any, path: Path, history: int, opened: Opened | None = None) -> None:
        self._path = path
        self._history = history
        self._claim = (opened or open_file(path)).claim
        self._pool = ConnectionPool("sqlite3", str(path), cp_min=1, cp_max=1, cp_noisy=False, cp_reactor=reactor,
                                    cp_openfun=_read_whatever_is_there, check_same_thread=False)

    def _run(self, statements: list[Statement]) -> Deferred[None]:
        def run(transaction: Any) -> None:
            for statement, values in statements:
                transaction.execute(statement, values)

        return self._explained(self._pool.runInteraction(run))

    def _explained(self, running: Deferred[Any]) -> Deferred[Any]:
        """Returns the Deferred, with SQLite's errors converted to `StoreError`."""
        return running.addErrback(self._explain)

    def _explain(self, failure: Failure) -> Failure:
        if failure.check(sqlite3.Error, OSError) and not failure.check(*LOGICAL):
            return Failure(unusable(self._path, failure.value))
        return failure

    def _all(self, make: Callable[[tuple[Any, ...]], Any], query: str, *values: object) -> Deferred[Any]:
        rows: Deferred[Any] = self._pool.runQuery(query, values)
        return self._explained(rows.addCallback(lambda found: [make(row) for row in found]))

    def add(self, job: FinishedJob) -> Deferred[None]:
        return self._run(self._adding(job))

    def _adding(self, job: FinishedJob) -> list[Statement]:
        return [recording(job), (
            "DELETE FROM finished_job WHERE scanner = ? AND id <= "
            "(SELECT id FROM finished_job WHERE scanner = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (job.scanner, job.scanner, self._history))]

    def limit(self, history: int) -> Deferred[None]:
        self._history = history
        return self._run([self._pruning()])

    def _pruning(self) -> Statement:
        """Returns the statement that deletes the oldest jobs of every scanner beyond the history."""
        return (
            "DELETE FROM finished_job WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
            "(PARTITION BY scanner ORDER BY id DESC) AS place FROM finished_job) WHERE place > ?)", (self._history,))

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        return self._run([_superseding(scanner, job_id)])

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        return self._all(read_finished_job, _FINISHED, scanner, _ALL if most is None else most)

    def bring_up_to_date(self, listed: Content, content: Content, jobs: Iterable[FinishedJob],
                         superseded: Iterable[tuple[str, str]]) -> Deferred[None]:
        """Replaces the content `listed` by `content`, and adds these finished jobs, in one transaction.

        The jobs of the `superseded` scanners and JobIds are marked first, and jobs beyond the history are deleted last.
        Only differences are written, because a disk that was full has little room.
        """
        return self._run([*differences(listed, content), *starmap(_superseding, superseded), *(
            statement for job in jobs for statement in self._adding(job)), self._pruning()])

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        return self._run([saving(subscription), *([] if held is None else [holding(held)])])

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        return self._run([
            releasing(heir.scanner, former), forgetting(former) if left is None else saving(left), saving(heir),
            *([] if held is None else [holding(held)])])

    def forget(self, identifier: str) -> Deferred[None]:
        return self._run([forgetting(identifier)])

    def subscriptions(self) -> Deferred[list[Subscription]]:
        return self._all(read_subscription, _SUBSCRIPTIONS)

    def hold(self, held: Held) -> Deferred[None]:
        return self._run([holding(held)])

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        statement, values = releasing(scanner, identifier)
        return self._run([(f"{statement} AND notify_to = ?", (*values, notify_to))])

    def held(self) -> Deferred[list[Held]]:
        return self._all(read_held, _HELD)

    def next_instance(self, now: int) -> Deferred[int]:
        def run(transaction: Any) -> int:
            last = transaction.execute("SELECT max(id) FROM instance").fetchone()[0]
            instance = now if last is None else max(now, last + 1)
            transaction.execute("DELETE FROM instance")
            transaction.execute("INSERT INTO instance VALUES (?)", (instance,))
            return instance

        return self._explained(self._pool.runInteraction(run))

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        def run(transaction: Any) -> int:
            transaction.execute(
                "INSERT INTO stand_in VALUES (?, ?, 1) ON CONFLICT (endpoint) DO UPDATE SET "
                "version = version + (digest <> excluded.digest), digest = excluded.digest",
                (endpoint, digest))
            transaction.execute("SELECT version FROM stand_in WHERE endpoint = ?", (endpoint,))
            return int(transaction.fetchone()[0])

        return self._explained(self._pool.runInteraction(run))

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        return self._run([("INSERT INTO adopted VALUES (?, ?) ON CONFLICT (uuid) DO UPDATE SET name = excluded.name",
                           (adopted.uuid, adopted.name))])

    def abandon(self, uuid: str) -> Deferred[None]:
        return self._run([("DELETE FROM adopted WHERE uuid = ?", (uuid,))])

    def adopted(self) -> Deferred[list[Adopted]]:
        return self._all(lambda row: Adopted(*row), _ADOPTED)

    def begin_job(self, job: OwnJob) -> Deferred[None]:
        return self._run([beginning(job)])

    def end_job(self, scanner: str, own_id: str) -> Deferred[None]:
        return self._run([ending(scanner, own_id)])

    def keep_escl_port(self, scanner: str, port: int, former: int | None = None,
                       loser: str | None = None) -> Deferred[bool]:
        return self._run([porting(scanner, port)]).addCallback(lambda _: True)

    def escl_ports(self) -> Deferred[dict[str, int]]:
        return self._all(tuple, _ESCL_PORTS).addCallback(dict)

    def keep_escl_offer(self, offer: KeptOffer) -> Deferred[None]:
        return self._run(offering(offer))

    def forget_escl_offer(self, scanner: str) -> Deferred[None]:
        return self._run([withdrawing(scanner)])

    def escl_offers(self) -> Deferred[list[KeptOffer]]:
        return self._all(read_kept_offer, _ESCL_OFFERS)

    def own_jobs(self) -> Deferred[list[OwnJob]]:
        return self._all(lambda row: OwnJob(*row), _OWN_JOBS)

    def retry(self) -> Deferred[None]:
        return done(None)  # FallbackStore opens the file again

    def warning(self) -> str | None:
        return None

    def written(self) -> Deferred[None]:
        """Fires when all earlier writes have succeeded or failed; they share one thread."""
        last: Deferred[Any] = self._pool.runQuery("SELECT 1")
        return last.addBoth(lambda _: None)

    def close(self) -> Deferred[None]:
        return self.written().addCallback(lambda _: self._end())

    def _end(self) -> None:
        self._pool.close()
        self._claim.close()


def _read_whatever_is_there(connection: sqlite3.Connection) -> None:
    """Makes text that is not UTF-8 readable, with replacement characters. Only finished jobs are read then."""
    connection.text_factory = lambda data: data.decode("utf-8", "replace")


def _text(data: bytes) -> str:
    # Raises ValueError if it is not UTF-8; SQLite's own error could not be told from others.
    return data.decode("utf-8")


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


def _content(connection: sqlite3.Connection) -> Content:
    return Content(
        tuple(map(read_subscription, connection.execute(_SUBSCRIPTIONS))),
        tuple(map(read_held, connection.execute(_HELD))),
        tuple(Adopted(*row) for row in connection.execute(_ADOPTED)),
        tuple((row[0], row[1], int(row[2])) for row in connection.execute("SELECT * FROM stand_in ORDER BY rowid")),
        connection.execute("SELECT max(id) FROM instance").fetchone()[0],
        tuple(OwnJob(*row) for row in connection.execute(_OWN_JOBS)),
        tuple(connection.execute(_ESCL_PORTS)), tuple(map(read_kept_offer, connection.execute(_ESCL_OFFERS))))


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
                _FINISHED, (scanner, _ALL if most is None else most))]
    except (sqlite3.Error, OSError, ValueError, TypeError):
        return []


def _superseding(scanner: str, job_id: str) -> Statement:
    return "UPDATE finished_job SET superseded = 1 WHERE scanner = ? AND job_id = ?", (scanner, job_id)
