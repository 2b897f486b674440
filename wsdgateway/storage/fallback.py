"""A store in a SQLite file that falls back to memory while the file cannot be used.

Memory always holds the desired content of the file, so with a full disk or a damaged file nothing is lost unless the
gateway restarts. `storage.recovery` decides when the file is used again.
"""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.endedentries import EndedEntries
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.merging import name_of_job
from wsdgateway.storage.recovery import Recovery, Restore
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.sqlitefile import open_file, read_finished, read_only
from wsdgateway.storage.store import Content, FinishedJob, IStore, NotOurs, StoreError, Unreadable

MAX_SUPERSEDED = 10000  # JobIds that were reused while the file could not be used
MAX_WARNED = 1000  # clients named in the log

Write = Callable[[IStore], Deferred[Any]]


@implementer(IStore)
class FallbackStore:
    """A store that also works without its file. Raises `NotOurs` for a file that another gateway or program uses.

    `history` is the number of finished jobs kept for each scanner, including those that wait in memory to be written;
    `wall` returns seconds since 1970.
    """

    log = Logger()

    def __init__(self, reactor: Any, path: Path, history: int, wall: Callable[[], float]) -> None:
        self._path = path
        self._ended = EndedEntries()
        self._superseded: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._warned: set[tuple[str, str]] = set()
        file, problem = None, None
        try:
            opened = open_file(path)
        except NotOurs:
            raise
        except StoreError as error:
            # Reading works even on a full disk. A stand-in whose last MetadataVersion is unknown starts with one that
            # is larger than any counted so far.
            problem = error
            content = None if isinstance(error, Unreadable) else read_only(path)
            self._memory = MemoryStore(history, content or Content(), 1 if content is not None else int(wall()))
        else:
            self._memory = MemoryStore(history, opened.content)
            file = SqliteStore(reactor, path, history, opened)
        self._recovery = Recovery(reactor, path, self._memory, self._ended, self._superseded, file, problem)

    def set_callbacks(self, restore: Restore, on_return: Callable[[], None] = lambda: None) -> None:
        """Sets the functions that are called when the file becomes usable.

        `restore` receives entries of the file that could not be read before; it should return when the subscriptions at
        scanners have been renewed or ended, or an attempt has been made. `on_return` is called when the file is used
        again.
        """
        self._recovery.restore, self._recovery.on_return = restore, on_return

    def warning(self) -> str | None:
        return self._recovery.warning()

    @property
    def file(self) -> SqliteStore | None:
        """The store in the file, or None while the file is not in use."""
        return self._recovery.file

    def retry(self) -> Deferred[None]:
        """Tries the file again now if it is not in use."""
        return self._recovery.retry()

    def close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._recovery.close())

    # Writing.

    def _write(self, write: Write) -> Deferred[Any]:
        """Writes to memory immediately, and to the file. The result is that of the memory store."""
        return write(self._memory).addCallback(lambda result: self._write_file(write, result))

    def _write_file(self, write: Write, result: Any) -> Any:
        file = self._recovery.file
        if file is None:
            return result
        written = write(file)
        written.addErrback(lambda failure: self._recovery.missed(file, failure))
        return written.addCallback(lambda _: result)

    def _write_or_wait(self, write: Write, wait: Callable[[], Deferred[None]]) -> Deferred[None]:
        """Writes to the file alone; while that cannot be used, `wait` keeps the data in memory for later."""
        file = self._recovery.file
        if file is None:
            return wait()

        def missed(failure: Failure) -> Deferred[None]:
            self._recovery.missed(file, failure)
            return wait()

        return write(file).addErrback(missed)

    def add(self, job: FinishedJob) -> Deferred[None]:
        return self._write_or_wait(lambda store: store.add(job), lambda: self._memory.add(job))

    def limit(self, history: int) -> Deferred[None]:
        return self._write(lambda store: store.limit(history))

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        def mark() -> Deferred[None]:
            self._superseded[scanner, job_id] = None
            if len(self._superseded) > MAX_SUPERSEDED:
                self._superseded.popitem(last=False)
            return self._memory.supersede(scanner, job_id)

        return self._write_or_wait(lambda store: store.supersede(scanner, job_id), mark)

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        saving = self._write(lambda store: store.save(subscription, held))
        return saving.addCallback(lambda _: self._warn(subscription))

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        if left is None:
            self._ended.add(former)
        succeeding = self._write(lambda store: store.succeed(heir, held, former, left))
        return succeeding.addCallback(lambda _: self._warn(heir))

    def forget(self, identifier: str) -> Deferred[None]:
        self._ended.add(identifier)
        return self._write(lambda store: store.forget(identifier))

    def hold(self, held: Held) -> Deferred[None]:
        return self._write(lambda store: store.hold(held))

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        self._ended.add(notify_to)
        return self._write(lambda store: store.release(scanner, identifier, notify_to))

    def next_instance(self, now: int) -> Deferred[int]:
        return self._write(lambda store: store.next_instance(now))

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        return self._write(lambda store: store.metadata_version(endpoint, digest))

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        self._ended.discard(adopted.uuid)
        return self._write(lambda store: store.adopt(adopted))

    def abandon(self, uuid: str) -> Deferred[None]:
        self._ended.add(uuid)
        return self._write(lambda store: store.abandon(uuid))

    def begin_job(self, job: OwnJob) -> Deferred[None]:
        return self._write(lambda store: store.begin_job(job))

    def end_job(self, scanner: str, own_id: str) -> Deferred[None]:
        self._ended.add(name_of_job(scanner, own_id))
        return self._write(lambda store: store.end_job(scanner, own_id))

    def keep_escl_port(self, scanner: str, port: int, former: int | None = None,
                       loser: str | None = None) -> Deferred[bool]:
        return self._write(lambda store: store.keep_escl_port(scanner, port, former, loser))

    def keep_escl_offer(self, offer: KeptOffer) -> Deferred[None]:
        return self._write(lambda store: store.keep_escl_offer(offer))

    def forget_escl_offer(self, scanner: str) -> Deferred[None]:
        return self._write(lambda store: store.forget_escl_offer(scanner))

    def _warn(self, subscription: Subscription) -> None:
        """Logs that a client's subscription is in memory only, once for each client and scanner."""
        problem, client = self._recovery.problem, (subscription.scanner, subscription.client)
        if problem is None:
            self._warned.clear()
        elif client not in self._warned and len(self._warned) < MAX_WARNED:
            self._warned.add(client)
            self.log.warn("{scanner}: the subscription of {client} is kept in memory only, and is lost if the "
                          "gateway restarts: {problem}",
                          scanner=subscription.scanner, client=subscription.client, problem=str(problem))

    # Reading. Memory holds everything except finished jobs.

    def subscriptions(self) -> Deferred[list[Subscription]]:
        return self._memory.subscriptions()

    def held(self) -> Deferred[list[Held]]:
        return self._memory.held()

    def adopted(self) -> Deferred[list[Adopted]]:
        return self._memory.adopted()

    def own_jobs(self) -> Deferred[list[OwnJob]]:
        return self._memory.own_jobs()

    def escl_ports(self) -> Deferred[dict[str, int]]:
        return self._memory.escl_ports()

    def escl_offers(self) -> Deferred[list[KeptOffer]]:
        return self._memory.escl_offers()

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        file = self._recovery.file
        if file is not None:
            found = file.finished(scanner, most).addErrback(lambda failure: self._unread(file, failure))
        elif isinstance(self._recovery.problem, Unreadable):
            found = succeed([])
        else:
            found = deferToThread(read_finished, self._path, scanner, most)
        return found.addCallback(lambda kept: self._with_waiting(kept, scanner, most))

    def _unread(self, file: SqliteStore, failure: Failure) -> list[FinishedJob]:
        self._recovery.missed(file, failure)
        return []

    def _with_waiting(self, kept: list[FinishedJob], scanner: str, most: int | None) -> Deferred[list[FinishedJob]]:
        """Returns the jobs in the file, followed by those that wait to be written; of these, the latest ones."""
        limit = self._memory.history if most is None else min(most, self._memory.history)
        marked = [attrs.evolve(job, superseded=job.superseded or (scanner, job.job_id) in self._superseded)
                  for job in kept]
        return self._memory.finished(scanner).addCallback(lambda waiting: [*marked, *waiting][-limit:] if limit else [])
