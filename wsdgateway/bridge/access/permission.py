"""Decides by rules which clients may use which operations of which scanners.

The configuration's `[[allow]]`: the first matching rule decides; if none matches, clients of private networks may do
everything, and others nothing.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import attrs

from wsdgateway.bridge.events.sinks import Network
from wsdgateway.soap.faults import Fault

MAX_KNOWN = 8192  # decisions that are cached

# RFC 1918, RFC 3927, RFC 4193, RFC 4291: loopback, link-local and private; RFC 5737, RFC 3849: for documentation,
# and so not on the Internet. Python's `is_private` is not used because it includes tunnels (Teredo), whose far ends
# can be anywhere.
PRIVATE = tuple(map(ip_network, (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1",
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))


@attrs.frozen
class Rule:
    """A rule of `[[allow]]`. `clients` are networks, `scanners` patterns of names with `*` and `?`, `operations` names.

    An empty tuple matches everything of its kind. With `deny`, matching requests are refused.
    """

    clients: tuple[Network, ...] = ()
    scanners: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    deny: bool = False

    def fits(self, address: IPv4Address | IPv6Address | None, scanner: str, operation: str) -> bool:
        """True if the rule matches; `address` is None for a client without an IP address, as on a UNIX socket."""
        return ((not self.clients or (address is not None and any(address in network for network in self.clients)))
                and (not self.scanners or any(fnmatchcase(scanner, pattern) for pattern in self.scanners))
                and (not self.operations or operation in self.operations))


class Permission:
    """The rules of `[[allow]]`, applied in order. Clients are IP addresses in the form that sockets report."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.change(rules)

    def change(self, rules: Iterable[Rule]) -> None:
        """Replace the rules."""
        self._rules = tuple(rules)
        self.allows = lru_cache(maxsize=MAX_KNOWN)(self._allows)

    def _allows(self, client: str, scanner: str, operation: str) -> bool:
        """True if the client may use that operation of the scanner."""
        address = plain_address(client)
        for rule in self._rules:
            if rule.fits(address, scanner, operation):
                return not rule.deny
        return address is None or any(address in network for network in PRIVATE)


@lru_cache(maxsize=MAX_KNOWN)
def plain_address(client: str) -> IPv4Address | IPv6Address | None:
    """The IP address of a client or host without its scope, IPv4-mapped addresses as IPv4; None for anything else."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def not_allowed(client: str, scanner: str, operation: str) -> Fault:
    """The fault for a client that is not allowed an operation. Its subcode is the gateway's, since WS-Scan has none."""
    return Fault("Sender", "gateway:NotAllowed", (
        f"{plain_address(client) or client} is not allowed to use {operation} of {scanner}; ask the administrator of "
        "this gateway for an [[allow]] rule."), 403)
