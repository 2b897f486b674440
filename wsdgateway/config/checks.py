"""Checks the configuration's values: each check returns the value as it is used, or raises `Wrong`."""

import re
from base64 import b64decode
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import serverFromString

from wsdgateway.bridge.discovery.adoption import NAME, Exclusion, read_exclusion
from wsdgateway.config.endpoints import MAX_PORT, BadEndpoint, is_ssl, problem_of, read_ssl
from wsdgateway.config.redisurl import is_redis, read_redis_url
from wsdgateway.config.wrong import Wrong, shown
from wsdgateway.discovery.identity import identity_of, is_uuid
from wsdgateway.http.urls import is_http
from wsdgateway.scan.operations import EVENTING_OPERATIONS, GET_METADATA, OTHER, SCAN_OPERATIONS
from wsdgateway.tls.files import PIN

# Operations that a client may request of a scanner, as named by `[[allow]]` and the metrics.
OPERATIONS = (*(one.name for one in (*SCAN_OPERATIONS, *EVENTING_OPERATIONS, GET_METADATA)), "Probe", "Resolve",
              OTHER.name)
_LIKE_UUID = re.compile(r"\s*(urn:)?uuid:", re.IGNORECASE)
# In a URL, from a colon after a host that no port follows. An IPv6 address is in brackets.
_NO_PORT = re.compile(r"\A([^:]*://(?:\[[^\]/?]*\]|[^/?:\[\]]|:\d{1,5}(?=[/?,]|\Z))*:)(?!\d{1,5}(?:[/?,]|\Z)).*",
                      re.DOTALL)


def text(value: Any) -> str:
    """Checks a text that must not be empty. Raises `Wrong`."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong("a non-empty text")
    return value


def flag(value: Any) -> bool:
    """Checks a boolean. Raises `Wrong`."""
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def http_url(value: Any, *, bare: bool = False) -> str:
    """Checks an http or https URL; with `bare`, one without a path. Raises `Wrong`."""
    what = ("an address such as http://192.0.2.5:5357 or https://192.0.2.5:5358, without a path" if bare
            else "an http:// or https:// URL with a host and a port up to 65535")
    if not isinstance(value, str):
        raise Wrong(what)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        valid = valid and "@" not in parts.netloc and not parts.fragment and is_http(value)
        (parts.hostname or "").encode("idna")
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", value) or (bare and (parts.path not in ("", "/") or parts.query)):
        raise Wrong(what)
    return value.rstrip("/") if bare else value


def base_url(value: Any) -> str:
    """Checks an http or https URL without a path. Raises `Wrong`."""
    return http_url(value, bare=True)


def device_uuid(value: Any) -> str:
    """Checks a uuid in any spelling; returns it as `urn:uuid:` in lower case. Raises `Wrong`."""
    if not isinstance(value, str) or not is_uuid(value):
        raise Wrong("a uuid such as urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366, with or without urn:")
    return identity_of(value)


def scanner_name(value: Any) -> str:
    """Checks a scanner's name, which is part of its path. Raises `Wrong`."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Wrong("a name of a-z, 0-9 and '-', at most 63 characters long")
    return value


def endpoint(value: Any) -> str:
    """Checks a Twisted server endpoint string. Raises `Wrong`."""
    what = ("a Twisted server endpoint such as tcp:5357:interface=192.0.2.5 or "
            "ssl:5358:privateKey=server.key:certKey=server.pem")
    try:
        serverFromString(None, read_ssl(value).tcp if is_ssl(value) else value)
    except BadEndpoint as bad:
        raise Wrong(f"{what}; {bad}") from None
    except Exception:  # a Twisted plugin may raise any error for a string that it cannot parse
        raise Wrong(what) from None
    problem = problem_of(value)
    if problem is not None:
        raise Wrong(f"{what}, with {problem}")
    return str(value)


