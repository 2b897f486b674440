"""Where a device reaches us: the local address of the route to it, and the listener that is open there.

The contract's `[events] address`, for when it is not configured.
"""

import socket
from ipaddress import ip_address
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.threads import deferToThreadPool

from wsdgateway.net.failures import Unavailable
from wsdgateway.net.interfaces import Address

ANY = ("", "0.0.0.0", "::")


def _local_address(host: str, port: int) -> str:
    """The source address of packets to that host; nothing is sent. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


async def local_address(reactor: Any, host: str, port: int) -> str:
    """The local address of the route to a host. Raises `DeviceError`; a name is looked up in a thread."""
    try:
        if isIPAddress(host) or isIPv6Address(host):
            return _local_address(host, port)
        return str(await deferToThreadPool(reactor, reactor.getThreadPool(), _local_address, host, port))
    except OSError as error:
        raise Unavailable(host, f"there is no route to it ({error})") from None


async def addresses_of(reactor: Any, host: str) -> list[str]:
    """The IP addresses that a name has now, none if it has none; looked up in a thread."""
    try:
        found = await deferToThreadPool(reactor, reactor.getThreadPool(), socket.getaddrinfo, host, None)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


def base_url(local: str, listeners: list[tuple[str, int]]) -> str | None:
    """`http://LOCAL:PORT` for the best of the open listeners, given as (interface, port); None if none is open.

    One on that very address goes before one on all addresses, that before any other. Those on loopback count only for
    loopback.
    """
    if not ip_address(local.partition("%")[0]).is_loopback:
        listeners = [listener for listener in listeners if listener[0] in ANY or not ip_address(
            listener[0].partition("%")[0]).is_loopback]

    def fitness(listener: tuple[str, int]) -> int:
        return 0 if listener[0] == local else 1 if listener[0] in ANY else 2

    if not listeners:
        return None
    interface, port = min(listeners, key=fitness)
    return url_of(interface if fitness((interface, port)) == 2 else local, port)


def zoned(host: str, zone: str) -> str:
    """A host as the system's calls want it: a link-local address with the interface that it is reached over.

    RFC 4007; in messages it stands without.
    """
    return f"{host}%{zone}" if zone and "%" not in host and host.lower().startswith("fe80:") else host


def local_base(addresses: tuple[Address, ...], client: str, listeners: list[tuple[str, int]]) -> tuple[str, int] | None:
    """The address and port for a client on a link where we have these addresses; None if nothing listens there.

    It is of the same version of IP; one in the client's own network comes first, and of others a global one.
    """
    asker = ip_address(client.partition("%")[0])
    alike = [address for address in addresses if address.version == asker.version]
    for address in sorted(alike, key=lambda address: (asker not in address.network, address.is_link_local)):
        host = str(address.ip)
        for interface, port in listeners:
            if interface == host or interface == "::" or (interface in ANY and address.version == 4):
                return host, port
    return None


def url_of(host: str, port: int) -> str:
    """The URL of an address of ours, without a path; an IPv4 address in IPv6's clothes as itself, without a scope."""
    return f"http://{authority(host.partition('%')[0], port)}"


def authority(host: str, port: int) -> str:
    """An address with its port; an IPv4 address in IPv6's clothes as itself."""
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
