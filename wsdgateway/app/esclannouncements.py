"""Announces the eSCL scanners by DNS-SD on the clients' interfaces, while they can be used there.

`[escl] announce` and `[discovery] client_interfaces`. A scanner is announced as long as its stand-in is, so that
clients that hide a WSD scanner behind an eSCL one find one of the two, and only where no other host announces it. One
that was read before the start is announced from the start on.
"""

import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.app.esclcapabilities import EsclCapabilities
from wsdgateway.app.gatewayid import gateway_id
from wsdgateway.bridge.dnssd.others import OtherScanner
from wsdgateway.bridge.frontends.escl.announcing import Foreign, announced_by, distinct_names, secured, service_of
from wsdgateway.config.redisurl import is_redis
from wsdgateway.config.sections import Config
from wsdgateway.dnssd.scannerservice import ScannerService
from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.http.urls import ip_of
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.dnssd.announcer import Announcer, is_gateway
from wsdgateway.net.transport.localaddress import ANY, OpenPort
from wsdgateway.net.transport.tasks import Tasks

PAUSE = 0.3  # seconds from a change to its announcement, so that changes at the same time are one
HOLD_SECONDS = 10.0  # at the start, for the capabilities of all scanners that are there

Address = IPv4Address | IPv6Address


class Ports(Protocol):
    """The ports of eSCL scanners."""

    def port(self, name: str, *, secure: bool = False) -> int | None:
        """The port of a scanner, with or without TLS; None while it is not open."""

    def serves(self, interface: str, address: Address) -> bool:
        """True if ports of eSCL scanners are open on this address of the host."""


@attrs.frozen
class Place:
    """The announcement of a scanner on one interface: its instance name there, or the reason why it has none."""

    interface: str
    name: str | None = None
    reason: str | None = None


@attrs.frozen
class _Wanted:
    """The announcement of a scanner: its services, and the interfaces on which another host announces it."""

    services: tuple[ScannerService, ...]
    left_out: tuple[tuple[str, Foreign], ...] = ()


