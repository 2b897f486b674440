"""A circuit breaker: stops trying an unreachable device for every request.

After `THRESHOLD` consecutive connection failures the circuit is open and requests fail at once; after a pause one
request may try, and its failure makes the next pause longer::

    closed ──THRESHOLD failures──► open ──pause──► trying ──success──► closed
                                    ▲                 │
                                    └────failure──────┘
"""

from wsdgateway.bridge.health.causes import REFUSED, Cause

THRESHOLD = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0


class CircuitBreaker:
    """A circuit breaker for one device. `now` is in seconds; pauses grow from `FIRST_PAUSE` to `LONGEST_PAUSE`.

    `cause` is that of the last failure.
    """

    def __init__(self) -> None:
        self.cause = REFUSED
        self._failures = 0
        self._until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """True if the device counts as unreachable."""
        return self._failures >= THRESHOLD

    def admits(self, now: float) -> bool:
        """True if a connection may be tried now; if the circuit is open, this starts the one trial."""
        if not self.is_open:
            return True
        if self._trying or now < self._until:
            return False
        self._trying = True
        return True

    def failed(self, now: float, cause: Cause = REFUSED) -> None:
        """Notes that a connection failed for that cause."""
        self.cause = cause
        self._failures += 1
        self._trying = False
        if self.is_open:
            self._until = now + min(FIRST_PAUSE * 2.0 ** min(self._failures - THRESHOLD, 10), LONGEST_PAUSE)

    def abandoned(self) -> None:
        """Records that the gateway gave up the attempt, which says nothing about the device."""
        self._trying = False

    def succeeded(self) -> int:
        """Notes that a connection succeeded; returns the number of consecutive failures before it."""
        failures, self._failures = self._failures, 0
        self._trying = False
        return failures
