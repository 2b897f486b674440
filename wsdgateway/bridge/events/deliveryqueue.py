"""Decides about the deliveries to one subscriber: a bounded queue, tries, pauses, and when to give up.

WS-Eventing 2004/08, section 3.5 (DeliveryFailure). One event is sent at a time, so that order is kept::

              put                take              delivered
    empty ──────────► ready ──────────► sending ──────────────► ready or empty
                        ▲                  │ failed
                        └────── due ── waiting ──────► over, when nothing was delivered for `give_up_after`

A sink that can't be reached is tried until then. To one that answers and refuses an event it is sent `MAX_REFUSALS`
times, then skipped, so that the next events arrive; that does not count as a delivery, though.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.events.backlog import Backlog
from wsdgateway.bridge.events.fanout import Event

# Statuses of whatever stands before a sink that is not there at the moment, or too busy; any other one is about the
# event.
_AWAY = frozenset((404, 408, 429, 502, 503, 504))

MAX_REFUSALS = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


@attrs.frozen(eq=False)
class QueuedEvent:
    """An event for one subscriber."""

    event: Event
    message_id: str


@attrs.frozen
class Retry:
    """Try the same event again after so many seconds."""

    after: float


@attrs.frozen
class Skip:
    """The event is lost; go on with the next after so many seconds."""

    after: float


@attrs.frozen
class GiveUp:
    """The subscriber cannot be reached: the subscription is over, and so many events are lost."""

    lost: int


def is_success(status: int) -> bool:
    """Whether the sink has taken the event, by the HTTP status of its answer."""
    return status < 300


def is_refusal(status: int) -> bool:
    """Whether the sink will not take this event, by the HTTP status of its answer: it was reached, and says no."""
    return not is_success(status) and status not in _AWAY


class DeliveryQueue:
    """The events for one subscriber, at most `limit`; `bridge.events.backlog` decides which of them makes room.

    `give_up_after` is in seconds, `random` gives 0 to 1.
    """

    def __init__(self, *, limit: int, give_up_after: float, random: Callable[[], float]) -> None:
        self._limit = limit
        self._give_up_after = give_up_after
        self._random = random
        self._waiting: Backlog[QueuedEvent] = Backlog()
        self._sending: QueuedEvent | None = None
        self._refusals = 0
        self.failures = 0
        self._failing_since = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + (self._sending is not None)

    def put(self, queued: QueuedEvent) -> bool:
        """Add an event; False if there was no room, and one that is not being sent was dropped for it."""
        if len(self) < self._limit:
            self._waiting.append(queued)
            return True
        first = self._waiting.first if self._waiting else None
        self._waiting.append(queued)
        if self._waiting.drop() is first:
            self._refusals = 0
        return False

    def take(self) -> QueuedEvent | None:
        """The next to send; None if there is none, or one is being sent."""
        if self._sending is not None or not self._waiting:
            return None
        self._sending = self._waiting.take()
        return self._sending

    def delivered(self) -> None:
        """The event that was being sent has arrived."""
        self._sending = None
        self._refusals = self.failures = 0

    def failed(self, now: float, *, refused: bool) -> Retry | Skip | GiveUp:
        """It has not arrived: the sink `refused` it, or could not be reached. `now` in seconds."""
        assert self._sending is not None
        queued, self._sending = self._sending, None
        if not self.failures:
            self._failing_since = now
        self.failures += 1
        left = self._give_up_after - (now - self._failing_since)
        if left <= 0.0:
            lost = 1 + len(self._waiting)
            self._waiting.clear()
            return GiveUp(lost)
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures - 1, 20), LONGEST_PAUSE) * (0.75 + 0.25 * self._random())
        pause = min(pause, left)
        self._refusals = self._refusals + 1 if refused else 0
        if self._refusals >= MAX_REFUSALS:
            self._refusals = 0
            return Skip(pause)
        self._waiting.put_back(queued)  # there is room: it counted while it was being sent
        return Retry(pause)
