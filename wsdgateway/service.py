"""From a configuration's values to the tree of services that twistd runs."""

import os
import time
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from wsdgateway.admin.overview import Overview
from wsdgateway.admin.site import AdminSite
from wsdgateway.bridge.jobtable import Job
from wsdgateway.config import Config, ScannerConfig
from wsdgateway.http.requests import Refusal
from wsdgateway.metrics import Metrics
from wsdgateway.net.failures import Unavailable
from wsdgateway.net.frontdoor import ClientConnection, FrontDoor, Limits
from wsdgateway.net.listening import Listener
from wsdgateway.net.reception import Reception
from wsdgateway.net.routes import base_url, local_address
from wsdgateway.net.scanner import Scanner, ScannerOptions, Surroundings
from wsdgateway.storage.jobs import FinishedJob, IJobStore, MemoryStore, SqliteStore

_process = f"urn:uuid:{str(uuid.uuid4())[:-12]}"
_ids = count(int.from_bytes(os.urandom(4)))


def new_id() -> str:
    """A message id: random for this process, counted in its last part. WS-Addressing 2004/08, section 3."""
    return f"{_process}{next(_ids):012x}"


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
        self.store: IJobStore = self._open_store()
        self._reception = Reception(new_id=new_id)
        around = Surroundings(reactor, seconds, wall, new_id, self.metrics, self._events_base, self._finished)
        self.scanners = [Scanner(self._options(scanner), around) for scanner in config.scanner]
        for scanner in self.scanners:
            self._reception.add(scanner)
        limits = Limits(config.limits.request_body, config.limits.connections, config.limits.keepalive_timeout,
                        config.limits.header_timeout)
        self._door = FrontDoor(reactor, seconds=seconds, wall=wall, limits=limits, respond=self._reception.respond,
                               refused=self._refused)
        self.listeners = [Listener(reactor, listen.endpoint, self._door, self._tried) for listen in config.listen]
        overview = Overview(config.gateway.name, self.scanners, self.listeners, self.metrics, self.store.finished, wall)
        self.admin = Listener(reactor, config.admin.endpoint, AdminSite(overview))
        for listener in (*self.listeners, self.admin):
            listener.setServiceParent(self)
        self._started = False

    def _open_store(self) -> IJobStore:
        kind, _, where = self.config.gateway.state.partition(":")
        if kind == "sqlite":
            return SqliteStore(self._reactor, self.config.folder / where, self.config.cache.history)
        return MemoryStore(self.config.cache.history)

    def _options(self, scanner: ScannerConfig) -> ScannerOptions:
        config = self.config
        advertised = frozenset(
            urlsplit(listen.advertise).netloc.lower() for listen in config.listen if listen.advertise)
        return ScannerOptions(
            name=scanner.name, scan=scanner.scan, device=scanner.device, subscribe=scanner.events == "auto",
            max_connections=scanner.max_connections, timeout=scanner.timeout, idle_timeout=scanner.idle_timeout,
            lenient=scanner.lenient, event_sources=scanner.event_sources, max_age=config.cache.max_age,
            poll_interval=config.cache.poll_interval, history=config.cache.history, expires=config.events.expires,
            authorities=advertised)

    def startService(self) -> None:
        for line in self.config.not_built():
            self.logger.warn("{line}", line=line)
        super().startService()

    def _tried(self) -> None:
        """Scanners are subscribed to once it is known which ports they can reach us at."""
        if not self._started and all(listener.tried for listener in self.listeners) and any(
                listener.port is not None for listener in self.listeners):
            self._started = True
            for scanner in self.scanners:
                scanner.start()

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
        for listener in self.listeners:
            if listener.running:
                await listener.stopService()
        self.logger.info("stopping: leaving {count} scanner(s)", count=len(self.scanners))
        await gatherResults([Deferred.fromCoroutine(scanner.stop()) for scanner in self.scanners])
        gone: Deferred[None] = Deferred()
        self._door.close_all(lambda: gone.callback(None))
        await gone
        if self.admin.running:
            await self.admin.stopService()
        await self.store.close()

    def stopService(self) -> Deferred[None]:
        self.running = False
        return Deferred.fromCoroutine(self._stop())
