"""The last events of one scanner as its owner shares them, so that the next owner can deliver what this one has not.

WS-Eventing 2004/08, section 3. Each event gets an identifier, which grows over all owners, and is written before the
scanner is answered. A cursor for each client's subscription holds the last event that it was given. For a
ScanAvailableEvent it is written before the first attempt, because a second one would scan twice; for all other events
after a delivery. An event has the same MessageID for a subscription, whichever owner delivers it.

`EventLog` collects what is to be written; `net.events.eventrecord` writes it. A write may be repeated.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID, uuid5

import attrs

MAX_EVENTS = 256  # of one scanner that are kept
MAX_SIZE = 65536  # bytes of an event that is kept
MAX_BYTES = 4 * 1024 * 1024  # of all events that wait to be written
MAX_AGE = 600.0  # seconds after which a new owner does not deliver an event any more
A_LAG = MAX_EVENTS // 4  # events after which the cursors of subscriptions that wait for nothing are moved
_MESSAGES = UUID("6a1f0d0e-6c25-4a35-8f5b-2f3b2c0f3c51")  # the namespace of MessageIDs


@attrs.frozen(order=True)
class EventID:
    """The identifier of an event: the owner's fencing token, and the number of the event in that ownership, from 1."""

    token: int
    number: int

    def __str__(self) -> str:
        return f"{self.token}-{self.number}"

    def message_id(self, subscription: str) -> str:
        """Returns the MessageID of the event for a subscription, the same at each owner."""
        return uuid5(_MESSAGES, f"{subscription} {self}").urn

    @classmethod
    def parse(cls, text: str) -> "EventID":
        """Returns the identifier in a text. Raises `ValueError`."""
        token, _, number = text.partition("-")
        return cls(int(token), int(number))


@attrs.frozen
class LoggedEvent:
    """An event as it is kept: the message as the scanner sent it, and its Content-Type.

    `receiver` is the identifier of a client's subscription if the event came to the one that is held at the scanner for
    that client's names on the panel, else empty. `at` is the server's time, in seconds since 1970, at which the
    event was written, 0 until it is read again. `made`: the gateway made it of the scanner's answers. Without `data` it
    is a mark: the scanner has restarted, or may have.
    """

    identifier: EventID
    data: bytes
    content_type: bytes
    receiver: str = ""
    made: bool = False
    at: float = 0.0


@attrs.frozen
class Cursor:
    """The last events that a subscription was given: of all subscribers' events, and of its panel events.

    `opened` is the last event before the subscription began.
    """

    given: EventID
    panel: EventID
    opened: EventID = EventID(0, 0)


@attrs.frozen
class Past:
    """The events of former owners, oldest first, and their cursors by subscription. `time` is the server's.

    `is_first` is true if there was no former owner, as far as is known.
    """

    events: tuple[LoggedEvent, ...] = ()
    cursors: Mapping[str, Cursor] = attrs.field(factory=dict)
    time: float = 0.0
    is_first: bool = False


@attrs.frozen
class Write:
    """The events and cursors of one write. A cursor that is None is deleted."""

    events: tuple[LoggedEvent, ...]
    cursors: Mapping[str, Cursor | None]


