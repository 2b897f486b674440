"""The HTTP server at a port of its own purpose: it shares the limits and connections of the whole server.

eSCL clients take any body for an image, so that refusals at such a port have none.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from wsdgateway.net.server.connection import ClientConnection
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.server.protocols import Server
from wsdgateway.net.transport.localaddress import authority

if TYPE_CHECKING:
    from wsdgateway.net.server.server import HTTPServer


class PortServer(Factory):
    """A port whose requests are answered by `respond`; everything else is that of `server`.

    `base` returns the base URL of the gateway's scanners for clients that reached this port at a local address, None if
    there is none.
    """

    noisy = False

    def __init__(self, server: "HTTPServer", respond: Callable[[Exchange], None],
                 base: Callable[[str], str | None]) -> None:
        self._server = server
        self.respond = respond
        self._base = base

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        host = getattr(addr, "host", "")
        return ClientConnection(cast(Server, self), host, authority(host, getattr(addr, "port", 0)))

    def base(self, host: str, port: int) -> str:
        """The base URL of the gateway's scanners, which are not at this port; empty if there is none."""
        return self._base(host) or ""

    def refuses_bare(self, path: bytes) -> bool:
        """True: no refusal has a body."""
        return True

    # Repeated requests are known by their bytes, which do not name the port.

    def repeated(self, raw: bytes, client: str, peer: str) -> None:
        """Return None: no request is known before it is read."""

    def is_partial(self, raw: bytes) -> bool:
        """False: no request is known before it is read."""
        return False

    def answer_at_once(self, raw: bytes, host: str, port: int) -> None:
        """Return None: no request is answered before it is read."""
