"""The registration of this gateway at the shared server: its scanners, and where the other gateways reach it."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Set
from ipaddress import ip_address
from typing import Any

from twisted.logger import Logger

from wsdgateway.bridge.cluster.values import MAX_BASES, Registration
from wsdgateway.config.cluster import is_secure, name_in_cluster, needs_route, peer_address
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.http.urls import address_of
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.interfaces import read_interfaces
from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.localaddress import local_address, own_address
from wsdgateway.program import VERSION


def digest_of(section: ScannerConfig) -> str:
    """The digest of a section, by which gateways notice that theirs differ."""
    return hashlib.blake2b(repr(section).encode(), digest_size=16).hexdigest()


class OwnRegistration:
    """Calling it returns the registration as it is now. `known` has the section of each scanner.

    It also names the scanners in `abandoned`.

    `server` is the host and port of the shared server, None on a local socket. `bases` returns the base URLs of this
    gateway for clients. `listener` must be set to that of `[cluster] endpoint`, if there is one.
    """

    log = Logger()

    def __init__(self, reactor: Any, config: Config, identifier: str, known: Mapping[str, ScannerConfig],
                 server: tuple[str, int] | None, abandoned: Set[str] = frozenset(),
                 bases: Callable[[], Iterable[str]] = lambda: ()) -> None:
        self._reactor = reactor
        self._config = config
        self._identifier = identifier
        self._known = known
        self._server = server
        self._client_bases = bases
        self._abandoned = abandoned
        self._local = ""
        self._digests: dict[str, tuple[ScannerConfig, str]] = {}  # by name, since each tick needs them
        self.listener: Listener | None = None
        self.name = name_in_cluster(config)

    async def look_up(self) -> None:
        """Find the local address of the route to the server, if the other gateways are told that one."""
        if not needs_route(self._config.cluster):
            return
        if self._server is not None:
            try:
                self._local = await local_address(self._reactor, *self._server)
            except DeviceError as error:
                self.log.warn("[cluster] address: the address of this host on the way to the Redis server is not "
                              "known ({problem}); give [cluster] address", problem=str(error))
        if not self._local:
            self._local = own_address(self._config.discovery.client_interfaces, 4)
        if ip_address(self._local.partition("%")[0]).is_loopback and not is_secure(self._config.cluster):
            self.log.warn("[cluster] address: gateways on other hosts cannot reach {address}; give [cluster] address",
                          address=self._local)

    def __call__(self) -> Registration:
        address = self._address()
        return Registration(
            self._identifier, self.name, address, VERSION, self.sections(), holds_address=self._holds_address(),
            bases=self._bases(address))

    def _bases(self, address: str) -> tuple[str, ...]:
        """The bases for clients. Those on loopback mean nothing on another host, where the peer link is not either."""
        local = _is_loopback(address)
        try:
            return tuple([one for one in self._client_bases() if local or not _is_loopback(one)][:MAX_BASES])
        except OSError:  # the interfaces cannot be read
            return ()

    @property
    def is_reached(self) -> bool:
        """True if other gateways can pass requests on to this one."""
        return self.listener is not None and self.listener.address is not None

    def sections(self) -> dict[str, str]:
        """The names of the scanners, each with the digest of its section."""
        return {**dict.fromkeys(self._abandoned, ""),
                **{name: self._digest(section) for name, section in self._known.items()}}

    def _digest(self, section: ScannerConfig) -> str:
        known = self._digests.get(section.name)
        if known is None or known[0] is not section:
            known = self._digests[section.name] = section, digest_of(section)
        return known[1]

    def _address(self) -> str:
        open_at = None if self.listener is None else self.listener.address
        return "" if open_at is None else peer_address(self._config.cluster, open_at[1], self._local)

    def _holds_address(self) -> bool:
        """True if the address at which scanners notify the gateways is on this host."""
        url = self._config.events.address
        if url is None:
            return False
        try:
            shared = ip_address(address_of(url).host)
            return any(address.ip == shared for one in read_interfaces().values() for address in one.addresses)
        except (ValueError, OSError):
            return False  # a name, or the interfaces cannot be read


def _is_loopback(url: str) -> bool:
    try:
        return ip_address(address_of(url).host.partition("%")[0]).is_loopback
    except ValueError:
        return False  # a name
