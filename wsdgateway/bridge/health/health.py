"""The health of a scanner as one value, which page, API, metrics, log and faults use.

WS-Scan, ScannerState, ActiveConditions. Times are in seconds since 1970.
"""

import attrs


@attrs.frozen
class Problem:
    """A reason why nobody can scan: an English phrase such as "paper jam", and the time since which it is known."""

    cause: str
    since: float


@attrs.frozen
class Health:
    """The health of a scanner.

    `reachable` is None until it has been tried, `state` and `conditions` are the scanner's own, under the names of the
    specification; an empty feeder is a condition and no problem.
    """

    reachable: bool | None = None
    reachable_since: float | None = None
    state: str | None = None
    conditions: tuple[str, ...] = ()
    problem: Problem | None = None
