"""The status of the virtual scanner: as an element, and as the events about each change of it.

WS-Scan, ScannerStatus, ScannerStatusSummaryEvent, ScannerStatusConditionEvent, ScannerStatusConditionClearedEvent.
"""

from collections.abc import Callable, Iterable
from typing import Any

from wsdgateway.scan.operations import SCANNER_STATUS_EVENTS
from wsdgateway.simulator.conditions import Condition, Conditions, Kind
from wsdgateway.simulator.jobs import timestamp

SUMMARY, CONDITION, CLEARED = SCANNER_STATUS_EVENTS


class Status:
    """The state and the conditions, each change of which is published.

    `later` is `reactor.callLater`; `wall` gives the seconds since 1970; `publish` sends an event with its name and its
    content; `scanning` says whether a job is being processed; `on_end` is called after trouble has ended.
    """

    def __init__(self, *, later: Callable[..., Any], wall: Callable[[], float],
                 publish: Callable[[str, str], object], scanning: Callable[[], bool],
                 on_end: Callable[[], None]) -> None:
        self._later = later
        self._wall = wall
        self._publish = publish
        self._scanning = scanning
        self._on_end = on_end
        self._timers: dict[Kind, Any] = {}
        self.conditions = Conditions(wall)
        self._told = self.current

    @property
    def current(self) -> tuple[str, tuple[str, ...]]:
        """The ScannerState and its reasons."""
        return self.conditions.state(scanning=self._scanning())

    def has(self, kind: Kind) -> bool:
        """True if that kind of trouble is active."""
        return kind in self.conditions.kinds()

    def begin(self, kind: Kind, seconds: float = 0.0) -> None:
        """Begin a kind of trouble, which ends by itself after so many seconds; 0: it lasts until it is ended."""
        self._cancel(kind)
        if seconds:
            self._timers[kind] = self._later(seconds, self.end, kind)
        condition = self.conditions.begin(kind)
        if condition is not None:
            self._publish(CONDITION, f"<wscn:{CONDITION}>{_condition(condition)}</wscn:{CONDITION}>")
        self.tell()

    def end(self, kind: Kind) -> None:
        """End a kind of trouble, if it is active."""
        self._cancel(kind)
        if not self.has(kind):
            return
        condition = self.conditions.end(kind)
        if condition is not None:
            self._publish(CLEARED, (
                f"<wscn:{CLEARED}><wscn:DeviceConditionCleared><wscn:ConditionId>{condition.id}</wscn:ConditionId>"
                f"<wscn:ConditionClearTime>{timestamp(condition.cleared or 0.0)}</wscn:ConditionClearTime>"
                f"</wscn:DeviceConditionCleared></wscn:{CLEARED}>"))
        self.tell()
        self._on_end()

    def tell(self) -> None:
        """Publish the state and its reasons if they have changed."""
        if self._told != self.current:
            self._told = self.current
            self._publish(SUMMARY, (f"<wscn:{SUMMARY}><wscn:StatusSummary>{_summary(*self._told)}"
                                    f"</wscn:StatusSummary></wscn:{SUMMARY}>"))

    def element(self) -> str:
        """The ScannerStatus element."""
        history = "".join(_condition(one, "ConditionHistoryEntry") for one in self.conditions.history())
        return (f"<wscn:ScannerStatus><wscn:ScannerCurrentTime>{timestamp(self._wall())}</wscn:ScannerCurrentTime>"
                f"{_summary(*self.current)}"
                f"<wscn:ActiveConditions>{''.join(map(_condition, self.conditions.active()))}</wscn:ActiveConditions>"
                + (f"<wscn:ConditionHistory>{history}</wscn:ConditionHistory>" if history else "")
                + "</wscn:ScannerStatus>")

    def forget(self) -> None:
        """Forget all troubles without an event, as a reboot does."""
        for kind in list(self._timers):
            self._cancel(kind)
        self.conditions.forget()
        self._told = self.current

    def _cancel(self, kind: Kind) -> None:
        timer = self._timers.pop(kind, None)
        if timer is not None and timer.active():
            timer.cancel()


def _summary(state: str, reasons: Iterable[str]) -> str:
    listed = "".join(f"<wscn:ScannerStateReason>{reason}</wscn:ScannerStateReason>" for reason in reasons)
    return (f"<wscn:ScannerState>{state}</wscn:ScannerState>"
            f"<wscn:ScannerStateReasons>{listed}</wscn:ScannerStateReasons>")


def _condition(condition: Condition, element: str = "DeviceCondition") -> str:
    kind = condition.kind
    cleared = "" if condition.cleared is None else f"<wscn:ClearTime>{timestamp(condition.cleared)}</wscn:ClearTime>"
    return (f'<wscn:{element} Id="{condition.id}"><wscn:Time>{timestamp(condition.since)}</wscn:Time>'
            f"<wscn:Name>{kind.reason}</wscn:Name><wscn:Component>{kind.component}</wscn:Component>"
            f"<wscn:Severity>{kind.severity}</wscn:Severity>{cleared}</wscn:{element}>")
