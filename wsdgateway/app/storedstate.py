"""Restores the state of earlier starts from the store: subscriptions, adopted scanners, finished jobs."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.app.discovery import DiscoveryService
from wsdgateway.app.scanners import NOT_BRIDGED, BridgedScanners
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.storage.store import Content, IStore

END_SECONDS = 15.0  # for ending subscriptions at scanners, before the store that lists them is written to


class StoredState:
    """Loads the content of the store at the start, or later if its file could not be read then."""

    log = Logger()

    def __init__(self, reactor: Any, store: IStore, bridged: BridgedScanners, discovery: DiscoveryService) -> None:
        self._reactor = reactor
        self._store = store
        self._bridged = bridged
        self._discovery = discovery

    async def load(self) -> None:
        """Restore everything at the start, before clients are served."""
        await self._discovery.load()
        self._restore(await self._store.subscriptions(), await self._store.held())
        own = await self._store.own_jobs()
        for scanner in self._bridged.scanners:
            scanner.own_jobs.end_leftovers([job for job in own if job.scanner == scanner.name])
        await self._bridged.remember(self._past_jobs)

    async def add(self, content: Content) -> None:
        """Restore what could not be read at the start: renew subscriptions still in use, and end the others."""
        await self._discovery.add_stored(content.adopted)
        await within(self._reactor, END_SECONDS, self._restore(content.subscriptions, content.held))

    def read_jobs(self) -> None:
        """Read the finished jobs again, once a store that could not be read at the start is usable."""
        reading = Deferred.fromCoroutine(self._bridged.remember(self._past_jobs))
        reading.addErrback(lambda failure: self.log.failure("Reading finished jobs from the store failed", failure))

    def _restore(self, subscriptions: Sequence[Subscription], held: Sequence[Held]) -> list[Deferred[None]]:
        """Pass each scanner the subscriptions and registrations that the store lists for it.

        Each Deferred fires when an unneeded subscription has been ended at its scanner, or when the attempt has failed.
        """
        names = {one.scanner for one in subscriptions} | {one.scanner for one in held}
        former = self._bridged.no_longer_bridged(names)
        endings = [ending for scanner in (*self._bridged.scanners, *former) for ending in scanner.restore(
            [one for one in subscriptions if one.scanner == scanner.name],
            [one for one in held if one.scanner == scanner.name])]
        for scanner in former:
            endings.extend(scanner.dismiss(NOT_BRIDGED))
        return endings

    def _past_jobs(self, scanner: str) -> Deferred[list[JobStatus]]:
        """The last status of each JobId of a scanner's finished jobs, without JobIds assigned again since."""
        finished = self._store.finished(scanner)
        return finished.addCallback(lambda jobs: [
            job.status for job in {job.job_id: job for job in jobs}.values() if not job.superseded])
