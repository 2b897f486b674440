"""A store in a SQLite file. A single thread writes, which keeps the order and never blocks the reactor."""

import sqlite3
from collections.abc import Callable, Iterable
from itertools import starmap
from pathlib import Path
from typing import Any

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
from wsdgateway.storage.problems import LOGICAL, unusable
from wsdgateway.storage.rows import (
    ADOPTED,
    ALL,
    ESCL_OFFERS,
    ESCL_PORTS,
    FINISHED,
    HELD,
    OWN_JOBS,
    SUBSCRIPTIONS,
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
    superseding,
    withdrawing,
)
from wsdgateway.storage.sqlitefile import Opened, open_file
from wsdgateway.storage.store import Content, FinishedJob, IStore


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
        return self._run([superseding(scanner, job_id)])

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        return self._all(read_finished_job, FINISHED, scanner, ALL if most is None else most)

    def bring_up_to_date(self, listed: Content, content: Content, jobs: Iterable[FinishedJob],
                         superseded: Iterable[tuple[str, str]]) -> Deferred[None]:
        """Replaces the content `listed` by `content`, and adds these finished jobs, in one transaction.

        The jobs of the `superseded` scanners and JobIds are marked first, and jobs beyond the history are deleted last.
        Only differences are written, because a disk that was full has little room.
        """
        return self._run([*differences(listed, content), *starmap(superseding, superseded), *(
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
        return self._all(read_subscription, SUBSCRIPTIONS)

    def hold(self, held: Held) -> Deferred[None]:
        return self._run([holding(held)])

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        statement, values = releasing(scanner, identifier)
        return self._run([(f"{statement} AND notify_to = ?", (*values, notify_to))])

    def held(self) -> Deferred[list[Held]]:
        return self._all(read_held, HELD)

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
        return self._all(lambda row: Adopted(*row), ADOPTED)

    def begin_job(self, job: OwnJob) -> Deferred[None]:
        return self._run([beginning(job)])

    def end_job(self, scanner: str, own_id: str) -> Deferred[None]:
        return self._run([ending(scanner, own_id)])

    def keep_escl_port(self, scanner: str, port: int, former: int | None = None,
                       loser: str | None = None) -> Deferred[bool]:
        return self._run([porting(scanner, port)]).addCallback(lambda _: True)

    def escl_ports(self) -> Deferred[dict[str, int]]:
        return self._all(tuple, ESCL_PORTS).addCallback(dict)

    def keep_escl_offer(self, offer: KeptOffer) -> Deferred[None]:
        return self._run(offering(offer))

    def forget_escl_offer(self, scanner: str) -> Deferred[None]:
        return self._run([withdrawing(scanner)])

    def escl_offers(self) -> Deferred[list[KeptOffer]]:
        return self._all(read_kept_offer, ESCL_OFFERS)

    def own_jobs(self) -> Deferred[list[OwnJob]]:
        return self._all(lambda row: OwnJob(*row), OWN_JOBS)

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
