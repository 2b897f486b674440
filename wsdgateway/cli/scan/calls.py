"""Makes the blocking calls of `wsdgateway scan` in threads of their own, so that --timeout or Ctrl-C ends any of them.

A socket's time-out bounds each piece of an answer, and name resolution not at all; the wait for a thread is bounded
exactly.
"""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

import attrs

from wsdgateway.cli.scan.outcomes import BUSY, ScanError

NOTICE = 5.0  # seconds without an answer, after which a line says what is waited for
LATE_ANSWER = 5.0  # seconds that an interrupted scan waits for the id of the job to cancel
LATE_ANSWER_AFTER_TIMEOUT = 0.5
CANCEL_TIMEOUT = 10.0  # seconds that the end of a scan waits for its CancelJob

_T = TypeVar("_T")
_Answers = SimpleQueue[tuple[_T | None, BaseException | None]]


def _get(answers: "_Answers[_T]", seconds: float | None) -> tuple[_T | None, BaseException | None]:
    return answers.get(timeout=seconds)


@attrs.frozen
class Times:
    """The clock in seconds, and the two ways to let time pass.

    `get(queue, seconds)` returns the next item of a queue, or raises `queue.Empty` after so many seconds (None: never).
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    get: Callable[..., tuple[object, BaseException | None]] = _get


class TimeOver(ScanError):
    """The time of the whole command is over."""

    def __init__(self, seconds: float, doing: str) -> None:
        super().__init__(f"Stopped after {seconds:g} s (--timeout) while {doing}", BUSY)


class Deadline:
    """The end of the whole command, `timeout` seconds after it is made; None: there is none."""

    def __init__(self, timeout: float | None, clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._end = None if timeout is None else clock() + timeout

    def left(self, doing: str) -> float | None:
        """The time left in seconds, None for no end. Raises `TimeOver` if there is none left."""
        if self._end is None or self._timeout is None:
            return None
        left = self._end - self._clock()
        if left <= 0:
            raise TimeOver(self._timeout, doing)
        return left

    def left_for_cancel(self) -> float:
        """The time in seconds for the last request, which may be sent although the time is over."""
        if self._end is None:
            return CANCEL_TIMEOUT
        return min(CANCEL_TIMEOUT, max(LATE_ANSWER_AFTER_TIMEOUT, self._end - self._clock()))


class Calls:
    """Makes calls that end at a deadline. `notice` is called once, with a line, if an answer takes long."""

    def __init__(self, times: Times, deadline: Deadline, notice: Callable[[str], None]) -> None:
        self._times = times
        self._deadline = deadline
        self._notice = notice
        self._noticed = False
        self._moved = False

    def __call__(self, call: Callable[[], _T], what: str, limit: float,
                 late: Callable[[_T], None] | None = None, slow: Callable[[], None] | None = None) -> _T:
        """The result of a call that waits for `what`. Raises its exception, or `TimeOver`.

        `limit` is the time in seconds within which the call ends by itself, for the notice. If the wait ends before the
        call, `late` gets the result if it arrives within a moment. While nothing arrives, `slow` is called every
        `NOTICE` seconds; an exception of it ends the wait.
        """
        answers = _started(call)
        try:
            result, error = self._wait(answers, what, limit, slow)
        except (KeyboardInterrupt, ScanError) as ended:
            if late is not None:
                self._late(answers, late, LATE_ANSWER_AFTER_TIMEOUT if isinstance(ended, TimeOver) else LATE_ANSWER)
            raise
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def at_the_end(self, call: Callable[[], None]) -> bool:
        """Make the last call of a scan. Raises its exception; returns whether it ended in time."""
        try:
            _, error = self._times.get(_started(call), self._deadline.left_for_cancel())
        except Empty:
            return False
        if error is not None:
            raise error
        return True

    def moved(self) -> None:
        """Record that a part of the answer has arrived."""
        self._moved = True

    def pause(self, seconds: float, doing: str) -> None:
        """Sleep. Raises `TimeOver`."""
        left = self._deadline.left(doing)
        self._times.sleep(seconds if left is None else min(seconds, left))
        self._deadline.left(doing)

    def _wait(self, answers: "_Answers[_T]", what: str, limit: float,
              slow: Callable[[], None] | None) -> tuple[_T | None, BaseException | None]:
        self._moved = False
        doing = f"waiting for {what}"
        while True:
            left = self._deadline.left(doing)
            notice = None if self._noticed and slow is None else NOTICE
            seconds = min((bound for bound in (notice, left) if bound is not None), default=None)
            try:
                return self._times.get(answers, seconds)  # type: ignore[return-value]
            except Empty:
                left = self._deadline.left(doing)
            moved, self._moved = self._moved, False
            if moved or seconds != NOTICE:
                continue
            if not self._noticed:
                self._noticed = True
                most = limit - NOTICE if left is None else min(left, limit - NOTICE)
                self._notice(f"Waiting for {what}, for up to {most:.0f} s more")
            if slow is not None:
                try:
                    slow()
                except TimeOver:
                    self._deadline.left(doing)  # raises it with the outer cause
                    raise

    def _late(self, answers: "_Answers[_T]", late: Callable[[_T], None], seconds: float) -> None:
        try:
            result, error = self._times.get(answers, seconds)
        except Empty:
            return
        if error is None:
            late(result)  # type: ignore[arg-type]


def _started(call: Callable[[], _T]) -> "_Answers[_T]":
    answers: _Answers[_T] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True, name="call").start()
    return answers
