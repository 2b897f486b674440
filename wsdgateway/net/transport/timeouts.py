"""Time limits: many of the same length with a single timer, and one that moves with each request.

Creating and cancelling a separate timer for each exchange took a tenth of the time of a forwarded request. Limits of
the same length end in the order in which they began, so that a queue is sufficient.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall


class MovingDeadline:
    """The deadline of one connection. `reached` is called when it passes, at most once each time it is set.

    `seconds` is a monotonic clock. `at` is the deadline on it, None while there is none; it may be set to None at any
    time.
    """

    __slots__ = ("_reached", "_reactor", "_seconds", "_timer", "_timer_at", "at")

    def __init__(self, reactor: Any, seconds: Callable[[], float], reached: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._reached: Callable[[], None] | None = reached
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self.at: float | None = None

    def within(self, seconds: float) -> None:
        """Set the deadline to so many seconds from now."""
        at = self.at = self._seconds() + seconds
        if self._timer is None:
            self._timer = self._reactor.callLater(seconds, self._look)
        elif self._timer_at > at:
            self._timer.reset(seconds)
        else:
            return
        self._timer_at = at

    def _look(self) -> None:
        self._timer = None
        if self.at is None or self._reached is None:
            return
        left = self.at - self._seconds()
        if left > 0.0:
            self._timer_at = self.at
            self._timer = self._reactor.callLater(left, self._look)
        else:
            self._reached()

    def stop(self) -> None:
        """Stop the deadline for good, and release the callback."""
        self._reached = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


SLACK = 64  # lifted limits that may stay in the queue beyond twice the number of live ones


class Deadline:
    """A time limit; `lift` removes it, unless it has already ended."""

    __slots__ = ("_deadlines", "at", "ended")

    def __init__(self, deadlines: "Deadlines", at: float, ended: Callable[[], None]) -> None:
        self._deadlines = deadlines
        self.at = at
        self.ended: Callable[[], None] | None = ended

    def lift(self) -> None:
        """Remove the limit. May be called more than once."""
        if self.ended is not None:
            self.ended = None
            self._deadlines.lifted()


class Deadlines:
    """Limits of `seconds` each on the clock of the reactor."""

    def __init__(self, reactor: Any, seconds: float) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._queue: deque[Deadline] = deque()
        self._live = 0
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        """The number of limits in memory: the running ones, and some that were lifted."""
        return len(self._queue)

    def begin(self, ended: Callable[[], None]) -> Deadline:
        """Begin a limit; `ended` is called when it ends, unless it is lifted before."""
        deadline = Deadline(self, self._reactor.seconds() + self._seconds, ended)
        self._queue.append(deadline)
        self._live += 1
        if len(self._queue) > 2 * self._live + SLACK:
            self._queue = deque(kept for kept in self._queue if kept.ended is not None)
        if self._timer is None:
            self._timer = self._reactor.callLater(self._seconds, self._look)
        return deadline

    def lifted(self) -> None:
        """Count a limit that was lifted.

        The timer is kept: the next limit will need it, and one check costs nothing.
        """
        self._live -= 1

    def _look(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        while self._queue and (self._queue[0].ended is None or self._queue[0].at <= now):
            deadline = self._queue.popleft()
            ended, deadline.ended = deadline.ended, None
            if ended is not None:
                self._live -= 1
                ended()
        if self._queue and self._timer is None:
            self._timer = self._reactor.callLater(max(0.0, self._queue[0].at - now), self._look)

    def stop(self) -> None:
        """Forget every limit."""
        self._queue.clear()
        self._live = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def within(reactor: Any, seconds: float, waits: list[Deferred[None]]) -> None:
    """Wait until all `waits` have fired or so many seconds have passed, then cancel the rest."""
    everything: Deferred[Any] = DeferredList(waits, consumeErrors=True)
    everything.addTimeout(seconds, reactor)
    await everything
