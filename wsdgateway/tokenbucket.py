"""How much each source may have in a second: a bucket of tokens that holds what a second gives.

Whoever asks in another's name must not make us flood him; whoever is weak must not be flooded by us.
"""

from collections import OrderedDict

MAX_SOURCES = 4096
_ALMOST = 1.0 - 1e-6  # a token, for whoever waited just as long as he was told


class TokenBucket:
    """`rate` tokens a second, full at first: at least one. `now` is in seconds, of a clock that only goes forward."""

    __slots__ = ("_at", "_full", "_left", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = self._full = max(1.0, rate)
        self._at = float("-inf")

    def left(self, now: float) -> float:
        """How many tokens there are now; less than none where some were spent that were not there."""
        return min(self._full, self._left + (now - self._at) * self._rate)

    def wait(self, now: float) -> float:
        """The seconds until there is one."""
        left = self.left(now)
        return 0.0 if left >= _ALMOST else (1.0 - left) / self._rate

    def spend(self, now: float, count: float = 1.0) -> None:
        """Take so many, whether they are there or not; no more is owed than a second gives."""
        self._left = max(-self._full, self.left(now) - count)
        self._at = now


class SourceLimit:
    """At most `rate` answers a second for each source, one token an answer.

    The sources that have been quiet longest are forgotten first, when there are more than `MAX_SOURCES`.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left: OrderedDict[str, TokenBucket] = OrderedDict()

    def left(self, source: str, now: float) -> float:
        """How many answers it may have now."""
        return (self._left.get(source) or TokenBucket(self._rate)).left(now)

    def allows(self, source: str, now: float) -> bool:
        """Whether it may be given an answer now."""
        return self.left(source, now) >= 1.0

    def spend(self, source: str, now: float, count: float = 1.0) -> bool:
        """Give it an answer, if it may have one; or something that costs as much as `count` of them."""
        if self.left(source, now) < count:
            return False
        bucket = self._left.setdefault(source, TokenBucket(self._rate))
        bucket.spend(now, count)
        self._left.move_to_end(source)
        if len(self._left) > MAX_SOURCES:
            self._left.popitem(last=False)
        return True
