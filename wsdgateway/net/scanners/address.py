"""Addresses of scanners: which may be used, and where a scan service is reached."""

from urllib.parse import urlsplit, urlunsplit

import attrs

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.http.urls import address_of, is_http


def usable(sighting: Sighting) -> list[str]:
    """The addresses of a device that may be called.

    What was heard on a link can be forged: it must not send us to names, or to what is ours alone.
    """
    urls = [url for url in sighting.xaddrs if is_http(url)]
    return [url for url in urls if sighting.via in ("", "lo") or _is_of_another_host(address_of(url).host)]


def _is_of_another_host(host: str) -> bool:
    """Whether that is the IP address of another host."""
    address = plain_address(host)
    return address is not None and not (
        address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)


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