class EsclAnnouncements:
    """The announcements of one gateway's eSCL scanners, from `start` to `stop`.

    `scanners` are the bridged ones; `ports` are those of their eSCL services, and `open_ports` those of `[[listen]]`.
    `changed` must be called when a scanner or a port has changed.
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Config, scanners: list[BridgedScanner], ports: Callable[[], Ports],
                 open_ports: Callable[[], list[OpenPort]], *, seconds: Callable[[], float] = time.monotonic,
                 make_announcer: Callable[..., Announcer] = Announcer) -> None:
        self._reactor = reactor
        self._config = config
        self._scanners = scanners
        self._ports = ports
        self._open_ports = open_ports
        self._seconds = seconds
        self._make_announcer = make_announcer
        self._is_shared = is_redis(config.gateway.state)
        self._announcer: Announcer | None = None
        self._is_running = False
        self._hold_until = 0.0
        self._wanted: dict[str, _Wanted] = {}
        self._capabilities = EsclCapabilities(seconds, self._sync_at, lambda: self._is_running)
        self._logged: set[tuple[str, str]] = set()
        self._pause: IDelayedCall | None = None
        self._again: IDelayedCall | None = None
        self._stopping = Tasks("Withdrawing eSCL scanners failed")

    def start(self) -> None:
        """Announce the scanners, and follow their changes until `stop`."""
        self._is_running = True
        self._hold_until = self._seconds() + HOLD_SECONDS
        self.changed()

    def configure(self, config: Config) -> None:
        """Use another configuration."""
        self._config = config
        self.changed()

    def changed(self, name: str = "") -> None:
        """Announce the changes of scanners and ports, soon."""
        if self._is_running and self._pause is None:
            self._pause = self._reactor.callLater(PAUSE, self._sync)

    def leave(self, name: str) -> None:
        """Stop announcing a scanner that another gateway announces from now on; clients are told nothing."""
        if self._wanted.pop(name, None) is not None and self._announcer is not None:
            self._announcer.hand_over(name)
            self._logged = {one for one in self._logged if one[0] != name}

    async def stop(self) -> None:
        """Withdraw everything."""
        self._is_running = False
        for call in (self._pause, self._again):
            if call is not None and call.active():
                call.cancel()
        self._end()
        await self._stopping.idle()

    def _end(self) -> None:
        announcer, self._announcer = self._announcer, None
        self._wanted.clear()
        self._logged.clear()
        if announcer is not None:
            self._stopping.run(_stopped(announcer))

    @property
    def _interfaces(self) -> tuple[str, ...]:
        return self._config.discovery.client_interfaces

    @property
    def _is_on(self) -> bool:
        return self._config.escl is not None and self._config.escl.announce and bool(self._interfaces)

    def _sync(self) -> None:
        """Announce, change and withdraw scanners, as the configuration, their state and their ports require."""
        self._pause = None
        if not self._is_on:
            self._end()
            return
        if self._announcer is None:
            self._announcer = self._make_announcer(
                self._reactor, self._interfaces, gateway_id(self._config), on_name=self._named,
                on_others=lambda interface, others: self.changed(), serves=self._ports().serves)
            self._announcer.start()
        usable = self._usable()
        if self._hold_until > self._seconds() and self._is_waiting():
            usable = {name: offered for name, offered in usable.items() if name in self._wanted}
        names = distinct_names({name: self._name(one) for name, (one, _, _) in usable.items()})
        wanted = {name: self._announcement(one, capabilities, port, names[name])
                  for name, (one, capabilities, port) in usable.items()}
        before, self._wanted = self._wanted, wanted
        for name in before.keys() - wanted.keys():
            self._announcer.withdraw(name)
            self.log.info("{scanner}: no longer announced to eSCL clients: {reason}", scanner=name,
                          reason=self._reason(name) or "it is no longer bridged")
            self._logged = {one for one in self._logged if one[0] != name}
        for name, one in wanted.items():
            former = before.get(name)
            if former == one:
                continue
            gone = {service.type for service in former.services} if former is not None else set()
            for kind in gone - {service.type for service in one.services}:
                self._announcer.withdraw(name, kind)
            for service in one.services:
                self._announcer.announce(service, leave_out=frozenset(place for place, _ in one.left_out))
            self._log_left_out(name, one)

    def _log_left_out(self, name: str, wanted: _Wanted) -> None:
        told = {f"on {interface}: {_by_other(other)}" for interface, other in wanted.left_out}
        for text in sorted(told):
            if (name, text) not in self._logged:
                self.log.warn("{scanner}: not announced to eSCL clients {text}", scanner=name, text=text)
        self._logged = {one for one in self._logged if one[0] != name} | {(name, text) for text in told}

    def _named(self, interface: str, service: ScannerService, name: str) -> None:
        self.log.info("{scanner}: announced to eSCL clients on {interface} as {name}, port {port}{tls}",
                      scanner=service.scanner, interface=interface, name=name, port=service.port,
                      tls=" (TLS)" if service.secure else "")

    # What to announce.

    def _usable(self) -> dict[str, tuple[BridgedScanner, ScannerCapabilities, int]]:
        """The scanners to announce, with their capabilities and ports; asks for capabilities that are missing."""
        here = [one for one in self._scanners
                if one.escl is not None and one.escl.is_here and not one.stand_in.is_hidden]
        self._capabilities.follow(self._scanners, here)
        found = {}
        for one in here:
            capabilities, port = self._capabilities.of(one), self._ports().port(one.name)
            if capabilities is not None and port is not None:
                found[one.name] = one, capabilities, port
        return found

    def _is_waiting(self) -> bool:
        """True if a scanner that is there has not given its capabilities yet; the end of the wait is set."""
        waits = any(one.escl is not None and one.escl.is_here and one.escl.offers.last is None
                    for one in self._scanners)
        if waits:
            self._sync_at(self._hold_until)
        return waits

    def _sync_at(self, moment: float) -> None:
        """Look again at that time, at the latest."""
        delay = max(0.0, moment - self._seconds())
        if self._again is not None and self._again.active():
            if self._again.getTime() <= self._reactor.seconds() + delay:
                return
            self._again.cancel()
        self._again = self._reactor.callLater(delay, self.changed)

    def _name(self, scanner: BridgedScanner) -> str:
        shown = "" if scanner.escl is None else scanner.escl.labels.name
        return f"{shown or scanner.name}{self._config.discovery.suffix}"

    def _announcement(self, scanner: BridgedScanner, capabilities: ScannerCapabilities, port: int, name: str
                      ) -> _Wanted:
        offer = None if scanner.escl is None else scanner.escl.offers.last
        note = (offer.location if offer is not None else "") or self._config.gateway.name
        services = [service_of(capabilities, scanner.name, name, port, admin_url=self._admin_url(scanner.name),
                               note=note)]
        secure = self._ports().port(scanner.name, secure=True)
        if secure is not None:
            services.append(secured(services[0], secure))
        uuid = scanner.monitor.endpoint or scanner.options.section.uuid or ""
        addresses = _addresses_of(scanner)
        found = ((interface, announced_by(self._others(interface), uuid, addresses)) for interface in self._interfaces)
        return _Wanted(tuple(services), tuple((interface, other) for interface, other in found if other is not None))

    def _others(self, interface: str) -> frozenset[OtherScanner]:
        """The scanners that other hosts announce, apart from other gateways if they share the scanners.

        What a former owner has announced is known until it expires, and must not keep the next one from announcing.
        """
        found = frozenset[OtherScanner]() if self._announcer is None else self._announcer.others(interface)
        return frozenset(one for one in found if not is_gateway(one.host)) if self._is_shared else found

    def _admin_url(self, name: str) -> str:
        """The page about the scanner at a port of `[[listen]]` that is open on all addresses; else at any of them."""
        ports = sorted((one for one in self._open_ports() if not one.guarded),
                       key=lambda one: (one.interface not in ANY, one.secure))
        if not ports:
            return ""
        return f"http{'s' if ports[0].secure else ''}://{{host}}:{ports[0].port}/{name}"

    # For the admin site.

    def places(self, name: str) -> list[Place]:
        """The interfaces on which a scanner is announced or left out; empty without `[escl]` or client interfaces."""
        if self._config.escl is None:
            return []
        names = {} if self._announcer is None else self._announcer.names(name)
        wanted = self._wanted.get(name)
        others = {} if wanted is None else dict(wanted.left_out)
        reason = self._reason(name)
        return [Place(interface, names[interface]) if interface in names and interface not in others and reason is None
                else Place(interface, reason=reason or (
                    _by_other(others[interface]) if interface in others else "it is being announced, or the interface "
                    "has no address at which its port is open"))
                for interface in self._interfaces]

    def _reason(self, name: str) -> str | None:
        """Why a scanner is announced nowhere; None if it is."""
        scanner = next((one for one in self._scanners if one.name == name), None)
        if not self._is_on:
            return "[escl] announce is false"
        if scanner is None:
            return None
        if not scanner.options.section.escl:
            return "escl is false"
        if scanner.escl is None or not scanner.escl.is_here:
            return "the scanner is not there, or not known yet"
        if self._ports().port(name) is None:
            return "its port is not open"
        if scanner.escl.offers.last is None or scanner.escl.endpoint is None:
            return "its capabilities have not been read yet"
        return "no eSCL client can use its sources and formats" if self._capabilities.of(scanner) is None else None


async def _stopped(announcer: Announcer) -> None:
    await announcer.stop()


def _addresses_of(scanner: BridgedScanner) -> frozenset[Address]:
    """The known addresses of the scanner's host."""
    # Those of a host name are known from the connections to it.
    found = (ip_of(host) for host, _ in scanner.monitor.places())
    return frozenset(address for address in found if address is not None)


def _by_other(other: Foreign) -> str:
    return f"another host announces the scanner there, as {other.name}"
