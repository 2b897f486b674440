"""Checks where clients want their notifications: looks names up, and knows the gateway's own addresses.

The rules are `bridge.sinks`'.
"""

import socket
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from wsdgateway.bridge.sinks import BadSink, IPAddress, Network, Sink, admit, literal, parse_sink
from wsdgateway.eventing.faults import destination_unreachable
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.faults import Refused

LOOKUP_SECONDS = 5.0


@attrs.frozen(eq=False)
class SinkPolicy:
    """Who may be sent notifications. `listeners` gives interface and port of each of our own ones."""

    reactor: Any
    networks: tuple[Network, ...]
    listeners: Callable[[], list[tuple[str, int]]]

    async def check(self, name: str, reference: EndpointReference, client: str) -> Sink:
        """The sink behind a NotifyTo or EndTo (`name`) of the subscriber at that IP address. Raises `Refused`."""
        try:
            address = parse_sink(reference.address)
            found = [address.host] if literal(address.host) is not None else await self._look_up(address.host)
            return Sink(reference, admit(found, address, client=client, networks=self.networks, is_own=self._is_own))
        except BadSink as bad:
            raise Refused(destination_unreachable(f"{name} is refused: {bad}.")) from None

    async def _look_up(self, host: str) -> list[str]:
        looking: Deferred[Any] = deferToThreadPool(
            self.reactor, self.reactor.getThreadPool(), socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        looking.addTimeout(LOOKUP_SECONDS, self.reactor)
        try:
            return [str(found[4][0]) for found in await looking]
        except Exception:  # no such name, or no answer in time: what failed is a look-up, whatever it raised
            raise BadSink(f"the name {host} can't be looked up; send an IP address") from None

    def _is_own(self, ip: IPAddress, port: int) -> bool:
        return any(port == own and (literal(interface) == ip or (_is_any(interface) and _is_local(ip)))
                   for interface, own in self.listeners())


def _is_any(interface: str) -> bool:
    address = literal(interface)
    return not interface or (address is not None and address.is_unspecified)


def _is_local(ip: IPAddress) -> bool:
    """Whether an address is one of this machine's: a socket can be bound to it."""
    if ip.is_loopback:
        return True
    with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError:
            return False
        return True
