"""Decides how many connections a device may have at once, which is fewer than configured where it takes fewer.

Many scanners serve one or two connections and refuse, or close at once, each one more. A refusal beside an exchange
that is under way says that the device is occupied, not that it is away.
"""

LEARNED_SECONDS = 60.0  # then one more connection is tried again


class Capacity:
    """The number of connections that one device was seen to take. Times are in seconds."""

    def __init__(self) -> None:
        self._most = 0
        self._until = 0.0

    def refused(self, others: int, now: float) -> None:
        """The device refused a connection beside so many others."""
        self._most, self._until = max(others, 1), now + LEARNED_SECONDS

    def limit(self, configured: int, now: float, *, urgent: bool, others_first: bool) -> int:
        """The number of connections up to which one may be opened for a request.

        An `urgent` request may use one beyond those that are `configured`, and is not held to what the device was seen
        to take. `others_first`: an urgent one is under way, and one of the others is due; then these may use it.
        """
        limit = configured + (urgent is not others_first)
        return limit if urgent or now >= self._until else min(limit, self._most)

    def forget(self) -> None:
        """Another device may answer from now on."""
        self._until = 0.0