class EventLog:
    """The events and cursors of one ownership, by its fencing token, that are still to be written.

    `take` returns what is to be written now, None if that is nothing or a write runs; its outcome is told by `written`
    or `failed`. After a failure the server counts as silent: events are collected all the same, except those that must
    be delivered at most once. These are then known to this owner alone, so that no other can deliver them again.
    """

    def __init__(self, token: int, cursors: Mapping[str, Cursor]) -> None:
        self._token = token
        self._last = EventID(token, 0)
        self._cursors = dict(cursors)
        self._events: deque[LoggedEvent] = deque()
        self._bytes = 0
        self._changed: dict[str, None] = {}
        self._running: Write | None = None
        self._written = EventID(token, 0)
        self._renamed: dict[EventID, EventID] = {}  # events under delivery know the identifiers that they had before
        self.is_silent = False

    @property
    def last(self) -> EventID:
        """The identifier of the last event."""
        return self._last

    @property
    def is_written(self) -> bool:
        """True if nothing is to be written, and no write runs."""
        return not self._events and not self._changed and self._running is None

    def add(self, data: bytes, content_type: bytes, receiver: str = "", *, once: bool = False,
            made: bool = False) -> LoggedEvent | None:
        """Adds an event as the newest. Returns None if it is not kept.

        That is an event of more than `MAX_SIZE`, and one to be delivered at most `once` while the server is silent.
        """
        if len(data) > MAX_SIZE or (once and self.is_silent):
            return None
        self._last = EventID(self._token, self._last.number + 1)
        event = LoggedEvent(self._last, data, content_type, receiver, made)
        self._events.append(event)
        self._bytes += len(data)
        self._trim()
        return event

    def _trim(self) -> None:
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._events.popleft().data)

    def is_safe(self, event: EventID) -> bool:
        """True if the event has been written."""
        return event <= self._written

    def regained(self, token: int) -> None:
        """Goes on with a new token. The server may have lost its data, so all cursors are to be written.

        Events that are not certainly written get new identifiers, by which they follow everything that is there. The
        outcome of a write that runs no longer matters.
        """
        self._token = token
        self._last = self._written = EventID(token, 0)
        self._put_back()
        renamed: list[tuple[EventID, EventID]] = []
        for place, event in enumerate(self._events):
            self._last = EventID(token, place + 1)
            renamed.append((event.identifier, self._last))
            self._events[place] = attrs.evolve(event, identifier=self._last)
        for subscription, cursor in self._cursors.items():
            self._set(subscription, Cursor(*(
                _renamed(event, renamed) for event in (cursor.given, cursor.panel, cursor.opened))))
        latest = dict(renamed)
        known = {old: latest.get(new, new) for old, new in self._renamed.items()} | latest
        self._renamed = dict(list(known.items())[-MAX_EVENTS:])

    # Cursors.

    def opened(self, subscription: str) -> None:
        """Begins a new subscription, which gets later events only; one that has a cursor goes on from there."""
        if subscription not in self._cursors:
            self._set(subscription, Cursor(self._last, self._last, self._last))

    def handed_over(self, former: str, heir: str) -> None:
        """Lets a subscription go on in place of another one."""
        cursor = self._cursors.get(former)
        if cursor is not None:
            self.closed(former)
            self._set(heir, cursor)

    def closed(self, subscription: str) -> None:
        """Deletes the cursor of a subscription that has ended."""
        if self._cursors.pop(subscription, None) is not None:
            self._changed[subscription] = None

    def given(self, subscription: str, event: EventID) -> None:
        """Records that a subscription was given an event, or will not be given it."""
        cursor, event = self._cursors.get(subscription), self._renamed.get(event, event)
        if cursor is not None and event > cursor.given:
            self._set(subscription, attrs.evolve(cursor, given=event))

    def lagging(self) -> list[str]:
        """Returns the subscriptions whose cursor is so far behind that their next events may not be kept any more.

        Most have not been sent the events since, because they do not want them.
        """
        return [one for one, cursor in self._cursors.items()
                if cursor.given.token != self._token or self._last.number - cursor.given.number >= A_LAG]

    def begins(self, subscription: str, event: EventID) -> bool:
        """Records that a panel event is about to be sent. Returns True if that is to be written before."""
        cursor, event = self._cursors.get(subscription), self._renamed.get(event, event)
        if cursor is None or event <= cursor.panel:
            return False
        self._set(subscription, attrs.evolve(cursor, panel=event))
        return True

    def _set(self, subscription: str, cursor: Cursor) -> None:
        self._cursors[subscription] = cursor
        self._changed[subscription] = None

    # Writes.

    def take(self) -> Write | None:
        """Returns the next write; None if there is none, or one is running."""
        if self._running is not None or self.is_written:
            return None
        cursors = {one: self._cursors.get(one) for one in self._changed}
        self._running = Write(tuple(self._events), cursors)
        self._events.clear()
        self._changed.clear()
        self._bytes = 0
        return self._running

    @property
    def is_writing(self) -> bool:
        """True if a write runs."""
        return self._running is not None

    def written(self, write: Write) -> bool:
        """Handles the success of a write. Returns False if its outcome no longer matters."""
        if write is not self._running:
            return False
        self._running = None
        self.is_silent = False
        if write.events:
            self._written = write.events[-1].identifier
        return True

    def failed(self, write: Write) -> bool:
        """Handles a write whose fate is not known: all of it is to be written again. Returns as `written`."""
        if write is not self._running:
            return False
        self.is_silent = True
        self._put_back()
        return True

    def _put_back(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        self._events.extendleft(reversed(running.events))
        self._bytes = sum(len(event.data) for event in self._events)
        self._trim()
        self._changed = {**dict.fromkeys(running.cursors), **self._changed}


def _renamed(cursor: EventID, renamed: Iterable[tuple[EventID, EventID]]) -> EventID:
    return next((new for old, new in reversed(list(renamed)) if old <= cursor), cursor)


@attrs.frozen
class Undelivered:
    """An event, and the identifiers of the subscriptions that are still to be given it."""

    event: LoggedEvent
    subscriptions: tuple[str, ...]


def undelivered(past: Past, subscriptions: Iterable[str],
                wants: Callable[[str, LoggedEvent], bool]) -> tuple[list[Undelivered], int]:
    """Returns the events that a new owner delivers, oldest first, and the number of those that it drops.

    Dropped are events older than `MAX_AGE`, and those that are not kept any more. `wants` tells whether an event that
    may concern a subscription is sent to it. One without a cursor had not been answered, and is given nothing.
    """
    known = [(one, cursor) for one in subscriptions if (cursor := past.cursors.get(one)) is not None]
    owed, dropped = [], sum(_trimmed(past.events, cursor.given) for _, cursor in known)
    for event in past.events:
        waiting = tuple(one for one, cursor in known if _is_owed(event, one, cursor, wants))
        if past.time - event.at > MAX_AGE:
            dropped += len(waiting)
        elif waiting:
            owed.append(Undelivered(event, waiting))
    return owed, dropped


def _is_owed(event: LoggedEvent, subscription: str, cursor: Cursor, wants: Callable[[str, LoggedEvent], bool]) -> bool:
    if event.receiver not in ("", subscription):
        return False
    return event.identifier > (cursor.panel if event.receiver else cursor.given) and wants(subscription, event)


def _trimmed(events: tuple[LoggedEvent, ...], cursor: EventID) -> int:
    """Returns the number of events after a cursor that are certainly not kept any more."""
    first = events[0].identifier if events else cursor
    if first <= cursor:
        return 0
    return first.number - 1 - (cursor.number if cursor.token == first.token else 0)
