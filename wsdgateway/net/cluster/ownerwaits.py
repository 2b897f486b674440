"""Requests that wait until a scanner has an owner."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from wsdgateway.bridge.cluster.values import Registration

MAX_WAITING = 200  # for all scanners together; more get None at once


class OwnerWaits:
    """The waiting requests by scanner. `find` returns the owner that can be asked now, or None."""

    def __init__(self, reactor: Any, find: Callable[[str], Registration | None]) -> None:
        self._reactor, self._find = reactor, find
        self._waiting: dict[Deferred[Registration | None], str] = {}

    def wait(self, scanner: str, seconds: float) -> Deferred[Registration | None]:
        """Fires with the owner as soon as there is one; with None after `seconds`, or if too many wait."""
        waiting: Deferred[Registration | None] = Deferred(self._forget)
        owner = self._find(scanner)
        if owner is not None or len(self._waiting) >= MAX_WAITING:
            waiting.callback(owner)
            return waiting
        timer = self._reactor.callLater(seconds, lambda: self._end(waiting, None))
        self._waiting[waiting] = scanner

        def cancel(outcome: Any) -> Any:
            if timer.active():
                timer.cancel()
            return outcome

        return waiting.addBoth(cancel)

    def look(self) -> None:
        """Fire those that have an owner by now."""
        owners = {scanner: self._find(scanner) for scanner in set(self._waiting.values())}
        for waiting, scanner in list(self._waiting.items()):
            if owners[scanner] is not None:
                self._end(waiting, owners[scanner])

    def stop(self) -> None:
        """Fire all with None."""
        for waiting in list(self._waiting):
            self._end(waiting, None)

    def _forget(self, waiting: Deferred[Registration | None]) -> None:
        self._waiting.pop(waiting, None)

    def _end(self, waiting: Deferred[Registration | None], owner: Registration | None) -> None:
        if self._waiting.pop(waiting, None) is not None:
            waiting.callback(owner)
