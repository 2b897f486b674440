"""UDP port 5353 on one interface and version of IP, shared with other responders on this host such as Avahi.

RFC 6762, section 15. The socket is bound to the group's address and to its interface. So it receives no unicast meant
for another responder, and nothing from other interfaces. IPV6_MULTICAST_ALL would not keep these away: Linux then
compares the group, but not the interface.
"""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol

from wsdgateway.bridge.dnssd.replies import PORT
from wsdgateway.dnssd.messages import MAX_MESSAGE
from wsdgateway.net.discovery.multicast import open_socket
from wsdgateway.net.transport.interfaces import Interface

GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}
HOPS = 255  # RFC 6762, section 11
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

OnDatagram = Callable[["MulticastLink", bytes, str, int], None]


class MulticastLink(DatagramProtocol):
    """One interface and version of IP. `on_datagram(link, data, host, port)` is called for each datagram.

    `failed` is set when a multicast could not be sent, for example because an address is new and not usable yet.
    """

    noisy = False
    transport: Any = None

    def __init__(self, reactor: Any, interface: Interface, version: int, on_datagram: OnDatagram) -> None:
        self.interface = interface
        self.version = version
        self._on_datagram = on_datagram
        self.failed = False
        with open_socket(interface, version, group=True, groups=GROUPS, port=PORT, hops=HOPS) as made:
            if version == 4:
                made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
            else:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
            self._port: IListeningPort | None = reactor.adoptDatagramPort(
                made.fileno(), _FAMILIES[version], self, MAX_MESSAGE + 1)

    def send(self, data: bytes, host: str = "", port: int = PORT) -> None:
        """Send to one host, or to everybody on the link."""
        try:
            if self._port is not None and self.transport is not None:
                self.transport.write(data, (host or GROUPS[self.version], port))
        except Exception:  # the system or Twisted may refuse it temporarily
            self.failed = self.failed or not host

    def close(self) -> Deferred[Any]:
        """Close the socket. The Deferred fires when it is closed."""
        port, self._port = self._port, None
        closing = None if port is None else port.stopListening()
        return succeed(None) if closing is None else closing

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Pass a datagram on."""
        if self._port is not None:
            self._on_datagram(self, datagram, str(addr[0]), int(addr[1]))
