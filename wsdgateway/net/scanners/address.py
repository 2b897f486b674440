"""Addresses of scanners: URLs as the parts of a request, and where a scan service is reached."""

from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

import attrs

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.http.targets import HOST

PORTS = {"http": 80, "https": 443}


_IN_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986 section 3.3, and escapes that are there already


@attrs.frozen
class Address:
    """Where a device answers. `authority` is what goes into Host, `target` into the request line; `secure`: by TLS."""

    host: str
    port: int
    authority: bytes
    target: bytes
    secure: bool = False

    def is_same_place(self, other: "Address") -> bool:
        """Whether a connection to one is as good as one to the other."""
        return (self.host, self.port, self.secure) == (other.host, other.port, other.secure)


@lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """The parts of an http or https URL, which may come from the network, fit for a request's head.

    Raises `ValueError` for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"neither an http nor an https URL: {url}")
    authority = parts.netloc.rpartition("@")[2].encode("idna")
    if not HOST.fullmatch(authority):
        raise ValueError(f"not a host: {url}")
    target = quote(parts.path or "/", _IN_PATH) + (f"?{quote(parts.query, _IN_PATH + '?')}" if parts.query else "")
    return Address(parts.hostname, parts.port or PORTS[parts.scheme], authority, target.encode(),
                   parts.scheme == "https")


def is_http(url: str) -> bool:
    """Whether that is a URL that can be called."""
    try:
        address_of(url)
    except ValueError:
        return False
    return True


def usable(sighting: Sighting) -> list[str]:
    """The addresses of a device that may be called.

    What was heard on a link can be forged: it must not send us to names, or to what is ours alone.
    """
    urls = [url for url in sighting.xaddrs if is_http(url)]
    return [url for url in urls if sighting.via in ("", "lo") or _is_elsewhere(address_of(url).host)]


def _is_elsewhere(host: str) -> bool:
    """Whether that is the IP address of another host."""
    address = plain_address(host)
    return address is not None and not (
        address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)


def is_link_local(url: str) -> bool:
    """Whether a URL's host is a link-local IPv6 address. Raises `ValueError` for what is no http URL."""
    return address_of(url).host.startswith("fe80:")


def is_ipv6(url: str) -> bool:
    """Whether a URL names its host by an IPv6 address. Raises `ValueError` for what is no http URL."""
    return ":" in address_of(url).host


@attrs.define(eq=False)
class ServiceLocation:
    """The address of a scan service; it changes when the scanner is found somewhere else. `follows`: it may."""

    address: str
    follows: bool = False


def reachable(address: str, device: str) -> str:
    """The URL for an address that the device gave: on the host where we know it, since devices name others.

    With a device that is asked by TLS nothing is said without.
    """
    known = urlsplit(device)
    try:
        given = urlsplit(address)
        usable = given.scheme in ("http", "https") and bool(given.hostname) and given.port != 0
    except ValueError:
        usable = False
    if not usable:
        return device
    host = f"[{known.hostname}]" if ":" in (known.hostname or "") else known.hostname
    authority = f"{host}:{given.port}" if given.port else f"{host}"
    scheme = "https" if "https" in (known.scheme, given.scheme) else "http"
    return urlunsplit((scheme, authority, given.path or "/", given.query, ""))
