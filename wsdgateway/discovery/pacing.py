"""Pacing of announcements: limits the number of datagrams per second on a link, however many wait.

Each datagram is sent once, and its repeat as soon as it is due and the rate allows. SOAP-over-UDP 2004/09, Appendix I.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

from wsdgateway.discovery.schedule import sending_times

MAX_WAITING = 10000


class Pacing:
    """The datagrams waiting for one link, of which `rate` are sent a second.

    `now` is in seconds; `random` returns numbers from 0 to 1.
    """

    def __init__(self, rate: float, random: Callable[[], float]) -> None:
        self._rate = rate
        self._random = random
        self._new: OrderedDict[str, Callable[[], bytes | None]] = OrderedDict()
        self._repeats: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def put(self, key: str, write: Callable[[], bytes | None], *, first: bool = False) -> bool:
        """Queues a datagram, which `write` returns when it is sent; replaces a waiting one with the same `key`.

        `write` returns None if the datagram shall not be sent any more.

        Returns False if too many wait.
        """
        if key not in self._new and len(self._new) >= MAX_WAITING:
            return False
        self._new[key] = write
        if first:
            self._new.move_to_end(key, last=False)
        return True

    def hurry(self, seconds: float) -> None:
        """Raises the rate so that everything is sent within about this many seconds."""
        self._rate = max(self._rate, (2 * len(self._new) + len(self._repeats)) / seconds)

    def clear(self) -> None:
        """Drops the datagrams that have not been sent."""
        self._new.clear()
        self._repeats.clear()

    def take(self, now: float) -> bytes | None:
        """Returns the datagram to send now; None if there is none."""
        if now < self._free_at:
            return None
        if self._repeats and self._repeats[0][0] <= now:
            data = self._repeats.popleft()[1]
        else:
            made = self._write()
            if made is None:
                return None
            data = made
            _, again = sending_times(self._random)
            self._repeats.append((now + again, data))
        self._free_at = now + 1 / self._rate
        return data

    def _write(self) -> bytes | None:
        while self._new:
            data = self._new.popitem(last=False)[1]()
            if data is not None:
                return data
        return None

    def wait(self, now: float) -> float | None:
        """Returns the seconds until the next datagram is due; None if none waits."""
        if not self._new and not self._repeats:
            return None
        due = now if self._new else self._repeats[0][0]
        return max(0.0, self._free_at - now, due - now)
