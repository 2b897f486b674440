"""Announces eSCL scanners on the clients' interfaces by multicast DNS, and notices those that others announce there.

RFC 6762 and 6763. Each interface has a responder and a host name of its own, with the addresses of that interface, so
that clients never get an address that they cannot reach. Decisions are in `bridge.dnssd`.
"""

import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsdgateway.bridge.dnssd.others import Address, Others, OtherScanner
from wsdgateway.bridge.dnssd.packing import Packet
from wsdgateway.bridge.dnssd.replies import PORT
from wsdgateway.bridge.dnssd.responder import GOODBYE_PAUSE, Responder
from wsdgateway.dnssd.messages import (
    BadMessage,
    Message,
    Name,
    count_records,
    folded,
    name_of,
    read_message,
    write_message,
)
from wsdgateway.dnssd.scannerservice import TYPES, ScannerService
from wsdgateway.net.dnssd.link import MulticastLink
from wsdgateway.net.transport.interfaces import Interface, InterfaceWatch, read_interfaces

# Taken of one interface between two polls of the interfaces, every message counting as one more; the rest is dropped.
# Measured: a record with the longest name takes 30 µs.
RECORDS_PER_POLL = 10000
_NAMESPACE = uuid.UUID("5f0f4e8e-6f0a-5b9e-9c38-0d2b7f5f1c55")

_PREFIX = "wsdgw-"

OnName = Callable[[str, ScannerService, str], None]
OnOthers = Callable[[str, frozenset[OtherScanner]], None]


def host_name(gateway: str, interface: str) -> str:
    """The host name of a gateway on one of its interfaces, `wsdgw-….local`, the same after a restart."""
    return f"{_PREFIX}{uuid.uuid5(_NAMESPACE, f'{gateway}/{interface}').hex[:12]}.local"


def is_gateway(host: str) -> bool:
    """True for the host name of any gateway."""
    return host.startswith(_PREFIX)


@attrs.define(eq=False)
class _Place:
    """One interface while it exists."""

    interface: Interface
    responder: Responder
    others: Others
    links: dict[int, MulticastLink] = attrs.Factory(dict)
    told: frozenset[OtherScanner] = frozenset()
    timer: Any = None
    left: int = RECORDS_PER_POLL
    problems: dict[int, str] = attrs.Factory(dict)


