"""The health of a scanner as one value, which page, API, metrics, log and faults use.

WS-Scan, ScannerState, ActiveConditions. `Facts` are collected from the layers that know them; `diagnose` decides which
cause is the problem, and `HealthRecord` since when. Times are in seconds since 1970, on a clock that a change to the
system time does not affect.
"""

import attrs

from wsdgateway.bridge.health.causes import Cause


@attrs.frozen
class Problem:
    """A reason why nobody can scan: an English phrase such as "paper jam", and the time since which it is known.

    `detail` is for the log only.
    """

    cause: str
    since: float
    detail: str = attrs.field(default="", eq=False)


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


@attrs.frozen
class Facts:
    """The facts about one scanner from which its health follows.

    `contact` is the cause for which requests fail, `location` that for which its scan service is not known, `reported`
    the cause that the scanner itself reports, `subscription` the one for which it sends no events.
    """

    reachable: bool | None = None
    contact: Cause | None = None
    location: Cause | None = None
    state: str | None = None
    conditions: tuple[str, ...] = ()
    reported: Cause | None = None
    subscription: Cause | None = None


def diagnose(facts: Facts) -> Cause | None:
    """The cause to show: what keeps requests from the scanner, then what it reports, then the state of its events."""
    return facts.contact or facts.location or facts.reported or facts.subscription


class HealthRecord:
    """The health of one scanner over time. A problem begins anew if its cause changes."""

    def __init__(self) -> None:
        self.health = Health()

    def update(self, facts: Facts, now: float) -> None:
        """Learn the current facts.

        The state and conditions of a scanner that cannot be reached are not shown, since they are out of date.
        """
        known, cause = self.health, diagnose(facts)
        problem = None if cause is None else Problem(cause.words, now, cause.detail)
        if known.problem is not None and problem is not None and known.problem.cause == problem.cause:
            problem = known.problem
        since = known.reachable_since if facts.reachable and known.reachable else now if facts.reachable else None
        is_away = facts.reachable is False
        self.health = Health(facts.reachable, since, None if is_away else facts.state,
                             () if is_away else facts.conditions, problem)
