"""Schedules datagrams: for their random delay, for their retransmission, or for the rate limit of a link.

SOAP-over-UDP 2004/09, Appendix I.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from wsdgateway.discovery.pacing import Pacing

MAX_PENDING = 4096


class Retransmission:
    """Sends answers after a delay, and retransmits them; at most `MAX_PENDING` wait."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._timers: set[IDelayedCall] = set()

    def send(self, write: Callable[[], bytes | None], out: Callable[[bytes], None], times: list[float]) -> bool:
        """Send a datagram by `out` at `times`, in seconds from now; `write` makes it at the first, or returns None.

        False if too many wait.
        """
        if len(self._timers) >= MAX_PENDING:
            return False
        self._after(times[0], lambda: self._first(write, out, times))
        return True

    def _first(self, write: Callable[[], bytes | None], out: Callable[[bytes], None], times: list[float]) -> None:
        data = write()
        if data is None:
            return
        out(data)
        for time in times[1:]:
            self._after(time - times[0], lambda: out(data))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            act()

        timer: IDelayedCall = self._reactor.callLater(seconds, run)
        self._timers.add(timer)

    def stop(self) -> None:
        """Send no more datagrams."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class PacedSender:
    """Runs a `Pacing` with a clock: sends its datagrams by `out`."""

    def __init__(self, reactor: Any, pacing: Pacing, out: Callable[[bytes], None]) -> None:
        self._reactor = reactor
        self._pacing = pacing
        self._out = out
        self._timer: IDelayedCall | None = None
        self._done: Deferred[None] | None = None

    def put(self, key: str, write: Callable[[], bytes | None], *, first: bool = False) -> bool:
        """Send the result of `write` when the rate allows, in place of a datagram waiting under `key`.

        False if too many wait.
        """
        if not self._pacing.put(key, write, first=first):
            return False
        self._wait()
        return True

    def _wait(self) -> None:
        if self._timer is None:
            seconds = self._pacing.wait(self._reactor.seconds())
            if seconds is not None:
                self._timer = self._reactor.callLater(seconds, self._send)
            elif self._done is not None and not self._done.called:
                self._done.callback(None)

    def _send(self) -> None:
        self._timer = None
        data = self._pacing.take(self._reactor.seconds())
        if data is not None:
            self._out(data)
        self._wait()

    def clear(self) -> None:
        """Drop the datagrams that have not been sent yet."""
        self._pacing.clear()

    def finish(self, seconds: float) -> Deferred[None]:
        """Send the waiting datagrams within about so many seconds. The Deferred fires when they are sent."""
        self._pacing.hurry(seconds)
        self._done = Deferred()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wait()
        return self._done

    def stop(self) -> None:
        """Send no more datagrams."""
        self._pacing.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