class Announcer:
    """Announces services on the interfaces while these exist; opens no socket if none are given.

    `gateway` is a stable text that no other gateway has. `serves(interface, address)` is false for an address at which
    the services cannot be reached; it is asked again whenever the interfaces are polled. Three functions are called
    with the interface's name: `on_name(interface, service, name)` when a service is announced under that instance name,
    `on_conflict` likewise when another host has the name, and `on_others(interface, scanners)` when other hosts
    announce other scanners than before.
    """

    log = Logger()

    def __init__(self, reactor: Any, interfaces: tuple[str, ...], gateway: str, *,
                 on_name: OnName = lambda interface, service, name: None,
                 on_conflict: OnName = lambda interface, service, name: None,
                 on_others: OnOthers = lambda interface, scanners: None,
                 serves: Callable[[str, Address], bool] = lambda interface, address: True,
                 seconds: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random,
                 read: Callable[[], dict[str, Interface]] = read_interfaces,
                 open_link: Callable[..., MulticastLink] = MulticastLink) -> None:
        self._reactor = reactor
        self._interfaces = interfaces
        self._hosts = {name: host_name(gateway, name) for name in interfaces}
        self._own_hosts = {folded(name_of(host)) for host in self._hosts.values()}
        self._on_name, self._on_conflict, self._on_others = on_name, on_conflict, on_others
        self._serves = serves
        self._seconds = seconds
        self._draw = draw
        self._open_link = open_link
        self._services: dict[tuple[str, str], tuple[ScannerService, frozenset[str]]] = {}
        self._places: dict[str, _Place] = {}
        self._missing: frozenset[str] = frozenset()
        self._watch = InterfaceWatch(reactor, interfaces, self._reconcile, read)
        self._running = False

    def start(self) -> None:
        """Open the interfaces, and follow their changes until `stop`."""
        self._running = True
        if self._interfaces:
            self._watch.start()

    def stop(self) -> Deferred[None]:
        """Withdraw everything and close the sockets; the Deferred fires when both are done, within a second."""
        return Deferred.fromCoroutine(self._stop())

    def announce(self, service: ScannerService, *, leave_out: frozenset[str] = frozenset()) -> None:
        """Announce a service, or a change of one, on all interfaces but these.

        A service is known by its scanner and type: one scanner can have `_uscan._tcp` and `_uscans._tcp`.
        """
        key = service.scanner, service.type
        self._services[key] = service, leave_out
        for place in self._places.values():
            self._apply(place, key)

    def withdraw(self, scanner: str, kind: str | None = None) -> None:
        """Withdraw the services of a scanner, or the one of a type."""
        for key in [(scanner, one) for one in TYPES if kind in (None, one)]:
            if self._services.pop(key, None) is not None:
                for place in self._places.values():
                    self._apply(place, key)

    def hand_over(self, scanner: str) -> None:
        """Withdraw the services of a scanner without a goodbye, since another host announces them from now on."""
        for kind in TYPES:
            if self._services.pop((scanner, kind), None) is not None:
                for place in self._places.values():
                    place.responder.hand_over((scanner, kind))

    def names(self, scanner: str) -> dict[str, str]:
        """The instance name of a scanner on each interface where it is announced."""
        return {name: shown for name, place in self._places.items()
                for (one, _), shown in place.responder.names.items() if one == scanner}

    def others(self, interface: str) -> frozenset[OtherScanner]:
        """The eSCL scanners that other hosts announce on an interface."""
        place = self._places.get(interface)
        return frozenset() if place is None else place.others.scanners

    def _apply(self, place: _Place, key: tuple[str, str]) -> None:
        """Announce or withdraw one service on one interface."""
        service, leave_out = self._services.get(key, (None, frozenset[str]()))
        now = self._seconds()
        if service is None or place.interface.name in leave_out:
            self._send(place, place.responder.withdraw(now, key))
        else:
            self._send(place, place.responder.announce(now, service))
        self._advance(place)

    def _reconcile(self, current: dict[str, Interface]) -> None:
        """Open and close links to match the current interfaces."""
        missing = frozenset(self._interfaces) - set(current)
        for name in sorted(missing - self._missing):
            self.log.warn("[escl] {name}: there is no such interface with an address yet; scanners are announced on it "
                          "as soon as there is. Available: {others}", name=name,
                          others=", ".join(self._watch.all) or "none")
        self._missing = missing
        for name, place in list(self._places.items()):
            if name not in current or current[name].index != place.interface.index:
                self._close(self._places.pop(name))
        for name, interface in current.items():
            if any(address.is_loopback for address in interface.addresses):
                continue  # no client is there, and it has no multicast
            is_new = name not in self._places
            if is_new:
                self._places[name] = self._open(interface)
            self._follow(self._places[name], interface)
            if is_new:
                for key in self._services:
                    self._apply(self._places[name], key)

    def _open(self, interface: Interface) -> _Place:
        name = interface.name
        responder = Responder(self._hosts[name], self._draw,
                              on_name=lambda service, shown: self._on_name(name, service, shown),
                              on_conflict=lambda service, shown: self._conflict(name, service, shown))
        return _Place(interface, responder, Others(self._seconds(), self._is_own, self._draw))

    def _follow(self, place: _Place, interface: Interface) -> None:
        """Take over the interface's addresses, and open or close its sockets; announce again after failures."""
        place.interface, place.left = interface, RECORDS_PER_POLL
        opened = False
        for version in (4, 6):
            if not interface.speaks(version) and version in place.links:
                place.links.pop(version).close()
            elif interface.speaks(version) and version not in place.links:
                opened = self._open_version(place, version) or opened
        now = self._seconds()
        usable = [one.ip for one in interface.addresses if place.links and self._serves(interface.name, one.ip)]
        self._send(place, place.responder.set_addresses(now, usable))
        if opened or any(link.failed for link in place.links.values()):
            for link in place.links.values():
                link.failed = False
            self._send(place, place.responder.announce_again(now))
        self._advance(place)

    def _open_version(self, place: _Place, version: int) -> bool:
        name = place.interface.name
        try:
            place.links[version] = self._open_link(self._reactor, place.interface, version, self._receive)
        except OSError as error:
            if place.problems.get(version) != str(error):
                self.log.error("[escl] announcing on {name} (IPv{version}): {error}; retrying every few seconds",
                               name=name, version=version, error=str(error))
            place.problems[version] = str(error)
            return False
        place.problems.pop(version, None)
        return True

    def _close(self, place: _Place) -> Deferred[Any]:
        if place.timer is not None and place.timer.active():
            place.timer.cancel()
        links, place.links = list(place.links.values()), {}
        if place.told:
            self._on_others(place.interface.name, frozenset())
        return gatherResults([maybeDeferred(link.close) for link in links])

    def _receive(self, link: MulticastLink, data: bytes, host: str, port: int) -> None:
        """Take a datagram of a host on this link; any other sender is forged (RFC 6762, section 11)."""
        place = self._places.get(link.interface.name)
        if place is None or place.left <= 0 or not place.interface.holds(host):
            return
        place.left -= 1 + count_records(data)
        try:
            message = read_message(data)
        except BadMessage:
            return
        now = self._seconds()
        if message.response and port == PORT:
            place.others.receive(now, message)
            self._tell(place)
        self._send(place, place.responder.receive(now, link.version, host, port, message))
        self._advance(place)

    def _advance(self, place: _Place) -> None:
        """Send the messages that are due on an interface, and set the timer for the next time."""
        if place.timer is not None and place.timer.active():
            place.timer.cancel()
        if not place.links or not self._running:
            return
        now = self._seconds()
        self._send(place, place.responder.advance(now))
        if place.others.deadline <= now:
            for question in place.others.advance(now, place.responder.pointers):
                self._write(place, question, None)
            self._tell(place)
        deadline = min(place.others.deadline, place.responder.deadline or float("inf"))
        place.timer = self._reactor.callLater(max(0.0, deadline - now), self._advance, place)

    def _tell(self, place: _Place) -> None:
        """Tell what others announce on an interface if it has changed."""
        scanners = place.others.scanners
        if scanners != place.told:
            place.told = scanners
            self._on_others(place.interface.name, scanners)

    def _send(self, place: _Place, packets: list[Packet]) -> None:
        for packet in packets:
            self._write(place, packet.message, packet)

    def _write(self, place: _Place, message: Message, packet: Packet | None) -> None:
        data = write_message(message)
        for version, link in place.links.items():
            if packet is None or packet.version in (None, version):
                link.send(data, *((packet.host, packet.port) if packet is not None and packet.host else ()))

    def _conflict(self, interface: str, service: ScannerService, name: str) -> None:
        self.log.info("[escl] {scanner}: another host on {interface} announces the name {name}; it gets another number",
                      scanner=service.scanner, interface=interface, name=name)
        self._on_conflict(interface, service, name)

    def _is_own(self, host: Name) -> bool:
        return host in self._own_hosts

    async def _stop(self) -> None:
        self._running = False
        self._watch.stop()
        goodbyes = [(place, place.responder.stop()) for place in self._places.values()]
        for place, packets in goodbyes:
            self._send(place, packets)
        if any(packets for _, packets in goodbyes):
            await deferLater(self._reactor, GOODBYE_PAUSE)
            for place, packets in goodbyes:
                self._send(place, packets)
        for name in list(self._places):
            await self._close(self._places.pop(name))
