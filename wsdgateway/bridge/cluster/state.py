"""The state of a cluster as people and monitoring see it: the shared server, the gateways, and each scanner's owner.

Times are seconds since 1970 by the clock of this gateway's host. What the gateway does not know is None.
"""

from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

import attrs

# What this gateway does for a scanner.
OWNING, FOLLOWING, ALONE, TAKING, LEAVING = "owning", "following", "alone", "taking", "leaving"
SERVING = frozenset({OWNING, ALONE, LEAVING})  # it answers for the scanner itself


class CannotMove(Exception):
    """A scanner cannot be moved to another gateway; the text says why."""


@attrs.frozen
class ServerState:
    """The shared server as this gateway sees it.

    `url` has no password. `reachable` is None until the server has been tried; `problem` says in one sentence why it
    cannot be used, and since when is `problem_since`. `version` is that of its software. `grace` is the time in seconds
    for which no gateway may take a scanner yet, because the server has just been started.
    """

    url: str
    reachable: bool | None = None
    version: str | None = None
    era: int | None = None
    problem: str | None = None
    problem_since: float | None = None
    grace: float = 0.0


@attrs.frozen
class ClusterGateway:
    """A gateway that was registered in the last view of the server.

    `address` is the URL of its peer link, empty without one. `last_seen` is the time of that view. `scanners` are the
    names of the scanners that it owns, `configured` those of the scanners in its configuration.
    """

    name: str
    version: str
    address: str
    last_seen: float
    scanners: tuple[str, ...] = ()
    configured: frozenset[str] = frozenset()


@attrs.frozen
class Ownership:
    """Which gateway owns a scanner, and what this gateway does for it: one of the constants above.

    `owner` is the name of the owning gateway, None if none owns it as far as is known. `lease_age` is the time since
    the lease was last renewed, in seconds. `problem` says why requests cannot be passed on to the owner.
    """

    scanner: str
    ownership: str
    owner: str | None = None
    lease_age: float | None = None
    problem: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        """True if another gateway answers for the scanner, or none."""
        return self.ownership not in SERVING

    @property
    def counted_as(self) -> str:
        """The state in which metrics count the scanner: `owning`, `alone` or `following`."""
        if self.ownership == LEAVING:
            return OWNING
        return self.ownership if self.ownership in SERVING else FOLLOWING


def in_words(ownerships: Iterable[Ownership]) -> str:
    """The numbers of owned and followed scanners, such as `2 owned, 1 followed`."""
    counts = Counter(one.counted_as for one in ownerships)
    alone = [f"{counts[ALONE]} served without Redis"] * bool(counts[ALONE])
    return ", ".join((f"{counts[OWNING]} owned", *alone, f"{counts[FOLLOWING]} followed"))


class ClusterState(Protocol):
    """The cluster to which this gateway belongs. Only `wish` sends anything to the server."""

    @property
    def name(self) -> str:
        """The name of this gateway in the cluster."""

    def server(self) -> ServerState:
        """The state of the shared server."""

    def gateways(self) -> Sequence[ClusterGateway]:
        """The registered gateways, this one included, by name."""

    def ownership(self, scanner: str) -> Ownership:
        """The ownership of a scanner that is configured here."""

    def ownerships(self) -> Sequence[Ownership]:
        """The ownership of every scanner that is configured here, in the order of the configuration."""

    def differences(self) -> Sequence[str]:
        """A sentence for each difference between the configurations of this gateway and of another one."""

    def wish(self, scanner: str, gateway: str) -> Awaitable[None]:
        """Asks for the gateway of that name to own a scanner.

        Raises `CannotMove`, or an error of the store if the server cannot serve.

        The present owner sees it with its next tick, and hands the scanner over. What follows is told by `ownership`.
        """
