"""http and https URLs, which may come from the network, as what a request needs. RFC 3986; RFC 9110 section 4.2."""

from functools import lru_cache
from urllib.parse import quote, urlsplit

import attrs

from wsdgateway.http.requesttargets import HOST

PORTS = {"http": 80, "https": 443}
_IN_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986 section 3.3, and escapes that are there already


@attrs.frozen
class Address:
    """Where a server answers. `authority` is what goes into Host, `target` into the request line; `secure`: by TLS."""

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


def is_link_local(url: str) -> bool:
    """Whether a URL's host is a link-local IPv6 address. Raises `ValueError` for what is no http URL."""
    return address_of(url).host.startswith("fe80:")


def is_ipv6(url: str) -> bool:
    """Whether a URL names its host by an IPv6 address. Raises `ValueError` for what is no http URL."""
    return ":" in address_of(url).host
