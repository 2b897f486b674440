"""The base URLs of other gateways at which clients on a network reach the same scanner."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address
from urllib.parse import urlsplit

from wsdgateway.bridge.cluster.values import Registration

MAX_OTHERS = 4  # base URLs of other gateways for one scanner: there are at most five gateways

Address = IPv4Address | IPv6Address


def near_bases(base: str, addresses: Iterable[IPv4Interface | IPv6Interface], gateways: Iterable[Registration]
               ) -> list[tuple[str, Registration]]:
    """Returns the bases at which clients of `base` reach the other gateways: at most one of each gateway.

    `addresses` are those of this host's interfaces. A base is returned if it has the scheme of `base`, and an address
    in the same network: Windows uses no other, and in a match never both http and https. Gateways with `base` itself
    are left out; link-local addresses, too, since their link is not known. Empty if the host of `base` is a name.
    """
    here = _host(base)
    networks = [one.network for one in addresses if here is not None and here in one.network]
    scheme = _scheme(base)
    found = []
    for gateway in gateways:
        if base not in gateway.bases:
            found += [(other, gateway) for other in gateway.bases if _scheme(other) == scheme and any(
                (host := _host(other)) is not None and host in network and not host.is_link_local
                for network in networks)][:1]
    return found


def other_bases(near: Iterable[tuple[str, Registration]], scanner: str) -> tuple[str, ...]:
    """Returns those of the bases whose gateways are configured for a scanner."""
    return tuple(dict.fromkeys(base for base, gateway in near if scanner in gateway.sections))[:MAX_OTHERS]


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _host(url: str) -> Address | None:
    try:
        return ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return None
