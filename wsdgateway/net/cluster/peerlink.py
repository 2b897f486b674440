"""The client side of the link between gateways: connections to the other gateways, and the requests on them.

Each gateway has a pool of connections of its own, `peerconnections.PeerConnections`.

A request that has been sent fails if no answer begins within the time limit, or if the scanner has another owner by
then: a gateway whose process is stopped keeps its connections, and would never answer. Once an answer has begun, only
stalls are limited in time.
"""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.http.urls import Address, address_of
from wsdgateway.net.cluster.peercall import Call
from wsdgateway.net.cluster.peerconnections import MAX_CONNECTIONS, PeerConnections
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.request import ABANDONED, ScannerRequest
from wsdgateway.net.transport.errors import DISCONNECTED, STOPPING, Unavailable
from wsdgateway.net.transport.writebatching import WriteScheduler
from wsdgateway.scan.operations import Operation
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust

ANSWER_SECONDS = 130.0  # until an answer begins: twice the default time-out of a scanner, and a margin
STALL_SECONDS = 70.0  # between two pieces of an answer: the default idle time-out of a scanner, and a margin
MARGIN_SECONDS = 10.0  # that an answer may take more than the owner's own time limits
LOOK_SECONDS = 1.0  # between two looks at requests without an answer
PASSED = Operation("passed", repeatable=True)  # may use an idle connection; `PeerLink` never sends it again


def limits_for(sections: Iterable[ScannerConfig]) -> tuple[float, float]:
    """The time limits that leave the owner those of these scanners: until an answer begins, and between its pieces."""
    listed = list(sections)
    return (max([ANSWER_SECONDS, *(2 * one.timeout + MARGIN_SECONDS for one in listed)]),
            max([STALL_SECONDS, *(one.idle_timeout + MARGIN_SECONDS for one in listed)]))


class PeerLink:
    """The connections to all other gateways. `seconds` is a monotonic clock.

    `secret` returns the secret of the gateways in hexadecimal digits, empty until it is known. Their certificates are
    verified by `trust`. `answer_seconds` and `stall_seconds` limit the wait for an answer and between its pieces;
    `limits` has both.
    """

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], secret: Callable[[], bytes],
                 trust: Trust = BY_THE_SYSTEM, writes: WriteScheduler | None = None,
                 answer_seconds: float = ANSWER_SECONDS, stall_seconds: float = STALL_SECONDS) -> None:
        self.reactor = reactor
        self.seconds = seconds
        self.secret = secret
        self.post = writes or WriteScheduler(reactor)
        self._trust = trust
        self._peers: dict[str, PeerConnections] = {}
        self._calls: dict[Call, None] = {}  # as they began
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self.limit(answer_seconds, stall_seconds)

    def limit(self, answer_seconds: float, stall_seconds: float) -> None:
        """Change the time limits of future requests and answers."""
        self.limits = answer_seconds, stall_seconds
        self.options = ScannerOptions(
            ScannerConfig("peer", max_connections=MAX_CONNECTIONS, idle_timeout=stall_seconds), trust=self._trust)
        for peer in self._peers.values():
            peer.options = self.options

    def call(self, owner: Registration, head: bytes, body: bytes, is_pointless: Callable[[], str | None]) -> Call:
        """Send a request to a gateway. `owner` must have an address."""
        try:
            address = address_of(owner.address)
        except ValueError as error:
            request = ScannerRequest(Address(owner.address, 0, b"", b""), PASSED, body, [])
            request.fail(Unavailable(owner.address, str(error)))
            return Call(request, self.seconds(), is_pointless)
        call = Call(ScannerRequest(address, PASSED, body, [], head=head), self.seconds(), is_pointless)
        if self._stopped:
            call.request.fail(Unavailable(address.host, STOPPING))
            return call
        self._calls[call] = None
        call.answered.addBoth(self._over, call)
        if self._timer is None:
            self._timer = self.reactor.callLater(LOOK_SECONDS, self._look)
        self._peer(owner).begin(call.request)
        return call

    def _peer(self, owner: Registration) -> PeerConnections:
        peer = self._peers.get(owner.address)
        if peer is None:
            for address, other in list(self._peers.items()):  # gateways come and go
                if other.is_unused:
                    other.stop()
                    del self._peers[address]
            peer = self._peers[owner.address] = PeerConnections(self.reactor, self.options, self.post)
        return peer

    def abandon(self, call: Call) -> None:
        """Close the connection of a request whose answer is no longer wanted."""
        self._end(call, DISCONNECTED, ABANDONED)

    def _over(self, result: Any, call: Call) -> Any:
        self._calls.pop(call, None)
        call.over()
        return result

    def _look(self) -> None:
        """End the requests without an answer that have none to expect."""
        self._timer = None
        now, (longest, _) = self.seconds(), self.limits
        for call in list(self._calls):
            if now - call.began >= longest:
                self._end(call, f"no answer within {longest:g} s")
                continue
            why = call.is_pointless()
            call.doubts = 0 if why is None else call.doubts + 1
            if why is not None and call.doubts > 1:  # the owner lets running requests end when it hands over
                self._end(call, why)
        if self._calls and not self._stopped:
            self._timer = self.reactor.callLater(LOOK_SECONDS, self._look)

    def _end(self, call: Call, why: str, state: Any = None) -> None:
        peer = next((one for one in self._peers.values() if one.has(call.request)), None)
        error = Unavailable(call.request.address.host, why)
        if peer is None:
            call.request.fail(error)
        else:
            peer.end(call.request, error, state)

    async def stop(self) -> None:
        """Close every connection; requests in progress fail."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for peer in self._peers.values():
            peer.stop()
        for peer in self._peers.values():
            await peer.closed_all()
