"""Announces the eSCL scanners by DNS-SD on the clients' interfaces.

`[escl] announce`, `[discovery] client_interfaces`. A scanner is announced while it can be reached, its capabilities
have been read, and its port is open on the interface. It is left out on an interface where it announces itself, because
clients would list it twice, and a gateway behind this one might bridge the copy.
"""

from collections import Counter
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from wsdgateway.app.escl import EsclPorts, gateway_text
from wsdgateway.bridge.dnssd.others import OtherScanner
from wsdgateway.config.sections import Config
from wsdgateway.dnssd.scannerservice import ScannerService
from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.dnssd.announcer import Announcer
from wsdgateway.net.transport.interfaces import read_interfaces
from wsdgateway.net.transport.localaddress import ANY

LOOK_SECONDS = 2.0
_COLORS = {"BlackAndWhite1": "binary", "Grayscale8": "grayscale", "Grayscale16": "grayscale", "RGB24": "color",
           "RGB48": "color"}


def service_of(scanner: str, name: str, port: int, capabilities: ScannerCapabilities, note: str) -> ScannerService:
    """The service of a scanner; `name` is shown to people, and `note` is where it is."""
    profiles = [profile for caps in capabilities.sources for profile in caps.profiles]
    adf = capabilities.adf
    return ScannerService(
        scanner, name, port, capabilities.make_and_model or "Scanner", capabilities.uuid or "",
        formats=tuple(dict.fromkeys(media for profile in profiles for media in profile.formats)),
        colors=tuple(dict.fromkeys(_COLORS[mode] for profile in profiles for mode in profile.color_modes
                                   if mode in _COLORS)),
        sources=(*(("platen",) if capabilities.platen is not None else ()), *(("adf",) if adf is not None else ())),
        duplex=adf is not None and adf.duplex is not None, admin_url=f"http://{{host}}:{port}", note=note)


def announces_itself(uuid: str | None, device: str | None, others: frozenset[OtherScanner]) -> bool:
    """True if one of the others has the endpoint uuid of a scanner, or the address in the URL of its scan service."""
    own = (uuid or "").lower().removeprefix("urn:").removeprefix("uuid:")
    host = urlsplit(device).hostname if device else None
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        address = None
    return any((own and one.uuid == own) or (address is not None and address in one.addresses) for one in others)


class EsclAnnouncements:
    """The announcements of one gateway, from `start` to `stop`. `ports` has the ports of the scanners."""

    log = Logger()

    def __init__(self, reactor: Any, config: Config, scanners: list[BridgedScanner], ports: EsclPorts) -> None:
        self._config = config
        self._scanners = scanners
        self._ports = ports
        self._is_on = config.escl is not None and config.escl.announce and bool(config.discovery.client_interfaces)
        self._announcer = Announcer(reactor, config.discovery.client_interfaces, gateway_text(config),
                                    on_name=self._named)
        self._announced: dict[str, tuple[ScannerService, frozenset[str]]] = {}
        self._left_out: set[tuple[str, str]] = set()
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Announce the scanners, and follow their changes."""
        if self._is_on and not self._looking.running:
            self._announcer.start()
            self._looking.start(LOOK_SECONDS)

    async def stop(self) -> None:
        """Withdraw all announcements."""
        if self._looking.running:
            self._looking.stop()
            await self._announcer.stop()

    def _named(self, interface: str, service: ScannerService, name: str) -> None:
        self.log.info("{scanner}: announced by DNS-SD on {interface} as {name}", scanner=service.scanner,
                      interface=interface, name=name)

    def _look(self) -> None:
        try:
            self._update()
        except Exception:  # the next look may succeed
            self.log.failure("Announcing the eSCL scanners failed")

    def _update(self) -> None:
        wanted = self._wanted()
        for name in set(self._announced) - set(wanted):
            del self._announced[name]
            self._announcer.withdraw(name)
        for name, (service, leave_out) in wanted.items():
            if self._announced.get(name) != (service, leave_out):
                self._announced[name] = service, leave_out
                self._announcer.announce(service, leave_out=leave_out)

    def _wanted(self) -> dict[str, tuple[ScannerService, frozenset[str]]]:
        """The service of each scanner, and the interfaces on which it is left out."""
        found: dict[str, tuple[BridgedScanner, int, ScannerCapabilities]] = {}
        for scanner in self._scanners:
            port = self._ports.port(scanner.name)
            if scanner.escl is None or port is None or scanner.health.reachable is False:
                continue
            scanner.escl.refresh()
            capabilities = scanner.escl.known_capabilities()
            if capabilities is not None:
                found[scanner.name] = scanner, port, capabilities
        shown = {name: scanner.monitor.labels.name or capabilities.make_and_model or name
                 for name, (scanner, _, capabilities) in found.items()}
        common = Counter(shown.values())
        return {name: (service_of(name, shown[name] if common[shown[name]] == 1 else f"{shown[name]} ({name})", port,
                                  capabilities, self._config.gateway.name), self._without(scanner))
                for name, (scanner, port, capabilities) in found.items()}

    def _without(self, scanner: BridgedScanner) -> frozenset[str]:
        """The interfaces on which a scanner is left out: it announces itself there, or its port is not open there."""
        interfaces = read_interfaces()
        hosts = {address[0].partition("%")[0] for address in self._ports.addresses(scanner.name)}
        left_out = set()
        for name in self._config.discovery.client_interfaces:
            own = {str(address.ip) for address in interfaces[name].addresses} if name in interfaces else set()
            if announces_itself(scanner.monitor.endpoint, scanner.bridge.device, self._announcer.others(name)):
                left_out.add(name)
                self._log_once(scanner.name, name)
            elif not hosts & {*ANY, *own}:
                left_out.add(name)
        return frozenset(left_out)

    def _log_once(self, scanner: str, interface: str) -> None:
        if (scanner, interface) not in self._left_out:
            self._left_out.add((scanner, interface))
            self.log.warn("{scanner}: it is not announced by DNS-SD on {interface}, because it announces itself there",
                          scanner=scanner, interface=interface)
