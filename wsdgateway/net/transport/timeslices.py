"""Runs long tasks in small steps, in turns, for at most one slice of time in each iteration of the reactor.

Everything else happens between two slices: clients' requests, scanners' answers, other timers. Work that takes more
than `SPRINT` slices in a row gets fewer of them, so that the work it causes does not fill the time between them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

SLICE_SECONDS = 0.002
SPRINT = 100  # slices in a row: enough to send an event to some thousands of subscribers
PAUSE_SECONDS = 0.01  # between two slices after that


class TimeSlices:
    """Runs tasks, which are iterators: each step should take a fraction of `SLICE_SECONDS`.

    `seconds` is the CPU time of this thread, so that the time of other processes does not count. A task added while
    time is left in this iteration begins at once.
    """

    log = Logger()

    def __init__(self, reactor: Any, seconds: Callable[[], float]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._tasks: deque[Iterator[object]] = deque()
        self._timer: IDelayedCall | None = None
        self._until = 0.0
        self._is_running = False
        self._in_a_row = 0

    def run(self, task: Iterator[object]) -> None:
        """Add a task. Runs its first steps now if time is left."""
        self._tasks.append(task)
        if not self._is_running:
            self._work()

    def _work(self) -> None:
        if self._timer is None:  # the first in this iteration of the reactor
            self._in_a_row += 1
            self._timer = self._reactor.callLater(
                0 if self._in_a_row <= SPRINT else PAUSE_SECONDS, self._next_turn)
            self._until = self._seconds() + SLICE_SECONDS
        self._is_running = True
        tasks = self._tasks
        while tasks and self._seconds() < self._until:
            task = tasks.popleft()
            try:
                next(task)
            except StopIteration:
                continue
            except Exception:
                self.log.failure("A background task failed")
                continue
            tasks.append(task)
        self._is_running = False

    def _next_turn(self) -> None:
        self._timer = None
        if self._tasks:
            self._work()
        else:
            self._in_a_row = 0

    def stop(self) -> None:
        """Drop all tasks."""
        self._tasks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
