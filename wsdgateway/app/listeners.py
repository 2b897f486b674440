"""The gateway's listeners: their ports, their certificates, and the URLs under which they are announced.

The configuration's `[[listen]]`, `[admin] endpoint` and `[events] address`. Clients and scanners are given the address
of this host on their own network, since Windows accepts no other.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from wsdgateway.app.certificates import reload_identity, remark_on
from wsdgateway.config.endpoints import Listening, identity_files, plain_endpoint
from wsdgateway.config.sections import Config
from wsdgateway.http.urls import address_of
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.net.transport.interfaces import read_interfaces
from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.localaddress import (
    ANY,
    OpenPort,
    base_url,
    local_address,
    local_base,
    own_address,
    port_at,
    url_of,
    zoned,
)
from wsdgateway.net.transport.socketset import SocketSet
from wsdgateway.tls.identity import CurrentIdentity

MAX_URLS = 8  # of one port, in the log


def _hosts(interface: str) -> list[str]:
    """The addresses of this host at which a port is reached that is open on all of them."""
    every = [address.ip for one in read_interfaces().values() for address in one.addresses
             if address.version == 4 or interface == "::"]
    ordinary = [str(ip) for ip in every if not ip.is_loopback and not ip.is_link_local]
    return ordinary or [str(ip) for ip in every if ip.is_loopback]


class Listeners:
    """The listeners of one gateway. `tried` is called after each attempt to open one of them.

    The connections of clients without TLS belong to `sockets`.
    """

    log = Logger()

    def __init__(self, reactor: Any, sockets: SocketSet, config: Config, server: IProtocolFactory,
                 site: IProtocolFactory, wall: Callable[[], float], tried: Callable[[], None]) -> None:
        self._reactor = reactor
        self._config = config
        self._wall = wall
        self.listeners = [self._listener(sockets, listen, server, tried) for listen in config.listen]
        self.admin = self._listener(reactor, config.admin, site, tried)

    def _listener(self, reactor: Any, section: Listening, factory: IProtocolFactory,
                  tried: Callable[[], None]) -> Listener:
        files = identity_files(section, self._config.folder)
        identity = None if files is None else CurrentIdentity(files)
        listener = Listener(reactor if identity is None else self._reactor, plain_endpoint(section), factory, tried,
                            identity, gives_up=True)
        remark_on(self.log, listener.endpoint, identity, self._wall())
        return listener

    def configure(self, config: Config) -> None:
        """Read the certificates again, perhaps from other files. Open connections keep the old ones."""
        self._config = config
        sections: list[Listening] = [*config.listen, config.admin]
        for section, listener in zip(sections, (*self.listeners, self.admin), strict=True):
            files = identity_files(section, config.folder)
            if files is not None and listener.identity is not None:
                reload_identity(self.log, listener.endpoint, listener.identity, files, self._wall())

    def refused(self) -> list[Listener]:
        """The listeners whose port is taken or forbidden, so that the gateway cannot start."""
        return [listener for listener in (*self.listeners, self.admin) if listener.is_refused]

    def certificates(self) -> list[tuple[str, float]]:
        """The endpoint of each listener with TLS, and the expiry of its certificate in seconds since 1970."""
        return [(listener.endpoint, listener.identity.identity.expires.timestamp())
                for listener in (*self.listeners, self.admin) if listener.identity is not None]

    def urls(self, listener: Listener) -> list[str]:
        """The base URLs of an open listener, at most `MAX_URLS`; empty while it is closed.

        A port that is open on all addresses has one for each address of this host, except loopback and link-local
        addresses unless there is no other. Raises `OSError` if the addresses cannot be read.
        """
        if listener.port is None:
            return []
        address = listener.address
        if address is None:
            return [listener.endpoint]  # a local socket
        sections: list[Listening] = [*self._config.listen, self._config.admin]
        section = next(one for one, other in zip(sections, (*self.listeners, self.admin), strict=True)
                       if other is listener)
        advertised = getattr(section, "advertise", None)
        if advertised:
            return [advertised]
        hosts = _hosts(address[0]) if address[0] in ANY else [address[0]]
        return [url_of(host, address[1], secure=listener.identity is not None) for host in hosts[:MAX_URLS]]

    def own_bases(self) -> list[str]:
        """The base URLs for clients at addresses of this host. Raises `OSError` if the addresses cannot be read."""
        return [url for listen, listener in zip(self._config.listen, self.listeners, strict=True)
                if listener.address is not None and not listen.advertise for url in self.urls(listener)]

    def open_ports(self) -> list[OpenPort]:
        """The open ports for clients and scanners."""
        return [OpenPort(*listener.address, listener.identity is not None,
                     listener.identity is not None and listener.identity.asks_for_certificate)
                for listener in self.listeners if listener.address is not None]

    def base(self, host: str, port: int) -> str:
        """The base URL for clients that reached this gateway at this local address and port."""
        for listen, listener in zip(self._config.listen, self.listeners, strict=True):
            address = listener.address
            if address is not None and address[1] == port and (address[0] == host or address[0] in ANY):
                return listen.advertise or url_of(host, port, secure=listener.identity is not None)
        return url_of(host, port)

    def base_at(self, host: str) -> str | None:
        """The base URL for clients that reached another port at this local address; None if none is open for them."""
        port = port_at(host, self.open_ports())
        return None if port is None else self.base(port.interface, port.port)

    def client_base(self) -> str | None:
        """The base URL of the first listener, for people to copy; None while it is not open.

        One on all addresses is given that of a client interface, else that of the default route.
        """
        address, advertised = self.listeners[0].address, self._config.listen[0].advertise
        if advertised or address is None:
            return advertised
        host, port = address
        if host in ANY:
            host = own_address(self._config.discovery.client_interfaces, 6 if host == "::" else 4)
        return url_of(host, port, secure=self.listeners[0].identity is not None)

    def base_on(self, link: Link, client: str | None) -> str | None:
        """The base URL for a client on a link, or for all clients there; None if no listener is reachable there."""
        client = client or next(str(one.ip) for one in link.interface.addresses if one.version == link.version)
        found = local_base(link.interface.addresses, client, self.open_ports())
        return None if found is None else self.base(found.interface, found.port)

    def admin_url(self) -> str | None:
        """The URL of the admin site for clients on this host; None while it is not open, or on a local socket."""
        address = self.admin.address
        if address is None:
            return None
        host, port = address
        local = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return url_of(local, port, secure=self.admin.identity is not None) + "/"

    def own_addresses(self) -> list[tuple[str, int]]:
        """Host and port of each listener and each announced address. Notifications must not be sent there."""
        announced = [*(listen.advertise for listen in self._config.listen), self._config.events.address]
        advertised = [address_of(url) for url in announced if url]
        return [*(listener.address for listener in (*self.listeners, self.admin) if listener.address is not None),
                *((address.host, address.port) for address in advertised)]

    async def events_base(self, device: str, zone: str) -> str:
        """The base URL at which the device with that URL reaches this gateway.

        `zone` is the interface of a link-local address. Raises `DeviceError`.
        """
        if self._config.events.address is not None:
            return self._config.events.address
        address = address_of(device)
        local = await local_address(self._reactor, zoned(address.host, zone), address.port)
        url = base_url(local, self.open_ports())
        if url is None:
            raise Unavailable(address.host, "no [[listen]] is open on an address that the scanner can "
                                            "reach; open one, or set [events] address")
        return url
