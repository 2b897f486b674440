"""The leases of the scanners that this gateway owns: whether each still holds, by the boot clock.

The lease is looked at before each request to a scanner, each answer from what is known of it, and each delivery of an
event, and not in a timer, because a process that was stopped runs its timers late.
"""

from collections.abc import Callable

from wsdgateway.bridge.cluster.values import NO_TOKEN

BELIEVED = 0.75  # of the lease at the server: the rest covers clocks that run at different speeds
ALONE_SECONDS = 2.5  # from the sending of a tick that failed: until the next one has failed, too
PROMPT_SECONDS = 1.5  # a failure that comes later than this after the sending is that of a process that was stopped


class Lease:
    """The lease of one scanner. `token` is the fencing token of its present or last ownership, 0 before the first.

    It holds until `valid_until`, or without the server until `alone_until`; both are seconds of `boot_time`, the boot
    clock.
    """

    __slots__ = ("_boot_time", "alone_until", "token", "valid_until")

    def __init__(self, boot_time: Callable[[], float]) -> None:
        self._boot_time = boot_time
        self.token = NO_TOKEN
        self.valid_until = self.alone_until = float("-inf")

    def holds(self) -> bool:
        """True if this gateway owns the scanner now, or goes on alone."""
        now = self._boot_time()
        return now < self.valid_until or now < self.alone_until

    @property
    def is_valid(self) -> bool:
        """True if the lease that the server granted still runs by the boot clock."""
        return self._boot_time() < self.valid_until

    @property
    def is_alone(self) -> bool:
        """True if only the time without the server keeps the scanner with this gateway."""
        return self.valid_until <= self._boot_time() < self.alone_until

    def grant(self, token: int, sent: float, seconds: float) -> None:
        """Begin or continue an ownership with a lease of `seconds` that was asked for at `sent`."""
        self.token = token
        self.valid_until = sent + BELIEVED * seconds
        self.alone_until = float("-inf")

    def go_on_alone(self, sent: float) -> None:
        """Count a tick that was sent at `sent`, and did not renew the lease, because the server cannot serve now.

        It does not count if the process was stopped meanwhile: another gateway may own the scanner by now.
        """
        if self._boot_time() - sent <= PROMPT_SECONDS:
            self.alone_until = max(self.alone_until, sent + ALONE_SECONDS)

    def end(self) -> None:
        """End the ownership. The token is kept, so that the gateway can say later which ownership it had."""
        self.valid_until = self.alone_until = float("-inf")


class Leases:
    """The leases of all scanners by name; a scanner that was never owned has one that does not hold."""

    def __init__(self, boot_time: Callable[[], float]) -> None:
        self._boot_time = boot_time
        self._leases: dict[str, Lease] = {}

    def __contains__(self, scanner: str) -> bool:
        """True if there is a lease of that scanner, which may not hold."""
        return scanner in self._leases

    def of(self, scanner: str) -> Lease:
        """Returns the lease of a scanner, always the same object."""
        lease = self._leases.get(scanner)
        if lease is None:
            lease = self._leases[scanner] = Lease(self._boot_time)
        return lease

    def forget(self, scanner: str) -> None:
        """Forgets a scanner that is configured no more."""
        self._leases.pop(scanner, None)


def always() -> bool:
    """The check of a gateway without others: it owns every scanner."""
    return True
