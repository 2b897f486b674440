"""Bridges adopted scanners when they are found and after a restart, and gives them up when required.

The configuration's `[discovery] adopt` and `exclude`. `net.discovery.adoption` examines the devices that are found.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.app.scanners import NOT_BRIDGED, BridgedScanners
from wsdgateway.bridge.discovery.adoption import (
    Adopted,
    Bridged,
    Exclusion,
    duplicates,
    host_exclusion,
    plan_restoring,
    read_exclusion,
)
from wsdgateway.config.sections import Config, ScannerConfig
from wsdgateway.discovery.identity import identity_of
from wsdgateway.net.discovery.adoption import Adoption
from wsdgateway.net.presence.metadata import uuid_of
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.localaddress import addresses_of
from wsdgateway.storage.store import IStore

LOOK_UP_SECONDS = 5.0
DUPLICATE = "This scanner is now bridged under another name."


class AdoptedScanners:
    """Bridges the scanners that `adoption` adopts, and keeps the store up to date."""

    log = Logger()

    def __init__(self, reactor: Any, config: Config, *, accounting: Accounting, new_id: Callable[[], str],
                 store: IStore, bridged: BridgedScanners) -> None:
        self._reactor = reactor
        self._config = config
        self._store = store
        self._bridged = bridged
        self._known: dict[str, tuple[str | None, str | None]] = {}
        self._stopped = False
        self.adoption = Adoption(
            reactor, accounting, rules=_exclusions(config), new_id=new_id, names=self._names,
            bridged=self._places, adopt=self._adopt, dismiss=self._remove)

    def stop(self) -> None:
        """Stop adopting scanners."""
        self._stopped = True
        self.adoption.stop()

    def configure(self, config: Config) -> None:
        """Apply other sections and rules. Gives up adopted scanners whose name or uuid a section now has."""
        self._config = config
        self.adoption.rules = _exclusions(config)
        names = {section.name for section in config.scanner}
        uuids = {_identity(section) for section in config.scanner}
        for uuid, name in self._adopted().items():
            if name in names or uuid in uuids:
                self._remove(uuid, DUPLICATE)

    def _adopted(self) -> dict[str, str]:
        """The names of the adopted scanners by uuid."""
        return {section.uuid: section.name for section in self._bridged.known.values()
                if section.uuid is not None and self.adoption.has_adopted(section.uuid)}

    def _names(self) -> set[str]:
        """The names in use, including those of sections that are not bridged."""
        return {*self._bridged.known, *(section.name for section in self._config.scanner)}

    def _places(self) -> set[tuple[str, int]]:
        """Host and port of each scan service that is only known by its address.

        Scanners that are known by their uuid are left out: another scanner may have their former address by now.
        """
        return {place for scanner in self._bridged.scanners if scanner.monitor.endpoint is None
                for place in scanner.monitor.places()}

    # Restoring from the store.

    async def load(self) -> None:
        """Bridge the scanners that earlier starts have adopted."""
        if self._config.discovery.adopt:
            await self._look_up_excluded_hosts()
            await self._restore(await self._store.adopted())

    async def add_stored(self, stored: Iterable[Adopted]) -> None:
        """Bridge the scanners that earlier starts have adopted, if the store could not list them at the start."""
        if self._config.discovery.adopt:
            await self._restore(stored)

    async def synchronize(self) -> None:
        """Follow the scanners that other gateways have adopted, and forget those that they have given up."""
        if not self._config.discovery.adopt or self._stopped:
            return
        stored = {adopted.uuid: adopted for adopted in await self._store.adopted()}
        for uuid, name in self._adopted().items():
            if uuid not in stored or stored[uuid].name != name:
                self._bridged.remove(name, NOT_BRIDGED)
                self.adoption.forget(uuid)
        await self._restore(one for uuid, one in stored.items() if not self.adoption.has_adopted(uuid))

    async def _look_up_excluded_hosts(self) -> None:
        """Exclude the IP addresses of hosts in sections with `bridge = false`: scanners are found by IP address."""
        hosts = {host for section in self._config.scanner if not section.bridge for host in hosts_of(section)}
        found = gatherResults([Deferred.fromCoroutine(addresses_of(self._reactor, host)) for host in sorted(hosts)])
        found.addTimeout(LOOK_UP_SECONDS, self._reactor)
        try:
            addresses = await found
        except TimedOut:
            self.log.warn("[[scanner]] bridge = false: cannot look up {hosts}; give IP addresses or uuids instead",
                          hosts=", ".join(sorted(hosts)))
            return
        self.adoption.rules += tuple(host_exclusion(address) for listed in addresses for address in listed)

    async def _restore(self, stored: Iterable[Adopted]) -> None:
        plan = plan_restoring(
            stored, configured={_identity(section) for section in self._config.scanner if section.bridge},
            rules=self.adoption.rules, names=self._names())
        for uuid in plan.delete:
            await self._store.abandon(uuid)
        for adopted in plan.write:
            await self._store.adopt(adopted)
        for adopted in plan.bridge:
            self._bridge(adopted)

    def _bridge(self, adopted: Adopted) -> None:
        self.adoption.restore(adopted.uuid)
        self._bridged.add(ScannerConfig(adopted.name, uuid=adopted.uuid))

    # Adopting scanners that are found.

    def _adopt(self, adopted: Adopted) -> None:
        """Store the name of a scanner that was found, then bridge it, so that it keeps the name after a restart."""
        writing = self._store.adopt(adopted)
        writing.addCallbacks(lambda _: self.adoption.stored(adopted), partial(self._not_stored, adopted))
        writing.addCallback(lambda _: self._begin(adopted))
        writing.addErrback(self._not_adopted, adopted)

    def _not_stored(self, adopted: Adopted, failure: Failure) -> Failure:
        self.adoption.not_stored(adopted)
        return failure

    def _not_adopted(self, failure: Failure, adopted: Adopted) -> None:
        if failure.check(ValueError):  # another gateway has given the name away; the next sighting finds another one
            self.log.warn("{uuid}: not adopted: {problem}", uuid=adopted.uuid, problem=str(failure.value))
        else:
            self.log.failure("Adopting {uuid} failed", failure, uuid=adopted.uuid)

    def _begin(self, adopted: Adopted) -> None:
        if not self._stopped and self.adoption.has_adopted(adopted.uuid):
            self._bridge(adopted)
            self.log.info("{uuid} is bridged as {scanner}", uuid=adopted.uuid, scanner=adopted.name)

    def _remove(self, uuid: str, reason: str) -> None:
        """Give an adopted scanner up; its subscribers are told the reason."""
        for section in [one for one in self._bridged.known.values() if one.uuid == uuid]:
            self._bridged.remove(section.name, reason)
        self.adoption.forget(uuid)
        self._store.abandon(uuid).addErrback(lambda failure: self.log.failure(
            "Deleting {uuid} from the store failed", failure, uuid=uuid))

    # Changes of bridged scanners.

    def removed(self, name: str) -> None:
        """Forget a scanner that is no longer bridged, or has been replaced."""
        self._known.pop(name, None)

    def changed(self, name: str) -> None:
        """Give up adopted scanners that are found to have a section, now that more is known about this scanner."""
        sections = {section.name for section in self._config.scanner}
        changed = next((one for one in self._bridged.scanners if one.name == name), None)
        if changed is None or not self._config.discovery.adopt:
            return
        known = (changed.monitor.endpoint, changed.bridge.device)
        if self._known.get(name) == known:
            return
        self._known[name] = known
        configured = [one for one in self._bridged.scanners if one.name in sections]
        adopted = [one for one in self._bridged.scanners if one.name not in sections]
        compared = (adopted, [changed]) if name in sections else ([changed], configured)
        for uuid in duplicates((Bridged(one.options.uuid, one.monitor.places()) for one in compared[0]),
                               (Bridged(one.monitor.endpoint, one.monitor.places()) for one in compared[1])):
            self._remove(uuid, DUPLICATE)


def _exclusions(config: Config) -> tuple[Exclusion, ...]:
    """The exclusions from adoption: the configured rules, and the sections with `bridge = false`."""
    rules = list(config.discovery.exclude)
    for section in config.scanner:
        if not section.bridge:
            identity = _identity(section)
            if identity is not None:
                rules.append(read_exclusion(identity))
            rules.extend(host_exclusion(host) for host in hosts_of(section))
    return tuple(rules)


def _identity(section: ScannerConfig) -> str | None:
    """The identity of a scanner whose section contains its uuid, as `uuid` or in its device address; else None."""
    uuid = section.uuid or uuid_of(section.device or "")
    return None if uuid is None else identity_of(uuid)


def hosts_of(section: ScannerConfig) -> list[str]:
    """The host names or addresses in the URLs of a section."""
    return [urlsplit(url).hostname or "" for url in (section.device, section.scan) if url]
