"""Reads the presses of a scan button for the gateway's own destinations, and puts them in order.

WS-Scan, ScanAvailableEvent, ClientContext, ScanIdentifier, InputSource. A press is scanned once, also if its event
arrives twice within `REPEAT_SECONDS`: its ScanIdentifier is unique until the scanner restarts, which may stay
unnoticed. One scan runs at a time, and further presses wait for their turn.
"""

from collections import OrderedDict, deque
from enum import Enum

import attrs
from lxml import etree

from wsdgateway.bridge.destinations.registering import Entry
from wsdgateway.scan.reading import in_current_namespace, tag, text

MAX_WAITING = 10  # presses for one scanner that wait for their turn
MAX_REMEMBERED = 256  # ScanIdentifiers by which events that arrive twice are recognised
REPEAT_SECONDS = 60.0  # for which they are remembered
MAX_VALUE = 1024  # characters of an identifier or context


@attrs.frozen
class Pressed:
    """A press: the destination's ClientContext, the ScanIdentifier, and the InputSource if the panel gives one."""

    context: str | None
    identifier: str | None
    source: str | None = None


def read_press(body: etree._Element | None) -> Pressed | None:
    """The press in the Body of a ScanAvailableEvent; None for another message."""
    body = None if body is None else in_current_namespace(body)
    if body is None or body.tag != tag("ScanAvailableEvent"):
        return None
    return Pressed(*(_bounded(text(body, name)) for name in ("ClientContext", "ScanIdentifier", "InputSource")))


def _bounded(value: str | None) -> str | None:
    return value if value is not None and len(value) <= MAX_VALUE else None


def destination_of(press: Pressed, entries: tuple[Entry, ...]) -> Entry | None:
    """The destination that was chosen, of those that a subscription registers; None if it is unknown.

    A scanner that gives no context, or another one, at a subscription for a single destination means that one.
    """
    found = next((entry for entry in entries if entry.context == press.context), None)
    return entries[0] if found is None and len(entries) == 1 else found


class Accepted(Enum):
    """The outcomes of adding a press."""

    TAKEN = "it is scanned when its turn has come"
    REPEATED = "it has been taken already"
    TOO_MANY = "too many wait already"


@attrs.frozen
class Waiting:
    """A press that waits for its turn."""

    entry: Entry
    press: Pressed


class Presses:
    """The presses at one scanner, first come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._seen: OrderedDict[str, float] = OrderedDict()  # with the time of the press

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry, press: Pressed, now: float) -> Accepted:
        """Add a press; `now` is the time in seconds. One that is refused may be sent again."""
        at = None if press.identifier is None else self._seen.get(press.identifier)
        if at is not None and now - at < REPEAT_SECONDS:
            return Accepted.REPEATED
        if len(self._waiting) >= MAX_WAITING:
            return Accepted.TOO_MANY
        if press.identifier is not None:
            self._seen[press.identifier] = now
            self._seen.move_to_end(press.identifier)
            if len(self._seen) > MAX_REMEMBERED:
                self._seen.popitem(last=False)
        self._waiting.append(Waiting(entry, press))
        return Accepted.TAKEN

    def take(self) -> Waiting | None:
        """Remove and return the press whose turn it is; None if none waits."""
        return self._waiting.popleft() if self._waiting else None

    def rebooted(self) -> None:
        """Forget the identifiers, since a scanner that has restarted may give them again."""
        self._seen.clear()
