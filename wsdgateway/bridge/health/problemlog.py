"""Decides which changes of a scanner's problem are logged.

A problem is logged when it begins, when its cause changes, and when it ends. A scanner that fails every second request
must not fill the log: the changes beyond `MAX_LINES` are left out, and the next call after them catches up.
"""

from collections import deque

import attrs

from wsdgateway.bridge.health.health import Problem

MAX_LINES = 6
IN_SECONDS = 60.0


@attrs.frozen
class Change:
    """A change to log: `former` is None if a problem begins, `problem` is None if it ends."""

    former: Problem | None
    problem: Problem | None


class ProblemLog:
    """The logged problem of one scanner; at most `MAX_LINES` changes in `IN_SECONDS`."""

    def __init__(self) -> None:
        self._logged: Problem | None = None
        self._times: deque[float] = deque(maxlen=MAX_LINES)

    def change(self, problem: Problem | None, now: float) -> Change | None:
        """The change to log now for the current problem; None if there is none, or too many have been logged."""
        former = self._logged
        if former is not None and problem is not None and former.cause == problem.cause:
            return None
        if problem == former or (len(self._times) == MAX_LINES and now - self._times[0] < IN_SECONDS):
            return None
        self._times.append(now)
        self._logged = problem
        return Change(former, problem)
