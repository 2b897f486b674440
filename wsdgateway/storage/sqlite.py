"""The store in a SQLite file. One thread writes, so that the order is kept and the reactor never waits."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from wsdgateway.bridge.adoption import Adopted
from wsdgateway.bridge.holding import Held
from wsdgateway.bridge.sinks import Sink
from wsdgateway.bridge.subscriptions import Subscription, Token
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.scan.destinations import Destinations
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage.schema import open_private, prepare, unusable
from wsdgateway.storage.store import FinishedJob, IStore, StoreError

_Statement = tuple[str, tuple[object, ...]]

_SUBSCRIPTIONS = "SELECT * FROM client_subscription ORDER BY rowid"
_HELD = "SELECT * FROM device_subscription"


@implementer(IStore)
class SqliteStore:
    """A file. Raises `StoreError` if it can't be used; `history` is the number of jobs kept for each scanner."""

    log = Logger()

    def __init__(self, reactor: Any, path: Path, history: int) -> None:
        self._history = history
        self._claim = _claim(path)
        try:
            prepare(path)
            _read_all(path)
        except StoreError:
            self._claim.close()
            raise
        self._pool = ConnectionPool("sqlite3", str(path), cp_min=1, cp_max=1, cp_noisy=False, cp_reactor=reactor,
                                    check_same_thread=False)

    def _run(self, statements: list[_Statement]) -> Deferred[None]:
        def run(transaction: Any) -> None:
            for statement, values in statements:
                transaction.execute(statement, values)

        return self._pool.runInteraction(run)

    def _all(self, make: Callable[[tuple[Any, ...]], Any], query: str, *values: object) -> Deferred[Any]:
        rows: Deferred[Any] = self._pool.runQuery(query, values)
        return rows.addCallback(lambda found: [make(row) for row in found])

    def add(self, job: FinishedJob) -> None:
        adding = self._run([(
            "INSERT INTO finished_job (scanner, job_id, state, reasons, scans_completed, created, completed, finished)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (job.scanner, job.job_id, job.state, " ".join(job.reasons), job.scans_completed, job.created,
             job.completed, job.finished)), (
            "DELETE FROM finished_job WHERE scanner = ? AND id <= "
            "(SELECT id FROM finished_job WHERE scanner = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (job.scanner, job.scanner, self._history))])
        adding.addErrback(lambda failure: self.log.failure(
            "a finished job of {scanner} could not be stored", failure, scanner=job.scanner))

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        return self._run([("UPDATE finished_job SET superseded = 1 WHERE scanner = ? AND job_id = ?",
                           (scanner, job_id))])

    def finished(self, scanner: str) -> Deferred[list[FinishedJob]]:
        return self._all(
            _finished_job,
            "SELECT scanner, job_id, state, reasons, scans_completed, created, completed, finished, superseded"
            " FROM finished_job WHERE scanner = ? ORDER BY id", scanner)

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        return self._run([_save(subscription), *([] if held is None else [_hold(held)])])

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        return self._run([
            _release(heir.scanner, former), _forget(former) if left is None else _save(left), _save(heir),
            *([] if held is None else [_hold(held)])])

    def forget(self, identifier: str) -> Deferred[None]:
        return self._run([_forget(identifier)])

    def subscriptions(self) -> Deferred[list[Subscription]]:
        return self._all(_subscription, _SUBSCRIPTIONS)

    def hold(self, held: Held) -> Deferred[None]:
        return self._run([_hold(held)])

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        statement, values = _release(scanner, identifier)
        return self._run([(f"{statement} AND notify_to = ?", (*values, notify_to))])

    def held(self) -> Deferred[list[Held]]:
        return self._all(_held, _HELD)

    def next_instance(self, now: int) -> Deferred[int]:
        def run(transaction: Any) -> int:
            last = transaction.execute("SELECT max(id) FROM instance").fetchone()[0]
            instance = now if last is None else max(now, last + 1)
            transaction.execute("DELETE FROM instance")
            transaction.execute("INSERT INTO instance VALUES (?)", (instance,))
            return instance

        return self._pool.runInteraction(run)

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        def run(transaction: Any) -> int:
            transaction.execute(
                "INSERT INTO stand_in VALUES (?, ?, 1) ON CONFLICT (endpoint) DO UPDATE SET "
                "version = version + (digest <> excluded.digest), digest = excluded.digest",
                (endpoint, digest))
            transaction.execute("SELECT version FROM stand_in WHERE endpoint = ?", (endpoint,))
            return int(transaction.fetchone()[0])

        return self._pool.runInteraction(run)

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        return self._run([("INSERT INTO adopted VALUES (?, ?) ON CONFLICT (uuid) DO UPDATE SET name = excluded.name",
                           (adopted.uuid, adopted.name))])

    def abandon(self, uuid: str) -> Deferred[None]:
        return self._run([("DELETE FROM adopted WHERE uuid = ?", (uuid,))])

    def adopted(self) -> Deferred[list[Adopted]]:
        return self._all(lambda row: Adopted(*row), "SELECT uuid, name FROM adopted ORDER BY rowid")

    def close(self) -> Deferred[None]:
        # What was begun before this runs first: there is one thread.
        last: Deferred[Any] = self._pool.runQuery("SELECT 1")
        return last.addBoth(lambda _: self._end())

    def _end(self) -> None:
        self._pool.close()
        self._claim.close()


def _claim(path: Path) -> BinaryIO:
    """The file, locked for this process as long as it is open. Raises `StoreError` if another one has it."""
    try:
        file = os.fdopen(open_private(path), "ab")
    except OSError as error:
        raise unusable(path, error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(f"{path}: another gateway is using the store; stop that one, or name another file") from None
    except OSError:
        pass  # a file system without locks
    return file


def _read_all(path: Path) -> None:
    """Whether every subscription can be read. Raises `StoreError`: better now than when nobody listens any more."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            for row in connection.execute(_SUBSCRIPTIONS):
                _subscription(row)
            for row in connection.execute(_HELD):
                _held(row)
    except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path}: a subscription in the store can't be read: {error}; nothing was changed. Move the "
                         "file away, or put a copy of it in its place") from None


def _finished_job(row: tuple[Any, ...]) -> FinishedJob:
    scanner, job_id, state, reasons, scans, created, completed, finished, superseded = row
    return FinishedJob(scanner, job_id, state, tuple(reasons.split()), scans, created, completed, finished,
                       bool(superseded))


def _held(row: tuple[Any, ...]) -> Held:
    return Held(row[0], row[1], row[2], row[3], _reference(row[4]), float(row[5]))


def _write(reference: EndpointReference) -> str:
    return json.dumps([reference.address, *reference.parameters])


def _reference(text: str) -> EndpointReference:
    address, *parameters = json.loads(text)
    return EndpointReference(address, tuple(parameters))


def _forget(identifier: str) -> _Statement:
    return "DELETE FROM client_subscription WHERE identifier = ?", (identifier,)


def _release(scanner: str, identifier: str) -> _Statement:
    return "DELETE FROM device_subscription WHERE scanner = ? AND identifier = ?", (scanner, identifier)


def _hold(held: Held) -> _Statement:
    return ("REPLACE INTO device_subscription VALUES (?, ?, ?, ?, ?, ?)",
            (held.scanner, held.identifier, held.address, held.notify_to, _write(held.manager), held.expires_at))


def _save(one: Subscription) -> _Statement:
    """An update keeps the row's place, so that the oldest stays the first."""
    values = (
        one.identifier, one.scanner, one.client, one.manager, _write(one.notify_to.reference), one.notify_to.ip,
        None if one.end_to is None else _write(one.end_to.reference), None if one.end_to is None else one.end_to.ip,
        None if one.filter.wanted is None else json.dumps(one.filter.wanted), one.expires_at, one.panel,
        None if one.destinations is None else json.dumps([one.destinations.xml, *one.destinations.listed]),
        json.dumps([(token.context, token.given, token.current) for token in one.tokens]))
    return (f"INSERT INTO client_subscription VALUES ({', '.join('?' * len(values))}) ON CONFLICT (identifier) "
            "DO UPDATE SET expires_at = excluded.expires_at, panel = excluded.panel, "
            "destinations = excluded.destinations, tokens = excluded.tokens", values)


def _subscription(row: tuple[Any, ...]) -> Subscription:
    (identifier, scanner, client, manager, notify_to, notify_ip, end_to, end_ip, wanted, expires_at, panel,
     destinations, tokens) = row
    xml, *listed = (None,) if destinations is None else json.loads(destinations)
    return Subscription(
        identifier, scanner, client, manager, Sink(_reference(notify_to), notify_ip),
        None if end_to is None else Sink(_reference(end_to), end_ip),
        ActionFilter(None if wanted is None else tuple(json.loads(wanted))), float(expires_at), bool(panel),
        None if xml is None else Destinations(xml, tuple((context, name) for context, name in listed)),
        tuple(Token(*token) for token in json.loads(tokens)))
