"""Runs coroutines one at a time, taking turns among their owners.

Twisted's DeferredSemaphore is not used because its release runs the next one at once: a hundred coroutines that fail
immediately would recurse a hundred levels deep.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from wsdgateway.bridge.roundrobin import RoundRobin

_T = TypeVar("_T")


class SerialQueue:
    """Runs each owner's coroutines in the order of their arrival, and takes turns among the owners."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._busy = False
        self._waiting: RoundRobin[Deferred[None]] = RoundRobin()

    @property
    def waiting(self) -> int:
        """The number of waiting coroutines."""
        return len(self._waiting)

    async def run(self, act: Callable[[], Awaitable[_T]], owner: Hashable = None) -> _T:
        """Call `act` when all before it have ended, and return its result. Can be cancelled while it waits."""
        if self._busy:
            waiting: Deferred[None] = Deferred()
            self._waiting.add(owner, waiting)
            try:
                await waiting
            except CancelledError:  # the next one must not wait for one that was cancelled
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
