"""Connections to upload servers: TLS is verified, and the bytes of an answer are limited."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

CONNECT_SECONDS = 30.0
MAX_ANSWER = 1 << 20  # bytes, head and body


class _Limited(ProtocolWrapper):
    """Passes on the bytes of an answer up to `MAX_ANSWER`, then ends the connection."""

    received = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > MAX_ANSWER:
            self.abortConnection()
        else:
            super().dataReceived(data)


class _Endpoint:
    """An endpoint whose connections are limited; `connected` is called with the function that ends one at once."""

    def __init__(self, endpoint: Any, connected: Callable[[Callable[[], None]], None]) -> None:
        self._endpoint = endpoint
        self._connected = connected

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """Connect (`IStreamClientEndpoint`)."""
        factory.noisy = False
        limiting: Any = WrappingFactory(factory)
        limiting.protocol = _Limited
        limiting.noisy = False
        connecting: Deferred[Any] = self._endpoint.connect(limiting)
        return connecting.addCallback(self._unwrapped)

    def _unwrapped(self, wrapper: _Limited) -> Any:
        self._connected(wrapper.abortConnection)
        return wrapper.wrappedProtocol


@implementer(IAgentEndpointFactory)
class Connections:
    """The connections of one request. `trust` verifies servers; default: the authorities of the system."""

    def __init__(self, reactor: Any, trust: Any = None) -> None:
        self._reactor = reactor
        self._trust = trust
        self._open: list[Callable[[], None]] = []

    def endpointForURI(self, uri: URI) -> Any:
        """Return the endpoint for a URL (`IAgentEndpointFactory`)."""
        host = uri.host.decode("ascii")
        endpoint: Any = HostnameEndpoint(self._reactor, host, uri.port, timeout=CONNECT_SECONDS)
        if uri.scheme == b"https":
            root = platformTrust() if self._trust is None else self._trust
            endpoint = wrapClientTLS(optionsForClientTLS(host, trustRoot=root), endpoint)
        return _Endpoint(endpoint, self._open.append)

    def end(self) -> None:
        """End the connections at once, also while a request is being sent."""
        ending, self._open = self._open, []
        for abort in ending:
            abort()
