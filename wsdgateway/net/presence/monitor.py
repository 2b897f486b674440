"""Monitors one scanner: the address of its scan service, whether it is reachable, and whether it has restarted.

WS-Discovery 2005/04, sections 4 to 6. Announcements are passed to the parts that send requests to the scanner, and
their results to the bridge; `bridge.discovery.announcements` decides what an announcement means. The states of the scan
service::

    unknown ──found──► found ──found at another address──► found
       │  ▲
       └──┘ requested by a client: searched for, at most once in LOCATE_SECONDS
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.discovery.announcements import Doubt, Pending, doubt_of, has_moved
from wsdgateway.bridge.discovery.sightings import News, Sighting
from wsdgateway.bridge.health.causes import Cause, not_found
from wsdgateway.bridge.scanner import ScannerBridge, describe_missing
from wsdgateway.discovery.identity import is_same
from wsdgateway.http.urls import address_of, is_http
from wsdgateway.metadata.messages import Labels
from wsdgateway.metadata.standin import find_metadata
from wsdgateway.net.presence.description import Description
from wsdgateway.net.presence.locator import Locator
from wsdgateway.net.presence.metadata import describe_scanner, endpoint_of, read_metadata
from wsdgateway.net.presence.reachability import Reachability
from wsdgateway.net.presence.standin import StandIn
from wsdgateway.net.scanners.address import ServiceLocation
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.scanners.soapclient import SoapClient
from wsdgateway.net.transport.errors import BadDevice, DeviceError, Unavailable
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.parsing import Malformed

LOCATE_SECONDS = 1.0  # between searches for a scan service that clients request
SEARCH_SECONDS = 5.0  # after which a scanner counts as not found


class Monitor:
    """Monitors one scanner, and owns its `stand_in`.

    `version_of` gives the MetadataVersion for an endpoint and a digest; `search` searches for an endpoint on the device
    side. `on_found` is called once with the location of the scan service, whose address may change later; `on_doubt`
    when the scanner may have forgotten its subscriptions; `on_change` when it has appeared, disappeared or changed.
    """

    log = Logger()

    def __init__(self, reactor: Any, options: ScannerOptions, bridge: ScannerBridge, device: DeviceClient,
                 requests: SoapClient, *, seconds: Callable[[], float], new_id: Callable[[], str],
                 version_of: Callable[[str, str], Deferred[int]], search: Callable[[str], None],
                 on_change: Callable[[], None], on_found: Callable[[ServiceLocation], None],
                 on_doubt: Callable[[], None]) -> None:
        self._reactor = reactor
        self._name = options.name
        self.options = options
        self._bridge = bridge
        self._device = device
        self._send = requests.send
        self._seconds = seconds
        self._new_id = new_id
        self._search = search
        self._on_change = on_change
        self._on_found = on_found
        self._on_doubt = on_doubt
        self.stand_in = StandIn(
            reactor, options, describe=self._describe, version_of=version_of, hosts=self._hosts,
            is_here=self._is_here, new_id=new_id, on_change=self._stand_in_changed)
        self._locator = Locator(
            reactor, scanner=options.name, client=device, send=requests.send, send_beside=requests.send_beside,
            new_id=new_id, endpoint=options.uuid, found=self._found, on_failure=self._not_located)
        self._reachability = Reachability(reactor, seconds=seconds, device=device, check=self.stand_in.metadata.check)
        self._where: ServiceLocation | None = None
        self._pending = Pending()
        self._located_at = float("-inf")
        self._stopped = False
        self._overdue: IDelayedCall | None = None
        self._is_overdue = False
        self._stand_in_changed()

    def adjust(self, options: ScannerOptions) -> None:
        """Apply other options; the scanner and its address must be the same."""
        self.options = options
        self.stand_in.adjust(options)

    def start(self, last_known: str | None = None) -> None:
        """Find the scan service, unless that requires a sighting of the scanner.

        `last_known` is its address if another gateway has just used it. A scanner that is configured with the address
        of its device is there until its metadata says otherwise.
        """
        if self.options.section.scan is not None:
            self._found(self.options.section.scan)
        elif self.options.section.device is not None:
            if last_known is not None:
                self._found(last_known)
            self._locator.search((self.options.section.device,))
        elif self.options.uuid is not None:
            self._overdue = self._reactor.callLater(SEARCH_SECONDS, self._found_nothing)

    def _found_nothing(self) -> None:
        """Handle that the scanner has not been found although its first searches have had time to be answered."""
        self._is_overdue = True
        self._not_located()

    def _not_located(self) -> None:
        self._bridge.missing = self.missing
        self._on_change()

    @property
    def is_settled(self) -> bool:
        """True if it is known where the scan service is, or why it cannot be found."""
        return self._bridge.device is not None or self.missing is not None

    @property
    def missing(self) -> Cause | None:
        """The cause for which the scan service is not known; None if it is known, or has only just been searched."""
        if self._where is not None:
            return None
        if self._locator.cause is not None:
            return self._locator.cause
        uuid = self.options.uuid
        return not_found(uuid) if self._is_overdue and uuid is not None and self.sighting is None else None

    def locate(self) -> None:
        """Search for an unknown scan service that a client requests; at most once in `LOCATE_SECONDS`."""
        now = self._seconds()
        if self._where is not None or self._stopped or now - self._located_at < LOCATE_SECONDS:
            return
        self._located_at = now
        if self.options.section.device is not None:
            self._locator.search((self.options.section.device,))
        elif self.sighting is not None:
            self._locator.search()
        elif self.options.uuid is not None:
            self._search(self.options.uuid)

    def stop(self) -> None:
        """Stop searching and sending requests."""
        self._stopped = True
        if self._overdue is not None and self._overdue.active():
            self._overdue.cancel()
        self._locator.stop()
        self.stand_in.stop()
        self._reachability.stop()

    # Knowledge of the scanner.

    @property
    def endpoint(self) -> str | None:
        """The scanner's own endpoint address, or None if it is not known."""
        return self.stand_in.own_endpoint

    async def read_endpoint(self) -> None:
        """Read the scanner's endpoint address in its metadata, if it answers and they have not been read."""
        try:
            await self.stand_in.metadata.get()
        except DeviceError:
            return  # it is read again with the next request

    @property
    def labels(self) -> Labels:
        """The scanner's own names; empty if they are not known."""
        return self.stand_in.labels or self._locator.labels or Labels()

    @property
    def reachable(self) -> bool | None:
        """True if the scanner answered the last request and has not said Bye since; None before the first request."""
        return self._reachability.reachable

    @property
    def has_left(self) -> bool:
        """True if the scanner has said Bye, and nothing since."""
        return self._reachability.has_left

    @property
    def was_tried(self) -> bool:
        """True if its metadata have been requested, or it has been searched for, in vain."""
        return self._locator.was_tried or self._is_overdue

    @property
    def sighting(self) -> Sighting | None:
        """The last announcement or answer in discovery that is known to be the scanner's; None before that."""
        return self._reachability.sighting

    def silent_for(self) -> float:
        """The seconds since the scanner has answered or announced anything."""
        return self._reachability.silent_for()

    @property
    def is_missing(self) -> bool:
        """True if the scanner must be searched for on the device side."""
        return self.options.uuid is not None and (self._where is None or not self._is_here())

    def _is_here(self) -> bool:
        return self._where is not None and self.reachable is not False

    def places(self) -> set[tuple[str, int]]:
        """Host and port of the scan service, for every known host name and address of the scanner."""
        url = self._bridge.device or self.options.section.scan
        return set() if url is None else {(host, address_of(url).port) for host in self._hosts()}

    def _urls(self) -> set[str]:
        """The known URLs of the scanner."""
        urls = (self._locator.device, self.options.section.device, self.options.section.scan, self._bridge.device)
        return {url for url in urls if url}

    def _hosts(self) -> frozenset[str]:
        """The known names and addresses of the scanner's host."""
        sighting = self.sighting
        urls = {*self._urls(), *filter(is_http, sighting.xaddrs if sighting is not None else ())}
        return frozenset({urlsplit(url).hostname or "" for url in urls} | self._device.peers)

    # Its description.

    async def _describe(self) -> Description:
        device = self._locator.device or self.options.section.device
        if device is not None:
            return await self._describe_device(device)
        if self._bridge.device is None:
            raise Unavailable(self._name, describe_missing(self.missing), cause=self.missing)
        sent = self._bridge.sending(self._seconds())

        def learn(envelope: Envelope | None, reply: Reply) -> None:
            self._bridge.learn_status(envelope, reply, sent)
            self._on_change()

        return await describe_scanner(self._send, self._bridge.device, self._new_id, learn)

    async def _describe_device(self, url: str) -> Description:
        """The description of the device at that URL, which must contain a scan service."""
        to = self.endpoint  # in the scanner's own spelling
        if to is not None and not is_same(to, endpoint_of(url)):
            to = None
        envelope = await read_metadata(self._send, url, self._new_id, self._locator.endpoint, to)
        try:
            address = self._locator.metadata_read(url, envelope)
        except Malformed as error:
            raise BadDevice(url, f"its metadata cannot be used: {error}") from None
        if self._where is None or self._where.address != address:
            self._found(address)
        return Description(find_metadata(envelope.body))

    def _stand_in_changed(self) -> None:
        ours, theirs = self.stand_in.endpoint, self.endpoint
        self._bridge.endpoints = (ours, theirs) if ours else None
        self._on_change()

    def reachability_changed(self) -> None:
        """Handle that the scanner has become reachable or unreachable."""
        if self._device.reachable:
            self.log.info("{scanner}: the scanner answers at {peers}", scanner=self._name,
                          peers=", ".join(sorted(self._device.peers)))
            self.stand_in.metadata.refresh_now()
        else:
            self._was_away()
            self.stand_in.metadata.refresh()
            if self.options.uuid is not None:
                self._search(self.options.uuid)
        self._on_change()

    def _was_away(self) -> None:
        """Require that the scanner is asked before any older knowledge is used."""
        self._bridge.was_away()
        self.stand_in.metadata.doubt()

    # Discovery messages.

    def sighted(self, news: News) -> None:
        """Handle an announcement or answer of the scanner."""
        self._reachability.sighted(news.sighting)
        self.stand_in.announced_as(news.sighting.endpoint)
        self.stand_in.scoped(news.sighting.scopes)
        doubt = doubt_of(news)
        if doubt is Doubt.RESTARTED:
            self.log.info("{scanner}: the scanner has restarted", scanner=self._name)
            self._bridge.rebooted()
            self.stand_in.metadata.doubt()
        elif doubt is Doubt.AWAY:
            self._was_away()
        self._pending = self._pending.with_news(news)
        if self.options.uuid is not None:  # its address must be discovered
            self._locator.sighted(news.sighting, changed=news.described)
        else:
            self._catch_up()
            if news.described:
                self._locator.search()
            self.locate()
        self._on_change()

    def said_bye(self) -> None:
        """Handle a Bye, which may be forged: check whether the scanner still answers."""
        self.log.info("{scanner}: the scanner sent a Bye", scanner=self._name)
        if self._reachability.said_bye():
            self._was_away()
        self._on_change()

    def _found(self, address: str) -> None:
        """Handle that the scan service has been found."""
        if self._stopped:
            return
        if self._where is not None:
            if has_moved(self._where.address, address, reachable=self._device.reachable):
                self._moved(self._where, address)
            self._catch_up()
            return
        if self._locator.device is not None:
            self.log.info("{scanner}: found the scan service at {url}", scanner=self._name, url=address)
        self._bridge.device, self._bridge.missing = address, None
        self._where = ServiceLocation(address, follows=self.options.uuid is not None)
        if self._device.reachable is False:
            self._device.moved()  # failures from the time when it was switched off no longer matter
        self.stand_in.metadata.refresh_now()
        self._on_found(self._where)
        self._on_change()

    def _moved(self, where: ServiceLocation, address: str) -> None:
        """Use the scanner's new address. The scanner still holds its subscriptions, unless it has restarted."""
        self.log.info("{scanner}: the scan service has moved to {url}", scanner=self._name, url=address)
        former, where.address = where.address, address
        self._bridge.device = address
        self._was_away()
        self._device.moved()
        self._on_doubt()
        if address != former:
            self.stand_in.metadata.moved()
        else:
            self.stand_in.metadata.check()

    def _catch_up(self) -> None:
        """Handle a restart of the scanner, or a change of its description, that has not been handled yet."""
        pending, self._pending = self._pending, Pending()
        if pending.started:
            self._on_doubt()
        if pending.described:
            self.stand_in.metadata.forget()
