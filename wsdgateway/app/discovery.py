"""Composes discovery: target services for clients, the search for scanners, and the adoption of scanners.

The configuration's `[discovery]`. Announcements of devices are passed to the scanner that they concern; a device that
no section describes may be adopted.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from wsdgateway.app.adoptedscanners import AdoptedScanners, hosts_of
from wsdgateway.app.scanners import BridgedScanners
from wsdgateway.bridge.discovery.adoption import Adopted, may_be_scanner
from wsdgateway.bridge.discovery.presence import STAND_IN, proxy_service
from wsdgateway.bridge.discovery.sightings import Left, News, Sighting
from wsdgateway.config.cluster import name_in_cluster
from wsdgateway.config.sections import Config
from wsdgateway.discovery.identity import is_same
from wsdgateway.http.urls import Address, is_http
from wsdgateway.metrics import Metrics
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.net.discovery.client import DiscoveryClient
from wsdgateway.net.discovery.links import DiscoveryLinks, OnMessage
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.targetservices import Sequences, TargetServices
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.storage.store import IStore
from wsdgateway.tls.trust import BY_THE_SYSTEM, Trust


class DiscoveryService(Service):
    """The discovery of one gateway, for the scanners in `bridged`.

    `on_message` is called for each discovery message. `may_adopt` returns False while no scanner may be adopted. For
    `sequences`, `base_on`, `allows`, `speaks` and `others` see `net.discovery.targetservices`.
    """

    def __init__(self, reactor: Any, config: Config, *, seconds: Callable[[], float], parameters: MessageParameters,
                 sequences: Sequences, is_own: Callable[[str], bool], on_message: OnMessage, accounting: Accounting,
                 metrics: Metrics, store: IStore, base_on: Callable[[Link, str | None], str | None],
                 allows: Callable[[str, str, str], bool], bridged: BridgedScanners, speaks: Callable[[str], bool],
                 others: Callable[[str, str, Link], Iterable[str]]) -> None:
        self._config = config
        self._scanners = bridged.scanners
        bridged.on_added, bridged.on_removed = self._added, self.removed
        bridged.on_started = self._started
        self._known = bridged.known
        self.may_adopt: Callable[[], bool] = lambda: True
        discovery = config.discovery
        self.targets = TargetServices(
            reactor, parameters, sequences, seconds=seconds, answer_rate=discovery.answer_rate, base_on=base_on,
            proxy=proxy_service(name_in_cluster(config)) if discovery.proxy else None,
            on_dropped=metrics.discovery_dropped, allows=allows, speaks=speaks, others=others)
        self.client = DiscoveryClient(
            reactor, parameters, seconds=seconds, period=discovery.search, directed=discovery.directed, is_own=is_own,
            missing=self._missing, on_unanswered=self._unanswered, on_address_change=self.on_address_change,
            on_news=self._receive, on_dropped=metrics.discovery_dropped, accounting=accounting, trust_in=self._trust_in)
        self._links = DiscoveryLinks(
            reactor, client_interfaces=discovery.client_interfaces, device_interfaces=discovery.device_interfaces,
            targets=self.targets, client=self.client, is_own=is_own, count=metrics.discovery,
            on_dropped=metrics.discovery_dropped, on_message=on_message)
        self.adopted = AdoptedScanners(reactor, config, accounting=accounting, new_id=parameters.new_id, store=store,
                                       bridged=bridged)
        self.adoption = self.adopted.adoption
        self.resolve = self.client.resolve

    def _added(self, scanner: BridgedScanner) -> None:
        """Announce the scanner's stand-in to clients while it is available."""
        self.targets.add(scanner.name, scanner.stand_in)

    def _started(self, scanner: BridgedScanner) -> None:
        """Pass a scanner that starts its last sighting, since the next search may be a minute away."""
        sighting = self.client.sightings.get(scanner.monitor.endpoint or "")
        if sighting is not None and STAND_IN not in sighting.types:
            scanner.monitor.sighted(News(sighting))

    def removed(self, scanner: BridgedScanner) -> None:
        """Withdraw a scanner that is no longer bridged, or that another object replaces."""
        self.adopted.removed(scanner.name)
        self.targets.remove(scanner.name)

    def left(self, scanner: BridgedScanner) -> None:
        """Stop announcing a scanner that another gateway announces from now on."""
        self.adopted.removed(scanner.name)
        self.targets.leave(scanner.name)

    def withdraw(self, scanner: BridgedScanner) -> None:
        """Send Bye for a scanner that another gateway has announced, and that no gateway announces any more."""
        stand_in = scanner.stand_in
        if stand_in.endpoint is not None:
            self.targets.withdraw(scanner.name, stand_in.endpoint, stand_in.path())

    def configure(self, config: Config) -> None:
        """Apply other sections, and other rules for adoption."""
        self._config = config
        self.adopted.configure(config)

    def startService(self) -> None:
        super().startService()
        self._links.startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.adopted.stop()
        return self._links.stopService()

    async def load(self) -> None:
        """Bridge the scanners that earlier starts have adopted."""
        await self.adopted.load()

    async def add_stored(self, stored: Iterable[Adopted]) -> None:
        """Bridge the scanners that earlier starts have adopted, if the store could not list them at the start."""
        await self.adopted.add_stored(stored)

    def changed(self, name: str) -> None:
        """Announce a change of a scanner to clients, and give up adopted scanners that would be bridged twice."""
        self.targets.changed(name)
        self.adopted.changed(name)

    # The device side.

    async def _trust_in(self, address: Address, zone: str) -> Trust:
        """The trust settings for a URL of `directed`: those of a section with the same host, else the default."""
        for section in self._config.scanner:
            if address.host in hosts_of(section):
                return section.trust(self._config.folder)
        return BY_THE_SYSTEM

    def _of(self, endpoint: str) -> list[BridgedScanner]:
        """The scanners whose known or configured endpoint address is this one."""
        return [scanner for scanner in self._scanners if any(
            is_same(endpoint, own) for own in (scanner.monitor.endpoint, scanner.options.section.device) if own)]

    def _is_followed(self, sighting: Sighting) -> bool:
        """True if the scanner is known, and another gateway bridges it."""
        bridged = {scanner.name for scanner in self._scanners}
        hosts = {urlsplit(url).hostname for url in sighting.xaddrs if is_http(url)}
        return any(not hosts.isdisjoint(hosts_of(section)) or any(
            is_same(sighting.endpoint, own) for own in (section.uuid, section.device) if own)
            for name, section in self._known.items() if name not in bridged)

    def _missing(self) -> list[str]:
        return [one.options.uuid for one in self._scanners if one.options.uuid and one.monitor.is_missing]

    def _unanswered(self, endpoint: str) -> None:
        """Check a device that did not answer the last Probe."""
        for scanner in self._of(endpoint):
            if scanner.device.reachable:
                scanner.stand_in.metadata.check()

    def on_address_change(self) -> None:
        """Check subscriptions and panel registrations: this gateway's addresses for scanners may have changed."""
        for scanner in self._scanners:
            scanner.subscriptions.doubt()

    def _receive(self, news: News | Left) -> None:
        """Handle a device's announcement, answer or Bye."""
        if isinstance(news, Left):
            for scanner in self._of(news.endpoint):
                scanner.monitor.said_bye()
            return
        if STAND_IN in news.sighting.types:
            return  # another gateway's stand-in, or a device made from one
        own = self._of(news.sighting.endpoint)
        for scanner in own:
            scanner.monitor.sighted(news)
        sections = {section.name for section in self._config.scanner if section.bridge}
        may_adopt = self._config.discovery.adopt and self.may_adopt() and all(
            scanner.name not in sections for scanner in own) and not self._is_followed(news.sighting)
        if may_adopt:
            self.adoption.consider(news)
        if not news.resolved and (own or (may_adopt and may_be_scanner(news.sighting.endpoint, news.sighting.types))):
            self.client.resolve(news.sighting.endpoint)
