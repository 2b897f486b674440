"""Opens connections to a device, by TCP or TLS, and decides whether a failure counts against the device.

RFC 9112 section 9. The owner of a connection decides what it is used for.
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import error as neterror
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.health.causes import SILENT, told
from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.circuitbreaker import CircuitBreaker
from wsdgateway.net.scanners.connection import DeviceConnection, Owner
from wsdgateway.net.scanners.failures import CANCELLED, OURS, Insecure, cause_of, text_of
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy, Unavailable
from wsdgateway.net.transport.localaddress import zoned
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import Caller, Trust

CONNECT_TIMEOUT = 10.0
# Share of an exchange's time-out: an unanswered attempt ends before the exchange does. It then counts as a failure of
# the device, which a cancelled attempt does not.
CONNECT_SHARE = 0.9

CONNECT_ERRORS = (neterror.ConnectError, neterror.TimeoutError, neterror.DNSLookupError, *CANCELLED,
                  OSError, Insecure, ValueError)  # for an invalid host name
# These say nothing about the device: it was not reached, or had no time to answer.
_NOT_ITS_FAULT = (neterror.DNSLookupError, *CANCELLED)


def endpoint_of(reactor: Any, address: Address, zone: str, timeout: float, trust: Trust,
                source: str | None = None) -> IStreamClientEndpoint:
    """Returns the endpoint for connections to a device. Raises `BadFile` if the authority's file cannot be used.

    `source` is the local IP address to connect from; for a device at an address of the other version of IP, the system
    chooses one.
    """
    endpoint: IStreamClientEndpoint
    local = (source, 0) if source else None
    if isIPAddress(address.host):
        endpoint = TCP4ClientEndpoint(reactor, address.host, address.port, timeout,
                                      None if local is None or ":" in local[0] else local)
    elif isIPv6Address(address.host):
        endpoint = TCP6ClientEndpoint(reactor, zoned(address.host, zone), address.port, timeout,
                                      None if local is None or ":" not in local[0] else local)
    else:
        endpoint = HostnameEndpoint(reactor, address.host.encode("idna"), address.port, timeout, local)
    return wrapClientTLS(Caller(trust, address.host), endpoint) if address.secure else endpoint


def factory_for(owner: Owner, address: Address) -> Factory[Any]:
    """Returns the factory of connections to that address for their owner."""
    factory: Factory[Any] = Factory.forProtocol(lambda: DeviceConnection(owner, address))
    factory.noisy = False
    return factory


def _no_handshake(result: object, seconds: float) -> Failure:
    return Failure(neterror.TimeoutError(string=f"no TLS handshake within {seconds:g} s"))


class Attempts:
    """The pending connection attempts to one device, each for a request. `circuit` counts failures.

    Only a complete attempt counts as a failure: one that the device refused, or did not answer within the connect
    time-out. These attempts do not count: cancelled ones, ones whose host name was not found, ones for which local
    resources ran out, and ones to a former address of the device. Nor does an attempt that the device did not accept
    because it `is_occupied` with another exchange; it fails with `Busy`.

    `connected` is called with a usable connection. `not_connected` is called with the error for the request, and
    whether the device is to blame.
    """

    log = Logger()

    def __init__(self, owner: Owner, seconds: Callable[[], float], *,
                 connected: Callable[[DeviceConnection, ScannerRequest], None],
                 not_connected: Callable[[ScannerRequest, Unavailable, bool], None],
                 is_occupied: Callable[[ScannerRequest, Failure], bool]) -> None:
        self._owner = owner
        self._seconds = seconds
        self._connected = connected
        self._not_connected = not_connected
        self._is_occupied = is_occupied
        self._under_way: dict[ScannerRequest, Deferred[DeviceConnection]] = {}
        self.circuit = CircuitBreaker()

    def moved(self) -> None:
        """Starts a new circuit for a new address of the device; attempts at a former one no longer count."""
        self.circuit = CircuitBreaker()

    def __len__(self) -> int:
        return len(self._under_way)

    def __iter__(self) -> Iterator[ScannerRequest]:
        return iter(self._under_way)

    def begin(self, request: ScannerRequest, zone: str, timeout: float) -> None:
        """Opens a connection for this request, within `timeout` seconds."""
        # Does not capture the request: Twisted's connectors are reference cycles, and would keep it in memory.
        owner, address = self._owner, request.address
        limit = CONNECT_SHARE * timeout
        factory = factory_for(owner, address)
        try:
            endpoint = endpoint_of(owner.reactor, address, zone, min(CONNECT_TIMEOUT, limit), owner.options.trust,
                                   owner.options.source)
        except BadFile as bad:
            self.circuit.abandoned()
            self._not_connected(request, Unavailable(address.host, told(f"its ca must be {bad}")), False)
            return
        attempt: Deferred[Any] = endpoint.connect(factory)
        attempt.addCallback(lambda connection: (
            connection.ready.addTimeout(limit, owner.reactor, _no_handshake) if address.secure else connection.ready))
        self._under_way[request] = attempt
        attempt.addCallbacks(
            self._succeeded, self._failed, callbackArgs=(request,), errbackArgs=(request, self.circuit))
        attempt.addErrback(lambda failure: self.log.failure("Connecting to {host} failed", failure, host=address.host))

    def cancel(self, request: ScannerRequest) -> None:
        """Cancels the attempt for this request, if it is still pending."""
        if request in self._under_way:
            self._under_way[request].cancel()

    def _succeeded(self, connection: DeviceConnection, request: ScannerRequest) -> None:
        self._under_way.pop(request, None)
        self._connected(connection, request)

    def _failed(self, failure: Failure, request: ScannerRequest, circuit: CircuitBreaker) -> None:
        self._under_way.pop(request, None)
        if failure.check(*CONNECT_ERRORS) is None:
            self.log.failure("Connecting to {host} failed", failure, host=request.address.host)
        cause = cause_of(failure.value, request.address.host)
        is_occupied = circuit is self.circuit and self._is_occupied(request, failure)
        is_to_blame = (circuit is self.circuit and not is_occupied and failure.check(*_NOT_ITS_FAULT) is None
                       and getattr(failure.value, "osError", None) not in OURS)
        if is_to_blame:
            circuit.failed(self._seconds(), cause or SILENT)
        else:
            circuit.abandoned()
        peer = f"{request.address.host}:{request.address.port}"
        if is_occupied:
            error: Unavailable = Busy(peer, "it does not accept another connection at the moment")
        elif cause is None:
            error = Unavailable(peer, f"connection failed: {text_of(failure.value)}")
        elif isinstance(failure.value, Insecure):
            error = Unavailable(peer, str(failure.value), cause=cause)
        else:
            error = Unavailable(peer, cause, detail=text_of(failure.value) if cause is SILENT else "")
        self._not_connected(request, error, is_to_blame)
