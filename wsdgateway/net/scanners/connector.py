"""Makes connections to a device, by TCP or TLS, and decides whether another attempt is worthwhile.

RFC 9112 section 9. What a connection is for, its owner knows.
"""

import errno
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import error as neterror
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.http.urls import Address
from wsdgateway.net.scanners.circuitbreaker import CircuitBreaker
from wsdgateway.net.scanners.connection import DeviceConnection, Insecure, Owner
from wsdgateway.net.scanners.request import ScannerRequest
from wsdgateway.net.transport.errors import Busy, Unavailable
from wsdgateway.net.transport.localaddress import zoned
from wsdgateway.tls.files import BadFile
from wsdgateway.tls.trust import Caller, Trust

CONNECT_TIMEOUT = 10.0
# Of an exchange's time-out: an attempt that gets no answer ends by itself before the exchange does. Then it has had its
# time, and an attempt that is cancelled has not.
CONNECT_SHARE = 0.9

CONNECT_ERRORS = (neterror.ConnectError, neterror.TimeoutError, neterror.DNSLookupError,
                   neterror.ConnectingCancelledError, CancelledError, OSError, Insecure,
                   ValueError)  # of a name that can't be one
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)  # what we have run out of
# These say nothing about the device: it has not been asked, or has not had the time to answer.
_NOT_ITS_FAULT = (neterror.DNSLookupError, neterror.ConnectingCancelledError, CancelledError)


def endpoint_of(reactor: Any, address: Address, zone: str, timeout: float, trust: Trust) -> IStreamClientEndpoint:
    """The endpoint for connections to a device. Raises `BadFile` if the authority's file can't be used."""
    endpoint: IStreamClientEndpoint
    if isIPAddress(address.host):
        endpoint = TCP4ClientEndpoint(reactor, address.host, address.port, timeout)
    elif isIPv6Address(address.host):
        endpoint = TCP6ClientEndpoint(reactor, zoned(address.host, zone), address.port, timeout)
    else:
        endpoint = HostnameEndpoint(reactor, address.host.encode("idna"), address.port, timeout)
    return wrapClientTLS(Caller(trust, address.host), endpoint) if address.secure else endpoint


def _no_handshake(result: object, seconds: float) -> Failure:
    return Failure(neterror.TimeoutError(string=f"no TLS handshake within {seconds:g} seconds"))


class Attempts:
    """The attempts to connect to one device that are under way, each for a request. `circuit` counts those that failed.

    Only an attempt that had its time counts in the circuit: one that the device refused, or did not answer within the
    connect timeout. One that was cancelled, whose host name was not found, or that failed for want of resources here
    says nothing about the device; nor does one to an address where the device is no more, nor one that the device did
    not take because `is_occupied` with another exchange; that one fails as `Busy`.

    `connected` is called with a connection that may be used. `not_connected` is called with the error for the request,
    and whether the device is to blame; not for an attempt that could not even begin, whose request has failed already.
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
        """The device has another address from now on: attempts at a former one say nothing about it."""
        self.circuit = CircuitBreaker()

    def __len__(self) -> int:
        return len(self._under_way)

    def __iter__(self) -> Iterator[ScannerRequest]:
        return iter(self._under_way)

    def begin(self, request: ScannerRequest, zone: str, timeout: float) -> None:
        """Connect for this request, within `timeout` seconds."""
        # Not the request: Twisted's connectors are cycles, and would keep it.
        owner, address = self._owner, request.address
        limit = CONNECT_SHARE * timeout
        factory = Factory.forProtocol(lambda: DeviceConnection(owner, address))
        factory.noisy = False
        try:
            endpoint = endpoint_of(owner.reactor, address, zone, min(CONNECT_TIMEOUT, limit), owner.options.trust)
        except BadFile as bad:
            self.circuit.abandoned()
            request.fail(Unavailable(address.host, f"its ca has to be {bad}"))
            return
        attempt: Deferred[Any] = endpoint.connect(factory)
        attempt.addCallback(lambda connection: (
            connection.ready.addTimeout(limit, owner.reactor, _no_handshake) if address.secure else connection.ready))
        self._under_way[request] = attempt
        attempt.addCallbacks(
            self._succeeded, self._failed, callbackArgs=(request,), errbackArgs=(request, self.circuit))
        attempt.addErrback(lambda failure: self.log.failure("while connecting to {host}", failure, host=address.host))

    def cancel(self, request: ScannerRequest) -> None:
        """Make no connection for this request, if none was made yet."""
        if request in self._under_way:
            self._under_way[request].cancel()

    def _succeeded(self, connection: DeviceConnection, request: ScannerRequest) -> None:
        self._under_way.pop(request, None)
        self._connected(connection, request)

    def _failed(self, failure: Failure, request: ScannerRequest, circuit: CircuitBreaker) -> None:
        self._under_way.pop(request, None)
        if failure.check(*CONNECT_ERRORS) is None:
            self.log.failure("while connecting to {host}", failure, host=request.address.host)
        if isinstance(failure.value, Insecure) and failure.value.detail:
            self.log.warn("{host}: {detail}", host=request.address.host, detail=failure.value.detail)
        is_occupied = circuit is self.circuit and self._is_occupied(request, failure)
        is_to_blame = (circuit is self.circuit and not is_occupied and failure.check(*_NOT_ITS_FAULT) is None
                       and getattr(failure.value, "osError", None) not in _OURS)
        if is_to_blame:
            circuit.failed(self._seconds())
        else:
            circuit.abandoned()
        peer = f"{request.address.host}:{request.address.port}"
        why = failure.getErrorMessage() or "it says nothing"
        error = Busy(peer, "it takes no other connection now") if is_occupied else (
            Unavailable(peer, f"no connection ({why})"))
        self._not_connected(request, error, is_to_blame)
