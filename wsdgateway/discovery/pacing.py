"""Announcements one after the other: however many there are to be made, a link carries only so many in a second.

Each is sent once, and its repeat as soon as it is due and there is room. SOAP-over-UDP 2004/09, Appendix I.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

from wsdgateway.discovery.schedule import sending_times

MAX_WAITING = 10000


class Pacing:
    """What is to be sent on one link, at most `rate` datagrams a second. `now` is in seconds; `random` from 0 to 1."""

    def __init__(self, rate: float, random: Callable[[], float]) -> None:
        self._rate = rate
        self._random = random
        self._new: OrderedDict[str, Callable[[], bytes]] = OrderedDict()
        self._repeats: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def put(self, about: str, write: Callable[[], bytes], *, first: bool = False) -> bool:
        """Send what `write` gives when it is its turn, in place of what waits about the same. False: no room."""
        if about not in self._new and len(self._new) >= MAX_WAITING:
            return False
        self._new[about] = write
        if first:
            self._new.move_to_end(about, last=False)
        return True

    def hurry(self, seconds: float) -> None:
        """Be done with everything in about that time."""
        self._rate = max(self._rate, (2 * len(self._new) + len(self._repeats)) / seconds)

    def clear(self) -> None:
        """Forget what was not sent yet."""
        self._new.clear()
        self._repeats.clear()

    def take(self, now: float) -> bytes | None:
        """What is to be sent now."""
        if now < self._free_at:
            return None
        if self._repeats and self._repeats[0][0] <= now:
            data = self._repeats.popleft()[1]
        elif self._new:
            data = self._new.popitem(last=False)[1]()
            _, again = sending_times(self._random)
            self._repeats.append((now + again, data))
        else:
            return None
        self._free_at = now + 1 / self._rate
        return data

    def wait(self, now: float) -> float | None:
        """The seconds until something is to be sent; None if there is nothing."""
        if not self._new and not self._repeats:
            return None
        due = now if self._new else self._repeats[0][0]
        return max(0.0, self._free_at - now, due - now)
