"""Parses http and https URLs, which may come from the network, for requests. RFC 3986; RFC 9110 section 4.2."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote, urlsplit

import attrs

from wsdgateway.http.requesttargets import HOST

PORTS = {"http": 80, "https": 443}
IN_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986 section 3.3, and existing escapes


@attrs.frozen
class Address:
    """The address of a server.

    `authority` is the value of Host, `target` is for the request line; `secure` means TLS.
    """

    host: str
    port: int
    authority: bytes
    target: bytes
    secure: bool = False

    def is_same_place(self, other: "Address") -> bool:
        """True if the same connection can serve both addresses."""
        return (self.host, self.port, self.secure) == (other.host, other.port, other.secure)


@lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """Split an http or https URL, which may come from the network, into the parts for a request's head.

    Raises `ValueError` for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"not an http or https URL: {url}")
    authority = parts.netloc.rpartition("@")[2].encode("idna")
    if not HOST.fullmatch(authority):
        raise ValueError(f"not a host: {url}")
    target = quote(parts.path or "/", IN_PATH) + (f"?{quote(parts.query, IN_PATH + '?')}" if parts.query else "")
    return Address(parts.hostname, parts.port or PORTS[parts.scheme], authority, target.encode(),
                   parts.scheme == "https")


def is_http(url: str) -> bool:
    """True if the URL is a valid http or https URL."""
    try:
        address_of(url)
    except ValueError:
        return False
    return True


def is_link_local(url: str) -> bool:
    """True if the URL's host is a link-local IPv6 address. Raises `ValueError` if it is not an http URL."""
    return address_of(url).host.startswith("fe80:")


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host of a URL is, without its zone; None if it is a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_ipv6(url: str) -> bool:
    """True if the URL's host is an IPv6 address. Raises `ValueError` if it is not an http URL."""
    return ":" in address_of(url).host
