"""Learns how many connections a device takes at once, where that is fewer than it is configured to get.

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

    def most(self, configured: int, now: float) -> int:
        """The connections to open at most."""
        return min(configured, self._most) if now < self._until else configured

    def forget(self) -> None:
        """Another device may answer from now on."""
        self._until = 0.0
