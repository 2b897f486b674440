"""Recovery of the store: decides when its file is used, and updates the file before it is used again.

A file that cannot be used is left unchanged, and tried again after pauses that grow up to `LONGEST_PAUSE`::

                 a write fails
       in use ──────────────────► in memory ◄────┐
          ▲                         │      │     │ cannot be used
          │ written as a whole      │      └─────┘
          └──── restoring ◄─────────┘ pause
                entries of the file that are unknown to this start are renewed or ended before anything is written
"""

from collections.abc import Callable, Container, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.merging import merge
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.sqlitefile import Opened, open_file
from wsdgateway.storage.store import Content, StoreError

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0
IN_MEMORY = ("Meanwhile the gateway works from memory: subscriptions and finished jobs are lost if it ends. It "
             "retries the store by itself")

Restore = Callable[[Content], Coroutine[Any, Any, None]]


async def _nothing(content: Content) -> None:
    """The default of `restore`: does nothing."""


class Recovery:
    """Holds the store's `file` while it can be written to; otherwise `file` is None, and `problem` says why.

    `memory` holds the desired content of the file, and the finished jobs that wait to be written. `ended` holds
    everything that has ended since the start, `superseded` the scanners and JobIds whose jobs are to be marked in the
    file. `restore` renews or ends entries of a file that could not be read before; `on_return` is called when the file
    is used again.
    """

    log = Logger()

    def __init__(self, reactor: Any, path: Path, memory: MemoryStore, ended: Container[str],
                 superseded: dict[tuple[str, str], None], file: SqliteStore | None, problem: StoreError | None) -> None:
        self._reactor = reactor
        self._path = path
        self._memory = memory
        self._ended = ended
        self._superseded = superseded
        self.file = file
        self.problem: StoreError | None = None
        self.restore: Restore = _nothing
        self.on_return: Callable[[], None] = lambda: None
        self._closing: Deferred[None] = succeed(None)
        self._timer: IDelayedCall | None = None
        self._pause = FIRST_PAUSE
        self._returned_at = float("-inf")
        self._reopening: Deferred[None] | None = None
        self._restoring: Deferred[None] | None = None
        self._stopped = False
        if problem is not None:
            self._wait(problem)

    def warning(self) -> str | None:
        """Returns the problem and its consequences, as text for people; None if there is none."""
        return None if self.problem is None else f"{self.problem}. {IN_MEMORY}."

    def missed(self, file: SqliteStore, failure: Failure) -> None:
        """Stops using a file after a failed read or write. Raises other errors again."""
        failure.trap(StoreError)
        if file is self.file:
            self.file = None
            self._closing = file.close()
            if self._reactor.seconds() - self._returned_at > LONGEST_PAUSE:
                self._pause = FIRST_PAUSE
            self._wait(failure.value)

    def _wait(self, problem: Any) -> None:
        """Logs why the file cannot be used, unless it was logged before, and schedules another attempt."""
        is_news = self.problem is None or str(problem) != str(self.problem)
        self.problem = problem
        if is_news:
            self.log.error("{warning}", warning=self.warning())
        if not self._stopped:
            self._timer = self._reactor.callLater(self._pause, self.retry)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def retry(self) -> Deferred[None]:
        """Tries the file again now, if it is not in use; fires when done."""
        if self._reopening is None and self.file is None and not self._stopped:
            self._forget_timer()
            self._reopening = Deferred.fromCoroutine(self._reopen())
            self._reopening.addErrback(self._failed)
            self._reopening.addBoth(self._tried)
        tried: Deferred[None] = Deferred()
        if self._reopening is None:
            return succeed(None)
        self._reopening.chainDeferred(tried)
        return tried

    def _forget_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _failed(self, failure: Failure) -> None:
        self.log.failure("Opening the store again failed", failure)
        if self.file is None:
            self._wait(self.problem)

    def _tried(self, _: object) -> None:
        self._reopening = None

    async def _reopen(self) -> None:
        opened = await self._open()
        if opened is None:
            return
        try:
            await self._restore(opened.content)
        except Exception:
            opened.claim.close()
            raise
        if self._stopped:
            opened.claim.close()
        else:
            await self._use(opened)

    async def _open(self) -> Opened | None:
        await self._closing
        try:
            return await deferToThread(open_file, self._path)
        except StoreError as problem:
            self._wait(problem)
            return None

    async def _restore(self, listed: Content) -> None:
        """Restores the entries of the file that are unknown to this start; the rest of the file is out of date."""
        merged, found = merge(self._memory.content, listed, self._ended)
        self._memory.list_instead(merged)
        if found.is_empty:
            return
        self.log.info("{path}: the store can be read; restored from an earlier start: {subscriptions} "
                      "subscription(s) of clients, {held} at scanners, {adopted} adopted scanner(s)", path=self._path,
                      subscriptions=len(found.subscriptions), held=len(found.held), adopted=len(found.adopted))
        self._restoring = Deferred.fromCoroutine(self.restore(found))
        try:
            await self._restoring
        except CancelledError:
            pass  # the gateway stops
        except Exception:  # everything is in memory, and will be written to the store
            self.log.failure("Restoring the content of the store failed")
        finally:
            self._restoring = None

    async def _use(self, opened: Opened) -> None:
        """Writes memory's content to the file, and uses the file from then on."""
        file = SqliteStore(self._reactor, self._path, self._memory.history, opened)
        content, jobs, superseded = self._memory.content, self._memory.take_jobs(), tuple(self._superseded)
        self.file = file  # later writes are queued behind this one
        try:
            await file.bring_up_to_date(opened.content, content, jobs, superseded)
        except StoreError:
            for job in jobs:
                await self._memory.add(job)
            self.missed(file, Failure())
            return
        for one in superseded:
            self._superseded.pop(one, None)
        if self.file is file:
            self.problem = None
            self._returned_at = self._reactor.seconds()
            self.log.info("{path}: the store is in use again; wrote {subscriptions} subscription(s) and {jobs} "
                          "finished job(s)", path=self._path, subscriptions=len(content.subscriptions), jobs=len(jobs))
            if not self._stopped:
                self.on_return()

    async def close(self) -> None:
        """Finishes pending writes; if the file is not in use, tries once more to write memory's content."""
        self._stopped = True
        self._forget_timer()
        if self._restoring is not None:
            self._restoring.cancel()
        if self._reopening is not None:
            await self._reopening
        if self.file is not None:
            await self.file.written()
        if self.file is None:
            await self._try_once_more()
        file, self.file = self.file, None
        if file is not None:
            await file.close()
        await self._closing

    async def _try_once_more(self) -> None:
        """Writes memory's content, unless the file has entries that would have to be renewed or ended first."""
        opened = await self._open()
        if opened is not None:
            merged, found = merge(self._memory.content, opened.content, self._ended)
            if found.is_empty:
                self._memory.list_instead(merged)
                await self._use(opened)
            else:
                opened.claim.close()
        if self.file is None:
            content, jobs = self._memory.content, self._memory.take_jobs()
            self.log.error("{problem}. Lost from memory: {subscriptions} subscription(s) and {jobs} finished job(s)",
                           problem=str(self.problem), subscriptions=len(content.subscriptions),
                           jobs=len(jobs))
