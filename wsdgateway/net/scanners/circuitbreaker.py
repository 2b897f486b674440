"""A circuit breaker: a device that can't be reached is not tried for every request.

After `THRESHOLD` connections in a row failed the circuit is open and requests fail at once; after a
pause one request may try, and its failure makes the next pause longer::

    closed ──THRESHOLD failures──► open ──pause──► trying ──success──► closed
                                    ▲                 │
                                    └────failure──────┘
"""

THRESHOLD = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0


class CircuitBreaker:
    """`now` is in seconds; pauses grow from `FIRST_PAUSE` to `LONGEST_PAUSE`."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the device counts as unreachable."""
        return self._failures >= THRESHOLD

    def admits(self, now: float) -> bool:
        """Return whether a connection may be tried now; if the circuit is open, saying yes starts the one trial."""
        if not self.is_open:
            return True
        if self._trying or now < self._until:
            return False
        self._trying = True
        return True

    def failed(self, now: float) -> None:
        """A connection could not be made."""
        self._failures += 1
        self._trying = False
        if self.is_open:
            self._until = now + min(FIRST_PAUSE * 2.0 ** min(self._failures - THRESHOLD, 10), LONGEST_PAUSE)

    def abandoned(self) -> None:
        """The attempt was given up on our side; that says nothing about the device."""
        self._trying = False

    def succeeded(self) -> int:
        """A connection was made. How many had failed in a row until now."""
        failures, self._failures = self._failures, 0
        self._trying = False
        return failures
