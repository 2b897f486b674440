"""Keeps waiting events, oldest first, and decides which one is dropped if there is no room.

A JobStatusEvent is dropped first if a newer state of its job has arrived; then the oldest event without a job's state;
then the oldest state of a job. JobEndStateEvents, final states and ScanAvailableEvents are dropped last. So the newest
state of a job is lost only if there is no room for all newest states and ends.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar

import attrs

from wsdgateway.bridge.events.fanout import Event
from wsdgateway.tokenbucket import TokenBucket

MAX_EVENTS = 1000  # of one scanner that wait for distribution
MAX_BYTES = 4 * 1024 * 1024  # of all these events
MAX_LAG = 2.0  # seconds after which an outdated state is no longer distributed


class HasEvent(Protocol):
    """A waiting item."""

    @property
    def event(self) -> Event:
        """The event in the item."""


Item = TypeVar("Item", bound=HasEvent)


class Backlog(Generic[Item]):
    """The items in order. Each operation takes constant time, except `drop` if the item to drop is not in front."""

    __slots__ = ("_items", "_newest", "_outdated", "_plain")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._newest: dict[str, Item] = {}  # the newest state of each job that has not ended
        self._outdated = 0
        self._plain = 0  # number of items with neither a job's state nor an end

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> Item:
        """The oldest item. Raises `IndexError` if there is none."""
        return self._items[0]

    def append(self, item: Item) -> None:
        """Adds an item as the newest."""
        self._items.append(item)
        event = item.event
        if event.job is not None:
            self._outdated += self._newest.pop(event.job, None) is not None
            if not event.ends:
                self._newest[event.job] = item
        elif not event.ends:
            self._plain += 1

    def put_back(self, item: Item) -> None:
        """Adds an item again as the oldest, after `take`."""
        self._items.appendleft(item)
        event = item.event
        if event.job is not None and not event.ends:
            if any(other.event.job == event.job for other in self._items if other is not item):
                self._outdated += 1
            else:
                self._newest[event.job] = item
        elif not event.ends:
            self._plain += 1

    def take(self) -> Item:
        """Removes and returns the oldest item. Raises `IndexError` if there is none."""
        item = self._items.popleft()
        self._forget(item)
        return item

    def is_outdated(self, item: Item) -> bool:
        """True if an item has a job's state, and a newer one waits."""
        event = item.event
        return event.job is not None and not event.ends and self._newest.get(event.job) is not item

    def drop(self) -> Item:
        """Removes and returns the least important item. Raises `IndexError` if there is none."""
        position = self._least()
        item = self._items[position]
        del self._items[position]
        self._forget(item)
        return item

    def clear(self) -> None:
        """Removes all items."""
        self._items.clear()
        self._newest.clear()
        self._outdated = self._plain = 0

    def _least(self) -> int:
        for position, item in enumerate(self._items):
            event = item.event
            if event.ends:
                continue
            if self._outdated:
                if event.job is not None and self.is_outdated(item):
                    return position
            elif not self._plain or event.job is None:
                return position
        return 0

    def _forget(self, item: Item) -> None:
        event = item.event
        if event.ends:
            return
        if event.job is None:
            self._plain -= 1
        elif self._newest.get(event.job) is item:
            del self._newest[event.job]
        else:
            self._outdated -= 1


@attrs.frozen(eq=False)
class _Waiting:
    event: Event
    since: float


class EventQueue:
    """The events of one scanner that wait for distribution. Times are in seconds.

    At most `rate` events a second are distributed, with bursts of one second's worth. The queue is limited by
    `MAX_EVENTS` and `MAX_BYTES`; a state that has waited longer than `MAX_LAG` is dropped if a newer one of the same
    job waits.
    """

    def __init__(self, rate: float) -> None:
        self._bucket = TokenBucket(rate)
        self.rate = rate
        self._waiting: Backlog[_Waiting] = Backlog()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def adjust(self, rate: float) -> None:
        """Sets the rate."""
        if rate != self.rate:
            self.rate, self._bucket = rate, TokenBucket(rate)

    def put(self, event: Event, now: float) -> int:
        """Adds an event; returns the number of events dropped for it."""
        self._waiting.append(_Waiting(event, now))
        self._bytes += event.size
        lost = 0
        while len(self._waiting) > MAX_EVENTS or (self._bytes > MAX_BYTES and len(self._waiting) > 1):
            self._bytes -= self._waiting.drop().event.size
            lost += 1
        return lost

    def wait(self, now: float) -> float | None:
        """Returns the seconds until the next event may be distributed; None if none waits."""
        return self._bucket.wait(now) if self._waiting else None

    def take(self, now: float) -> tuple[Event, int]:
        """Returns the next event, and the number of outdated ones dropped before it. There must be one."""
        lost = 0
        while self._waiting.is_outdated(self._waiting.first) and now - self._waiting.first.since > MAX_LAG:
            self._bytes -= self._waiting.take().event.size
            lost += 1
        event = self._waiting.take().event
        self._bytes -= event.size
        self._bucket.spend(now)
        return event, lost

    def clear(self) -> int:
        """Drops all events; returns their number."""
        lost = len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return lost
