"""The queue of one device's waiting requests: bounded, with turns for clients.

Requests wait for one of the device's connections, or for its rate.

Round robin: a client with a hundred requests delays another client's first request by only one. CancelJob, Renew and
Unsubscribe go first, and so does a request whose connection broke, as it has waited before. After `MAX_AHEAD` such
urgent requests in a row, they are confined to the additional connection that is reserved for them, until one of the
others has been sent. So a flood of CancelJobs does not block other requests, and a CancelJob never waits for an image.
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.roundrobin import RoundRobin
from wsdgateway.net.scanners.ratelimit import RateLimit
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy

MAX_QUEUE = 200
MAX_OF_CLIENT = 100  # of one client that is limited to its share
MAX_BESIDE = 50  # additional places for the gateway's own requests
MAX_URGENT = 100  # urgent requests of all clients
MAX_AHEAD = 8


class ScannerQueue:
    """The waiting requests. `on_due` is called when the device's `rate_limit` allows the next of them."""

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
        """True if so many urgent requests have been sent that one of the others must be next."""
        return self._urgent_in_a_row >= MAX_AHEAD and bool(self._others)

    def candidates(self) -> Iterator[ScannerRequest]:
        """Returns the requests to try, in order: the first urgent one and the first of the others, or the reverse."""
        queues = (self._others, self._urgent) if self.others_are_due else (self._urgent, self._others)
        return iter([queue.first for queue in queues if queue])

    def add(self, request: ScannerRequest) -> None:
        """Queues a request, or fails it if there is no room.

        If its client has the fewest waiting requests, another client's request is removed to make room.
        """
        if _has_priority(request):
            self._add(self._urgent, request, MAX_URGENT)
        elif request.share_of is not None and self._others.count(request.client) >= MAX_OF_CLIENT:
            request.fail(Busy(
                request.address.host, f"{MAX_OF_CLIENT} requests of this client are waiting already"))
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
        rejected.fail(Busy(request.address.host, f"{bound} requests are waiting already"))

    def share(self, request: ScannerRequest, client: str) -> None:
        """Adds a client that waits for the answer to the request, which may then be sent in that client's turn."""
        if request in self._others and client not in self._others.owners(request) and (
                self._others.count(client) < MAX_OF_CLIENT):
            self._others.add(client, request)

    def remove(self, request: ScannerRequest) -> None:
        """Removes a request, if it is queued."""
        if not self._urgent.remove(request):
            self._others.remove(request)

    def clear(self) -> list[ScannerRequest]:
        """Removes and returns all requests."""
        return [*self._urgent.clear(), *self._others.clear()]

    def hold_for_rate(self, request: ScannerRequest) -> bool:
        """True if a request waits for the scanner's rate limit, or behind one that does.

        In that case `on_due` is called when the rate allows the next one, and the request is counted as delayed, once.
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
        """Notes that the request is sent to the device, whether it was queued or not."""
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
        """Stops calling `on_due`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _has_priority(request: ScannerRequest) -> bool:
    # A repeated request has waited before; after a refusal it may have to wait for an image.
    return request.operation.urgent or (request.times_sent > 0 and not request.refused)
