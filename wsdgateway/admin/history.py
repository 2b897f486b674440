"""Counts of the gateway during the last hour, minute by minute, from samples of its counters.

The samples are taken by a timer, so that a request costs nothing. Times are monotonic, in seconds.
"""

from collections import deque
from collections.abc import Mapping
from itertools import pairwise

from wsdgateway.metrics import Totals

MINUTE = 60.0
MINUTES = 60  # that are kept
NOTHING = Totals()

Counted = Mapping[str, Totals]


class History:
    """Samples of the counters of each scanner, which begin at zero. `sample` is to be called once a minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Counted]] = deque(maxlen=MINUTES + 1)

    def sample(self, now: float, counted: Counted) -> None:
        """Add a sample of the counters."""
        self._samples.append((now, dict(counted)))

    def minutes(self, now: float, counted: Counted, scanner: str | None = None) -> list[Totals]:
        """The increase in each of the last `MINUTES` minutes, oldest first; the last one is not over yet.

        `counted` is the state of the counters now. Without `scanner`, all scanners are added up.
        """
        found = [NOTHING] * MINUTES
        for (_, before), (at, after) in pairwise([*self._samples, (now, counted)]):
            ago = 0 if after is counted else 1 + int((now - at) // MINUTE)
            if ago < MINUTES:
                found[-1 - ago] = found[-1 - ago].plus(_sum(after, scanner).minus(_sum(before, scanner)))
        return found

    def since(self, seconds: float, now: float, counted: Counted, scanner: str | None = None) -> Totals:
        """The increase in the last `seconds`, which is precise to a minute; at most since the oldest sample."""
        begin = self._samples[0][1] if self._samples else {}
        for at, sampled in self._samples:
            if at > now - seconds:
                break
            begin = sampled
        return _sum(counted, scanner).minus(_sum(begin, scanner))


def _sum(counted: Counted, scanner: str | None) -> Totals:
    if scanner is not None:
        return counted.get(scanner, NOTHING)
    total = NOTHING
    for one in counted.values():
        total = total.plus(one)
    return total
