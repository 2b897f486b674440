"""Checks the ports of eSCL scanners against each other and against those of the other listeners."""

from collections.abc import Iterable
from typing import Any

from wsdgateway.config.endpoints import listening_place
from wsdgateway.config.mistakes import Mistakes
from wsdgateway.config.sections import Admin, Config, Escl, ScannerConfig
from wsdgateway.config.wrong import Section


def reserved_ports(config: Config) -> frozenset[int]:
    """The ports of `[[listen]]`, `[admin]` and `[cluster]`, which no eSCL scanner gets from the range."""
    return _reserved((*config.listen, config.admin, config.cluster))


def _reserved(sections: Iterable[Any]) -> frozenset[int]:
    places = (listening_place(one.endpoint) for one in sections
              if one is not None and one.endpoint is not None)
    return frozenset(place[1] for place in places if place is not None)


def check_escl(values: dict[str, Any], mistakes: Mistakes) -> None:
    """Checks `[escl]` and each `escl_port`; sections with other mistakes are left out."""
    escl = values.get("escl")
    if not isinstance(escl, Escl):
        return
    reserved = _reserved((*values.get("listen", ()), values.get("admin", Admin()), values.get("cluster")))
    seen: dict[int, str] = {}
    scanners: list[ScannerConfig] = [one for one in values.get("scanner", ()) if one is not None and one.bridge]
    for position, one in enumerate(values.get("scanner", ())):
        if one is None or one.escl_port is None or not one.escl:
            continue
        section = Section(f"[[scanner]] {one.name}", ("scanner", position))
        former = seen.setdefault(one.escl_port, one.name)
        if former != one.name:
            mistakes.wrong(section, "escl_port", one.escl_port, f"unique: [[scanner]] {former} has the same port")
        elif one.escl_port in reserved:
            mistakes.wrong(section, "escl_port", one.escl_port, "a port that no [[listen]], [admin] or [cluster] uses")
    ports = sum(1 for one in scanners if one.escl and one.escl_port is None)
    secure = sum(1 for one in scanners if one.escl) if escl.certificate is not None else 0
    wanted = ports + secure
    left = len(escl.ports) - sum(1 for port in {*seen, *reserved} if port in escl.ports)
    if wanted > left:
        mistakes.wrong(Section("[escl]", ("escl",)), "ports", shown_range(escl.ports),
                       f"a range with at least {wanted} free port(s), one for each scanner"
                       f"{' and another one for TLS' if secure else ''}; it has {left}")


def shown_range(ports: range) -> str:
    """Formats a range as it is written in the file."""
    return f"{ports.start}-{ports.stop - 1}"
