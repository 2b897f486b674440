"""Decides about the deliveries to one subscriber: a bounded queue, retries, pauses, and when to give up.

WS-Eventing 2004/08, section 3.5 (DeliveryFailure). One event is sent at a time, which keeps the order::

              put                take              delivered
    empty ──────────► ready ──────────► sending ──────────────► ready or empty
                        ▲                  │ failed
                        └────── due ── waiting ──────► over, if nothing was delivered for `give_up_after`

An unreachable sink is tried until then. If a sink answers and refuses an event, the event is sent `MAX_REFUSALS` times
and then skipped, so that later events arrive; a skipped event does not count as delivered, though.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.events.backlog import Backlog
from wsdgateway.bridge.events.fanout import Event

# Statuses sent by a proxy or server in front of a sink that is absent or too busy; any other status is about the event.
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
    """Decision: try the same event again after this many seconds."""

    after: float


@attrs.frozen
class Skip:
    """Decision: drop the event, and continue with the next one after this many seconds."""

    after: float


@attrs.frozen
class GiveUp:
    """Decision: end the subscription because the subscriber cannot be reached; `lost` is the number of lost events."""

    lost: int


def is_success(status: int) -> bool:
    """True if the sink has accepted the event, by the HTTP status of its answer."""
    return status < 300


def is_refusal(status: int) -> bool:
    """True if the sink was reached and refused this event, by the HTTP status of its answer."""
    return not is_success(status) and status not in _AWAY


class DeliveryQueue:
    """The events for one subscriber, at most `limit`; `bridge.events.backlog` decides which one is dropped.

    `give_up_after` is in seconds, `random` returns 0 to 1.
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
        """Adds an event; returns False if there was no room and an event that is not being sent was dropped."""
        if len(self) < self._limit:
            self._waiting.append(queued)
            return True
        first = self._waiting.first if self._waiting else None
        self._waiting.append(queued)
        if self._waiting.drop() is first:
            self._refusals = 0
        return False

    def take(self) -> QueuedEvent | None:
        """Returns the next event to send; None if there is none, or one is being sent."""
        if self._sending is not None or not self._waiting:
            return None
        self._sending = self._waiting.take()
        return self._sending

    def delivered(self) -> None:
        """Notes that the event being sent has arrived."""
        self._sending = None
        self._refusals = self.failures = 0

    def failed(self, now: float, *, refused: bool) -> Retry | Skip | GiveUp:
        """Decides how to continue after a failed delivery.

        The sink `refused` the event, or could not be reached. `now` is in seconds.
        """
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
        self._waiting.put_back(queued)  # there is room: the event was counted while it was being sent
        return Retry(pause)
