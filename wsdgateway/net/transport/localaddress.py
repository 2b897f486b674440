"""Finds the gateway's address as a peer reaches it: the local address of the route to it, and the port open there.

It is the address given to scanners for notifications unless `[events] address` is configured.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import attrs
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from zope.interface import implementer

from wsdgateway.bridge.health.causes import SILENT, unresolved
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.net.transport.interfaces import Address, read_interfaces

ANY = ("", "0.0.0.0", "::")
_ANYWHERE = "192.0.2.1"  # RFC 5737: belongs to nobody, so that it has the default route


def _local_address(host: str, port: int) -> str:
    """The source address of packets to a host; nothing is sent. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


def is_own_address(ip: IPv4Address | IPv6Address) -> bool:
    """True if an address belongs to this machine: a socket can be bound to it (link-local ones on some interface)."""
    if ip.version == 4:
        return ip.is_loopback or _can_bind(socket.AF_INET, (str(ip), 0))
    scopes = [index for index, _ in socket.if_nameindex()] if ip.is_link_local else [0]
    return any(_can_bind(socket.AF_INET6, (str(ip), 0, 0, scope)) for scope in scopes)


def _can_bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


def own_address(interfaces: tuple[str, ...], version: int) -> str:
    """An address of this host for clients: one of these interfaces, else that of the default route, else loopback.

    With `version` 6, an IPv4 address is as good, since a port on `::` accepts both.
    """
    try:
        known = read_interfaces()
    except OSError:
        known = {}
    found = [one.ip for name in interfaces if name in known for one in known[name].addresses
             if one.version <= version and not one.is_link_local]
    if found:
        return str(found[0])
    try:
        return _local_address(_ANYWHERE, 9)
    except OSError:
        return "127.0.0.1"


async def local_address(reactor: Any, host: str, port: int) -> str:
    """The local address of the route to a host, which may be a name. Raises `DeviceError`."""
    address = host
    if not isIPAddress(host) and not isIPv6Address(host):
        found = await addresses_of(reactor, host)
        if not found:
            raise Unavailable(host, unresolved(host))
        address = found[0]
    try:
        return _local_address(address, port)
    except OSError as error:
        raise Unavailable(host, SILENT, detail=f"there is no route to it: {error}") from None


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of one name; `complete` fires with them."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Do nothing when the lookup begins."""

    def addressResolved(self, address: Any) -> None:
        """Add an address."""
        self._found[address.host] = None

    def resolutionComplete(self) -> None:
        """Fire `complete` with the addresses so far."""
        if not self.complete.called:
            self.complete.callback(list(self._found))


async def addresses_of(reactor: Any, host: str) -> list[str]:
    """Look up the IP addresses of a name, best first; empty if it has none or the lookup fails."""
    receiver = _Receiver()
    reactor.nameResolver.resolveHostName(receiver, host)
    return await receiver.complete


@attrs.frozen
class OpenPort:
    """An open port of the gateway. `secure`: with TLS; `guarded`: only for clients with a certificate."""

    interface: str
    port: int
    secure: bool = False
    guarded: bool = False


def base_url(local: str, ports: list[OpenPort]) -> str | None:
    """The base URL, `http://LOCAL:PORT`, of the open port that suits a scanner best; None if there is none.

    See `port_at`.
    """
    best = port_at(local, ports)
    return None if best is None else url_of(best.interface, best.port, secure=best.secure)


def port_at(local: str, ports: list[OpenPort]) -> OpenPort | None:
    """The open port that suits peers of the local address `local` best, with the address for them; None without any.

    A port on that address, or on all addresses, is preferred; among those one without TLS, since few scanners can
    verify a certificate; among those one on exactly that address. Ports on loopback serve loopback only. Guarded ports
    are left out, since scanners have no client certificates; and those on all IPv4 addresses for a local IPv6 address.
    """
    address = ip_address(local.partition("%")[0])
    ports = [port for port in ports if not port.guarded and (
        address.version == 4 or port.interface == "::" or port.interface not in ANY)]
    if not address.is_loopback:
        ports = [port for port in ports if port.interface in ANY or not ip_address(
            port.interface.partition("%")[0]).is_loopback]

    def distance(port: OpenPort) -> int:
        return 0 if port.interface == local else 1 if port.interface in ANY else 2

    if not ports:
        return None
    best = min(ports, key=lambda port: (distance(port) == 2, port.secure, distance(port)))
    return best if distance(best) == 2 else attrs.evolve(best, interface=local)


def zoned(host: str, zone: str) -> str:
    """A host as system calls need it: a link-local address with its zone, the interface through which it is reached.

    RFC 4007, section 11; messages contain the address without it.
    """
    return f"{host}%{zone}" if zone and "%" not in host and host.lower().startswith("fe80:") else host


def local_base(addresses: tuple[Address, ...], client: str, ports: list[OpenPort]) -> OpenPort | None:
    """The port at which a client reaches the gateway on a link with these local addresses; None if none is open there.

    Its address has the client's version of IP; one in the client's own network comes first, then a global one. A port
    with TLS is preferred to one without. A guarded port is returned only if there is no other, since most clients have
    no certificate.
    """
    asker = ip_address(client.partition("%")[0])
    alike = [address for address in addresses if address.version == asker.version]
    for address in sorted(alike, key=lambda address: (asker not in address.network, address.is_link_local)):
        host = str(address.ip)
        for port in sorted(ports, key=lambda port: (port.guarded, not port.secure)):
            if port.interface in (host, "::") or (port.interface in ANY and address.version == 4):
                return attrs.evolve(port, interface=host)
    return None


def url_of(host: str, port: int, *, secure: bool = False) -> str:
    """The URL of a local address, without a path or zone; an IPv4-mapped IPv6 address is written as IPv4."""
    return f"http{'s' if secure else ''}://{authority(host.partition('%')[0], port)}"


def authority(host: str, port: int) -> str:
    """`HOST:PORT`, with brackets for IPv6; an IPv4-mapped IPv6 address is written as IPv4."""
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
