"""Assigns TCP ports to the eSCL scanners: once, since clients store the address of a scanner."""

from collections.abc import Collection, Iterable, Mapping

import attrs


@attrs.frozen
class Place:
    """One of the ports of a scanner: the one without TLS, or the one with TLS if it is `secure`."""

    scanner: str
    secure: bool = False

    @property
    def key(self) -> str:
        """The name under which the port is stored; no scanner's name has a space."""
        return f"{self.scanner} tls" if self.secure else self.scanner


def assign_ports(places: Iterable[Place], fixed: Mapping[Place, int], stored: Mapping[str, int], ports: Iterable[int],
                 reserved: Collection[int]) -> dict[Place, int]:
    """The port of each place that gets one. Those without are left out because no port is left.

    `fixed` ports are given by hand. A `stored` port, by the key of its place, is kept while it is in `ports`, not
    `reserved` for other listeners and not fixed for another scanner. A new place gets the first port that no place had
    before, else that of one that is not among `places` any more.
    """
    places = list(places)
    assigned = {place: fixed[place] for place in places if place in fixed}
    usable = [port for port in ports if port not in reserved and port not in set(fixed.values())]
    assigned |= {place: stored[place.key] for place in places
                 if place not in assigned and stored.get(place.key) in usable}
    taken, former = set(assigned.values()), set(stored.values())
    free = [port for port in usable if port not in taken]
    free.sort(key=lambda port: port in former)  # stable: otherwise in the order of the range
    for place in places:
        if place not in assigned and free:
            assigned[place] = free.pop(0)
    return assigned
