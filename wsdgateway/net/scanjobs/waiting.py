"""Waits for a result for a limited time, without cancelling what produces it."""

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

_T = TypeVar("_T")


def first_of(reactor: Any, seconds: float, working: Deferred[_T]) -> Deferred[_T | None]:
    """Fires with the result of `working`, or with None after so many seconds; fails as it does.

    A request to a scanner must not be cancelled, since other clients may wait for its answer, too. A failure after the
    time is over is logged.
    """
    first: Deferred[_T | None] = Deferred()
    timer = reactor.callLater(seconds, first.callback, None)

    def over(result: _T | Failure) -> Failure | None:
        if not timer.active():
            return result if isinstance(result, Failure) else None
        timer.cancel()
        if isinstance(result, Failure):
            first.errback(result)
        else:
            first.callback(result)
        return None

    working.addBoth(over)
    return first
