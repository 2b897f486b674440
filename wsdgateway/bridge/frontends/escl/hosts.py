"""Checks that a request was not made by a web page: the host that it names, and the fields that browsers add.

A page of a foreign site can have a browser send requests to any address, and by DNS rebinding also read the answers.
Neither eSCL clients nor programs send `Origin`; their Host is an IP address or a name of this gateway.
"""

import re
from collections.abc import Container
from functools import lru_cache
from ipaddress import ip_address

from wsdgateway.http.messages import Headers, first

_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?P<port>:[0-9]{1,5})?")
KEPT = 256  # hosts that are known to be addresses, or not; clients send the same ones again and again


def is_foreign(headers: Headers, host: bytes, names: Container[str]) -> bool:
    """True if a web page has sent the request, or if its `host`, with or without a port, is not this gateway's.

    `names` are the gateway's own in lower case; IP addresses, localhost and a request without a host are its own, too.
    """
    if first(headers, b"origin") is not None:
        return True
    if (first(headers, b"sec-fetch-site") or b"").strip().lower() == b"cross-site":
        return True
    name = host_name(host)
    return not (name in ("", "localhost") or name in names or _is_address(name))


def host_name(authority: bytes) -> str:
    """The host in an authority in lower case, without port, brackets, zone and the dot of the root."""
    text = authority.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0].partition("%")[0]
    if text.count(":") > 1:  # IPv6 without brackets, which some clients send
        return text.partition("%")[0]
    return text.partition(":")[0].removesuffix(".")


def own_url(host: bytes, port: int, *, secure: bool) -> str | None:
    """The URL without a path at which a client that names this `host` has reached the gateway; None without a host.

    `port` is the one that it has connected to, which some clients leave out of the host.
    """
    named = _AUTHORITY.fullmatch(host)
    if named is None:
        return None
    missing = "" if named["port"] or not port else f":{port}"
    return f"http{'s' if secure else ''}://{host.decode('ascii')}{missing}"


@lru_cache(KEPT)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
