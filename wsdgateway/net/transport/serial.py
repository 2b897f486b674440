"""Runs coroutines one at a time, by turns of their owners.

Not with Twisted's DeferredSemaphore, whose release runs the next one at once: where each fails at once, a hundred of
them are a recursion of a hundred.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from wsdgateway.bridge.roundrobin import RoundRobin

_T = TypeVar("_T")


class SerialQueue:
    """Runs each owner's coroutines in the order in which they come, and the owners' by turns."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._busy = False
        self._waiting: RoundRobin[Deferred[None]] = RoundRobin()

    @property
    def waiting(self) -> int:
        """The number of coroutines that wait."""
        return len(self._waiting)

    async def run(self, act: Callable[[], Awaitable[_T]], owner: Hashable = None) -> _T:
        """The result of `act`, which is called when all before it have ended. Can be cancelled while it waits."""
        if self._busy:
            waiting: Deferred[None] = Deferred()
            self._waiting.add(owner, waiting)
            try:
                await waiting
            except CancelledError:  # the next one must not wait for one that has been given up
                if not self._waiting.remove(waiting):
                    self._next()
                raise
        self._busy = True
        try:
            return await act()
        finally:
            self._next()

    def _next(self) -> None:
        if self._waiting:
            waiting = self._waiting.first
            self._waiting.serve(waiting)
            self._reactor.callLater(0, waiting.callback, None)
        else:
            self._busy = False
