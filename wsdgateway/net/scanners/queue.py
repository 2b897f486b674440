"""The requests that wait for one device, for a connection or for its rate: a bounded queue, by turns of clients.

Round robin: a client with a hundred requests delays another's first one by one request. CancelJob, Renew and
Unsubscribe, and a request whose connection broke, which has waited before, go before all others. After `MAX_AHEAD` of
them in a row they keep to the one connection beyond the device's bound that only they may use, until one of the others
has gone: so a flood of CancelJobs does not stop every other request, and a CancelJob never waits for an image.
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.roundrobin import RoundRobin
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy

MAX_QUEUE = 200
MAX_OF_CLIENT = 100  # of one client that has no more than its share
MAX_BESIDE = 50  # the gateway's own, for which there is room beyond that
MAX_URGENT = 100  # those that go first, of all clients
MAX_AHEAD = 8


class ScannerQueue:
    """The requests that wait. `on_due` is called when the device's `rate_limit` allows the next of them."""

    def __init__(self, reactor: Any, seconds: Callable[[], float], rate_limit: RateLimit,
                 on_due: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._rate_limit = rate_limit
        self._on_due = on_due
        self._urgent: RoundRobin[ScannerRequest] = RoundRobin()
        self._others: RoundRobin[ScannerRequest] = RoundRobin()
        self._urgent_in_a_row = 0
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    @property
    def others_are_due(self) -> bool:
        """Whether so many urgent requests have gone that one of the others must be next."""
        return self._urgent_in_a_row >= MAX_AHEAD and bool(self._others)

    def candidates(self) -> Iterator[ScannerRequest]:
        """The requests of which the first that can go is to go: an urgent one, and one of the others."""
        queues = (self._others, self._urgent) if self.others_are_due else (self._urgent, self._others)
        return iter([queue.first for queue in queues if queue])

    def add(self, request: ScannerRequest) -> None:
        """Let a request wait, or fail for want of room.

        Where its client has the fewest waiting, another client's request makes room.
        """
        if _has_priority(request):
            self._add(self._urgent, request, MAX_URGENT)
        elif request.share_of is not None and self._others.count(request.client) >= MAX_OF_CLIENT:
            request.fail(Busy(
                request.address.host, f"{MAX_OF_CLIENT} requests of this client are waiting for it already"))
        else:
            self._add(self._others, request, MAX_QUEUE + (MAX_BESIDE if request.from_gateway else 0))

    def _add(self, queue: RoundRobin[ScannerRequest], request: ScannerRequest, bound: int) -> None:
        if len(queue) < bound:
            queue.add(request.client, request)
            return
        rejected = request
        largest = queue.largest()
        if queue.count(largest) > queue.count(request.client) + 1:
            rejected = queue.newest(largest)
            queue.remove(rejected)
            queue.add(request.client, request)
        rejected.fail(Busy(request.address.host, f"{bound} requests are waiting for it already"))

    def share(self, request: ScannerRequest, client: str) -> None:
        """Another client waits for the answer to the request, too: it may go in that client's turn."""
        if request in self._others and client not in self._others.owners(request) and (
                self._others.count(client) < MAX_OF_CLIENT):
            self._others.add(client, request)

    def remove(self, request: ScannerRequest) -> None:
        """Let a request wait no longer, if it did."""
        if not self._urgent.remove(request):
            self._others.remove(request)

    def clear(self) -> list[ScannerRequest]:
        """Let no request wait any longer; those that did."""
        return [*self._urgent.clear(), *self._others.clear()]

    def hold_for_rate(self, request: ScannerRequest) -> bool:
        """Return whether a request waits for the scanner's rate limit, or behind one that does.

        If it does, `on_due` is called when the rate allows the next one, and the request counts as delayed, once.
        """
        if _has_priority(request):
            return False
        wait = self._rate_limit.wait(request.address.host, self._seconds())
        if wait > 0 and self._timer is None:
            self._timer = self._reactor.callLater(wait, self._due)
        if wait > 0 and not request.delayed:
            request.delayed = True
            self._rate_limit.delayed()
        first = self._others.first if self._others else request
        return wait > 0 or (first is not request and first.delayed)

    def dispatched(self, request: ScannerRequest) -> None:
        """The request goes to the device, whether it has waited or not."""
        if request in self._urgent:
            self._urgent.serve(request)
            self._urgent_in_a_row = self._urgent_in_a_row + 1 if self._others else 0
        elif request in self._others:
            self._others.serve(request)
            self._urgent_in_a_row = 0
        self._rate_limit.spend(request.address.host, self._seconds())

    def _due(self) -> None:
        self._timer = None
        self._on_due()

    def stop(self) -> None:
        """Call `on_due` no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _has_priority(request: ScannerRequest) -> bool:
    # One that is sent again has waited before; after a refusal it may have to wait for an image.
    return request.operation.urgent or (request.times_sent > 0 and not request.refused)
