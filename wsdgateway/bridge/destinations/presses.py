"""Reads the presses of a scan button for the gateway's own destinations, and puts them in order.

WS-Scan, ScanAvailableEvent, ClientContext, ScanIdentifier, InputSource. A press is scanned once, also if its event
arrives twice: its ScanIdentifier is unique. One scan runs at a time, and further presses wait for their turn.
"""

from collections import OrderedDict, deque
from enum import Enum

import attrs
from lxml import etree

from wsdgateway.bridge.destinations.registering import Entry
from wsdgateway.scan.reading import in_current_namespace, tag, text

MAX_WAITING = 10  # presses for one scanner that wait for their turn
MAX_REMEMBERED = 256  # ScanIdentifiers by which events that arrive twice are recognised
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
    """What happens to a press."""

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
        self._seen: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry, press: Pressed) -> Accepted:
        """Add a press. One that is refused is not remembered, so that the scanner may send it again."""
        if press.identifier is not None and press.identifier in self._seen:
            return Accepted.REPEATED
        if len(self._waiting) >= MAX_WAITING:
            return Accepted.TOO_MANY
        if press.identifier is not None:
            self._seen[press.identifier] = None
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