def state(value: Any) -> str:
    """Checks the location of the store. Raises `Wrong`."""
    what = "sqlite:FILE, memory:, or for several gateways redis://HOST:6379/0"
    if not isinstance(value, str):
        raise Wrong(what)
    if is_redis(value):
        read_redis_url(value)
        return value
    if value != "memory:" and not re.fullmatch(r"sqlite:.+", value):
        raise Wrong(what)
    return value


def without_password(value: Any) -> Any:
    """Returns a state that is safe to show in messages: what may be a user or a password is removed.

    In a URL that is wrong, this is also what stands in place of a port, and parameters.
    """
    if not isinstance(value, str) or value.startswith("sqlite:"):
        return value
    masked = re.sub(r"\A([^:@]*:/*).*@", r"\1…@", value, flags=re.DOTALL)
    masked = _NO_PORT.sub(r"\1…", masked)
    return re.sub(r"([?&](?!ca=|db=)[^?&=]*=).*", r"\1…", masked, flags=re.DOTALL)


def gateway_name(value: Any) -> str:
    """Checks the name by which the other gateways know this one. Raises `Wrong`."""
    if (not isinstance(value, str) or not value or value != value.strip() or len(value) > 64
            or not value.isprintable()):
        raise Wrong("a text of at most 64 characters, without control characters, and without blanks at its ends")
    return value


def source_address(value: Any) -> str:
    """Checks the local address of connections to scanners. Raises `Wrong`."""
    if not isinstance(value, str) or not (isIPAddress(value) or isIPv6Address(value)):
        raise Wrong('the IP address from which scanners are spoken to, such as "198.51.100.9", without a port')
    return value


def event_mode(value: Any) -> str:
    """Checks the events mode of a scanner, "auto" or "off". Raises `Wrong`."""
    if value not in ("auto", "off"):
        raise Wrong('"auto" or "off"')
    return str(value)


def log_level(value: Any) -> str:
    """Checks the lowest level of the lines in the log. Raises `Wrong`."""
    if value not in ("debug", "info", "warn", "error"):
        raise Wrong('"debug", "info", "warn" or "error"')
    return str(value)


def log_format(value: Any) -> str:
    """Checks the format of the log. Raises `Wrong`."""
    if value not in ("text", "json"):
        raise Wrong('"text" or "json"')
    return str(value)


def networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    """Checks a list of IP networks. Raises `Wrong`."""
    what = 'a list of networks such as ["198.51.100.0/24"]'
    if not isinstance(value, list):
        raise Wrong(what)
    found = []
    for item in value:
        try:
            found.append(_unmapped(ip_network(text(item), strict=False)))
        except (ValueError, Wrong):
            raise Wrong(f"{what}; {shown(item)} is not a network") from None
    return tuple(found)


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Converts an IPv4-mapped IPv6 network to IPv4, the form in which clients' addresses are compared."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


def some_networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    """Checks a list of at least one IP network: a rule for an empty list would never apply. Raises `Wrong`."""
    if value == []:
        raise Wrong('a list of networks such as ["198.51.100.0/24"]; leave the key out for all clients')
    return networks(value)


def scanner_patterns(value: Any) -> tuple[str, ...]:
    """Checks a list of patterns for scanners' names; `*` matches any characters, `?` any single one. Raises `Wrong`."""
    if not isinstance(value, list) or not value or not all(
            isinstance(item, str) and re.fullmatch(r"[a-z0-9*?-]{1,63}", item) for item in value):
        raise Wrong("a list of scanners' names such as [\"front-desk\", \"floor3-*\"]; leave the key out for all "
                    "scanners")
    return tuple(value)


def operations(value: Any) -> tuple[str, ...]:
    """Checks a list of operations. Raises `Wrong`."""
    what = f"a list of {', '.join(OPERATIONS)}; leave the key out for all operations"
    if not isinstance(value, list) or not value:
        raise Wrong(what)
    unknown = [item for item in value if item not in OPERATIONS]
    if unknown:
        raise Wrong(f"{what}; not in this list, in this spelling: {', '.join(map(shown, unknown))}")
    return tuple(value)


