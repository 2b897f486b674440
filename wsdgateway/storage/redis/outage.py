"""The times in which the server cannot be used: their problem as text, and attempts to write what waits meanwhile.

An attempt follows after pauses that grow up to `LONGEST_PAUSE`::

                  NotNow
      in use ─────────────────► away ◄──┐
         ▲                      │  │    │ NotNow
         │ everything written   │  └────┘
         └──────────────────────┘ pause, or `retry`
"""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.storage.recovery import IN_MEMORY
from wsdgateway.storage.store import StoreError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds; shorter than for a file, since a new server is ready in seconds


class Outage:
    """The outages of the server. `write_all` writes everything that waits, and raises `StoreError` if it cannot.

    `on_return` is called when the server is used again.
    """

    log = Logger()

    def __init__(self, reactor: Any, where: str, write_all: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._reactor = reactor
        self._where = where
        self._write_all = write_all
        self.problem: StoreError | None = None
        self.on_return: Callable[[], None] = lambda: None
        self._timer: IDelayedCall | None = None
        self._pause = FIRST_PAUSE
        self._trying: Deferred[None] | None = None
        self._stopped = False

    def warning(self) -> str | None:
        """Returns the problem and its consequences, as text for people; None if there is none."""
        return None if self.problem is None else f"{self.problem}. {IN_MEMORY}."

    def begin(self, problem: StoreError) -> None:
        """Records that the server is away; logs it once, and schedules an attempt."""
        is_news, self.problem = self.problem is None, problem
        if is_news:
            self._pause = FIRST_PAUSE
            self.log.error("{warning}", warning=self.warning())
        if self._trying is None:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = self._reactor.callLater(self._pause, self._try_again)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _try_again(self) -> None:
        self._timer = None
        self.retry()

    def retry(self) -> Deferred[None]:
        """Writes now what waits; fires when that has succeeded or failed."""
        if self._trying is None:
            self._forget_timer()
            self._trying = Deferred.fromCoroutine(self._try())
            self._trying.addErrback(self._failed)
            self._trying.addBoth(self._tried)
        tried: Deferred[None] = Deferred()
        if self._trying is None:  # it has ended already
            return succeed(None)
        self._trying.chainDeferred(tried)
        return tried

    async def _try(self) -> None:
        try:
            await self._write_all()
        except StoreError as problem:
            self.begin(problem)
            return
        if self.problem is not None:
            self.problem = None
            self.log.info("{where}: the store is in use again, and everything is written", where=self._where)
            self.on_return()

    def _failed(self, failure: Failure) -> None:
        self.log.failure("Writing to the store again failed", failure)

    def _tried(self, _: object) -> None:
        self._trying = None
        if self.problem is not None:
            self._schedule()

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self, is_waiting: bool) -> None:
        """Ends the attempts, after the last one if something waits."""
        self._stopped = True
        self._forget_timer()
        if is_waiting or self._trying is not None:
            await self.retry()
