"""From a configuration's values to the tree of services that twistd runs."""

import os
import random
import resource
import time
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.admin.overview import Overview
from wsdgateway.admin.site import AdminSite
from wsdgateway.bridge.adoption import Adopted, Exclusion, may_be_scanner, name_for, read_exclusion
from wsdgateway.bridge.jobtable import Job
from wsdgateway.bridge.presence import proxy_service
from wsdgateway.bridge.sightings import Left, News
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.discovery.messages import Sequence
from wsdgateway.http.requests import Refusal
from wsdgateway.metrics import Metrics
from wsdgateway.net.adopting import Adopting
from wsdgateway.net.clientconnection import ClientConnection, Limits
from wsdgateway.net.deadlines import within
from wsdgateway.net.delivery import Deliveries
from wsdgateway.net.directed import DirectedDiscovery
from wsdgateway.net.discovery import Discovery
from wsdgateway.net.failures import Unavailable
from wsdgateway.net.frontdoor import FrontDoor
from wsdgateway.net.listening import Listener
from wsdgateway.net.multicast import Link
from wsdgateway.net.reception import Reception
from wsdgateway.net.routes import ANY, base_url, local_address, local_base, url_of
from wsdgateway.net.scanner import Scanner
from wsdgateway.net.search import Search
from wsdgateway.net.sinks import SinkPolicy
from wsdgateway.net.surroundings import ScannerOptions, Surroundings
from wsdgateway.net.targets import Targets, Voice
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import FinishedJob, IStore

NOFILE = 65536

_process = f"urn:uuid:{str(uuid.uuid4())[:-12]}"
_ids = count(int.from_bytes(os.urandom(4)))


def new_id() -> str:
    """A message id: random for this process, counted in its last part. WS-Addressing 2004/08, section 3."""
    return f"{_process}{next(_ids):012x}"


def is_own_id(message_id: str) -> bool:
    """Whether a message is one of this process'."""
    return message_id.startswith(_process)


