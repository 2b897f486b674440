"""Makes the ScannerStatusSummaryEvents of one scanner that sends none, from the answers that contain its ScannerStatus.

WS-Scan, ScannerStatusSummaryEvent. Nothing is asked for this: a status is told if it was read anyway, and differs from
the one that was told last. A scanner that has sent such an event since its boot makes its own.
"""

import attrs

from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.scan.scannerstatus import IDLE, ScannerStatus


@attrs.frozen(eq=False)
class MadeSummary:
    """An event to be made of a scanner's status. `reached` collects the sinks that it is sent to."""

    status: ScannerStatus
    reached: set[Sink] = attrs.field(factory=set)


class StatusSummaries:
    """The status of one scanner as subscribers were told it; idle at first."""

    def __init__(self) -> None:
        self._told: tuple[str | None, frozenset[str]] = (IDLE, frozenset())
        self._made: MadeSummary | None = None
        self._answers = 0
        self._is_announced = False

    def learnt(self, status: ScannerStatus, answers: int) -> MadeSummary | None:
        """The event to be made of the status if the scanner has answered since the last call.

        `answers` is the number of its answers that contained one.
        """
        if answers == self._answers:
            return None
        self._answers = answers
        if self._is_announced or status.state is None or _said(status) == self._told:
            return None
        self._told = _said(status)
        self._made = MadeSummary(status)
        return self._made

    def announced(self, status: ScannerStatus) -> set[Sink] | None:
        """Learn from an event of the scanner. Returns the sinks that have been told this already."""
        self._is_announced = True
        made, self._made = self._made, None
        if _said(status) == self._told:
            return None if made is None else made.reached
        self._told = _said(status)
        return None

    def rebooted(self) -> None:
        """Record that the scanner restarted, or may have: whether it sends events must be seen again."""
        self._is_announced = False


def _said(status: ScannerStatus) -> tuple[str | None, frozenset[str]]:
    return status.state, frozenset(status.state_reasons)
