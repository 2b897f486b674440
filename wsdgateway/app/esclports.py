"""Opens the TCP ports of the eSCL scanners: one for each, and another one for TLS.

`[escl]`, `[[scanner]] escl`. `app.assignedports` assigns them. A port is opened once it is stored, and is not replaced
by another one because it cannot be opened. Each gateway opens the ports of all scanners. Their addresses are those that
the `[[listen]]` sections are open on, and follow the addresses of this host.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.app.assignedports import AssignedPorts
from wsdgateway.app.certificates import reload_identity, remark_on
from wsdgateway.app.escladdresses import addresses_to_open
from wsdgateway.bridge.frontends.escl.ports import Place
from wsdgateway.config.endpoints import own_identity_files, tcp_endpoint
from wsdgateway.config.esclports import reserved_ports
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.net.clients.router import Router
from wsdgateway.net.escl.service import NOWHERE
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.portserver import PortServer
from wsdgateway.net.server.server import HTTPServer
from wsdgateway.net.transport.interfaces import Interface, InterfaceWatch, read_interfaces
from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.localaddress import ANY, own_address, url_of
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.tls.identity import CurrentIdentity

ROOT = b"/eSCL"
SECTION = "[escl]"  # names the certificate in the log and in the metric

# An address to open, and the index of its interface if it is link-local: it must be opened again if that changes.
_Where = tuple[str, int]


@attrs.frozen(eq=False)
class _Open:
    """One port of a scanner, and its listeners, one for each address. `is_fixed` if the port is `escl_port`."""

    port: int
    is_fixed: bool
    listeners: dict[_Where, Listener] = attrs.Factory(dict)


class EsclPorts:
    """The open ports of all eSCL scanners. `known` has the section of each scanner.

    `load` is called when the store can be read. `base` returns the base URL of the `[[listen]]` section for clients
    that reached a local address, None without one. `on_change` is called when a port has been opened or closed.
    `sockets` opens ports without TLS, `reactor` those with it. Raises `BadIdentity` if the certificate cannot be read.
    """

    log = Logger()

    def __init__(self, reactor: Any, sockets: Any, config: Config, server: HTTPServer, router: Router,
                 known: Mapping[str, ScannerConfig], assigned: AssignedPorts, base: Callable[[str], str | None], *,
                 wall: Callable[[], float],
                 read: Callable[[], dict[str, Interface]] = read_interfaces) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._config = config
        self._server = server
        self._router = router
        self._known = known
        self._assigned = assigned
        assigned.on_change = self.changed
        self._base = base
        self._wall = wall
        files = None if config.escl is None else own_identity_files(config.escl, config.folder)
        self._identity = None if files is None else CurrentIdentity(files)
        self._open: dict[Place, _Open] = {}
        self._addresses: tuple[_Where, ...] = ()
        self._watch = InterfaceWatch(reactor, None, self._follow, read)
        self._running = False
        self._syncing: IDelayedCall | None = None
        self._closing = Tasks("Closing a port of an eSCL scanner failed")
        self.on_change: Callable[[], None] = lambda: None
        self._ended: Counter[int] = Counter()  # the ports whose listeners are being closed

    async def load(self) -> None:
        """Open the ports, once the assigned ones have been read from the store."""
        if self._config.escl is None:
            return
        remark_on(self.log, SECTION, self._identity, self._wall())
        await self._assigned.read()
        self._watch.start()
        self._running = True
        self._sync()
        await self._assigned.idle()
        self._sync_now()

    async def refresh(self) -> None:
        """Read the assigned ports from the store again, since other gateways may have assigned some."""
        if self._running and await self._assigned.read():
            self.changed()

    def configure(self, config: Config) -> None:
        """Open and close ports for another configuration, and read the certificate again."""
        self._config = config
        files = None if config.escl is None else own_identity_files(config.escl, config.folder)
        if self._identity is not None and files is not None:
            reload_identity(self.log, SECTION, self._identity, files, self._wall())
        self.changed()

    def _sync_now(self) -> None:
        """Do at once what `changed` does later."""
        if self._running and self._syncing is not None:
            self._syncing.cancel()
            self._sync()

    def changed(self) -> None:
        """Open and close ports after scanners were added or removed. One that is replaced at once keeps its port."""
        if self._running and self._syncing is None:
            self._syncing = self._reactor.callLater(0, self._sync)

    def certificates(self) -> list[tuple[str, float]]:
        """The name of the certificate's section, and its expiry in seconds since 1970; empty without TLS."""
        return [] if self._identity is None else [(SECTION, self._identity.identity.expires.timestamp())]

    # Opening and closing.

    def _follow(self, interfaces: dict[str, Interface]) -> None:
        """Open and close ports after the addresses of this host have changed."""
        addresses = tuple((one, _index(one, interfaces)) for one in addresses_to_open(self._config, interfaces))
        if addresses != self._addresses:
            self._addresses = addresses
            self.changed()

    def _sync(self) -> None:
        self._syncing = None
        offered = [name for name, section in self._known.items() if section.escl]
        fixed = {Place(name): port for name in offered if (port := self._known[name].escl_port) is not None}
        escl = self._config.escl
        assert escl is not None
        places = [Place(name, secure) for secure in (False, True) for name in offered
                  if not secure or self._identity is not None]
        ports = self._assigned.assign(
            places, fixed, {place: one.port for place, one in self._open.items() if not one.is_fixed}, escl.ports,
            reserved_ports(self._config))
        for place, one in list(self._open.items()):
            if ports.get(place) != one.port:
                self._close(place)
        for place in places:
            port = ports.get(place)
            if port is None:
                continue
            if place not in self._open:
                if self._ended[port] or not (place in fixed or self._assigned.has(place, port)):
                    continue  # once the port is closed, or stored, this is called again
                self._begin(place, port, is_fixed=place in fixed)
            self._open_addresses(place)

    def _begin(self, place: Place, port: int, *, is_fixed: bool) -> None:
        self._open[place] = _Open(port, is_fixed)
        if not self._addresses:
            self.log.warn("{scanner}: no port is opened for eSCL, because no [[listen]] is open on an address of the "
                          "clients' side", scanner=place.scanner)

    def _open_addresses(self, place: Place) -> None:
        """Open the port on addresses that are new, and close it on those that are gone."""
        one = self._open[place]
        for where in [known for known in one.listeners if known not in self._addresses]:
            self._closing.run(_stop(one.listeners.pop(where)))
            self.on_change()
        factory = PortServer(self._server, lambda exchange: self._respond(place.scanner, exchange), self._base)
        for where in self._addresses:
            if where in one.listeners:
                continue
            listener = one.listeners[where] = Listener(
                self._reactor if place.secure else self._sockets, tcp_endpoint(one.port, where[0]), factory,
                identity=self._identity if place.secure else None)
            listener.opened.addCallback(partial(self._opened, place, listener))
            listener.startService()

    def _opened(self, place: Place, listener: Listener, _: None) -> None:
        address = listener.address
        if address is not None:
            self.log.info("{scanner}: eSCL at {url}/eSCL", scanner=place.scanner, url=self._url(address, place.secure))
            self.on_change()

    def _respond(self, name: str, exchange: Exchange) -> None:
        """Answer a request at a scanner's port; clients write one or two slashes before the root."""
        path = b"/" + exchange.request.path.lstrip(b"/")
        address = self._router.resource_of(name.encode(), ROOT[1:])
        is_below = path == ROOT or path.startswith(ROOT + b"/")
        if address is None or not is_below:
            self._router.serve(exchange, (NOWHERE, b""))
        else:
            self._router.serve(exchange, (address, path[len(ROOT):]))

    def _close(self, place: Place) -> None:
        one = self._open.pop(place)
        for listener in one.listeners.values():
            self._ended[one.port] += 1
            self._closing.run(self._end(listener, one.port))
        self.on_change()

    async def _end(self, listener: Listener, port: int) -> None:
        """Close a listener; another scanner may wait for its port."""
        try:
            await listener.stopService()
        finally:
            self._ended[port] -= 1
            self.changed()

    # For the admin site, the announcements and the start.

    @property
    def listeners(self) -> list[Listener]:
        """Every listener of an eSCL scanner, open or not."""
        return [listener for one in self._open.values() for listener in one.listeners.values()]

    def port(self, name: str, *, secure: bool = False) -> int | None:
        """The port of a scanner, with or without TLS; None while it is not open."""
        return next((port for _, port in self.addresses(name, secure=secure)), None)

    def addresses(self, name: str, *, secure: bool = False) -> list[tuple[str, int]]:
        """Each address and port at which a scanner's port is open."""
        one = self._open.get(Place(name, secure))
        return [] if one is None else [
            listener.address for listener in one.listeners.values() if listener.address is not None]

    def url(self, name: str, *, secure: bool = False) -> str | None:
        """The root of a scanner's eSCL service for clients, with or without TLS; None while no such port is open."""
        address = next(iter(self.addresses(name, secure=secure)), None)
        return None if address is None else f"{self._url(address, secure)}{ROOT.decode()}"

    def serves(self, interface: str, address: IPv4Address | IPv6Address) -> bool:
        """True if ports of eSCL scanners are open on this address of that interface."""
        wanted = {str(address), f"{address}%{interface}", "::", *(("0.0.0.0",) if address.version == 4 else ())}
        return any(listener.address is not None and listener.address[0] in wanted for listener in self.listeners)

    def _url(self, address: tuple[str, int], secure: bool) -> str:
        host, port = address
        if host in ANY:
            host = own_address(self._config.discovery.client_interfaces, 6 if host == "::" else 4)
        return url_of(host, port, secure=secure)

    async def stop(self) -> None:
        """Close all ports."""
        self._running = False
        self._assigned.stop()
        self._watch.stop()
        if self._syncing is not None:
            self._syncing.cancel()
            self._syncing = None
        stopping = [Deferred.fromCoroutine(_stop(listener)) for listener in self.listeners]
        self._open.clear()
        await gatherResults(stopping)


async def _stop(listener: Listener) -> None:
    await listener.stopService()


def _index(address: str, interfaces: dict[str, Interface]) -> int:
    """The index of a link-local address's interface; 0 for any other address."""
    zone = address.partition("%")[2]
    return interfaces[zone].index if zone in interfaces else 0
