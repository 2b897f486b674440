"""Reads the keys that devices present, for comparison by an administrator or for use as pins.

RFC 7469 section 2.4. Only the handshake takes place before a device's key is known.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.connector import CONNECT_ERRORS, endpoint_of
from wsdgateway.net.scanners.failures import cause_of, text_of
from wsdgateway.net.transport.errors import Unavailable
from wsdgateway.tls.files import pin_of
from wsdgateway.tls.trust import Trust, Untrusted, explain

SECONDS = 10.0


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    transport: Any

    def __init__(self) -> None:
        self.shown: Deferred[str] = Deferred(lambda _: self.transport.abortConnection())

    def handshakeCompleted(self) -> None:
        certificate = self.transport.getHandle().get_peer_certificate(as_cryptography=True)
        if certificate is None:
            self._end(Failure(Untrusted("it presented no certificate")))
        else:
            self._end(pin_of(certificate))
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end(reason)

    def _end(self, outcome: str | Failure) -> None:
        if not self.shown.called:
            self.shown.callback(outcome)  # callback() accepts a failure, too


class Pins:
    """Reads the key of each device once. `found` maps host and port to the pin."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.found: dict[tuple[str, int], str] = {}

    async def trust(self, address: Address, zone: str = "") -> Trust:
        """Returns a `Trust` in the key that the device presents now. Raises `DeviceError`."""
        place = address.host, address.port
        if place not in self.found:
            self.found[place] = await self._read(address, zone)
        return Trust(pin=self.found[place])

    async def _read(self, address: Address, zone: str) -> str:
        connecting: Deferred[Any] = endpoint_of(self._reactor, address, zone, SECONDS, Trust(insecure=True)).connect(
            Factory.forProtocol(_Handshake))
        shown: Deferred[str] = connecting.addCallback(lambda handshake: handshake.shown)
        shown.addTimeout(SECONDS, self._reactor)
        try:
            return await shown
        except CONNECT_ERRORS as error:
            cause = cause_of(error, address.host)
            raise Unavailable(address.host, cause or f"connection failed: {text_of(error)}") from None
        except TimedOut:
            raise Unavailable(address.host, f"no TLS connection within {SECONDS:g} s") from None
        except Exception as error:  # a failed handshake may raise any OpenSSL error
            raise Unavailable(address.host, explain(error)) from None
