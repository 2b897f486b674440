"""One at a time: things to do that wait for each other, for however many there are, by turns of their owners.

Not Twisted's semaphore, whose release runs the next one at once: where each fails at once, a hundred of them are a
recursion of a hundred.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from wsdgateway.bridge.roundrobin import RoundRobin

_T = TypeVar("_T")


class SerialQueue:
    """Runs what it is given: each owner's in the order in which it comes, and the owners by turns."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._busy = False
        self._waiting: RoundRobin[Deferred[None]] = RoundRobin()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    async def run(self, act: Callable[[], Awaitable[_T]], owner: Hashable = None) -> _T:
        """What `act` gives, when it is its turn."""
        if self._busy:
            turn: Deferred[None] = Deferred()
            self._waiting.add(owner, turn)
            try:
                await turn
            except CancelledError:  # whoever waits no longer must not keep the turn
                if not self._waiting.remove(turn):
                    self._next()
                raise
        self._busy = True
        try:
            return await act()
        finally:
            self._next()

    def _next(self) -> None:
        if self._waiting:
            turn = self._waiting.first
            self._waiting.serve(turn)
            self._reactor.callLater(0, turn.callback, None)
        else:
            self._busy = False
