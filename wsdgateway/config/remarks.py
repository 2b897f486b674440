"""Remarks about a valid configuration: settings that are risky, and settings without effect."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import urlsplit

import attrs

from wsdgateway.config.endpoints import listening_place
from wsdgateway.config.positions import TomlPath
from wsdgateway.config.redisurl import is_redis
from wsdgateway.config.sections import Cluster, Config

EVERY = ("0.0.0.0", "::")  # the interfaces that stand for every address, of IPv4 and IPv6


@attrs.frozen
class Remark:
    """A warning, as one line, and the path of the section or key in the file."""

    path: TomlPath
    text: str

    def __str__(self) -> str:
        return self.text


def remarks(config: Config) -> list[Remark]:
    """Returns a remark for each setting that is risky, or has no effect as it is."""
    return [*_state_remarks(config), *_cluster_remarks(config), *_scanner_remarks(config), *_access_remarks(config),
            *_discovery_remarks(config), *_overlaps(config), *_escl_remarks(config), *_destination_remarks(config)]


def _state_remarks(config: Config) -> Iterator[Remark]:
    """A remark about a store beside the configuration, where it was by default before systemd's folder was used."""
    if config.unused_state is not None:
        former = config.folder / config.unused_state.name
        yield Remark(("gateway", "state"), (
            f"[gateway] state: the store {former} is used, because it exists; stop the gateway and move it, with the "
            f"files whose names begin with {former.name}, to {config.unused_state.parent}, or write state = "
            f"\"sqlite:{former}\""))


def _cluster_remarks(config: Config) -> Iterator[Remark]:
    """Remarks about several gateways: what is missing for them, and keys without effect."""
    if not is_redis(config.gateway.state):
        given = [field.name for field in attrs.fields(Cluster)
                 if getattr(config.cluster, field.name) != field.default]
        if given:
            yield Remark(("cluster",), (
                f"[cluster] {', '.join(given)}: no effect, because this gateway works without others; for several "
                "gateways, give all of them the same [gateway] state = \"redis://HOST:6379/0\""))
        return
    if config.cluster.endpoint is None:
        yield Remark(("cluster",), (
            "[cluster] endpoint is missing, so the other gateways cannot pass requests to this one: their clients get "
            "a temporary error for each scanner that this gateway owns"))
    if config.events.address is None and any(one.bridge and one.is_subscribed_to for one in config.scanner):
        yield Remark(("events",), (
            "[events] address is missing: each gateway subscribes at the scanners with an address of its own, so at a "
            "takeover names on panels may appear twice for a moment; give the gateways an address that moves between "
            "them, and name it in [events] address"))


def _scanner_remarks(config: Config) -> Iterator[Remark]:
    addresses: dict[tuple[str, int, str], str] = {}
    for position, scanner in enumerate(config.scanner):
        section, where = f"[[scanner]] {scanner.name}", ("scanner", position)
        if scanner.insecure:
            yield Remark((*where, "insecure"), (
                f"{section}: insecure = true: the scanner is not authenticated, so an attacker on the network can "
                "read all pages and answer in its place; set its pin instead (wsdgateway discover --pin)"))
        key = "scan" if scanner.scan else "device"
        url = scanner.scan or scanner.device
        if url is not None:
            former = addresses.setdefault(_address(url), scanner.name)
            if former != scanner.name:
                yield Remark((*where, key), (
                    f"{section} {key} = {url}: [[scanner]] {former} has the same address, so the device gets the "
                    "connections, requests and subscriptions of both"))


def _access_remarks(config: Config) -> Iterator[Remark]:
    names = [scanner.name for scanner in config.scanner]
    for position, rule in enumerate(config.allow if not config.discovery.adopt else ()):
        yield from (Remark(("allow", position, "scanners"), (
            f"[[allow]] {position + 1} scanners: pattern {pattern} matches no [[scanner]]"))
            for pattern in rule.scanners if not any(fnmatchcase(name, pattern) for name in names))
    if config.exchange_log.capture and config.exchange_log.secrets:
        yield Remark(("exchange_log", "secrets"), (
            "[exchange_log] secrets: captures contain tokens and passwords; keep them private"))
    if not config.admin.token and not is_loopback(config.admin.endpoint):
        yield Remark(("admin", "endpoint"), (
            f"[admin] endpoint = {config.admin.endpoint}: without a token, only clients on this host are allowed"))


