"""The options of one scanner's bridge as interfaces, which the configuration's sections implement.

Times are in seconds.
"""

from typing import Protocol


class ScannerSection(Protocol):
    """The options of this scanner."""

    @property
    def name(self) -> str:
        """The scanner's name."""

    @property
    def cache(self) -> bool:
        """True if answers that are the same for all clients are cached."""


class CacheSection(Protocol):
    """The lifetimes of cached answers, and the number of finished jobs that are kept."""

    @property
    def max_age(self) -> float:
        """The longest time without confirmation by the scanner for an active job that clients ask for."""

    @property
    def poll_interval(self) -> float:
        """The shortest time between two requests for a job to a scanner without events."""

    @property
    def elements(self) -> float:
        """The lifetime of the scanner's elements."""

    @property
    def history(self) -> int:
        """The number of finished jobs that are kept."""


class EventsSection(Protocol):
    """The limit on subscriptions, and whether the gateway makes events."""

    @property
    def max_subscriptions(self) -> int:
        """The largest number of clients' subscriptions to one scanner."""

    @property
    def synthesize(self) -> bool:
        """True if the gateway makes the events of a scanner that has none."""


class BridgeOptions(Protocol):
    """The sections from which a bridge takes its options."""

    @property
    def section(self) -> ScannerSection:
        """The scanner's own section."""

    @property
    def cache(self) -> CacheSection:
        """The options of cached answers."""

    @property
    def events(self) -> EventsSection:
        """The options of events."""

    @property
    def authorities(self) -> frozenset[str]:
        """The hosts and ports, as in Host, that clients are given for the gateway."""
