"""The time of the next attempt to own a scanner that nobody owns."""

from wsdgateway.bridge.cluster.candidates import delay
from wsdgateway.bridge.cluster.outage import RETURN_SECONDS
from wsdgateway.bridge.cluster.values import View

BEGIN_AGAIN = 5.0  # seconds between attempts to own a scanner whose data could not be read
NEVER = float("inf")


class Attempts:
    """Schedules the attempts of the gateway `me` (its identifier) to own a scanner, in its place among the others.

    `at` is the boot time of the next attempt, `NEVER` if none is planned. `former` is the last owner that is known.
    """

    def __init__(self, scanner: str, me: str) -> None:
        self._scanner, self._me = scanner, me
        self._free_since: float | None = None
        self._not_before = float("-inf")
        self.former: str | None = None
        self.at = NEVER

    def plan(self, view: View, now: float, trusted_from: float, returned_at: float) -> None:
        """Plan an attempt, since nobody owns the scanner. `returned_at` is when the server was back after an outage."""
        if self._free_since is None or view.grace > 0.0:
            self._free_since = now + view.grace
        wait = delay(view, self._scanner, self._me, self.former)
        self.at = max(max(self._free_since, trusted_from) + wait, self._not_before)
        if self.former not in (None, self._me):
            # It may have gone on alone, and have what has changed since then. Its registration may be one that the
            # server has received before, and carried out only now.
            self.at = max(self.at, returned_at + RETURN_SECONDS)

    def forget(self) -> None:
        """Plan no attempt until the scanner is found to be free again."""
        self._free_since, self.at = None, NEVER

    def begin_failed(self, now: float) -> None:
        """Note that the scanner could not be served although this gateway owned it."""
        self._not_before = now + BEGIN_AGAIN

    def is_barred(self, now: float) -> bool:
        """True if the scanner could not be served a moment ago."""
        return now < self._not_before