def _discovery_remarks(config: Config) -> Iterator[Remark]:
    if not config.discovery.device_interfaces and not config.discovery.directed:
        needs = (
            "has no effect without [discovery] device_interfaces, which names the interfaces on the scanners' "
            "side")
        yield from (Remark(("scanner", position, "uuid"), f"[[scanner]] {scanner.name}: uuid {needs}")
                    for position, scanner in enumerate(config.scanner) if scanner.uuid)
        if config.discovery.adopt:
            yield Remark(("discovery", "adopt"), f"[discovery] adopt {needs}")
    both = sorted(set(config.discovery.device_interfaces) & set(config.discovery.client_interfaces))
    if both:
        yield from (Remark(("scanner", position, "identity"), (
            f"[[scanner]] {scanner.name}: identity = \"same\": clients on {', '.join(both)} also see the scanner "
            "itself and cannot distinguish the two"))
            for position, scanner in enumerate(config.scanner) if scanner.identity == "same")


def _overlaps(config: Config) -> Iterator[Remark]:
    """Remarks about ports that one listener opens on every address, and another on one of these addresses."""
    listeners: list[tuple[str, TomlPath, str]]
    listeners = [(f"[[listen]] {position + 1}", ("listen", position), one.endpoint)
                 for position, one in enumerate(config.listen)]
    listeners.append(("[admin]", ("admin",), config.admin.endpoint))
    if config.cluster.endpoint is not None:
        listeners.append(("[cluster]", ("cluster",), config.cluster.endpoint))
    places = [(*listener, place) for listener in listeners if (place := listening_place(listener[2])) is not None]
    wide = {place: section for section, _, _, place in reversed(places) if place[0] in EVERY}
    for section, where, endpoint, (interface, port) in places:
        other = wide.get((EVERY[":" in interface], port))
        if other is not None and interface not in EVERY:
            yield Remark((*where, "endpoint"), (
                f"{section} endpoint = {endpoint}: {other} has the same port on every address, so only one of the two "
                "can be opened"))


def _escl_remarks(config: Config) -> Iterator[Remark]:
    """Remarks about eSCL: keys without effect, and scanners that sane-airscan hides."""
    bridged = [(position, one) for position, one in enumerate(config.scanner) if one.bridge]
    if config.escl is None:
        yield from (Remark(("scanner", position, "escl_port"), (
            f"[[scanner]] {one.name}: escl_port has no effect without an [escl] section"))
            for position, one in bridged if one.escl_port is not None)
        return
    without = [(position, one) for position, one in bridged if not one.escl]
    if len(without) < len(bridged) and config.escl.announce and config.discovery.client_interfaces:
        yield from (Remark(("scanner", position, "escl"), (
            f"[[scanner]] {one.name}: escl = false: sane-airscan hides a WSD scanner at an address at which any eSCL "
            "scanner is announced, so Linux clients will not find this one while the others are offered by eSCL"))
            for position, one in without)
    if config.discovery.adopt:
        return
    if not bridged:
        yield Remark(("escl",), "[escl] has no effect without a [[scanner]]")


def _destination_remarks(config: Config) -> Iterator[Remark]:
    """Remarks about destinations that no panel shows, and about their keys without effect."""
    scanners = [one for one in config.scanner if one.bridge]
    for position, one in enumerate(config.destination):
        section, where = f'[[destination]] "{one.name}"', ("destination", position)
        if not config.discovery.adopt:
            yield from (Remark((*where, "scanners"), f"{section} scanners: pattern {pattern} matches no [[scanner]]")
                        for pattern in one.scanners
                        if not any(fnmatchcase(scanner.name, pattern) for scanner in scanners))
        yield from (Remark((*where, "scanners"), (
            f'{section}: the panel of {scanner.name} does not show it, since [[scanner]] {scanner.name} has '
            'events = "off"')) for scanner in scanners if one.is_for(scanner.name) and not scanner.is_subscribed_to)
        if one.upload is not None and one.upload_header_file is not None and not _is_encrypted(one.upload):
            yield Remark((*where, "upload"), (
                f"{section} upload = {one.upload}: the pages and the line of upload_header_file are sent unencrypted; "
                "use an https address"))
        if one.upload is None:
            yield from (Remark((*where, key), f"{section} {key} has no effect without upload")
                        for key in ("upload_field", "upload_header_file")
                        if getattr(one, key) != getattr(attrs.fields(type(one)), key).default)


def _address(url: str) -> tuple[str, int, str]:
    """The parts of a URL that say what it leads to."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), parts.path.rstrip("/")


def _is_encrypted(url: str) -> bool:
    """True if nobody else on the network can read what is sent to a URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" or ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_loopback(endpoint: str) -> bool:
    """True if only this host can reach a Twisted server endpoint, as far as the string tells."""
    found = re.search(r":interface=((?:\\:|[^:])*)", endpoint)
    if not endpoint.startswith(("tcp", "ssl")):
        return True
    address = found[1].replace("\\:", ":") if found else ""
    return bool(address) and ip_address(address.partition("%")[0]).is_loopback
