"""The active conditions of the virtual scanner: name, severity, start and Id of each.

WS-Scan, ActiveConditions, DeviceCondition. An Id is never reused, so that a client recognizes a new condition as new.
"""

from collections.abc import Callable

import attrs

INPUT_TRAY_EMPTY, MEDIA_JAM, COVER_OPEN = "InputTrayEmpty", "MediaJam", "CoverOpen"
COMPONENT = "ADF"
SEVERITIES = {INPUT_TRAY_EMPTY: "Warning", MEDIA_JAM: "Critical", COVER_OPEN: "Critical"}


@attrs.frozen
class Condition:
    """A DeviceCondition. `since` is in seconds since 1970."""

    id: int
    name: str
    severity: str
    since: float


class Conditions:
    """Keeps the active conditions. `wall` gives the seconds since 1970."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._active: dict[str, Condition] = {}
        self._used = 0

    def set(self, name: str, active: bool) -> None:
        """Begin or end a condition. One that is already active keeps its Id and its time."""
        if not active:
            self._active.pop(name, None)
        elif name not in self._active:
            self._used += 1
            self._active[name] = Condition(self._used, name, SEVERITIES[name], self._wall())

    def has(self, name: str) -> bool:
        """True if a condition is active."""
        return name in self._active

    def active(self) -> tuple[Condition, ...]:
        """The active conditions, in the order in which they began."""
        return tuple(self._active.values())
