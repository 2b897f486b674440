"""The eSCL side of the gateway: its spool, and a port for each scanner.

`[escl]`, `[[scanner]] escl` and `escl_port`. A scanner's port is stored when it is assigned, and is never replaced by
another one because it cannot be opened. Its addresses are those that the `[[listen]]` sections are open on.
"""

import socket
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.app.esclannouncements import announced_hosts
from wsdgateway.bridge.frontends.escl.ports import assign_ports
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.config.endpoints import interface_of, tcp_endpoint
from wsdgateway.config.esclports import reserved_ports
from wsdgateway.config.sections import Config, Escl
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.clients.router import Router
from wsdgateway.net.context import EsclContext
from wsdgateway.net.conversion import Converter
from wsdgateway.net.escl.service import NOWHERE
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.portserver import PortServer
from wsdgateway.net.server.server import HTTPServer
from wsdgateway.net.transport.interfaces import Interface, read_interfaces
from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.localaddress import ANY, own_address, url_of
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.spool import Spool
from wsdgateway.storage.store import IStore, StoreError

ROOT = b"/eSCL"
MAX_ADDRESSES = 32  # that a scanner's port is opened on


class SpoolUnusable(Exception):
    """The spool's folder cannot be used; the text says why."""


def make_spool(config: Config) -> tuple[Spool, Room]:
    """The spool of the gateway's own scan jobs, which is not open yet, and the room in it."""
    return Spool(config.spool), Room((config.escl or Escl()).spool_size)


def open_spool(config: Config, spool: Spool, room: Room, converter: Converter, metrics: Metrics) -> EsclContext | None:
    """Open the spool, and delete the pages of an earlier start; returns None without `[escl]`.

    Raises `SpoolUnusable`.
    """
    if config.escl is None:
        return None
    try:
        deleted = spool.open()
    except StoreError as error:
        raise SpoolUnusable(str(error)) from None
    if deleted:
        Logger().info("{folder}: deleted {count} page(s) of an earlier start from the spool", folder=str(spool.folder),
                      count=deleted)
    metrics.watch_spool(lambda: room.unfetched)
    return EsclContext(spool, room, converter, set(host_names(config)), lambda: str(uuid.uuid4()))


def is_for_escl(path: bytes) -> bool:
    """True for a path below `/NAME/eSCL`. Clients write the body of any answer into their image file."""
    return path[1:].partition(b"/")[2].startswith(b"eSCL/")


def host_names(config: Config) -> frozenset[str]:
    """The names under which clients may reach this gateway, in lower case."""
    own = {socket.gethostname(), socket.gethostname().partition(".")[0], config.gateway.name}
    advertised = {urlsplit(listen.advertise).hostname or "" for listen in config.listen if listen.advertise}
    return frozenset(name.lower() for name in (
        *own, *(f"{name}.local" for name in own), *advertised, *config.admin.hosts, *announced_hosts(config)) if name)


def addresses_to_open(config: Config, interfaces: dict[str, Interface]) -> list[str]:
    """The addresses for eSCL clients: those of the `[[listen]]` sections, without the ones on the scanners' side.

    "0.0.0.0" or "::" stands for all. Link-local IPv6 addresses of client interfaces, where some clients look first, are
    added, with their zones.
    """
    escl, discovery = config.escl or Escl(), config.discovery
    if escl.interface:
        return [escl.interface]
    scanners_side = set(discovery.device_interfaces) - set(discovery.client_interfaces)
    left_out = {str(address.ip) for name in scanners_side & set(interfaces) for address in interfaces[name].addresses}
    listened = [interface for listen in config.listen if (interface := interface_of(listen.endpoint)) is not None]
    found: dict[str, None] = {}
    for interface in listened:
        if interface in ANY and not scanners_side:
            return ["::"] if "::" in listened else ["0.0.0.0"]
        if interface in ANY:
            found |= dict.fromkeys(_all(interfaces, left_out, with_ipv6=interface == "::"))
        elif interface.partition("%")[0] not in left_out:
            found[interface] = None
    link_local = (f"{address.ip}%{name}" for name in discovery.client_interfaces if name in interfaces
                  for address in interfaces[name].addresses if address.version == 6 and address.is_link_local)
    return list({**found, **dict.fromkeys(link_local)})[:MAX_ADDRESSES]


def _all(interfaces: dict[str, Interface], left_out: set[str], *, with_ipv6: bool) -> Iterator[str]:
    for name, one in interfaces.items():
        for address in one.addresses:
            if str(address.ip) not in left_out and (address.version == 4 or with_ipv6):
                yield f"{address.ip}%{name}" if address.version == 6 and address.is_link_local else str(address.ip)


@attrs.frozen(eq=False)
class _Open:
    """A scanner's port, and its listeners, one for each address."""

    port: int
    listeners: list[Listener]


