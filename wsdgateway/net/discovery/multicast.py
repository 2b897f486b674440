"""UDP port 3702 on the links of this host: one socket for each interface and IP version, shared with other programs.

WS-Discovery 2005/04, section 2.4 (239.255.255.250 and ff02::c); SOAP-over-UDP. A socket is bound to the group's
address, so that it receives no datagrams for other daemons on this host, and to its interface, so that the origin of a
request is known. Probes and Resolves are sent from a separate port, which receives the answers.
"""

import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol

from wsdgateway.net.transport.interfaces import Interface

PORT = 3702
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}
MAX_DATAGRAM = 65536
SEND_BUFFER = 1 << 20  # holds answers to hosts that do not exist until their address resolution fails

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def open_socket(interface: Interface, version: int, *, group: bool, groups: dict[int, str] = GROUPS,
                port: int | None = None, hops: int = 1) -> socket.socket:
    """Open a socket on that interface, bound to the group and its port, or to a port of its own. Raises `OSError`.

    The groups and the port are those of WS-Discovery unless given; `hops` is the time to live of a multicast.
    """
    port = PORT if port is None else port
    made = socket.socket(_FAMILIES[version], socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        address = groups[version] if group else ("0.0.0.0" if version == 4 else "::")
        if group:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # some daemons only set this one
        if version == 4:
            where = struct.pack("@4s4si", socket.inet_aton(groups[4]), bytes(4), interface.index)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, where)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
            made.bind((address, port if group else 0))
            if group:
                made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, where)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
            made.bind((address, port if group else 0, 0, interface.index if group else 0))
            if group:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                socket.inet_pton(socket.AF_INET6, groups[6]) + struct.pack("@I", interface.index))
    except OSError:
        made.close()
        raise
    return made


class Link:
    """One interface and IP version. `on_datagram(link, data, host, port, answer)` is called for each datagram.

    `answer`: it came to the link's own port, from which it sends requests; the link has one if `has_own_port`. `failed`
    is set, with the `problem`, when a multicast could not be sent, for example because an address is new and not usable
    yet.
    """

    def __init__(self, reactor: Any, interface: Interface, version: int, *, has_own_port: bool,
                 on_datagram: Callable[["Link", bytes, str, int, bool], None]) -> None:
        self.interface = interface
        self.version = version
        self._group, self._own = _Port(self, on_datagram, False), _Port(self, on_datagram, True)
        self._ports: list[IListeningPort] = []
        self.failed = False
        self.problem = ""
        try:
            for wanted, port, group in ((True, self._group, True), (has_own_port, self._own, False)):
                if wanted:
                    with open_socket(interface, version, group=group) as made:
                        self._ports.append(reactor.adoptDatagramPort(
                            made.fileno(), _FAMILIES[version], port, MAX_DATAGRAM))
        except OSError:
            self.close()
            raise

    def __str__(self) -> str:
        return f"{self.interface.name} (IPv{self.version})"

    def announce(self, data: bytes) -> None:
        """Multicast from the group's port: Hello and Bye."""
        self._write(self._group, data, GROUPS[self.version], PORT)

    def ask(self, data: bytes) -> None:
        """Multicast from the link's own port, which receives the answers: Probe and Resolve."""
        self._write(self._own, data, GROUPS[self.version], PORT)

    def answer(self, data: bytes, host: str, port: int) -> None:
        """Send to one client, from the group's port: ProbeMatches and ResolveMatches."""
        self._write(self._group, data, host, port)

    def _write(self, port: "_Port", data: bytes, host: str, number: int) -> None:
        try:
            if port.transport is not None:
                port.transport.write(data, (host, number))
        except Exception as error:  # the system or Twisted may refuse it temporarily
            if host == GROUPS[self.version]:
                self.failed, self.problem = True, str(error)

    def close(self) -> Deferred[Any]:
        """Close the sockets. The Deferred fires when they are closed."""
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


class _Port(DatagramProtocol):
    noisy = False
    transport: Any = None

    def __init__(self, link: Link, on_datagram: Callable[[Link, bytes, str, int, bool], None], answer: bool) -> None:
        self._link = link
        self._on_datagram = on_datagram
        self._answer = answer

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._on_datagram(self._link, datagram, str(addr[0]), int(addr[1]), self._answer)
