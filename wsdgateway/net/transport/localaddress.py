"""Where a device reaches us: the local address of the route to it, and the listener that is open there.

The contract's `[events] address`, for when it is not configured.
"""

import socket
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from zope.interface import implementer

from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.net.transport.interfaces import Address

ANY = ("", "0.0.0.0", "::")


def _local_address(host: str, port: int) -> str:
    """The source address of packets to that host; nothing is sent. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


async def local_address(reactor: Any, host: str, port: int) -> str:
    """The local address of the route to a host, which may be a name. Raises `DeviceError`."""
    address = host
    if not isIPAddress(host) and not isIPv6Address(host):
        found = await addresses_of(reactor, host)
        if not found:
            raise Unavailable(host, "its name has no address, or can't be looked up")
        address = found[0]
    try:
        return _local_address(address, port)
    except OSError as error:
        raise Unavailable(host, f"there is no route to it ({error})") from None


@implementer(IResolutionReceiver)
class _Receiver:
    """Gathers the addresses of one name; `complete` fires with them."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It is being looked up."""

    def addressResolved(self, address: Any) -> None:
        """One more."""
        self._found[address.host] = None

    def resolutionComplete(self) -> None:
        """That were all."""
        if not self.complete.called:
            self.complete.callback(list(self._found))


async def addresses_of(reactor: Any, host: str) -> list[str]:
    """The IP addresses that a name has now, best first; none if it has none, or they can't be had."""
    receiver = _Receiver()
    reactor.nameResolver.resolveHostName(receiver, host)
    return await receiver.complete


@attrs.frozen
class OpenPort:
    """A port of ours, on an interface. `secure`: with TLS; `guarded`: only for clients with a certificate."""

    interface: str
    port: int
    secure: bool = False
    guarded: bool = False


def base_url(local: str, doors: list[OpenPort]) -> str | None:
    """`http://LOCAL:PORT` for the best of the open doors for a device; None if none is.

    One on that address, or on all, goes before any other; of those one without TLS, for few devices believe anybody's
    certificate; and of those one on that very address. Those on loopback count only for loopback, guarded ones for
    nobody: devices have no certificates.
    """
    doors = [door for door in doors if not door.guarded]
    if not ip_address(local.partition("%")[0]).is_loopback:
        doors = [door for door in doors if door.interface in ANY or not ip_address(
            door.interface.partition("%")[0]).is_loopback]

    def distance(door: OpenPort) -> int:
        return 0 if door.interface == local else 1 if door.interface in ANY else 2

    if not doors:
        return None
    best = min(doors, key=lambda door: (distance(door) == 2, door.secure, distance(door)))
    return url_of(best.interface if distance(best) == 2 else local, best.port, secure=best.secure)


def zoned(host: str, zone: str) -> str:
    """A host as the system's calls want it: a link-local address with the interface that it is reached over.

    RFC 4007; in messages it stands without.
    """
    return f"{host}%{zone}" if zone and "%" not in host and host.lower().startswith("fe80:") else host


def local_base(addresses: tuple[Address, ...], client: str, doors: list[OpenPort]) -> OpenPort | None:
    """Where a client reaches us on a link where we have these addresses; None if nothing listens there.

    It is of the same version of IP; one in the client's own network comes first, and of others a global one. Where
    there is a door with TLS, clients are told of no other; of a guarded one only where there is nothing else, for most
    can't open it, and who has a certificate can be given the address.
    """
    asker = ip_address(client.partition("%")[0])
    alike = [address for address in addresses if address.version == asker.version]
    for address in sorted(alike, key=lambda address: (asker not in address.network, address.is_link_local)):
        host = str(address.ip)
        for door in sorted(doors, key=lambda door: (door.guarded, not door.secure)):
            if door.interface in (host, "::") or (door.interface in ANY and address.version == 4):
                return attrs.evolve(door, interface=host)
    return None


def url_of(host: str, port: int, *, secure: bool = False) -> str:
    """The URL of an address of ours, without a path; an IPv4 address in IPv6's clothes as itself, without a scope."""
    return f"http{'s' if secure else ''}://{authority(host.partition('%')[0], port)}"


def authority(host: str, port: int) -> str:
    """An address with its port; an IPv4 address in IPv6's clothes as itself."""
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