def token(value: Any) -> str:
    """Checks a secret that is hard to guess and valid in a header field. Raises `Wrong`."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._~+/=-]{16,256}", value):
        raise Wrong("a secret of 16 to 256 characters of A-Z, a-z, 0-9 and ._~+/=-, such as the output of: openssl "
                    "rand -hex 24")
    return value


def host_names(value: Any) -> tuple[str, ...]:
    """Checks a list of host names; returns them in lower case. Raises `Wrong`."""
    if not isinstance(value, list) or not all(
            isinstance(item, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,253}", item) for item in value):
        raise Wrong('a list of host names without ports, such as ["print-server-1", "scan.example.org"]')
    return tuple(item.lower() for item in value)


def pin(value: Any) -> str:
    """Checks the pin of a scanner's key. Raises `Wrong`."""
    what = '"sha256/" and 44 characters of base64, as printed by wsdgateway discover --pin'
    if not isinstance(value, str) or not value.startswith(PIN):
        raise Wrong(what)
    try:
        digest = b64decode(value.removeprefix(PIN), validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise Wrong(what)
    return value


def identity(value: Any) -> str:
    """Checks the source of a stand-in's uuid, "derived" or "same". Raises `Wrong`."""
    if value not in ("derived", "same"):
        raise Wrong('"derived" or "same"')
    return str(value)


def suffix(value: Any) -> str:
    """Checks the text appended to the names of stand-ins; may be empty. Raises `Wrong`."""
    if not isinstance(value, str) or len(value) > 64 or not all(c.isprintable() for c in value):
        raise Wrong("a text of at most 64 characters")
    return value


def exclusions(value: Any) -> tuple[Exclusion, ...]:
    """Checks a list of exclusion rules: uuids, networks, and patterns for models. Raises `Wrong`."""
    what = ('a list of uuids, addresses and models such as ["urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", '
            '"198.51.100.0/28", "LaserJet*"]')
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise Wrong(what)
    for item in value:
        if _LIKE_UUID.match(item) and not is_uuid(item):
            raise Wrong(f"{what}; {shown(item)} is not a uuid")
    return tuple(read_exclusion(item) for item in value)


def hosts(value: Any) -> tuple[str, ...]:
    """Checks a list of http or https URLs; a bare host is turned into a URL. Raises `Wrong`."""
    what = 'a list of addresses such as ["198.51.100.77", "http://198.51.100.78:5357/StableWSDiscoveryEndpoint"]'
    if not isinstance(value, list):
        raise Wrong(what)
    return tuple(_host(item, what) for item in value)


def _host(item: Any, what: str) -> str:
    try:
        return http_url(item if "://" in text(item) else f"http://{_bracketed(item)}")
    except Wrong:
        raise Wrong(f"{what}; {shown(item)} is not an address") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if isIPv6Address(host) else host


def interfaces(value: Any) -> tuple[str, ...]:
    """Checks a list of network interfaces. Raises `Wrong`."""
    if not isinstance(value, list) or not all(isinstance(item, str) and item and item.isprintable() for item in value):
        raise Wrong('a list of interfaces such as ["eth0"]')
    return tuple(dict.fromkeys(value))


def ports(value: Any) -> range:
    """Checks a range of TCP ports, such as "8400-8499" or "8400". Raises `Wrong`."""
    found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", value) if isinstance(value, str) else None
    first, last = (0, 0) if found is None else (int(found[1]), int(found[2] or found[1]))
    if not 0 < first <= last <= MAX_PORT:
        raise Wrong(f'a range of ports between 1 and {MAX_PORT} such as "8400-8499"')
    return range(first, last + 1)


def local_interface(value: Any) -> str:
    """Checks an address to listen on, with a zone if it is link-local; "" is every one. Raises `Wrong`."""
    if not isinstance(value, str) or not (value == "" or isIPAddress(value) or isIPv6Address(value)):
        raise Wrong('an IP address of this host such as "192.0.2.5", or "" for every address that a [[listen]] is open '
                    "on")
    return value
