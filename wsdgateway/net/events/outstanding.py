"""Tracks requests that a stop waits for, up to a time limit."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure


class Outstanding:
    """Deferreds that have not fired; `failed` is called with a coroutine's failure."""

    def __init__(self, reactor: Any, failed: Callable[[Failure], None]) -> None:
        self._reactor = reactor
        self._failed = failed
        self._running: set[Deferred[Any]] = set()
        self._settled: Deferred[None] = Deferred()
        self._limit: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._running)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine to its end."""
        running = Deferred.fromCoroutine(coroutine)
        self.add(running)
        running.addErrback(self._failed)
        running.addBoth(lambda _: self.discard(running))

    def add(self, running: Deferred[Any]) -> None:
        """Counts a Deferred as outstanding until `discard`."""
        self._running.add(running)

    def discard(self, running: Deferred[Any]) -> None:
        """Removes a Deferred that has fired."""
        self._running.discard(running)
        if self._limit is not None and self._limit.active() and not self._running:
            self._limit.cancel()
            self._settled.callback(None)

    def settled(self, seconds: float) -> Deferred[None]:
        """Fires when nothing is outstanding, after `seconds` at the latest."""
        self._settled = Deferred()
        if self._running:
            self._limit = self._reactor.callLater(seconds, self._settled.callback, None)
        else:
            self._settled.callback(None)
        return self._settled
