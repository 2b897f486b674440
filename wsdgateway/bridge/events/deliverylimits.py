"""Decides which delivery begins next: bounds for all of them and for each scanner, and scanners take turns.

A delivery that waits begins when fewer than `limit` are open, its scanner has not more than its part of these, and not
too many have begun just now.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from wsdgateway.bridge.roundrobin import RoundRobin

MOST_OF_SCANNER = 0.5  # of all deliveries at once: sinks that hang must not keep those of other scanners waiting
# At most so many may have begun within so many seconds and not have ended: if all their sinks answer at once, a turn
# of the reactor takes some 10 ms. Deliveries to slower sinks go on beside them, up to the limit.
MAX_FRESH, FRESH_SECONDS = 256, 0.25

Delivery = TypeVar("Delivery", bound=Hashable)


class DeliveryLimits(Generic[Delivery]):
    """The deliveries that wait, and those that are open: at most `limit`. Times are in seconds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most = max(1, int(limit * MOST_OF_SCANNER))
        self._waiting: RoundRobin[Delivery] = RoundRobin()
        self._scanner_of: dict[Delivery, str] = {}
        self._open_of: Counter[str] = Counter()
        self._fresh: OrderedDict[Delivery, float] = OrderedDict()  # when each began

    @property
    def open(self) -> int:
        """How many have begun, and have not been closed."""
        return len(self._scanner_of) - len(self._waiting)

    def waiting(self, scanner: str) -> int:
        """How many of a scanner's deliveries wait."""
        return self._waiting.count(scanner)

    def add(self, scanner: str, delivery: Delivery) -> None:
        """Let a delivery wait."""
        self._waiting.add(scanner, delivery)
        self._scanner_of[delivery] = scanner

    def remove(self, delivery: Delivery) -> bool:
        """Let it wait no more; False if it does not wait."""
        if not self._waiting.remove(delivery):
            return False
        del self._scanner_of[delivery]
        return True

    def next(self, now: float) -> Delivery | None:
        """The delivery that may begin now; None if none waits, or there is no room for any that waits."""
        if self.open >= self._limit or not self._waiting or self._are_too_many_fresh(now):
            return None
        return next((first for first in self._waiting.firsts()
                     if self._open_of[self._scanner_of[first]] < self._most), None)

    def _are_too_many_fresh(self, now: float) -> bool:
        while self._fresh and next(iter(self._fresh.values())) <= now - FRESH_SECONDS:
            self._fresh.popitem(last=False)
        return len(self._fresh) >= MAX_FRESH

    def fresh_for(self, now: float) -> float | None:
        """For how many seconds none may begin because too many have begun just now; None if that is not the reason."""
        if self.open >= self._limit or not self._waiting or not self._are_too_many_fresh(now):
            return None
        return max(0.0, next(iter(self._fresh.values())) + FRESH_SECONDS - now)

    def begin(self, delivery: Delivery, now: float) -> None:
        """A delivery that waits begins."""
        self._waiting.serve(delivery)
        self._open_of[self._scanner_of[delivery]] += 1
        self._fresh[delivery] = now

    def close(self, delivery: Delivery) -> None:
        """A delivery that has begun is over, and its connection gone."""
        scanner = self._scanner_of.pop(delivery)
        self._fresh.pop(delivery, None)
        self._open_of[scanner] -= 1
        if not self._open_of[scanner]:
            del self._open_of[scanner]

    def clear(self) -> None:
        """None waits any more."""
        for delivery in self._waiting.clear():
            del self._scanner_of[delivery]
