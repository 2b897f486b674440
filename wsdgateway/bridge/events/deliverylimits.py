"""Decides which delivery begins next, with limits for all of them and for each scanner, and turns for scanners.

A waiting delivery begins if fewer than `limit` are open, its scanner is within its share of these, and not too many
have begun very recently.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from wsdgateway.bridge.roundrobin import RoundRobin

MOST_OF_SCANNER = 0.5  # share of all open deliveries: hanging sinks of one scanner must not block those of others
# Maximum number of deliveries that have begun within this many seconds and are still open: if all their sinks answer at
# once, a turn of the reactor takes some 10 ms. Deliveries to slower sinks continue in parallel, up to the limit.
MAX_FRESH, FRESH_SECONDS = 256, 0.25

Delivery = TypeVar("Delivery", bound=Hashable)


class DeliveryLimits(Generic[Delivery]):
    """The waiting and the open deliveries, of which at most `limit` are open. Times are in seconds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most = max(1, int(limit * MOST_OF_SCANNER))
        self._waiting: RoundRobin[Delivery] = RoundRobin()
        self._scanner_of: dict[Delivery, str] = {}
        self._open_of: Counter[str] = Counter()
        self._fresh: OrderedDict[Delivery, float] = OrderedDict()  # start time of each

    @property
    def open(self) -> int:
        """Number of deliveries that have begun and are not closed."""
        return len(self._scanner_of) - len(self._waiting)

    def waiting(self, scanner: str) -> int:
        """Returns the number of a scanner's waiting deliveries."""
        return self._waiting.count(scanner)

    def add(self, scanner: str, delivery: Delivery) -> None:
        """Adds a waiting delivery."""
        self._waiting.add(scanner, delivery)
        self._scanner_of[delivery] = scanner

    def remove(self, delivery: Delivery) -> bool:
        """Removes a waiting delivery; returns False if it does not wait."""
        if not self._waiting.remove(delivery):
            return False
        del self._scanner_of[delivery]
        return True

    def next(self, now: float) -> Delivery | None:
        """Returns the delivery that may begin now; None if none waits, or the limits allow none."""
        if self.open >= self._limit or not self._waiting or self._are_too_many_fresh(now):
            return None
        return next((first for first in self._waiting.firsts()
                     if self._open_of[self._scanner_of[first]] < self._most), None)

    def _are_too_many_fresh(self, now: float) -> bool:
        while self._fresh and next(iter(self._fresh.values())) <= now - FRESH_SECONDS:
            self._fresh.popitem(last=False)
        return len(self._fresh) >= MAX_FRESH

    def fresh_for(self, now: float) -> float | None:
        """Returns the seconds until a delivery may begin, if only recent starts prevent it; otherwise None."""
        if self.open >= self._limit or not self._waiting or not self._are_too_many_fresh(now):
            return None
        return max(0.0, next(iter(self._fresh.values())) + FRESH_SECONDS - now)

    def begin(self, delivery: Delivery, now: float) -> None:
        """Marks a waiting delivery as begun."""
        self._waiting.serve(delivery)
        self._open_of[self._scanner_of[delivery]] += 1
        self._fresh[delivery] = now

    def close(self, delivery: Delivery) -> None:
        """Removes a delivery whose connection has closed."""
        scanner = self._scanner_of.pop(delivery)
        self._fresh.pop(delivery, None)
        self._open_of[scanner] -= 1
        if not self._open_of[scanner]:
            del self._open_of[scanner]

    def clear(self) -> None:
        """Removes all waiting deliveries."""
        for delivery in self._waiting.clear():
            del self._scanner_of[delivery]
