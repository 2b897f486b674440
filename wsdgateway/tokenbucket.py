"""Token buckets: a rate limit, alone and for each source of requests.

A bucket holds as many tokens as one second gives. Limits for each source keep a forged sender address from turning
this gateway into an amplifier; a limit alone keeps a weak scanner from being flooded.
"""

from collections import OrderedDict

MAX_SOURCES = 4096
_ALMOST = 1.0 - 1e-6  # counts as a token: rounding must not refuse a caller that waited for exactly `wait` seconds


class TokenBucket:
    """A bucket that gains `rate` tokens a second and holds one second's worth, but one token at least.

    It is full at first. `now` is in seconds, on a clock that only goes forward.
    """

    __slots__ = ("_at", "_full", "_left", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = self._full = max(1.0, rate)
        self._at = float("-inf")

    def left(self, now: float) -> float:
        """The number of tokens now. It is negative after more were spent than there were."""
        return min(self._full, self._left + (now - self._at) * self._rate)

    def wait(self, now: float) -> float:
        """The seconds until there is a token."""
        left = self.left(now)
        return 0.0 if left >= _ALMOST else (1.0 - left) / self._rate

    def spend(self, now: float, count: float = 1.0) -> None:
        """Take `count` tokens, also below zero; the debt is at most one second's worth."""
        self._left = max(-self._full, self.left(now) - count)
        self._at = now


class SourceLimit:
    """At most `rate` answers a second for each source; an answer costs a token.

    Beyond `MAX_SOURCES` sources the one that has been quiet longest is forgotten.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left: OrderedDict[str, TokenBucket] = OrderedDict()

    def left(self, source: str, now: float) -> float:
        """The number of answers that the source may get now."""
        return (self._left.get(source) or TokenBucket(self._rate)).left(now)

    def allows(self, source: str, now: float) -> bool:
        """True if the source may get an answer now."""
        return self.left(source, now) >= 1.0

    def spend(self, source: str, now: float, count: float = 1.0) -> bool:
        """Take the tokens for an answer that costs `count`; False, and nothing taken, if there are too few."""
        if self.left(source, now) < count:
            return False
        bucket = self._left.setdefault(source, TokenBucket(self._rate))
        bucket.spend(now, count)
        self._left.move_to_end(source)
        if len(self._left) > MAX_SOURCES:
            self._left.popitem(last=False)
        return True
