"""Writes to disk without blocking the reactor: jobs run in a thread, one at a time, from a bounded queue."""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

MAX_QUEUED = 16 << 20
MAX_AT_ONCE = 50  # jobs per call to the thread: handing over a small job costs more than running it
STOP_SECONDS = 5.0
# Writing counts as working again after this time without a failure: an almost full disk takes some writes and refuses
# others, which must not be logged each time.
CALM_SECONDS = 3.0


_Job = tuple[Callable[[], None], int, int]


class Background:
    """Runs jobs in a thread, at most `most` bytes of them waiting.

    `what` names the destination in the log; `count` is called with `"written"` or `"dropped"` and a number. Logs once
    when writing begins to fail (disk full or too slow), and once when it works again.
    """

    log = Logger()

    def __init__(self, reactor: Any, what: str, count: Callable[[str, int], None], most: int = MAX_QUEUED) -> None:
        self._reactor = reactor
        self._what = what
        self._count = count
        self._most = most
        self._queue: deque[_Job] = deque()
        self._queued = 0
        self._running: Deferred[Any] | None = None
        self._missing = 0
        self._failed_at = 0.0
        self._waiting: list[Deferred[None]] = []

    def put(self, job: Callable[[], None], size: int, count: int) -> bool:
        """Queues a job of `size` bytes; `count` items are lost if it fails. Returns False if the queue is full."""
        if self._queued + size > self._most and self._queue:
            self.missed(count, "the disk is too slow")
            return False
        self._queue.append((job, size, count))
        self._queued += size
        self._next()
        return True

    def missed(self, count: int, why: str) -> None:
        """Counts `count` items as lost."""
        if not count:
            return
        if not self._missing:
            self.log.error("{what}: writing stopped until the problem is solved: {why}", what=self._what, why=why)
        self._missing += count
        self._failed_at = self._reactor.seconds()
        self._count("dropped", count)

    def _next(self) -> None:
        if self._running is not None:
            return
        if not self._queue:
            waiting, self._waiting = self._waiting, []
            for idle in waiting:
                idle.callback(None)
            return
        jobs = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_AT_ONCE))]
        running = self._running = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), _run, [one[0] for one in jobs])
        running.addCallback(self._over, jobs)
        running.addErrback(lambda failure: self.log.failure("{what}: writing failed", failure, what=self._what))

    def _over(self, failures: list[Failure | None], jobs: list[_Job]) -> None:
        self._running = None
        for (_, size, count), failure in zip(jobs, failures, strict=True):
            self._queued -= size
            if failure is not None:
                self._failed(failure, count)
            elif count:
                self._done(count)
        self._next()

    def _done(self, count: int) -> None:
        self._count("written", count)
        if self._missing and self._reactor.seconds() - self._failed_at >= CALM_SECONDS:
            self.log.info("{what}: writing again; {count} entries are missing", what=self._what, count=self._missing)
            self._missing = 0

    def _failed(self, failure: Failure, count: int) -> None:
        if failure.check(OSError) is None:
            self.log.failure("{what}: writing failed", failure, what=self._what)
        error: Any = failure.value
        self.missed(count, f"{getattr(error, 'filename', None) or ''} {getattr(error, 'strerror', error)}".strip())

    def stop(self) -> Deferred[None]:
        """Waits for the queue to empty, at most `STOP_SECONDS`; drops the jobs that are left then. Fires when done."""
        idle: Deferred[None] = Deferred()
        if self._running is None and not self._queue:
            idle.callback(None)
            return idle
        limit = self._reactor.callLater(STOP_SECONDS, self._drop_rest)
        self._waiting.append(idle)
        idle.addCallback(lambda _: limit.cancel() if limit.active() else None)
        return idle

    def _drop_rest(self) -> None:
        rest, self._queue = self._queue, deque()
        for _, size, count in rest:
            self._queued -= size
            self.missed(count, "the disk is slow, and the gateway is stopping")


def _run(jobs: list[Callable[[], None]]) -> list[Failure | None]:
    """Runs the jobs one after the other, in a thread; returns a failure or None for each."""
    failures: list[Failure | None] = []
    for job in jobs:
        try:
            job()
        except Exception:
            failures.append(Failure())
        else:
            failures.append(None)
    return failures
