"""Assigns a TCP port to each eSCL scanner: once, since clients store the address of a scanner."""

from collections.abc import Collection, Iterable, Mapping


def assign_ports(names: Iterable[str], fixed: Mapping[str, int], stored: Mapping[str, int], ports: Iterable[int],
                 reserved: Collection[int]) -> dict[str, int]:
    """The port of each scanner that gets one. Those without are left out because no port is left.

    `fixed` ports are given by hand. A `stored` port is kept while it is in `ports`, not `reserved` for other listeners
    and not fixed for another scanner. A new scanner gets the first port that no scanner had before, else that of one
    that is not among `names` any more.
    """
    names = list(names)
    assigned = {name: fixed[name] for name in names if name in fixed}
    usable = [port for port in ports if port not in reserved and port not in set(fixed.values())]
    assigned |= {name: stored[name] for name in names if name not in assigned and stored.get(name) in usable}
    taken, former = set(assigned.values()), set(stored.values())
    free = [port for port in usable if port not in taken]
    free.sort(key=lambda port: port in former)  # stable: otherwise in the order of the range
    for name in names:
        if name not in assigned and free:
            assigned[name] = free.pop(0)
    return assigned
