"""Rate-limits log messages, since a refused client mostly repeats its request at once and endlessly."""

from collections import OrderedDict
from collections.abc import Hashable

QUIET_SECONDS = 60.0
MAX_KEYS = 1000


class LogThrottle:
    """Lets each key through at most once in `QUIET_SECONDS`. `now` is in seconds of a monotonic clock.

    With more than `MAX_KEYS` keys, the one logged longest ago is forgotten.
    """

    def __init__(self) -> None:
        self._logged: OrderedDict[Hashable, float] = OrderedDict()

    def allows(self, key: Hashable, now: float) -> bool:
        """True if a message with this key may be logged now; it then counts as logged."""
        logged = self._logged.get(key)
        if logged is not None and now - logged < QUIET_SECONDS:
            return False
        self._logged[key] = now
        self._logged.move_to_end(key)
        if len(self._logged) > MAX_KEYS:
            self._logged.popitem(last=False)
        return True