class EsclPorts:
    """The ports of all eSCL scanners. `scanners` are the bridged ones; `load` is called when the store can be read.

    `base` returns the base URL of the `[[listen]]` section for clients that reached a local address, None without one.
    `on_change` is called when a port has been opened or closed.
    """

    log = Logger()

    def __init__(self, reactor: Any, sockets: Any, config: Config, server: HTTPServer, router: Router,
                 scanners: list[BridgedScanner], store: IStore, base: Callable[[str], str | None]) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._config = config
        self._server = server
        self._router = router
        self._scanners = scanners
        self._store = store
        self._base = base
        self._stored: dict[str, int] = {}
        self._open: dict[str, _Open] = {}
        self._is_loaded = False
        self._running = False
        self._syncing: IDelayedCall | None = None
        self._closing = Tasks("Closing a port of an eSCL scanner failed")
        self._logged: set[str] = set()
        self.on_change: Callable[[], None] = lambda: None

    async def load(self) -> None:
        """Read the assigned ports from the store, and open them."""
        if self._config.escl is None:
            return
        self._stored = await self._store.escl_ports()
        self._is_loaded = self._running = True
        self._sync()

    def configure(self, config: Config) -> None:
        """Open and close ports for another configuration."""
        self._config = config
        self.changed()

    def changed(self) -> None:
        """Open and close ports after scanners were added or removed. One that is replaced at once keeps its port."""
        if self._is_loaded and self._running and self._syncing is None:
            self._syncing = self._reactor.callLater(0, self._sync)

    def _sync(self) -> None:
        self._syncing = None
        sections = {one.name: one.options.section for one in self._scanners if one.escl is not None}
        offered = [name for name, section in sections.items() if section.escl]
        fixed = {name: port for name in offered if (port := sections[name].escl_port) is not None}
        escl = self._config.escl
        assert escl is not None
        ports = assign_ports(offered, fixed, self._stored, escl.ports, reserved_ports(self._config))
        for name, one in list(self._open.items()):
            if ports.get(name) != one.port:
                self._close(name)
        for name in offered:
            if name not in ports:
                self._log_once(name)
            elif name not in self._open:
                self._begin(name, ports[name], is_fixed=name in fixed)

    def _log_once(self, name: str) -> None:
        if name not in self._logged:
            self._logged.add(name)
            self.log.error("{scanner}: it is not offered by eSCL on a port of its own, because [escl] ports has no "
                           "port left; give a larger range", scanner=name)

    def _begin(self, name: str, port: int, *, is_fixed: bool) -> None:
        if not is_fixed and self._stored.get(name) != port:
            self._stored = {known: one for known, one in self._stored.items() if one != port} | {name: port}
            keeping = self._store.keep_escl_port(name, port)
            keeping.addErrback(lambda failure: self.log.failure(
                "{scanner}: storing its eSCL port failed", failure, scanner=name))
        try:
            addresses = addresses_to_open(self._config, read_interfaces())
        except OSError as error:
            self.log.error("The ports of eSCL scanners cannot be opened, because the addresses of this host cannot be "
                           "read: {error}", error=str(error))
            addresses = []
        factory = PortServer(self._server, lambda exchange: self._respond(name, exchange), self._base)
        listeners = [Listener(self._sockets, tcp_endpoint(port, address), factory) for address in addresses]
        self._open[name] = _Open(port, listeners)
        if not addresses:
            self.log.warn("{scanner}: no port is opened for eSCL, because no [[listen]] is open on an address of the "
                          "clients' side", scanner=name)
        for listener in listeners:
            listener.opened.addCallback(partial(self._opened, name, listener))
            listener.startService()

    def _opened(self, name: str, listener: Listener, _: None) -> None:
        address = listener.address
        if address is not None:
            self.log.info("{scanner}: eSCL at {url}/eSCL", scanner=name, url=self._url(address))
            self.on_change()

    def _respond(self, name: str, exchange: Exchange) -> None:
        """Answer a request at a scanner's port; clients write one or two slashes before the root."""
        path = b"/" + exchange.request.path.lstrip(b"/")
        scanner = next((one for one in self._scanners if one.name == name), None)
        is_below = path == ROOT or path.startswith(ROOT + b"/")
        if scanner is None or scanner.escl is None or not is_below:
            self._router.serve(exchange, (NOWHERE, b""))
        else:
            self._router.serve(exchange, (scanner.escl.address, path[len(ROOT):]))

    def _close(self, name: str) -> None:
        for listener in self._open.pop(name).listeners:
            self._closing.run(_stop(listener))
        self.on_change()

    # For the admin site and the start.

    @property
    def listeners(self) -> list[Listener]:
        """Every listener of an eSCL scanner, open or not."""
        return [listener for one in self._open.values() for listener in one.listeners]

    def port(self, name: str) -> int | None:
        """The port of a scanner; None while it is not open."""
        return next((port for _, port in self.addresses(name)), None)

    def addresses(self, name: str) -> list[tuple[str, int]]:
        """Each address and port at which a scanner's port is open."""
        one = self._open.get(name)
        return [] if one is None else [
            listener.address for listener in one.listeners if listener.address is not None]

    def url(self, name: str) -> str | None:
        """The root of a scanner's eSCL service for clients; None while no port of it is open."""
        address = next(iter(self.addresses(name)), None)
        return None if address is None else f"{self._url(address)}{ROOT.decode()}"

    def serves(self, interface: str, address: IPv4Address | IPv6Address) -> bool:
        """True if ports of eSCL scanners are open on this address of that interface."""
        wanted = {str(address), f"{address}%{interface}", "::", *(("0.0.0.0",) if address.version == 4 else ())}
        return any(listener.address is not None and listener.address[0] in wanted for listener in self.listeners)

    def _url(self, address: tuple[str, int]) -> str:
        host, port = address
        if host in ANY:
            host = own_address(self._config.discovery.client_interfaces, 6 if host == "::" else 4)
        return url_of(host, port)

    async def stop(self) -> None:
        """Close all ports."""
        self._running = False
        if self._syncing is not None:
            self._syncing.cancel()
            self._syncing = None
        stopping = [Deferred.fromCoroutine(_stop(listener)) for listener in self.listeners]
        self._open.clear()
        await gatherResults(stopping)


async def _stop(listener: Listener) -> None:
    await listener.stopService()


def with_both(first: Callable[[Any], None], second: Callable[[], None]) -> Callable[[Any], None]:
    """A function that calls the first with its argument, and then the second."""
    def both(argument: Any) -> None:
        first(argument)
        second()
    return both
