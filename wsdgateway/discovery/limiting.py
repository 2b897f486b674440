"""How much each source is answered: whoever asks in another's name must not make us flood him.

A bucket of tokens for each source, one token an answer; it holds what a second gives.
"""

from collections import OrderedDict

MAX_SOURCES = 4096


class AnswerLimit:
    """At most `rate` answers a second for each source. `now` is in seconds, of a clock that only goes forward.

    The sources that have been quiet longest are forgotten first, when there are more than `MAX_SOURCES`.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full = max(1.0, rate)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, source: str, now: float) -> float:
        """How many answers it may have now."""
        left, at = self._left.get(source, (self._full, now))
        return min(self._full, left + (now - at) * self._rate)

    def allows(self, source: str, now: float) -> bool:
        """Whether it may be given an answer now."""
        return self.left(source, now) >= 1.0

    def spend(self, source: str, now: float) -> bool:
        """Give it an answer, if it may have one."""
        tokens = self.left(source, now)
        if tokens < 1.0:
            return False
        self._left[source] = (tokens - 1.0, now)
        self._left.move_to_end(source)
        if len(self._left) > MAX_SOURCES:
            self._left.popitem(last=False)
        return True
