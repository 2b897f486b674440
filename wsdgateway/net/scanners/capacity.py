"""Limits the number of connections to a device; below the configured number if the device accepts fewer.

Many scanners serve one or two connections and refuse, or close at once, any further one. A refusal during another
exchange shows that the device is busy rather than unreachable.
"""

LEARNED_SECONDS = 60.0  # after which one more connection is tried again


class Capacity:
    """The number of connections that one device accepts, as observed. Times are in seconds."""

    def __init__(self) -> None:
        self._most = 0
        self._until = 0.0

    def refused(self, others: int, now: float) -> None:
        """Notes that the device refused a connection while `others` were open."""
        self._most, self._until = max(others, 1), now + LEARNED_SECONDS

    def limit(self, configured: int, now: float, *, urgent: bool, others_first: bool) -> int:
        """Returns the number of connections up to which one may be opened for a request.

        An `urgent` request may use one more than the `configured` number, and is not limited by observed refusals. With
        `others_first`, an urgent request is under way and one of the others is due; the additional connection is then
        for requests that are not urgent.
        """
        limit = configured + (urgent is not others_first)
        return limit if urgent or now >= self._until else min(limit, self._most)

    def forget(self) -> None:
        """Forgets the observed limit, because another device may answer from now on."""
        self._until = 0.0
