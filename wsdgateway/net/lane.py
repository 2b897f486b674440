"""One at a time: things to do that wait for each other, for however many there are.

Not Twisted's semaphore, whose release runs the next one at once: where each fails at once, a hundred of them are a
recursion of a hundred.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

_T = TypeVar("_T")


class Lane:
    """Runs what it is given, in the order in which it comes."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._busy = False
        self._waiting: deque[Deferred[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    async def run(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """What `act` gives, when it is its turn."""
        if self._busy:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            try:
                await turn
            except CancelledError:  # whoever waits no longer must not keep the turn
                if turn in self._waiting:
                    self._waiting.remove(turn)
                else:
                    self._next()
                raise
        self._busy = True
        try:
            return await act()
        finally:
            self._next()

    def _next(self) -> None:
        if self._waiting:
            self._reactor.callLater(0, self._waiting.popleft().callback, None)
        else:
            self._busy = False
