"""From a configuration's values to the tree of services that twistd runs."""

import os
import random
import time
import uuid
from collections.abc import Callable
from collections.abc import Sequence as Several
from itertools import count
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.admin.access import Access
from wsdgateway.admin.overview import Overview
from wsdgateway.admin.site import AdminSite
from wsdgateway.app.discovery import DiscoveryService
from wsdgateway.app.exchangelog import ExchangeLogging
from wsdgateway.app.listeners import Listeners
from wsdgateway.app.resourcelimits import admin_limits, client_limits, open_files
from wsdgateway.app.scanners import GONE, BridgedScanners
from wsdgateway.bridge.access.permission import Permission
from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.jobs.job import Job
from wsdgateway.config.changes import compare
from wsdgateway.config.reading import ConfigError, read_config
from wsdgateway.config.sections import Config
from wsdgateway.discovery.messages import Sequence
from wsdgateway.http.requests import Refusal
from wsdgateway.metrics import RATE, Metrics
from wsdgateway.net.clients.router import Router
from wsdgateway.net.context import Context
from wsdgateway.net.discovery.directed import DirectedDiscovery
from wsdgateway.net.discovery.targetservices import Voice
from wsdgateway.net.events.delivery import Deliveries
from wsdgateway.net.events.sinkpolicy import SinkPolicy
from wsdgateway.net.server.connection import ClientConnection
from wsdgateway.net.server.server import HTTPServer
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.resolver import Resolver
from wsdgateway.net.transport.timeouts import within
from wsdgateway.net.transport.timeslices import TimeSlices
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.storage.opening import open_store
from wsdgateway.storage.store import Content, FinishedJob

TAKE_UP_SECONDS = 15.0  # for subscriptions at scanners to be ended, before the store that lists them is written to

_process = f"urn:uuid:{str(uuid.uuid4())[:-12]}"
_ids = count(int.from_bytes(os.urandom(4)))


def new_id() -> str:
    """A message id: random for this process, counted in its last part. WS-Addressing 2004/08, section 3."""
    return f"{_process}{next(_ids):012x}"


def is_own_id(message_id: str) -> bool:
    """Whether a message is one of this process'."""
    return message_id.startswith(_process)


def _quotas(config: Config) -> dict[str, Any]:
    limits = config.limits
    return {"requests": limits.client_requests, "connections": limits.client_connections, "jobs": limits.client_jobs,
            "unlimited": limits.unlimited}


