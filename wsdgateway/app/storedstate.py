"""Restores the state of earlier starts from the store: subscriptions, adopted scanners, jobs."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.app.discovery import DiscoveryService
from wsdgateway.app.scanners import NOT_BRIDGED, BridgedScanners
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.context import EsclContext
from wsdgateway.net.transport.timeouts import within
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.storage.failedwrites import log_failed_write
from wsdgateway.storage.store import Content, FinishedJob, IStore

END_SECONDS = 15.0  # for ending subscriptions at scanners, before the store that lists them is written to


@attrs.frozen
class _Stored:
    """The entries of the store for one scanner."""

    subscriptions: list[Subscription] = attrs.Factory(list)
    held: list[Held] = attrs.Factory(list)
    own_jobs: list[OwnJob] = attrs.Factory(list)


def _by_scanner(subscriptions: Iterable[Subscription], held: Iterable[Held],
                own_jobs: Iterable[OwnJob]) -> dict[str, _Stored]:
    found: defaultdict[str, _Stored] = defaultdict(_Stored)
    for subscription in subscriptions:
        found[subscription.scanner].subscriptions.append(subscription)
    for one in held:
        found[one.scanner].held.append(one)
    for job in own_jobs:
        found[job.scanner].own_jobs.append(job)
    return found


class StoredState:
    """Loads the content of the store: at the start, later if its file could not be read then, or for one scanner.

    Without `[escl]`, `escl` is None. `wall` returns seconds since 1970.
    """

    log = Logger()

    def __init__(self, reactor: Any, store: IStore, bridged: BridgedScanners, discovery: DiscoveryService,
                 escl: EsclContext | None, wall: Callable[[], float]) -> None:
        self._reactor = reactor
        self._store = store
        self._bridged = bridged
        self._discovery = discovery
        self._escl = escl
        self._wall = wall

    async def load(self) -> None:
        """Restore everything at the start, before clients are served."""
        await self._discovery.load()
        self._restore(await self._read())
        await self._bridged.remember(self._past_jobs)
        await self.read_offers()
        for scanner in self._bridged.scanners:
            if scanner.escl is not None:
                scanner.escl.restore()

    async def restore(self, scanner: BridgedScanner) -> list[Deferred[None]]:
        """Restore one scanner, which this gateway has taken over. Its finished jobs are restored when it is made.

        Each Deferred fires when an unneeded subscription has been ended at the scanner, or when the attempt has failed.
        """
        stored = (await self._read()).get(scanner.name)
        return [] if stored is None else self._restore_one(scanner, stored)

    async def end_held(self, scanner: BridgedScanner) -> list[Deferred[None]]:
        """End what a scanner holds. Clients stay subscribed, as after a stop of the gateway.

        Each Deferred fires when a subscription has been ended at the scanner, or when the attempt has failed.
        """
        held = [one for one in await self._store.held() if one.scanner == scanner.name]
        scanner.subscriptions.inherit(held)
        return scanner.subscriptions.end_orphans()

    async def read_offers(self) -> None:
        """Read what scanners have offered by eSCL. A scanner that is made afterwards offers that until it is read."""
        if self._escl is not None:
            self._escl.kept.update({one.scanner: one for one in await self._store.escl_offers()})

    async def add(self, content: Content) -> None:
        """Restore what could not be read at the start: renew subscriptions still in use, and end the others."""
        await self._discovery.add_stored(content.adopted)
        await within(self._reactor, END_SECONDS, self._restore(_by_scanner(content.subscriptions, content.held, ())))

    def job_ended(self, scanner: str, status: JobStatus) -> None:
        """Write a job that has ended."""
        adding = self._store.add(FinishedJob(scanner, status.job_id, status.state, status.reasons,
                                             status.scans_completed, status.created, status.completed, self._wall()))
        adding.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: writing a finished job to the store failed", scanner=scanner))

    def read_jobs(self) -> None:
        """Read the finished jobs again, once a store that could not be read at the start is usable."""
        reading = Deferred.fromCoroutine(self._bridged.remember(self._past_jobs))
        reading.addErrback(lambda failure: self.log.failure("Reading finished jobs from the store failed", failure))

    async def _read(self) -> dict[str, _Stored]:
        return _by_scanner(await self._store.subscriptions(), await self._store.held(), await self._store.own_jobs())

    def _restore(self, stored: dict[str, _Stored]) -> list[Deferred[None]]:
        """Pass the stored data to their scanners.

        Each Deferred fires when an unneeded subscription has been ended at its scanner, or when the attempt has failed.
        """
        for name in stored.keys() - self._bridged.known.keys():
            for job in stored[name].own_jobs:
                self._forget_job(job)
        former = self._bridged.no_longer_bridged({
            name for name, one in stored.items() if one.subscriptions or one.held})
        endings = [ending for scanner in self._bridged.scanners
                   for ending in self._restore_one(scanner, stored.get(scanner.name) or _Stored())]
        for scanner in former:
            listed = stored[scanner.name]
            endings.extend(scanner.restore(listed.subscriptions, listed.held))
            endings.extend(scanner.dismiss(NOT_BRIDGED))
        return endings

    def _forget_job(self, job: OwnJob) -> None:
        forgetting = self._store.end_job(job.scanner, job.id)
        forgetting.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: removing a scan job of the gateway's own from the store failed",
            scanner=job.scanner))

    def _restore_one(self, scanner: BridgedScanner, stored: _Stored) -> list[Deferred[None]]:
        endings = scanner.restore(stored.subscriptions, stored.held)
        scanner.own_jobs.end_leftovers(stored.own_jobs)
        return endings

    def _past_jobs(self, scanner: str) -> Deferred[list[JobStatus]]:
        """The last status of each JobId of a scanner's finished jobs, without JobIds assigned again since."""
        finished = self._store.finished(scanner)
        return finished.addCallback(lambda jobs: [
            job.status for job in {job.job_id: job for job in jobs}.values() if not job.superseded])
