"""What waits for one device, for a connection or for its rate: a bounded line, the urgent in front.

Aborting a scan must not wait behind what others ask, and a request whose connection broke has waited before.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.net.devicecall import Call
from wsdgateway.net.failures import Unavailable
from wsdgateway.net.pace import Pace

MAX_QUEUE = 200
MAX_OF_CLIENT = 100  # of one client, whom the others must not wait for
MAX_BESIDE = 50  # urgent calls, and the gateway's own, for which there is room beyond that


class WaitingLine:
    """The calls that wait. `go_on` is called when the device's `pace` lets the first of them go."""

    def __init__(self, reactor: Any, seconds: Callable[[], float], pace: Pace, go_on: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._pace = pace
        self._go_on = go_on
        self._calls: deque[Call] = deque()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def first(self) -> Call:
        """Whose turn it is."""
        return self._calls[0]

    def join(self, call: Call) -> None:
        """Wait; a call that finds the line, or its client's share of it, full fails."""
        bound = MAX_QUEUE + (MAX_BESIDE if call.own or call.operation.urgent else 0)
        if len(self._calls) >= bound:
            call.fail(Unavailable(call.address.host, f"{MAX_QUEUE} requests are waiting for it already"))
        elif self._has_its_share(call):
            call.fail(Unavailable(call.address.host, f"{MAX_OF_CLIENT} requests of this client are waiting for it"))
        elif _is_first(call):
            self._calls.appendleft(call)
        else:
            self._calls.append(call)

    def _has_its_share(self, call: Call) -> bool:
        if call.share_of is None or call.operation.urgent or len(self._calls) < MAX_OF_CLIENT:
            return False
        return sum(other.share_of == call.share_of for other in self._calls) >= MAX_OF_CLIENT

    def leave(self, call: Call) -> None:
        """It waits no longer, if it did."""
        if call in self._calls:
            self._calls.remove(call)

    def disperse(self) -> list[Call]:
        """Nobody waits any more; those who did."""
        calls = list(self._calls)
        self._calls.clear()
        return calls

    def is_held(self, call: Call) -> bool:
        """Whether the call has to wait for the device's rate, or behind one that does."""
        if _is_first(call):
            return False
        wait = self._pace.wait(call.address.host, self._seconds())
        if wait > 0 and self._timer is None:
            self._timer = self._reactor.callLater(wait, self._next)
        if wait > 0 and not call.delayed:
            call.delayed = True
            self._pace.delayed()
        first = self._calls[0] if self._calls else call
        return wait > 0 or (first is not call and first.delayed)

    def goes(self, call: Call) -> None:
        """The call goes to the device, whether it has waited or not."""
        self._pace.spend(call.address.host, self._seconds())

    def _next(self) -> None:
        self._timer = None
        self._go_on()

    def stop(self) -> None:
        """Call nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _is_first(call: Call) -> bool:
    return call.operation.urgent or call.resent