class GatewayService(MultiService):
    """The whole gateway: listeners, scanners, store and admin site."""

    logger = Logger()

    def __init__(self, reactor: Any, config: Config, *, seconds: Callable[[], float] = time.monotonic,
                 wall: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._reactor = reactor
        self.config = config
        self._wall = wall
        self.metrics = Metrics()
        self.store: IStore = self._open_store()
        self._instance_id = int(wall())
        self._messages = count(1)
        directed = DirectedDiscovery(self._sequence, new_id)
        self._reception = Reception(new_id=new_id, directed=directed)
        self._deliveries = Deliveries(reactor, self._sockets() // 2)
        policy = SinkPolicy(reactor, config.events.client_networks, self._own_addresses)
        self._voice = Voice(new_id, self._sequence, random.random, config.discovery.announce_rate)
        self._targets = Targets(
            reactor, self._voice, seconds=seconds, answer_rate=config.discovery.answer_rate, base_on=self._base_on,
            proxy=proxy_service(config.gateway.name) if config.discovery.proxy else None,
            dropped=self.metrics.discovery_dropped)
        self._search = Search(
            reactor, self._voice, seconds=seconds, period=config.discovery.search,
            directed=config.discovery.directed, is_own=is_own_id, missing=self._missing, overdue=self._overdue,
            tell=self._told, dropped=self.metrics.discovery_dropped)
        self._discovery = Discovery(
            reactor, clients=config.discovery.client_interfaces, devices=config.discovery.device_interfaces,
            targets=self._targets, search=self._search, count=self.metrics.discovery,
            dropped=self.metrics.discovery_dropped)
        self._adopting = Adopting(
            reactor, rules=self._exclusions(), new_id=new_id, names=lambda: {one.name for one in self.scanners},
            scans=lambda: {one.bridge.device or "" for one in self.scanners}, adopt=self._adopt, dismiss=self._dismiss)
        self._around = Surroundings(reactor, seconds, wall, new_id, self.metrics, self.store, policy, self._deliveries,
                                    directed, self._targets.changed, self._search.resolve, self._events_base,
                                    self._finished)
        self.scanners: list[Scanner] = []
        self._dismissed: list[Scanner] = []
        for scanner in config.scanner:
            if scanner.bridge:
                self._add(Scanner(self._options(scanner), self._around))
        limits = Limits(config.limits.request_body, config.limits.connections, config.limits.keepalive_timeout,
                        config.limits.header_timeout)
        self._door = FrontDoor(reactor, seconds=seconds, wall=wall, limits=limits, respond=self._reception.respond,
                               refused=self._refused, base=self._base)
        self.listeners = [Listener(reactor, listen.endpoint, self._door, self._tried) for listen in config.listen]
        overview = Overview(config.gateway.name, self.scanners, self.listeners, self.metrics, self.store.finished, wall)
        self.admin = Listener(reactor, config.admin.endpoint, AdminSite(overview))
        self._started = False
        self._loading: Deferred[None] | None = None

    def _sequence(self) -> Sequence:
        """For the next discovery message. WS-Discovery 2005/04, section 7: a later start has a larger InstanceId."""
        return Sequence(self._instance_id, next(self._messages))

    def _sockets(self) -> int:
        """How many files the process may have open; as many as the system lets it from now on."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = NOFILE if hard == resource.RLIM_INFINITY else min(hard, NOFILE)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        return NOFILE if soft == resource.RLIM_INFINITY else soft

    def _open_store(self) -> IStore:
        kind, _, where = self.config.gateway.state.partition(":")
        if kind == "sqlite":
            return SqliteStore(self._reactor, self.config.folder / where, self.config.cache.history)
        return MemoryStore(self.config.cache.history)

    def _options(self, scanner: ScannerConfig) -> ScannerOptions:
        config = self.config
        advertised = frozenset(
            urlsplit(listen.advertise).netloc.lower() for listen in config.listen if listen.advertise)
        return ScannerOptions(
            name=scanner.name, scan=scanner.scan, device=scanner.device, uuid=scanner.uuid,
            same_identity=scanner.identity == "same", suffix=config.discovery.suffix,
            announced=bool(config.discovery.client_interfaces), subscribe=scanner.events == "auto",
            max_connections=scanner.max_connections, timeout=scanner.timeout, idle_timeout=scanner.idle_timeout,
            lenient=scanner.lenient, event_sources=scanner.event_sources, max_age=config.cache.max_age,
            poll_interval=config.cache.poll_interval, history=config.cache.history, expires=config.events.expires,
            client_expires=config.events.client_expires, client_queue=config.events.client_queue,
            client_retry=config.events.client_retry, max_subscriptions=config.events.max_subscriptions,
            scanner_silence=config.events.scanner_silence, check=config.events.check, authorities=advertised)

    def startService(self) -> None:
        for line in self.config.remarks():
            self.logger.warn("{line}", line=line)
        super().startService()
        self._loading = Deferred.fromCoroutine(self._load())
        self._loading.addErrback(self._not_loaded)

    async def _load(self) -> None:
        """What the store has, before anybody can ask for it; then the doors open."""
        self._instance_id = await self.store.next_instance(int(self._wall()))
        await self._load_adopted()
        subscriptions, held = await self.store.subscriptions(), await self.store.held()
        names = {one.scanner for one in subscriptions} | {one.scanner for one in held}
        for scanner in (*self.scanners, *self._gone(names)):
            scanner.restore([one for one in subscriptions if one.scanner == scanner.name],
                            [one for one in held if one.scanner == scanner.name])
        for scanner in self._dismissed:
            scanner.dismiss("This scanner is not bridged any more.")
        for listener in (*self.listeners, self.admin):
            if self.running:
                listener.setServiceParent(self)

    # What is found on the scanners' side.

    def _add(self, scanner: Scanner) -> None:
        """From now on it is bridged."""
        self.scanners.append(scanner)
        self.metrics.scanners.append(scanner)
        self._reception.add(scanner)
        self._targets.add(scanner.name, scanner.stand_in)

    def _exclusions(self) -> tuple[Exclusion, ...]:
        """What is not adopted: by the rules, and because a section says that it is not to be bridged."""
        rules = list(self.config.discovery.exclude)
        for scanner in self.config.scanner:
            if not scanner.bridge:
                url = scanner.device or scanner.scan
                rules.append(read_exclusion(scanner.uuid or urlsplit(url or "").hostname or ""))
        return tuple(rules)

    async def _load_adopted(self) -> None:
        """The scanners that earlier starts have adopted."""
        if not self.config.discovery.adopt:
            return
        configured = {scanner.uuid for scanner in self.config.scanner}
        for adopted in await self.store.adopted():
            if adopted.uuid in configured or not self._adopting.restore(adopted):
                continue
            names = {scanner.name for scanner in self.scanners}
            if adopted.name in names:
                adopted = Adopted(adopted.uuid, name_for(adopted.name, adopted.uuid, names))
                await self.store.adopt(adopted)
            self._add(self._adopted_scanner(adopted))

    def _adopted_scanner(self, adopted: Adopted) -> Scanner:
        return Scanner(self._options(ScannerConfig(adopted.name, uuid=adopted.uuid)), self._around)

    def _adopt(self, adopted: Adopted) -> None:
        """Bridge a scanner that was found; as soon as its name is kept, so that it has the same after a restart."""
        def begin(_: None) -> None:
            if not self.running:
                return
            scanner = self._adopted_scanner(adopted)
            self.logger.info("{uuid} is bridged as {name}", uuid=adopted.uuid, name=adopted.name)
            self._add(scanner)
            scanner.start()
            sighting = self._search.sightings.get(adopted.uuid)
            if sighting is not None:
                scanner.sighted(News(sighting))

        self.store.adopt(adopted).addCallback(begin).addErrback(lambda failure: self.logger.failure(
            "{uuid} is not adopted, for the store does not keep its name", failure, uuid=adopted.uuid))

    def _dismiss(self, uuid: str, reason: str) -> None:
        """A scanner that was adopted is bridged no more."""
        for scanner in [one for one in self.scanners if one.options.uuid == uuid]:
            self.scanners.remove(scanner)
            self.metrics.scanners.remove(scanner)
            self._reception.remove(scanner)
            self._targets.remove(scanner.name)
            self._dismissed.append(scanner)
            scanner.dismiss(reason)
            self.store.abandon(uuid).addErrback(lambda failure: self.logger.failure(
                "{uuid} stays in the store", failure, uuid=uuid))

    def _missing(self) -> list[str]:
        return [scanner.options.uuid for scanner in self.scanners if scanner.options.uuid and scanner.is_missing]

    def _of(self, endpoint: str) -> list[Scanner]:
        return [scanner for scanner in self.scanners if (scanner.endpoint or "").lower() == endpoint.lower()]

    def _overdue(self, endpoint: str) -> None:
        """A device has not been heard of for some time."""
        for scanner in self._of(endpoint):
            if scanner.device.reachable:
                scanner.stand_in.check()

    def _told(self, news: News | Left) -> None:
        """A device on the scanners' side has announced itself, answered, or said Bye."""
        endpoint = news.endpoint if isinstance(news, Left) else news.sighting.endpoint
        ours = self._of(endpoint)
        for scanner in ours:
            if isinstance(news, Left):
                scanner.said_bye()
            else:
                scanner.sighted(news)
        if isinstance(news, Left):
            return
        if self.config.discovery.adopt and not set(ours) & set(self._configured()):
            self._adopting.consider(news)
        if not news.resolved and (ours or (self.config.discovery.adopt and may_be_scanner(news.sighting.types))):
            self._search.resolve(news.sighting.endpoint)

    def _configured(self) -> list[Scanner]:
        names = {scanner.name for scanner in self.config.scanner}
        return [scanner for scanner in self.scanners if scanner.name in names]

    def _base_on(self, link: Link, client: str) -> str | None:
        """The URL for a client on a link."""
        listeners = [listener.address for listener in self.listeners if listener.address is not None]
        found = local_base(link.interface.addresses, client, listeners)
        return None if found is None else self._base(*found)

    def _not_loaded(self, failure: Failure) -> None:
        self.logger.failure("the store can't be read, so nothing is served; move the file away or put a copy of it in "
                            "its place", failure)
        self._reactor.callLater(0, self._reactor.stop)

    def _gone(self, names: set[str]) -> list[Scanner]:
        """Scanners that are in the store and no longer in the configuration."""
        known = {scanner.name for scanner in self.scanners}
        self._dismissed = [Scanner(ScannerOptions(name), self._around) for name in sorted(names - known)]
        return self._dismissed

    def _base(self, host: str, port: int) -> str:
        """The URL for clients that have reached us at this address of ours."""
        for listen, listener in zip(self.config.listen, self.listeners, strict=True):
            address = listener.address
            if listen.advertise and address is not None and address[1] == port and (
                    address[0] == host or address[0] in ANY):
                return listen.advertise
        return url_of(host, port)

    def _own_addresses(self) -> list[tuple[str, int]]:
        """Where this gateway listens, as it knows itself and as others are told: nobody is notified there."""
        told = [*(listen.advertise for listen in self.config.listen), self.config.events.address]
        advertised = [urlsplit(address) for address in told if address]
        return [*(listener.address for listener in (*self.listeners, self.admin) if listener.address is not None),
                *((url.hostname or "-", url.port or 80) for url in advertised)]

    def _tried(self) -> None:
        """Scanners are subscribed to once it is known which ports they can reach us at."""
        if not self._started and all(listener.tried for listener in self.listeners) and any(
                listener.port is not None for listener in self.listeners):
            self._started = True
            for scanner in list(self.scanners):
                scanner.start()
            if self.config.discovery.is_on:
                self._discovery.setServiceParent(self)

    async def _events_base(self, host: str, port: int) -> str:
        if self.config.events.address is not None:
            return self.config.events.address
        local = await local_address(self._reactor, host, port)
        url = base_url(local, [listener.address for listener in self.listeners if listener.address is not None])
        if url is None:
            raise Unavailable(host, "no listener is open where it could reach us")
        return url

    def _finished(self, scanner: str, job: Job) -> None:
        status = job.status
        assert status is not None
        self.store.add(FinishedJob(scanner, status.job_id, status.state, status.reasons, status.scans_completed,
                                   status.created, status.completed, self._wall()))

    def _refused(self, connection: ClientConnection, refusal: Refusal) -> None:
        self.logger.info("{client} is refused with {status}: {reason}", client=connection.peer, status=refusal.status,
                         reason=refusal.reason)

    async def _stop(self) -> None:
        if self._loading is not None:
            await self._loading
        self._adopting.stop()
        if self._discovery.running:
            await self._discovery.stopService()
        for listener in self.listeners:
            if listener.running:
                await listener.stopService()
        scanners = [*self.scanners, *self._dismissed]
        self.logger.info("stopping: up to {seconds:g} s for what is running, then leaving {count} scanner(s)",
                         seconds=self.config.limits.stop_timeout, count=len(self.scanners))
        self._door.drain()
        await within(self._reactor, self.config.limits.stop_timeout, [
            self._door.empty(), *(scanner.audience.notifier.idle() for scanner in scanners)])
        await gatherResults([Deferred.fromCoroutine(scanner.stop()) for scanner in scanners])
        self._deliveries.stop()
        await self._door.close_all()
        if self.admin.running:
            await self.admin.stopService()
        await self.store.close()

    def stopService(self) -> Deferred[None]:
        self.running = False
        return Deferred.fromCoroutine(self._stop())
