"""What would be said too often is said once a minute: whoever is refused mostly asks again at once, and for ever."""

from collections import OrderedDict
from collections.abc import Hashable

QUIET_SECONDS = 60.0
MAX_SAID = 1000


class LogThrottle:
    """Remembers what has been said lately. `now` is in seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, float] = OrderedDict()

    def allows(self, what: Hashable, now: float) -> bool:
        """Whether it may be said now; if so, it counts as said."""
        said = self._said.get(what)
        if said is not None and now - said < QUIET_SECONDS:
            return False
        self._said[what] = now
        self._said.move_to_end(what)
        if len(self._said) > MAX_SAID:
            self._said.popitem(last=False)
        return True
