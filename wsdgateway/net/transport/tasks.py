"""Runs coroutines in the background: logs their failures, and cancels those that still run at a stop."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure


class Tasks:
    """The coroutines that are running; `what` names them in the log."""

    log = Logger()

    def __init__(self, what: str) -> None:
        self._what = what
        self._running: dict[Deferred[Any], None] = {}  # as they began
        self._waiting: list[Deferred[None]] = []

    @property
    def is_idle(self) -> bool:
        """True if no coroutine is running."""
        return not self._running

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine to its end."""
        running = Deferred.fromCoroutine(coroutine)
        self._running[running] = None
        running.addErrback(self._failed)
        running.addBoth(lambda _: self._ended(running))

    def _ended(self, running: Deferred[Any]) -> None:
        self._running.pop(running, None)
        if not self._running:
            waiting, self._waiting = self._waiting, []
            for idle in waiting:
                idle.callback(None)

    def idle(self) -> Deferred[None]:
        """Fires when no coroutine is running."""
        idle: Deferred[None] = Deferred()
        self._waiting.append(idle)
        if not self._running:
            self._ended(idle)
        return idle

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("{what}", failure, what=self._what)

    def cancel(self) -> None:
        """Cancel all running coroutines, in the order in which they began."""
        for running in list(self._running):
            running.cancel()
