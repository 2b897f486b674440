"""The clock of the shared server, compared with the boot clock of this host.

Leases end by the server's clock. If it jumps forward, or the boot clock has stood still, because the virtual machine
was suspended, a lease has ended at the server while its owner still believes in it.
"""

TOLERANCE = 0.5  # seconds by which the server's clock may run ahead between two ticks
DRIFT = 0.001  # of the time between them, which is long after an outage: clocks run at different speeds


class ServerClock:
    """Notices that the server's clock has run ahead; then nobody is to take a scanner for `lease` seconds."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._sent: float | None = None
        self._time = 0.0
        self.trusted_from = float("-inf")  # boot time

    def observe(self, time: float, sent: float, now: float) -> None:
        """Note the server's time in the answer to a tick that was sent at `sent` and answered at `now`."""
        if self._sent is not None and time - self._time > (now - self._sent) * (1.0 + DRIFT) + TOLERANCE:
            self.trusted_from = now + self._lease
        self._sent, self._time = sent, time
