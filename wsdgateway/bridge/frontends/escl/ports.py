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
                 reserved: Collection[int], *, new: Collection[Place] | None = None,
                 lasting: Collection[str] | None = None) -> dict[Place, int]:
    """The port of each place that gets one. Those without are left out because no port is left.

    `fixed` ports are given by hand. A `stored` port, by the key of its place, is kept while it is in `ports`, not
    `reserved` for other listeners and not fixed for another scanner. A new place gets the first port that no place had
    before, else that of one that is not among `places` any more.

    With several gateways only the places in `new` get one, and those with keys in `lasting` keep theirs for another
    gateway. A stored port is then kept outside `ports`, too, since it must not move at a takeover.
    """
    places, is_shared = list(places), lasting is not None
    assigned = {place: fixed[place] for place in places if place in fixed}
    forbidden = {*reserved, *fixed.values()}
    usable = [port for port in ports if port not in forbidden]
    assigned |= {place: port for place in places if place not in assigned
                 and (port := stored.get(place.key)) is not None
                 and (port in usable or (is_shared and port not in forbidden))}
    taken, former = {*assigned.values(), *(stored[key] for key in lasting or () if key in stored)}, set(stored.values())
    free = [port for port in usable if port not in taken]
    free.sort(key=lambda port: port in former)  # stable: otherwise in the order of the range
    for place in places:
        if place not in assigned and free and (new is None or place in new):
            assigned[place] = free.pop(0)
    return assigned
