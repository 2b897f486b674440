"""The kinds of trouble that the virtual scanner simulates, and the conditions that are active or have ended.

WS-Scan, ScannerState, ScannerStateReason, ActiveConditions, ConditionHistory, DeviceCondition. The state is the last
one in this order that a kind of trouble requires, and the reasons are those of this state::

    Idle ──a job runs, the lamp warms up, another client's job──► Processing
    Idle, Processing ──jam, open cover, lamp error, ...──► Stopped
    back as soon as nothing requires the state any more

`KINDS` is the table. A kind without a component has no DeviceCondition, because the specification has no name for it.
"""

from collections import deque
from collections.abc import Callable
from types import MappingProxyType

import attrs

IDLE, PROCESSING, STOPPED = STATES = ("Idle", "Processing", "Stopped")
NONE = "None"  # the reason of a state without a reason
WARNING, CRITICAL = "Warning", "Critical"
MAX_HISTORY = 20  # conditions that have ended
BRIEF = 10.0  # seconds


@attrs.frozen
class Kind:
    """A kind of trouble, with its `name` in the control interface.

    `state` is the ScannerState that it requires, and `reason` the ScannerStateReason and the Name of the condition.
    It ends by itself after `seconds`, if no other time is given; 0: it lasts until it is cleared.
    """

    name: str
    state: str
    reason: str
    component: str = ""
    severity: str = ""
    seconds: float = 0.0

    @property
    def refuses_jobs(self) -> bool:
        """True if it keeps the scanner from accepting jobs."""
        return self.state != IDLE

    @property
    def refuses_pages(self) -> bool:
        """True if it also keeps the scanner from scanning the pages of a job that it has accepted."""
        return self.refuses_jobs and self.reason != NONE


MEDIA_JAM = Kind("jam", STOPPED, "MediaJam", "ADF", CRITICAL)
COVER_OPEN = Kind("cover", STOPPED, "CoverOpen", "ADF", CRITICAL)
LAMP_WARMING = Kind("lamp-warming", PROCESSING, "LampWarming", "Platen", CRITICAL, BRIEF)
INPUT_TRAY_EMPTY = Kind("feeder-empty", IDLE, "InputTrayEmpty", "ADF", WARNING)
BUSY = Kind("busy", PROCESSING, NONE)

KINDS = MappingProxyType({kind.name: kind for kind in (
    MEDIA_JAM,
    COVER_OPEN,
    Kind("multiple-feed", STOPPED, "MultipleFeedError", "ADF", CRITICAL),
    Kind("interlock", STOPPED, "InterlockOpen", "MediaPath", CRITICAL),
    Kind("storage-full", STOPPED, "InternalStorageFull", "MediaPath", CRITICAL),
    Kind("lamp-error", STOPPED, "LampError", "Platen", CRITICAL),
    Kind("attention", STOPPED, "AttentionRequired"),
    Kind("paused", STOPPED, "Paused"),
    LAMP_WARMING,
    Kind("calibrating", PROCESSING, "Calibrating", "Platen", CRITICAL, BRIEF),
    BUSY,
)})


@attrs.frozen
class Condition:
    """A DeviceCondition, or a ConditionHistoryEntry if it has ended. Times are in seconds since 1970."""

    id: int
    kind: Kind
    since: float
    cleared: float | None = None


class Conditions:
    """Keeps the active kinds of trouble, and the last conditions that have ended.

    An Id is never reused, so that a client recognizes a new condition as new. `wall` gives the seconds since 1970.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._active: dict[Kind, Condition | None] = {}
        self._history: deque[Condition] = deque(maxlen=MAX_HISTORY)
        self._used = 0

    def begin(self, kind: Kind) -> Condition | None:
        """Begin a kind of trouble. Returns its condition if that is new.

        One that is already active keeps its Id and its time.
        """
        if kind in self._active:
            return None
        condition = None
        if kind.component:
            self._used += 1
            condition = Condition(self._used, kind, self._wall())
        self._active[kind] = condition
        return condition

    def end(self, kind: Kind) -> Condition | None:
        """End a kind of trouble. Returns its condition if it had one."""
        condition = self._active.pop(kind, None)
        if condition is None:
            return None
        condition = attrs.evolve(condition, cleared=self._wall())
        self._history.append(condition)
        return condition

    def kinds(self) -> tuple[Kind, ...]:
        """The active kinds of trouble, in the order in which they began."""
        return tuple(self._active)

    def active(self) -> tuple[Condition, ...]:
        """The active conditions, in the order in which they began."""
        return tuple(condition for condition in self._active.values() if condition is not None)

    def history(self) -> tuple[Condition, ...]:
        """The last conditions that have ended, in the order in which they ended; at most `MAX_HISTORY`."""
        return tuple(self._history)

    def state(self, *, scanning: bool) -> tuple[str, tuple[str, ...]]:
        """The ScannerState and its reasons. `scanning`: a job is being processed."""
        states = [PROCESSING if scanning else IDLE, *(kind.state for kind in self._active)]
        state = max(states, key=STATES.index)
        reasons = tuple(kind.reason for kind in self._active
                        if kind.state == state != IDLE and kind.reason != NONE)
        return state, reasons or (NONE,)

    def forget(self) -> None:
        """Forget all troubles and the history, as a reboot does."""
        self._active.clear()
        self._history.clear()
