"""Selects the scanners that are bridged because discovery found them, and names them.

The configuration's `[discovery] adopt` and `exclude`.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network

import attrs

from wsdgateway.bridge.discovery.presence import STAND_IN
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.discovery.identity import identity_of, is_same, is_uuid
from wsdgateway.discovery.matching import QName
from wsdgateway.http.urls import ip_of
from wsdgateway.soap.namespaces import WSCN

MAX_NAME = 40
MAX_NAMES = 10000  # more than the possible number of scanners
NAME = re.compile(r"[a-z0-9-]{1,63}")  # of a scanner, which is part of its path

_COMPUTER = "Computer"


@attrs.frozen
class Exclusion:
    """A rule that excludes scanners, as written in the configuration; exactly one of the fields after `text` is set.

    `model` is a pattern with `*` and `?`.
    """

    text: str = ""
    uuid: str | None = None
    network: IPv4Network | IPv6Network | None = None
    model: str | None = None
    host: str | None = None


def read_exclusion(text: str) -> Exclusion:
    """Parses a rule: a uuid in any spelling, an IP address or network, or else a model."""
    text = text.strip()
    if is_uuid(text):
        return Exclusion(text, uuid=identity_of(text))
    try:
        return Exclusion(text, network=ip_network(text, strict=False))
    except ValueError:
        return Exclusion(text, model=text.lower())


def host_exclusion(host: str) -> Exclusion:
    """Returns the rule that excludes the scanners at that host, an IP address or a name."""
    return read_exclusion(host) if ip_of(host) is not None else Exclusion(host, host=host.lower())


def may_be_scanner(endpoint: str, types: Iterable[QName]) -> bool:
    """True if a device of these types may be a scanner: not a gateway's stand-in, and not a computer.

    Many devices with a scanner announce themselves as devices or printers only, so their metadata must decide. The
    endpoint must be a uuid, because that identifies the scanner from then on.
    """
    return is_uuid(endpoint) and _scans(types)


def has_no_uuid(endpoint: str, types: Iterable[QName]) -> bool:
    """True if the device may be a scanner but has an https address as endpoint, as Windows requires with TLS."""
    return endpoint.lower().startswith("https:") and _scans(types)


def _scans(types: Iterable[QName]) -> bool:
    offered = set(types)
    return STAND_IN not in offered and (
        any(uri == WSCN for uri, _ in offered) or not any(local == _COMPUTER for _, local in offered))


def excluding(rules: Iterable[Exclusion], sighting: Sighting, *, hosts: Iterable[str],
              models: Iterable[str]) -> Exclusion | None:
    """Returns the first rule that excludes a device; None if there is none.

    `hosts` are the device's IP addresses, `models` the names that it gives itself.
    """
    hosts = list(hosts)
    addresses = [address for address in map(ip_of, hosts) if address is not None]
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


def name_for(friendly: str, endpoint: str, taken: Iterable[str]) -> str:
    """Derives a readable name for use in paths from a FriendlyName; appends a part of the uuid if the name is taken."""
    plain = unicodedata.normalize("NFKD", friendly).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME].strip("-") or "scanner"
    others = set(taken)
    digits = re.sub(r"[^a-f0-9]", "", identity_of(endpoint).removeprefix("urn:uuid:"))
    suffixes = ("", *(f"-{digits[:length]}" for length in (4, 8)), *(f"-{number}" for number in range(2, MAX_NAMES)))
    return next(name + suffix for suffix in suffixes if name + suffix not in others)


@attrs.frozen
class Adopted:
    """A scanner that is bridged because discovery found it, with the name that it was given then and keeps.

    The uuid is in the form returned by `identity_of`.
    """

    uuid: str
    name: str


@attrs.frozen
class Restoring:
    """A plan for scanners adopted by earlier starts: uuids to delete from the store, and entries to write.

    `bridge` are the scanners to bridge, under names that no other scanner has. Apply the changes to the store first,
    deletions before writes.
    """

    bridge: tuple[Adopted, ...]
    delete: tuple[str, ...]
    write: tuple[Adopted, ...]


def plan_restoring(stored: Iterable[Adopted], *, configured: Collection[str | None], rules: Iterable[Exclusion],
                   names: Collection[str]) -> Restoring:
    """Decides which of the stored scanners are bridged again, and under which names.

    Scanners are left out if a section has their uuid (`configured`, as spelled by `identity_of`) or a rule excludes
    them. `names` are those of other scanners; a stored scanner with one of these gets another name.
    """
    excluded = {rule.uuid for rule in rules}
    kept: dict[str, Adopted] = {}
    stored = tuple(stored)
    for one in stored:
        uuid = identity_of(one.uuid)
        if uuid not in configured and uuid not in excluded:
            kept.setdefault(uuid, one)
    own_names = {one.name for one in kept.values()}
    taken = set(names)
    bridge = []
    for uuid, one in kept.items():
        name = name_for(one.name, uuid, taken | own_names) if one.name in taken else one.name
        taken.add(name)
        bridge.append(Adopted(uuid, name))
    return Restoring(tuple(bridge), tuple(one.uuid for one in stored if one.uuid not in kept),
                     tuple(one for one in bridge if one not in stored))


@attrs.frozen
class Bridged:
    """A bridged scanner: its endpoint address, if known, and host and port of its scan service."""

    endpoint: str | None
    places: Collection[tuple[str, int]]


def duplicates(adopted: Iterable[Bridged], configured: Iterable[Bridged]) -> list[str]:
    """Returns the endpoints of adopted scanners that are also configured: by their uuid, or by an address alone.

    If a configured scanner's uuid is known, its address is not compared, because another scanner may have it by now.
    """
    configured = tuple(configured)
    identities = {identity_of(one.endpoint) for one in configured if one.endpoint is not None}
    places = {place for one in configured if one.endpoint is None for place in one.places}
    return [one.endpoint for one in adopted if one.endpoint is not None and (
        identity_of(one.endpoint) in identities or not places.isdisjoint(one.places))]
