"""Ends what scanners hold for gateways none of which is configured for them any more.

A scanner is removed from every configuration while the gateways do not run, or one gateway hands it over while the
others remove it. One gateway then owns it for as long as it takes to end its subscriptions, and deletes its data.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.app.scanners import NOT_BRIDGED, BridgedScanners
from wsdgateway.app.storedstate import END_SECONDS, StoredState
from wsdgateway.bridge.cluster.values import View
from wsdgateway.net.transport.timeouts import within

MAX_NAMES = 100  # scanners that one gateway owns only to end what they hold


class Listing(Protocol):
    """The part of the store that knows all scanners with data."""

    def scanners(self) -> Deferred[list[str]]:
        """The names of all scanners with subscriptions or with jobs of a gateway's own."""

    def remove(self, scanner: str) -> Deferred[None]:
        """Delete all data of an owned scanner."""


class AbandonedScanners:
    """The scanners that no gateway is configured for, and that have subscriptions or jobs of a gateway.

    `names` are those that this gateway is to own until these are ended.
    """

    log = Logger()

    def __init__(self, reactor: Any, store: Listing, bridged: BridgedScanners, stored: StoredState) -> None:
        self._reactor = reactor
        self._store = store
        self._bridged = bridged
        self._stored = stored
        self._suspected: frozenset[str] = frozenset()
        self.names: set[str] = set()

    async def look(self, view: View, me: str) -> None:
        """Look for abandoned scanners. Each is abandoned if two looks in a row find it so: gateways may be starting.

        The registered gateway with the first identifier owns them then; `me` is the identifier of this one.
        """
        configured = {*self._bridged.known, *(name for gateway in view.gateways for name in gateway.sections)}
        found = frozenset(await self._store.scanners()) - configured - self.names
        is_first = me == min((gateway.identifier for gateway in view.gateways if gateway.sections), default=me)
        if is_first:
            self.names.update(sorted(found & self._suspected)[:max(0, MAX_NAMES - len(self.names))])
        self._suspected = found

    async def end(self, name: str) -> None:
        """End what an owned scanner holds, and delete its data."""
        self.log.info("{scanner}: no gateway is configured for this scanner any more; its subscriptions are ended",
                      scanner=name)
        for scanner in self._bridged.no_longer_bridged({name}):
            endings: Iterable[Deferred[None]] = [
                *await self._stored.restore(scanner), *scanner.dismiss(NOT_BRIDGED), scanner.subscribers.idle()]
            await within(self._reactor, END_SECONDS, list(endings))
            await scanner.stop()
            self._bridged.has_ended(scanner)
        await self._store.remove(name)
        self.names.discard(name)
