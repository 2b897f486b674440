"""Selects the scanners that are bridged because discovery found them, and names them.

The configuration's `[discovery] adopt` and `exclude`.
"""

import re
import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

from wsdgateway.bridge.discovery.presence import STAND_IN
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.discovery.identity import identity_of, is_same, is_uuid
from wsdgateway.discovery.matching import QName
from wsdgateway.soap.namespaces import WSCN

MAX_NAME = 40
MAX_NAMES = 10000  # more than there ever are scanners

_COMPUTER = "Computer"


@attrs.frozen
class Exclusion:
    """A rule that excludes scanners, as written in the configuration; exactly one of the other fields is set.

    `model` is a pattern with `*` and `?`.
    """

    text: str = ""
    uuid: str | None = None
    network: IPv4Network | IPv6Network | None = None
    model: str | None = None
    host: str | None = None


def read_exclusion(text: str) -> Exclusion:
    """The rule in a text: a uuid in any spelling, an IP address or network, or else a model."""
    text = text.strip()
    if is_uuid(text):
        return Exclusion(text, uuid=identity_of(text))
    try:
        return Exclusion(text, network=ip_network(text, strict=False))
    except ValueError:
        return Exclusion(text, model=text.lower())


def host_exclusion(host: str) -> Exclusion:
    """The rule that excludes the scanners at that host, an IP address or a name."""
    return read_exclusion(host) if _ip(host) is not None else Exclusion(host, host=host.lower())


def may_be_scanner(endpoint: str, types: Iterable[QName]) -> bool:
    """Return whether a device of these types may be a scanner: no gateway's stand-in, and no computer.

    Many devices with a scanner announce themselves as devices or printers only, so their metadata must decide. The
    endpoint must be a uuid, since that identifies the scanner from then on.
    """
    return is_uuid(endpoint) and _scans(types)


def has_no_uuid(endpoint: str, types: Iterable[QName]) -> bool:
    """Return whether the device may be a scanner but has an https address as endpoint, as Windows demands with TLS."""
    return endpoint.lower().startswith("https:") and _scans(types)


def _scans(types: Iterable[QName]) -> bool:
    offered = set(types)
    return STAND_IN not in offered and (
        any(uri == WSCN for uri, _ in offered) or not any(local == _COMPUTER for _, local in offered))


def excluding(rules: Iterable[Exclusion], sighting: Sighting, *, hosts: Iterable[str],
              models: Iterable[str]) -> Exclusion | None:
    """The first rule that excludes a device. `hosts` are its IP addresses, `models` the names that it gives itself."""
    hosts = list(hosts)
    addresses = [address for address in map(_ip, hosts) if address is not None]
    names = [name.lower() for name in models if name]
    for rule in rules:
        if rule.uuid is not None and is_same(rule.uuid, sighting.endpoint):
            return rule
        if rule.host is not None and rule.host in {host.lower() for host in hosts}:
            return rule
        if rule.network is not None and any(address in rule.network for address in addresses):
            return rule
        if rule.model is not None and any(fnmatchcase(name, rule.model) for name in names):
            return rule
    return None


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def name_for(friendly: str, endpoint: str, taken: Iterable[str]) -> str:
    """A readable name for use in paths, made from a FriendlyName; with a part of the uuid if it is taken."""
    plain = unicodedata.normalize("NFKD", friendly).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME].strip("-") or "scanner"
    others = set(taken)
    digits = re.sub(r"[^a-f0-9]", "", identity_of(endpoint).removeprefix("urn:uuid:"))
    suffixes = ("", *(f"-{digits[:length]}" for length in (4, 8)), *(f"-{number}" for number in range(2, MAX_NAMES)))
    return next(name + suffix for suffix in suffixes if name + suffix not in others)


@attrs.frozen
class Adopted:
    """A scanner that is bridged because discovery found it, with the name that it was given then and keeps.

    The uuid is spelled as by `identity_of`.
    """

    uuid: str
    name: str
