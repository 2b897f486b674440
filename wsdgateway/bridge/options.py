"""The options of one scanner's bridge as interfaces, which the configuration's sections implement. In seconds."""

from typing import Protocol


class ScannerSection(Protocol):
    """The options of this scanner alone."""

    @property
    def name(self) -> str:
        """The scanner's name."""

    @property
    def cache(self) -> bool:
        """Whether answers that are the same for everybody are kept."""


class CacheSection(Protocol):
    """The lifetimes of kept answers, and the number of finished jobs that are kept."""

    @property
    def max_age(self) -> float:
        """An active job is confirmed with the scanner at least so often, while anybody asks."""

    @property
    def poll_interval(self) -> float:
        """A scanner without events is asked for a job at most so often."""

    @property
    def elements(self) -> float:
        """The scanner's elements are kept for this time."""

    @property
    def history(self) -> int:
        """The number of finished jobs that are kept."""


class EventsSection(Protocol):
    """The bound of subscriptions."""

    @property
    def max_subscriptions(self) -> int:
        """The number of clients' subscriptions to one scanner."""


class BridgeOptions(Protocol):
    """The sections that a bridge takes its options from."""

    @property
    def section(self) -> ScannerSection:
        """The scanner's own."""

    @property
    def cache(self) -> CacheSection:
        """The options of kept answers."""

    @property
    def events(self) -> EventsSection:
        """The options of events."""

    @property
    def authorities(self) -> frozenset[str]:
        """The hosts and ports, as in Host, under which clients are told to reach the gateway."""
