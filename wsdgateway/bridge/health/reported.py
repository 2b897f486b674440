"""Keeps what a scanner reports about itself: its state, the reasons of the state, and the active conditions.

WS-Scan, ScannerStatus and the events about it. Newer knowledge wins: an answer counts from the moment its request was
sent, an event from its arrival; moments are those of the job table. An event may have waited at the scanner: a summary
that contradicts an answer of the last seconds is not believed, and the scanner must be asked again. Nothing is known
before the first report, and again after the scanner has restarted::

    unknown ──answer with ScannerStatus, or event──► known ──newer answer or event──► known
       ▲                                               │
       └────────── restart, or long absence ───────────┘
"""

from math import inf

import attrs

from wsdgateway.bridge.health.causes import CRITICAL, HARMLESS, STOPPING, Cause, condition_cause
from wsdgateway.scan.scannerstatus import (
    ATTENTION_REQUIRED,
    MAX_CONDITIONS,
    STOPPED,
    DeviceCondition,
    ScannerStatus,
)
from wsdgateway.scan.statusevents import Cleared, StatusEvent

LATE_SECONDS = 5.0  # for which an event may arrive after the answer to a later request

_UNKNOWN = ScannerStatus(None)


class ReportedStatus:
    """The last known status of one scanner. `at` is the time of the last report in seconds, on the bridge's clock.

    `changes` counts the changes, so that a reader notices them at no cost, and `answers` the answers. `is_doubtful` is
    true after an event has contradicted the last answer: only the next answer tells which of them is newer.
    """

    def __init__(self) -> None:
        self._status = _UNKNOWN
        self._moment = -1
        self._answered_at = -inf
        self.at = -inf
        self.changes = 0
        self.is_doubtful = False
        self.answers = 0

    @property
    def status(self) -> ScannerStatus:
        """The status; its state is None if it is not known."""
        return self._status

    @property
    def state(self) -> str | None:
        """ScannerState; None if it is not known."""
        return self._status.state

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the active conditions, then the reasons of the state that are not among them."""
        names = (one.name for one in self._status.conditions or ())
        return tuple(dict.fromkeys((*names, *self._status.state_reasons)))[:MAX_CONDITIONS]

    @property
    def cause(self) -> Cause | None:
        """The cause for which the scanner cannot scan, as it reports itself."""
        return condition_cause(self._status)

    @property
    def is_active(self) -> bool:
        """True if a condition is active or the scanner is stopped, which must be confirmed from time to time."""
        return bool(self._status.conditions or self._status.state_reasons) or self._status.state == STOPPED

    def answered(self, status: ScannerStatus, moment: int, at: float) -> None:
        """Learn from an answer to a request that was sent at this moment and time."""
        if moment > self._moment:
            self._answered_at = at
            self.answers += 1
            self._learn(attrs.evolve(status, conditions=status.conditions or ()), moment, at)

    def notified(self, event: StatusEvent, moment: int, at: float) -> None:
        """Learn from an event that arrived at this moment and time."""
        if isinstance(event, ScannerStatus):
            if self._is_older(event, at):
                self.is_doubtful = True
                return
            conditions = self._after_summary(event) if event.conditions is None else event.conditions
            self._learn(attrs.evolve(event, conditions=conditions), moment, at)
        elif isinstance(event, Cleared):
            self._learn(self._after_clearing(event), moment, at)
        else:
            self._learn(self._with(event), moment, at)

    def _is_older(self, summary: ScannerStatus, at: float) -> bool:
        """True if the summary may be older than the answer according to which the scanner is stopped."""
        return self.state == STOPPED != summary.state and at - self._answered_at < LATE_SECONDS

    def _after_summary(self, summary: ScannerStatus) -> tuple[DeviceCondition, ...]:
        """The conditions that remain: a scanner that is not stopped, and does not name them, has no stopping ones.

        Some devices send no event when a condition is cleared.
        """
        known = self._status.conditions or ()
        if summary.state == STOPPED:
            return known
        return tuple(one for one in known if one.name in summary.state_reasons or not _stops(one))

    def _with(self, conditions: tuple[DeviceCondition, ...]) -> ScannerStatus:
        """The status with these conditions, each replacing the former one of its Id, or without Id, of its name."""
        kept = list(self._status.conditions or ())
        for new in conditions:
            kept = [one for one in kept if not _is_same(one, new)]
            kept.append(new)
        return attrs.evolve(self._status, conditions=tuple(kept[-MAX_CONDITIONS:]))

    def _after_clearing(self, cleared: Cleared) -> ScannerStatus:
        """The status without the cleared condition; the state of a scanner that it had stopped is unknown then.

        An unknown Id is that of the only condition without an Id, and no Id at all that of the only condition. Anything
        else is left to the next answer.
        """
        known = self._status.conditions or ()
        named = [one for one in known if one.id == cleared.id] if cleared.id else list(known)
        if not named and cleared.id:
            named = [one for one in known if not one.id]
            if not known and len(self._status.state_reasons) == 1:  # it was announced by a summary alone
                return ScannerStatus(None if self.state == STOPPED else self.state, (), ())
        if len({one.name for one in named}) != 1:
            return self._status
        kept = tuple(one for one in known if one not in named)
        if not _stops(named[0]) and named[0].name not in self._status.state_reasons:
            return attrs.evolve(self._status, conditions=kept)  # it has nothing to do with the state
        gone = named[0].name if named[0].name not in {one.name for one in kept} else ""
        reasons = tuple(reason for reason in self._status.state_reasons if reason != gone)
        is_left = any(map(_stops, kept)) or any(reason in STOPPING and reason != ATTENTION_REQUIRED
                                                for reason in reasons)
        if not is_left:
            reasons = tuple(reason for reason in reasons if reason != ATTENTION_REQUIRED)
        state = None if self.state == STOPPED and gone and not is_left else self.state
        return ScannerStatus(state, reasons, kept)

    def _learn(self, status: ScannerStatus, moment: int, at: float) -> None:
        self._moment, self.at, self.is_doubtful = moment, at, False
        if status != self._status:
            self._status = status
            self.changes += 1

    def forget(self, moment: int) -> None:
        """Forget everything; answers to requests that were sent before this moment no longer count."""
        self._learn(_UNKNOWN, moment, -inf)


def _stops(condition: DeviceCondition) -> bool:
    return condition.name not in HARMLESS and (condition.severity == CRITICAL or condition.name in STOPPING)


def _is_same(known: DeviceCondition, new: DeviceCondition) -> bool:
    if known.id and new.id:
        return known.id == new.id
    return known.name == new.name
