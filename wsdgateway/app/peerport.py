"""The port of `[cluster] endpoint`, at which other gateways reach this one."""

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from wsdgateway.app.certificates import remark_on
from wsdgateway.config.cluster import peer_listener
from wsdgateway.config.endpoints import identity_files, plain_endpoint
from wsdgateway.config.sections import Config
from wsdgateway.net.cluster.peerserver import PeerServer, peer_limits
from wsdgateway.net.transport.listener import Listener
from wsdgateway.tls.identity import CurrentIdentity


class PeerPort:
    """The port at which `server` serves other gateways. It has no `listener` without `[cluster] endpoint`.

    Connections without TLS belong to `sockets`. `tried` is called after each attempt to open the port. `now` is in
    seconds since 1970.
    """

    log = Logger()

    def __init__(self, reactor: Any, sockets: Any, config: Config, server: PeerServer, tried: Callable[[], None],
                 now: float) -> None:
        self._server = server
        self.listener: Listener | None = None
        section = peer_listener(config.cluster)
        if section is None:
            return
        files = identity_files(section, config.folder)
        identity = None if files is None else CurrentIdentity(files)
        remark_on(self.log, f"[cluster] {section.endpoint}", identity, now)
        self.listener = Listener(sockets if identity is None else reactor, plain_endpoint(section), server, tried,
                                 identity, gives_up=True)

    def certificates(self) -> list[tuple[str, float]]:
        """The name of the certificate's section, and its expiry in seconds since 1970; empty without TLS."""
        identity = None if self.listener is None else self.listener.identity
        return [] if identity is None else [("[cluster]", identity.identity.expires.timestamp())]

    def configure(self, config: Config) -> None:
        """Use another configuration, in which the keys of `[cluster]` are the same."""
        self._server.limits = peer_limits(config.limits.request_body)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self.listener is not None:
            await self.listener.stopService()
            await self._server.close_all()