class GatewayService(MultiService):
    """The whole gateway: listeners, scanners, store and admin site."""

    logger = Logger()

    def __init__(self, reactor: Any, config: Config, *, seconds: Callable[[], float] = time.monotonic,
                 wall: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.reactor = reactor
        self.config = config
        self.wall = wall
        self.metrics = Metrics()
        self.store = open_store(reactor, config.gateway.state, config.folder, history=config.cache.history, wall=wall,
                                take_up=self._take_up, on_return=self._recall)
        self.instance_id = int(wall())
        self._messages = count(1)
        directed = DirectedDiscovery(self._sequence, new_id)
        self.recording = ExchangeLogging(reactor, wall, self.metrics)
        self.recording.use(config)
        log = self.recording.log
        accounting = self._accounting = Accounting(None, self.metrics, log, seconds=seconds, wall=wall)
        self._permission = Permission(allow.rule for allow in config.allow)
        self._quotas = Quotas(**_quotas(config))
        self.router = Router(accounting, new_id=new_id, directed=directed, permission=self._permission,
                                    quotas=self._quotas)
        self._files = open_files()
        self._slices = TimeSlices(reactor, time.thread_time)
        self.deliveries = Deliveries(reactor, self._files // 2, self._slices)
        self.sink_policy = SinkPolicy(
            reactor, config.events.client_networks, lambda: self._ports.own_addresses())
        self.bridged = BridgedScanners(reactor, config, self.metrics, self.router)
        self.scanners = self.bridged.scanners
        self.discovery = DiscoveryService(
            reactor, config, seconds=seconds, voice=Voice(
                new_id, self._sequence, random.random, config.discovery.announce_rate), is_own=is_own_id,
            note=self.recording.discovery, accounting=accounting, metrics=self.metrics, store=self.store,
            allows=lambda *asked: self._permission.allows(*asked),
            base_on=lambda link, client: self._ports.base_on(link, client), bridged=self.bridged)
        self.bridged.context = Context(
            reactor, seconds, wall, new_id, self.metrics, log, self.store, self._permission, self._quotas,
            self.sink_policy, self.deliveries, directed, self.discovery.changed, self.discovery.resolve,
            lambda device, zone: self._ports.events_base(device, zone), self._finished,
            lambda *given: self.store.supersede(*given), self._slices)
        for scanner in config.scanner:
            if scanner.bridge:
                self.bridged.bridge(scanner)
        self.server = HTTPServer(reactor, seconds=seconds, wall=wall, limits=client_limits(config, self._files),
                               respond=self.router.respond, refused=self._refused,
                               base=lambda host, port: self._ports.base(host, port), log=log,
                               quotas=self._quotas, denied=self._denied, broken_off=self._unread)
        self.listeners: list[Listener] = []
        overview = Overview(config.gateway.name, self.scanners, self.listeners, self.metrics, log, self.store.finished,
                            wall, seconds, self._warnings)
        access = Access(config.admin.token, config.admin.hosts, seconds)
        self.site = AdminSite(reactor, overview, access, _process[9:17], admin_limits(config, self._files))
        self._ports = Listeners(reactor, config, self.server, self.site, wall, self._tried)
        self.listeners += self._ports.listeners
        self.admin = self._ports.admin
        self.resolver = Resolver(reactor)
        self._started = False
        self._loading: Deferred[None] | None = None
        self.reloading: Deferred[None] | None = None

    def _sequence(self) -> Sequence:
        """For the next discovery message. WS-Discovery 2005/04, section 7: a later start has a larger InstanceId."""
        return Sequence(self.instance_id, next(self._messages))

    def _warnings(self) -> list[str]:
        """Problems for people to read, in spite of which clients are served."""
        warning = self.store.warning()
        return [] if warning is None else [warning]

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for listener in (*self.listeners, self.admin):
            listener.privilegedStartService()

    def startService(self) -> None:
        for line in self.config.remarks():
            self.logger.warn("{line}", line=line)
        super().startService()
        self.resolver.start()
        self._loading = Deferred.fromCoroutine(self._load())
        self._loading.addErrback(self._not_loaded)

    async def _load(self) -> None:
        """What the store has, before anybody can ask for it; then the doors open."""
        self.instance_id = await self.store.next_instance(int(self.wall()))
        await self.discovery.load()
        self._restore(await self.store.subscriptions(), await self.store.held())
        await self.bridged.remember(self._past_jobs)
        for listener in (*self.listeners, self.admin):
            if self.running:
                listener.setServiceParent(self)

    def _restore(self, subscriptions: Several[Subscription], held: Several[Held]) -> list[Deferred[None]]:
        """Hand each scanner what the store lists of it.

        Each fires when a subscription that nobody goes on with has been ended at its scanner, or that was tried.
        """
        names = {one.scanner for one in subscriptions} | {one.scanner for one in held}
        dismissed = self.bridged.gone(names)
        endings = [ending for scanner in (*self.scanners, *dismissed) for ending in scanner.restore(
            [one for one in subscriptions if one.scanner == scanner.name],
            [one for one in held if one.scanner == scanner.name])]
        for scanner in dismissed:
            endings.extend(scanner.dismiss(GONE))
        return endings

    async def _take_up(self, content: Content) -> None:
        """The store can be read, which it could not at the start: go on with what it lists, and end the rest."""
        await self.discovery.take_up(content.adopted)
        await within(self.reactor, TAKE_UP_SECONDS, self._restore(content.subscriptions, content.held))

    def _recall(self) -> None:
        """The store is used again: finished jobs that could not be read at the start are known from now on."""
        recalling = Deferred.fromCoroutine(self.bridged.remember(self._past_jobs))
        recalling.addErrback(lambda failure: self.logger.failure("while finished jobs are read", failure))

    # The configuration, read again.

    def reload(self) -> None:
        """Carry out SIGHUP: the exchange log's file opened anew, the store tried, the configuration read again.

        A mistake is said, and nothing changes. It waits for scanners that are still ending since the last time.
        """
        self.recording.reopen()
        self.store.retry()
        if self.config.file and self.running and self._loading is not None and self.reloading is None:
            self.reloading = Deferred.fromCoroutine(self._reload())
            self.reloading.addErrback(lambda failure: self.logger.failure("while reading the configuration", failure))
            self.reloading.addBoth(self._reloaded)

    def _reloaded(self, _: object) -> None:
        self.reloading = None

    async def _reload(self) -> None:
        if not self.bridged.is_settled:
            self.logger.info("the configuration is read when scanners that went the last time have ended what runs")
            await self.bridged.settled()
        if not self.running:
            return
        try:
            changes = compare(self.config, read_config(self.config.file))
        except ConfigError as error:
            self.logger.error("the configuration stays as it was, for there are mistakes in it: {problems}",
                              problems="; ".join(error.problems))
            return
        for line in (*changes.config.remarks(), *changes.later):
            self.logger.warn("{line}", line=line)
        config = self.config = changes.config
        self.server.limits = client_limits(config, self._files)
        self._ports.configure(config)
        self._permission.change(allow.rule for allow in config.allow)
        self._quotas.change(**_quotas(config))
        self.sink_policy.networks = config.events.client_networks
        self.site.room.limits = admin_limits(config, self._files)
        self.site.access.change(config.admin.token, config.admin.hosts)
        self.recording.use(config)
        self.bridged.apply(changes, self.discovery.configure)
        self.logger.info("{file} is read again: {added} scanner(s) added, {changed} moved, {removed} removed; "
                         "changes in {sections}", file=config.file, added=len(changes.added),
                         changed=len(changes.changed), removed=len(changes.removed),
                         sections=", ".join(f"[{name}]" for name in changes.sections) or "no section")

    def _not_loaded(self, failure: Failure) -> None:
        self.logger.failure("what the store lists can't be taken up, so nothing is served; move the file away, or put "
                            "a good copy in its place", failure)
        self.reactor.callLater(0, self.reactor.stop)

    def _tried(self) -> None:
        """Scanners are subscribed to once it is known which ports they can reach us at."""
        if not self._started and all(listener.tried for listener in self.listeners) and any(
                listener.port is not None for listener in self.listeners):
            self._started = True
            self.bridged.start()
            if self.config.discovery.is_on:
                self.discovery.setServiceParent(self)

    def _finished(self, scanner: str, job: Job) -> None:
        status = job.status
        assert status is not None
        self._quotas.job_ended(scanner, status.job_id)
        adding = self.store.add(FinishedJob(scanner, status.job_id, status.state, status.reasons,
                                            status.scans_completed, status.created, status.completed, self.wall()))
        adding.addErrback(lambda failure: self.logger.failure(
            "a finished job of {scanner} could not be stored", failure, scanner=scanner))

    def _past_jobs(self, scanner: str) -> Deferred[list[JobStatus]]:
        """The last status of each JobId of a scanner whose job was over in an earlier start, and that has no other."""
        stored = self.store.finished(scanner)
        return stored.addCallback(lambda jobs: [
            job.status for job in {job.job_id: job for job in jobs}.values() if not job.superseded])

    def _denied(self, reason: str, client: str) -> None:
        """A connection is one too many, of a client's or of all, or came too often, or to nothing."""
        if reason == RATE:
            self._accounting.refused(RATE, client, "a TLS handshake")
        else:
            self.metrics.refused(None, reason)  # the line is written by whoever says no

    def _refused(self, connection: ClientConnection, refusal: Refusal) -> None:
        self.logger.info("{client} is refused with {status}: {reason}", client=connection.peer, status=refusal.status,
                         reason=refusal.reason)
        self.recording.refused(connection.peer, refusal.status, len(refusal.body))
        self._unread(connection)

    def _unread(self, connection: ClientConnection) -> None:
        """A request was refused before it was whole, or broke off."""
        self.router.unread(connection.client, connection.path)

    async def _stop(self) -> None:
        if self._loading is not None:
            await self._loading
        if self.discovery.running:
            await self.discovery.stopService()
        for listener in self.listeners:
            await listener.stopService()
        scanners = self.bridged.everyone()
        self.logger.info("stopping: up to {seconds:g} s for what is running, then leaving {count} scanner(s)",
                         seconds=self.config.limits.stop_timeout, count=len(self.scanners))
        self.server.drain()
        self.bridged.hurry()
        await within(self.reactor, self.config.limits.stop_timeout, [
            self.server.empty(), *(scanner.subscribers.idle() for scanner in scanners)])
        await gatherResults([Deferred.fromCoroutine(self.bridged.settled()),
                             *(Deferred.fromCoroutine(scanner.stop()) for scanner in scanners)])
        self.deliveries.stop()
        self._slices.stop()
        await self.server.close_all()
        self.site.stop()
        await self.admin.stopService()
        await self.recording.stop()
        await self.store.close()
        self.resolver.stop()

    def stopService(self) -> Deferred[None]:
        self.running = False
        return Deferred.fromCoroutine(self._stop())
