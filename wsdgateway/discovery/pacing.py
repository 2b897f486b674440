"""Pacing of announcements: a link carries only so many datagrams a second, however many wait.

Each is sent once, and its repeat as soon as it is due and there is room. SOAP-over-UDP 2004/09, Appendix I.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

from wsdgateway.discovery.schedule import sending_times

MAX_WAITING = 10000


class Pacing:
    """The datagrams that wait for one link, of which `rate` are sent a second.

    `now` is in seconds; `random` gives numbers from 0 to 1.
    """

    def __init__(self, rate: float, random: Callable[[], float]) -> None:
        self._rate = rate
        self._random = random
        self._new: OrderedDict[str, Callable[[], bytes]] = OrderedDict()
        self._repeats: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def put(self, key: str, write: Callable[[], bytes], *, first: bool = False) -> bool:
        """Send what `write` gives when the rate allows, instead of what waits under `key`. False: too many wait."""
        if key not in self._new and len(self._new) >= MAX_WAITING:
            return False
        self._new[key] = write
        if first:
            self._new.move_to_end(key, last=False)
        return True

    def hurry(self, seconds: float) -> None:
        """Raise the rate, so that everything is sent in about so many seconds."""
        self._rate = max(self._rate, (2 * len(self._new) + len(self._repeats)) / seconds)

    def clear(self) -> None:
        """Drop what has not been sent yet."""
        self._new.clear()
        self._repeats.clear()

    def take(self, now: float) -> bytes | None:
        """The datagram to send now; None if there is none."""
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
        """The seconds until the next datagram is to be sent; None if none waits."""
        if not self._new and not self._repeats:
            return None
        due = now if self._new else self._repeats[0][0]
        return max(0.0, self._free_at - now, due - now)
