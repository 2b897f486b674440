"""The requests that wait for one device: bounded, for a connection or for the device's rate, by turns of clients.

Round robin: a client with a hundred requests delays another's first one by one request. CancelJob, Renew and
Unsubscribe, and a request whose connection broke, which has waited before, go before all others. After `MAX_AHEAD` of
them in a row they keep to the one connection beyond the device's bound that only they may use, until one of the others
has gone: so a flood of CancelJobs does not stop every other request, and a CancelJob never waits for an image.
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.turns import Turns
from wsdgateway.net.devicecall import Call
from wsdgateway.net.failures import Busy
from wsdgateway.net.pace import Pace

MAX_QUEUE = 200
MAX_OF_CLIENT = 100  # of one client that has no more than its share
MAX_BESIDE = 50  # the gateway's own, for which there is room beyond that
MAX_URGENT = 100  # those that go first, of all clients
MAX_AHEAD = 8


class WaitingLine:
    """The calls that wait. `go_on` is called when the device's `pace` lets the next of them go."""

    def __init__(self, reactor: Any, seconds: Callable[[], float], pace: Pace, go_on: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._pace = pace
        self._go_on = go_on
        self._urgent: Turns[Call] = Turns()
        self._others: Turns[Call] = Turns()
        self._ahead = 0
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    @property
    def others_are_due(self) -> bool:
        """Whether so many urgent calls have gone that one of the others must be next."""
        return self._ahead >= MAX_AHEAD and bool(self._others)

    def candidates(self) -> Iterator[Call]:
        """The calls of which the first that can go is to go: an urgent one, and one of the others."""
        lines = (self._others, self._urgent) if self.others_are_due else (self._urgent, self._others)
        return iter([line.first for line in lines if line])

    def join(self, call: Call) -> None:
        """Wait. A call that finds no room fails; where its client has the fewest waiting, another's makes room."""
        if _is_first(call):
            self._add(self._urgent, call, MAX_URGENT)
        elif call.share_of is not None and self._others.count(call.client) >= MAX_OF_CLIENT:
            call.fail(Busy(call.address.host, f"{MAX_OF_CLIENT} requests of this client are waiting for it already"))
        else:
            self._add(self._others, call, MAX_QUEUE + (MAX_BESIDE if call.own else 0))

    def _add(self, line: Turns[Call], call: Call, bound: int) -> None:
        if len(line) < bound:
            line.add(call.client, call)
            return
        loser = call
        largest = line.largest()
        if line.count(largest) > line.count(call.client) + 1:
            loser = line.newest(largest)
            line.remove(loser)
            line.add(call.client, call)
        loser.fail(Busy(call.address.host, f"{bound} requests are waiting for it already"))

    def share(self, call: Call, client: str) -> None:
        """Another client waits for the answer to the call, too: it may go in that client's turn."""
        if call in self._others and client not in self._others.owners(call) and (
                self._others.count(client) < MAX_OF_CLIENT):
            self._others.add(client, call)

    def leave(self, call: Call) -> None:
        """It waits no longer, if it did."""
        if not self._urgent.remove(call):
            self._others.remove(call)

    def disperse(self) -> list[Call]:
        """Nobody waits any more; those who did."""
        return [*self._urgent.clear(), *self._others.clear()]

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
        first = self._others.first if self._others else call
        return wait > 0 or (first is not call and first.delayed)

    def goes(self, call: Call) -> None:
        """The call goes to the device, whether it has waited or not."""
        if call in self._urgent:
            self._urgent.serve(call)
            self._ahead = self._ahead + 1 if self._others else 0
        elif call in self._others:
            self._others.serve(call)
            self._ahead = 0
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
    return call.operation.urgent or (call.resent and not call.taken_back)  # that may have to wait for an image
