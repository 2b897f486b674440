"""Addresses of scanners: which ones may be used, and where a scan service is reached."""

from urllib.parse import urlsplit, urlunsplit

import attrs

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.http.urls import address_of, is_http


def usable(sighting: Sighting) -> list[str]:
    """Returns the usable addresses in an announcement.

    An announcement can be forged: it must not direct the gateway to host names, or to its own host.
    """
    urls = [url for url in sighting.xaddrs if is_http(url)]
    return [url for url in urls if sighting.via in ("", "lo") or _is_of_another_host(address_of(url).host)]


def _is_of_another_host(host: str) -> bool:
    """True if a host is the IP address of another host."""
    address = plain_address(host)
    return address is not None and not (
        address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)


@attrs.define(eq=False)
class ServiceLocation:
    """The address of a scan service. With `follows`, it may change when the scanner is found elsewhere."""

    address: str
    follows: bool = False


def reachable(address: str, device: str) -> str:
    """Returns the URL for an address that the device gave, on the host at which the device is known.

    Devices may name other hosts. If the device is reached by TLS, TLS is used for this address, too.
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
