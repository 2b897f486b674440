"""Checks sections against each other: names, addresses and ports that may be given once only."""

from typing import Any

from wsdgateway.config.arraysections import array_section
from wsdgateway.config.endpoints import listening_place
from wsdgateway.config.mistakes import Mistakes
from wsdgateway.config.positions import TomlPath
from wsdgateway.config.wrong import Section
from wsdgateway.discovery.identity import identity_of


def check_names(data: dict[str, Any], mistakes: Mistakes) -> None:
    """Checks that no name, uuid or endpoint occurs twice. `data` is parsed TOML, of any shape."""
    for array, key in (("scanner", "name"), ("scanner", "uuid"), ("listen", "endpoint")):
        seen: dict[str, TomlPath] = {}
        entries = data.get(array)
        for position, entry in enumerate(entries if isinstance(entries, list) else []):
            value = entry.get(key) if isinstance(entry, dict) else None
            path = (array, position, key)
            if isinstance(value, str) and _alike(key, value) in seen:
                mistakes.wrong(Section(f"[[{array}]] {position + 1}", path[:-1]), key, value,
                               f"unique among the [[{array}]] sections; it is also given"
                               f"{mistakes.line_of(seen[_alike(key, value)]) or ' before'}")
            elif isinstance(value, str):
                seen[_alike(key, value)] = path


def _alike(key: str, value: str) -> str:
    """Normalizes a value, so that equal results name the same thing."""
    return identity_of(value) if key == "uuid" else value


def check_addresses(data: dict[str, Any], mistakes: Mistakes) -> None:
    """Checks that each scanner has one address. `data` is parsed TOML, of any shape."""
    scanners = data.get("scanner")
    for position, entry in enumerate(scanners if isinstance(scanners, list) else []):
        if not isinstance(entry, dict):
            continue
        section = array_section("scanner", position, entry.get("name"))
        given = [key for key in ("scan", "device", "uuid") if key in entry]
        if not given:
            mistakes.mistake(f"{section} has no address; give scan, device or uuid", section.path)
        elif len(given) > 1:
            mistakes.mistake(f"{section} has {' and '.join(given)}; give only one of scan, device and uuid",
                             (*section.path, given[1]))
        if given == ["scan"] and entry.get("identity") == "same":
            mistakes.wrong(section, "identity", "same",
                           "\"derived\", because the address in scan does not reveal the scanner's uuid; give device "
                           "or uuid instead")


def check_ports(values: dict[str, Any], mistakes: Mistakes) -> None:
    """Checks that no two of [[listen]], [admin] and [cluster] have the same port and interface, in any spelling.

    None stands for a section that has other mistakes.
    """
    listeners = [*((array_section("listen", position), one) for position, one in enumerate(values.get("listen", ()))),
                 (Section("[admin]", ("admin",)), values.get("admin")),
                 (Section("[cluster]", ("cluster",)), values.get("cluster"))]
    seen: dict[tuple[str, int], tuple[Section, str]] = {}
    for section, one in listeners:
        place = None if one is None or one.endpoint is None else listening_place(one.endpoint)
        if one is None or place is None:
            continue
        former, endpoint = seen.setdefault(place, (section, one.endpoint))
        if former is not section and (endpoint != one.endpoint or not section.label.startswith("[[")):
            mistakes.wrong(section, "endpoint", one.endpoint, f"unique: {former} has the same port and interface"
                           f"{mistakes.line_of((*former.path, 'endpoint'))}")
