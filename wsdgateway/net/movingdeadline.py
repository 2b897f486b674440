"""A deadline that is moved for every request, and hardly ever reached, for the price of a timer now and then.

The timer is looked at when it fires: moving the deadline costs an attribute, not a timer.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall


class MovingDeadline:
    """The deadline of one connection. `reached` is called when it is over, at most once each time that it is set.

    `seconds` is a monotonic clock; `at` the moment on it, None while nothing is waited for, and set to that at will.
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
        """It is so many seconds from now."""
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
        """For good; whoever would have been called is let go of, too."""
        self._reached = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
