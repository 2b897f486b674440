"""The stand-in for a scanner's device endpoint: its identity and metadata as clients see them.

WS-Transfer 2004/09, section 3.1; DPWS 2006/02, sections 4 and 5. The metadata is the scanner's own, with the gateway's
addresses in it; it is read once, and again after the scanner has been away.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Answer, Refuse
from wsdgateway.bridge.discovery.endpointname import EndpointName
from wsdgateway.bridge.discovery.presence import derived_endpoint, located, stand_in_service
from wsdgateway.discovery.identity import identity_of
from wsdgateway.discovery.messages import TargetService
from wsdgateway.metadata.messages import Labels, read_labels
from wsdgateway.metadata.names import name_of
from wsdgateway.metadata.standin import host_endpoint, make_metadata, stand_in
from wsdgateway.metrics import DEVICE, LOCAL, REFUSED
from wsdgateway.net.presence.description import Description
from wsdgateway.net.presence.metadata import uuid_of
from wsdgateway.net.presence.metadatacache import MetadataCache
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.errors import DeviceError, fault_for
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import Envelope, compose
from wsdgateway.soap.namespaces import WXF

PATIENCE = 2.0  # seconds; Windows waits four for matches


@attrs.frozen(eq=False)
class _Versioned:
    """A description, and the MetadataVersion that clients see."""

    description: Description
    version: int
    digest: str


class StandIn:
    """The stand-in of one scanner. `describe` reads the scanner's description; `metadata` caches it.

    It appears under a uuid that is derived from the scanner's, or if the section says so under the scanner's own. If
    clients can discover it, the description is read in advance. The version of its metadata grows when the scanner's
    description or the gateway's own addresses change.

    `version_of` gives the MetadataVersion for an endpoint and a digest. `hosts` are the names and addresses of the
    scanner's host, which clients must not be sent to. `is_here` tells whether the scanner is reachable, as far as
    known. `on_change` is called when its description may have changed. Clients do not discover it while it `is_hidden`.
    """

    log = Logger()

    def __init__(self, reactor: Any, options: ScannerOptions, *,
                 describe: Callable[[], Coroutine[Any, Any, Description]],
                 version_of: Callable[[str, str], Deferred[int]], hosts: Callable[[], frozenset[str]],
                 is_here: Callable[[], bool], new_id: Callable[[], str], on_change: Callable[[], None]) -> None:
        self._reactor = reactor
        self.scanner = options.name
        self.options = options
        self._describe = describe
        self._version_of = version_of
        self._hosts = hosts
        self._is_here = is_here
        self._new_id = new_id
        self._on_change = on_change
        self._endpoint_name = EndpointName(options.uuid or uuid_of(options.section.device or ""))
        self._scopes: tuple[str, ...] = ()
        self.is_hidden = False
        self.metadata: MetadataCache[_Versioned] = MetadataCache(
            reactor, scanner=self.scanner, read=self._read, is_eager=options.is_described_early, is_here=is_here,
            on_change=on_change)

    def adjust(self, options: ScannerOptions) -> None:
        """Apply other options; the scanner and its address must be the same."""
        self.options = options
        self.metadata.is_eager = options.is_described_early

    # Knowledge of the scanner.

    @property
    def own_endpoint(self) -> str | None:
        """The scanner's own endpoint address in the scanner's spelling; None while it is not known."""
        return self._endpoint_name.endpoint

    def announced_as(self, endpoint: str) -> None:
        """Record how the scanner spells its endpoint address in announcements and discovery answers."""
        if self._endpoint_name.announced(endpoint):
            self._on_change()

    def scoped(self, scopes: tuple[str, ...]) -> None:
        """Use the scanner's scopes for the stand-in, too."""
        if scopes != self._scopes:
            self._scopes = scopes
            self._on_change()

    async def _read(self) -> _Versioned:
        description = await self._describe()
        told, options = description.digest(), self.options
        try:
            if description.metadata is not None:
                self._endpoint_name.read_in_metadata(host_endpoint(description.metadata))
            endpoint = identity_of(self.endpoint or derived_endpoint(self.scanner))
            version = await self._version_of(endpoint, f"{told} {options.suffix} {self.scanner} {options.served}")
        except Exception:  # a store that is not writable must not hide the scanner
            self.log.failure("{scanner}: writing the MetadataVersion to the store failed", scanner=self.scanner)
            last = self.metadata.last
            version = 1 if last is None else last.version
            if last is None or told != last.digest:
                version += 1
        return _Versioned(description, version, told)

    def stop(self) -> None:
        """Stop reading the description."""
        self.metadata.stop()

    # The stand-in as clients see it.

    @property
    def _version(self) -> int | None:
        last = self.metadata.last
        return None if last is None else last.version

    @property
    def labels(self) -> Labels | None:
        """The scanner's own names; None while they are not known."""
        known = self.metadata.value
        if known is None:
            return None
        described = known.description
        if described.metadata is None:
            return Labels(friendly_name=described.name)
        return read_labels(described.metadata)

    @property
    def endpoint(self) -> str | None:
        """The stand-in's endpoint address; None while the scanner's, from which it is derived, must still be read.

        If the scanner's metadata does not contain one, it is derived from the scanner's name in the configuration.
        """
        if self.own_endpoint is not None:
            return self.own_endpoint if self.options.section.has_own_identity else derived_endpoint(self.own_endpoint)
        has_to_ask = self.options.section.device is not None and self._version is None
        return None if has_to_ask else derived_endpoint(self.scanner)

    @property
    def service(self) -> TargetService | None:
        """The target service that is announced to clients; None while the scanner is away or not known yet."""
        endpoint, version = self.endpoint, self._version
        if endpoint is None or version is None or self.is_hidden or not self._is_here():
            return None
        return stand_in_service(endpoint, self._scopes, version)

    def path(self) -> str:
        """The path of the stand-in below a base address."""
        return f"/{self.scanner}"

    async def match(self) -> TargetService | None:
        """The target service for a client that searches for it, without addresses; None while the scanner is away."""
        if self.metadata.value is None or not self._is_here():
            observer = self.metadata.get(afresh=True)
            observer.addTimeout(PATIENCE, self._reactor)
            try:
                await observer
            except (DeviceError, TimedOut):
                pass  # it may be busy; decide by what is known
        endpoint = self.endpoint
        if endpoint is None or not self._is_here():
            return None
        return stand_in_service(endpoint, self._scopes, self._version or 1)

    async def answer_get(self, envelope: Envelope, base: str) -> tuple[Answer | Refuse, str]:
        """The answer to a WS-Transfer Get that was sent under `base`, and its source for the metrics."""
        try:
            known = await self.metadata.get()
        except DeviceError as error:
            return Refuse(fault_for(error)), DEVICE if error.sent else REFUSED
        return Answer(compose(action=f"{WXF}/GetResponse", message_id=self._new_id(), to=ANONYMOUS,
                              relates_to=envelope.message_id, body=self._write(known.description, base),
                              namespaces={})), LOCAL

    def _write(self, described: Description, base: str) -> str:
        here = base + self.path()
        endpoint = located(stand_in_service(self.endpoint or derived_endpoint(self.scanner), (), 1), here).endpoint
        scan = f"{here}/scan"
        suffix = self.options.suffix
        if described.metadata is None:
            return make_metadata(endpoint=endpoint, info=described.info, scan=scan,
                                 name=f"{name_of(described.name, described.info, self.scanner)}{suffix}")
        return stand_in(described.metadata, endpoint=endpoint, scan=scan, hosts=self._hosts(), suffix=suffix,
                        name=self.scanner)
