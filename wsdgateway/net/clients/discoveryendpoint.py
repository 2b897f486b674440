"""Serves directed discovery for all scanners: Probe and Resolve at the addresses that belong to no single scanner.

DPWS 2006/02, section 4; WS-Discovery 1.1, section 5.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.decisions import Refuse
from wsdgateway.bridge.frontends.directed import DirectedFrontEnd
from wsdgateway.bridge.frontends.frontend import DeviceRequest, Rejected
from wsdgateway.http.answers import HTTPAnswer
from wsdgateway.metrics import REFUSED
from wsdgateway.net.clients.resource import Resource
from wsdgateway.net.discovery.directed import DirectedDiscovery, Found, nowhere
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.net.server.exchange import Exchange
from wsdgateway.net.transport.accounting import Accounting

# The path at which a client that only knows the host looks for a discovery proxy.
STABLE = b"/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"


class Scanner(Protocol):
    """The properties of a bridged scanner that directed discovery uses."""

    name: str
    stand_in: StandIn


class DiscoveryEndpoint:
    """Answers for all `scanners` that the client is allowed to find.

    If other gateways own some, `speaks` is true for those that this one owns, and `elsewhere` finds the matches of the
    others. A request that another gateway has passed on is for those that this one owns.
    """

    log = Logger()

    def __init__(self, scanners: Callable[[], Iterable[Scanner]], directed: DirectedDiscovery, permission: Permission,
                 accounting: Accounting, new_id: Callable[[], str], *,
                 speaks: Callable[[str], bool] = lambda name: True,
                 elsewhere: Callable[[Exchange], Found] = lambda exchange: nowhere()) -> None:
        self._scanners = scanners
        self._directed = directed
        self._permission = permission
        self._accounting = accounting
        self._front_end = DirectedFrontEnd(new_id)
        self._speaks = speaks
        self._elsewhere = elsewhere
        self.resource = Resource(self.serve)

    def serve(self, exchange: Exchange, rest: bytes) -> HTTPAnswer | None:
        """Answer a request, now or later.

        Returns an answer for the caller to give if the request is not SOAP, else None.
        """
        started = self._accounting.now()
        asked = self._front_end.read(exchange.request, rest, exchange.client)
        if isinstance(asked, HTTPAnswer):
            return asked
        if isinstance(asked, Rejected):
            exchange.give(self._front_end.write(Refuse(asked.fault), asked))
            self._accounting.client(exchange, asked.operation, REFUSED, started, asked.envelope)
            return None
        answering = Deferred.fromCoroutine(self._discover(exchange, asked, started))
        answering.addErrback(self._failed, exchange, started)
        return None

    async def _discover(self, exchange: Exchange, asked: DeviceRequest, started: float) -> None:
        stand_ins = [scanner.stand_in for scanner in self._scanners()
                     if self._speaks(scanner.name)
                     and self._permission.allows(exchange.client, scanner.name, asked.name)]
        decision, source = await self._directed.answer(
            stand_ins, asked.envelope, exchange.base(),
            nowhere if exchange.passed is not None else partial(self._elsewhere, exchange))
        exchange.give(self._front_end.write(decision, asked))
        self._accounting.client(exchange, asked.name, source, started, asked.envelope)

    def _failed(self, failure: Failure, exchange: Exchange, started: float) -> None:
        self.log.failure("Answering the discovery request of {client} failed", failure, client=exchange.client)
        if not exchange.gone:
            exchange.abort()
        self._accounting.unread(exchange, started)
