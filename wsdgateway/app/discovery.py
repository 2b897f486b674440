"""Discovery put together: which scanners are searched for, which are taken when they are found, and who is told.

The configuration's `[discovery]`. What is heard on the scanners' side goes to the scanner that it is about; a scanner
that is in no section may be adopted.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.app.scanners import BridgedScanners
from wsdgateway.bridge.discovery.adoption import (
    Adopted,
    Exclusion,
    host_exclusion,
    may_be_scanner,
    name_for,
    read_exclusion,
)
from wsdgateway.bridge.discovery.presence import STAND_IN, proxy_service
from wsdgateway.bridge.discovery.sightings import Left, News
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.discovery.identity import identity_of, is_same
from wsdgateway.http.urls import Address
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.discovery.adoption import Adoption
from wsdgateway.net.discovery.client import DiscoveryClient
from wsdgateway.net.discovery.links import Discovery, Note
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.targetservices import TargetServices, Voice
from wsdgateway.net.presence.metadata import uuid_of
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.localaddress import addresses_of
from wsdgateway.storage.store import IStore
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust

LOOK_UP_SECONDS = 5.0


class DiscoveryService(Service):
    """`bridged` has the scanners that are bridged; `note` is told of each discovery message."""

    logger = Logger()

    def __init__(self, reactor: Any, config: Config, *, seconds: Callable[[], float], voice: Voice,
                 is_own: Callable[[str], bool], note: Note, accounting: Accounting, metrics: Metrics, store: IStore,
                 base_on: Callable[[Link, str | None], str | None], allows: Callable[[str, str, str], bool],
                 bridged: BridgedScanners) -> None:
        self._reactor = reactor
        self._config = config
        self._known: dict[str, tuple[str | None, str | None]] = {}
        self._store = store
        self._scanners = bridged.scanners
        self._bridge = bridged.bridge
        self._part = bridged.part
        bridged.on_bridged, bridged.on_parted = self._bridged_one, self._parted_with
        bridged.on_started = self._started_one
        discovery = config.discovery
        self.targets = TargetServices(
            reactor, voice, seconds=seconds, answer_rate=discovery.answer_rate, base_on=base_on,
            proxy=proxy_service(config.gateway.name) if discovery.proxy else None, dropped=metrics.discovery_dropped,
            allows=allows)
        self.client = DiscoveryClient(
            reactor, voice, seconds=seconds, period=discovery.search, directed=discovery.directed, is_own=is_own,
            missing=self._missing, overdue=self._overdue, readdressed=self._readdressed, tell=self._told,
            dropped=metrics.discovery_dropped, accounting=accounting, trust_in=self._trust_in)
        self._discovery = Discovery(
            reactor, clients=discovery.client_interfaces, devices=discovery.device_interfaces, targets=self.targets,
            search=self.client, is_own=is_own, count=metrics.discovery, dropped=metrics.discovery_dropped, note=note)
        self.adoption = Adoption(
            reactor, accounting, rules=self._exclusions(), new_id=voice.new_id, names=self._names,
            bridged=self._bridged, adopt=self._adopt, dismiss=self._dismiss)
        self.resolve = self.client.resolve

    def _bridged_one(self, scanner: BridgedScanner) -> None:
        """Clients are told of it whenever it is there."""
        self.targets.add(scanner.name, scanner.stand_in)

    def _started_one(self, scanner: BridgedScanner) -> None:
        """What was seen of it before need not be seen again: the next search may be a minute away."""
        sighting = self.client.sightings.get(scanner.monitor.endpoint or "")
        if sighting is not None and STAND_IN not in sighting.types:
            scanner.monitor.sighted(News(sighting))

    def _parted_with(self, scanner: BridgedScanner) -> None:
        """It is bridged no more, or made anew."""
        self._known.pop(scanner.name, None)
        self.targets.remove(scanner.name)

    def configure(self, config: Config) -> None:
        """Other sections, and other rules for adoption; adopted scanners make room for sections that name them."""
        self._config = config
        self.adoption.rules = self._exclusions()
        names = {section.name for section in config.scanner}
        uuids = {_identity(section) for section in config.scanner}
        for scanner in self._adopted_scanners():
            if scanner.name in names or scanner.options.uuid in uuids:
                self._dismiss(scanner.options.uuid or "", "This scanner is bridged under another name.")

    def _adopted_scanners(self) -> list[BridgedScanner]:
        return [scanner for scanner in self._scanners if self.adoption.holds(scanner.options.uuid or "")]

    def startService(self) -> None:
        super().startService()
        self._discovery.startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.adoption.stop()
        return self._discovery.stopService()

    # What is adopted.

    def _names(self) -> set[str]:
        """Those that are taken, if only by a section that is not bridged."""
        return {one.name for one in self._scanners} | {section.name for section in self._config.scanner}

    def _exclusions(self) -> tuple[Exclusion, ...]:
        """What is not adopted: by the rules, and because a section says that it is not to be bridged."""
        rules = list(self._config.discovery.exclude)
        for section in self._config.scanner:
            if not section.bridge:
                identity = _identity(section)
                if identity is not None:
                    rules.append(read_exclusion(identity))
                rules.extend(host_exclusion(host) for host in _hosts(section))
        return tuple(rules)

    async def _look_up(self) -> None:
        """What is not to be bridged may be named, and be found by its address."""
        hosts = {host for section in self._config.scanner if not section.bridge for host in _hosts(section)}
        found = gatherResults([Deferred.fromCoroutine(addresses_of(self._reactor, host)) for host in sorted(hosts)])
        found.addTimeout(LOOK_UP_SECONDS, self._reactor)
        try:
            addresses = await found
        except TimedOut:
            self.logger.warn("[[scanner]] bridge = false: {hosts} can't be looked up; give IP addresses, or uuids",
                             hosts=", ".join(sorted(hosts)))
            return
        self.adoption.rules += tuple(host_exclusion(address) for listed in addresses for address in listed)

    async def load(self) -> None:
        """Bridge the scanners that earlier starts have adopted."""
        if not self._config.discovery.adopt:
            return
        await self._look_up()
        await self._bridge_again(await self._store.adopted())

    async def take_up(self, adopted: Iterable[Adopted]) -> None:
        """Bridge scanners that earlier starts have adopted, although the store could not be read at the start."""
        if not self._config.discovery.adopt:
            return
        for scanner in await self._bridge_again(adopted):
            if self.running:
                scanner.start()
                self._started_one(scanner)

    async def _bridge_again(self, adopted_before: Iterable[Adopted]) -> list[BridgedScanner]:
        sections = [section for section in self._config.scanner if section.bridge]
        taken = {_identity(section) for section in sections}
        kept = []
        for stored in adopted_before:
            adopted = Adopted(identity_of(stored.uuid), stored.name)
            is_kept = adopted.uuid not in taken and self.adoption.restore(adopted)
            if is_kept:
                taken.add(adopted.uuid)
                kept.append(adopted)
            if not is_kept or stored != adopted:
                await self._store.abandon(stored.uuid)
            if is_kept and stored != adopted:
                await self._store.adopt(adopted)
        names = {adopted.name for adopted in kept}
        scanners = []
        for adopted in kept:
            if adopted.name in self._names():
                adopted = Adopted(adopted.uuid, name_for(adopted.name, adopted.uuid, self._names() | names))
                await self._store.adopt(adopted)
            scanners.append(self._bridge(ScannerConfig(adopted.name, uuid=adopted.uuid)))
        return scanners

    def _adopt(self, adopted: Adopted) -> None:
        """Bridge a scanner that was found; as soon as its name is kept, so that it has the same after a restart."""
        keeping = self._store.adopt(adopted)
        keeping.addCallbacks(lambda _: self.adoption.settled(adopted, kept=True), partial(self._not_kept, adopted))
        keeping.addCallback(lambda _: self._begin(adopted))
        keeping.addErrback(lambda failure: self.logger.failure("while adopting {uuid}", failure, uuid=adopted.uuid))

    def _not_kept(self, adopted: Adopted, failure: Failure) -> Failure:
        self.adoption.settled(adopted, kept=False)
        return failure

    def _begin(self, adopted: Adopted) -> None:
        if not self.running or not self.adoption.holds(adopted.uuid):
            return
        scanner = self._bridge(ScannerConfig(adopted.name, uuid=adopted.uuid))
        self.logger.info("{uuid} is bridged as {name}", uuid=adopted.uuid, name=adopted.name)
        scanner.start()
        self._started_one(scanner)

    def _dismiss(self, uuid: str, reason: str) -> None:
        """A scanner that was adopted is bridged no more."""
        for scanner in [one for one in self._scanners if one.options.uuid == uuid]:
            self._part(scanner, reason)
        self.adoption.abandoned(uuid)
        self._store.abandon(uuid).addErrback(lambda failure: self.logger.failure(
            "{uuid} stays in the store", failure, uuid=uuid))

    # What is heard on the scanners' side.

    def _bridged(self) -> set[tuple[str, int]]:
        """Host and port of scan services that are known by their address alone.

        Others are known by their uuid, and may have left their address to another scanner.
        """
        return {place for scanner in self._scanners if scanner.monitor.endpoint is None
                for place in scanner.monitor.places()}

    def changed(self, name: str) -> None:
        """A scanner has come, gone, or is known better: clients are told, and none stays bridged twice."""
        self.targets.changed(name)
        sections = {section.name for section in self._config.scanner}
        changed = next((one for one in self._scanners if one.name == name), None)
        if changed is None or not self._config.discovery.adopt:
            return
        known = (changed.monitor.endpoint, changed.bridge.device)
        if self._known.get(name) == known:
            return
        self._known[name] = known
        adopted = [one for one in self._scanners if one.name not in sections]
        if name in sections:
            self._part_with_twins(adopted, [changed])
        else:
            self._part_with_twins([changed], [one for one in self._scanners if one.name in sections])

    def _part_with_twins(self, adopted: list[BridgedScanner], configured: list[BridgedScanner]) -> None:
        """Adopted scanners that are configured, too, by their uuid or their address, are adopted no more."""
        endpoints = {identity_of(one.monitor.endpoint) for one in configured if one.monitor.endpoint is not None}
        places = {place for one in configured if one.monitor.endpoint is None for place in one.monitor.places()}
        for scanner in adopted:
            uuid = scanner.options.uuid or ""
            if uuid in endpoints or (places and scanner.monitor.places() & places):
                self._dismiss(uuid, "This scanner is bridged under another name.")

    async def _trust_in(self, address: Address, zone: str) -> Trust:
        """How a URL in `directed` is judged: like the scanner whose section has an address at the same host."""
        for section in self._config.scanner:
            if address.host in _hosts(section):
                return section.trust(self._config.folder)
        return BY_THE_SYSTEM

    def _of(self, endpoint: str) -> list[BridgedScanner]:
        """Who is known by that endpoint address, or given by it."""
        return [scanner for scanner in self._scanners if any(
            is_same(endpoint, own) for own in (scanner.monitor.endpoint, scanner.options.section.device) if own)]

    def _missing(self) -> list[str]:
        return [one.options.uuid for one in self._scanners if one.options.uuid and one.monitor.is_missing]

    def _overdue(self, endpoint: str) -> None:
        """A device has not been heard of for some time."""
        for scanner in self._of(endpoint):
            if scanner.device.reachable:
                scanner.stand_in.check()

    def _readdressed(self) -> None:
        """The addresses by which scanners reach us may be other ones."""
        for scanner in self._scanners:
            scanner.check()
            scanner.panel.doubt()

    def _told(self, news: News | Left) -> None:
        """A device has announced itself, answered, or said Bye."""
        if isinstance(news, Left):
            for scanner in self._of(news.endpoint):
                scanner.monitor.said_bye()
            return
        if STAND_IN in news.sighting.types:
            return  # another gateway's, or what was made of it
        ours = self._of(news.sighting.endpoint)
        for scanner in ours:
            scanner.monitor.sighted(news)
        sections = {section.name for section in self._config.scanner if section.bridge}
        may_adopt = self._config.discovery.adopt and all(scanner.name not in sections for scanner in ours)
        if may_adopt:
            self.adoption.consider(news)
        if not news.resolved and (ours or (may_adopt and may_be_scanner(news.sighting.endpoint, news.sighting.types))):
            self.client.resolve(news.sighting.endpoint)


def _identity(section: ScannerConfig) -> str | None:
    """The identity of a scanner whose section tells its uuid, by itself or in its device address."""
    uuid = section.uuid or uuid_of(section.device or "")
    return None if uuid is None else identity_of(uuid)


def _hosts(section: ScannerConfig) -> list[str]:
    """The host of a scanner that is given by an address."""
    return [urlsplit(url).hostname or "" for url in (section.device, section.scan) if url]
