"""Finds a scanner's scan service in the metadata at one of the scanner's addresses, and follows it.

WS-Transfer 2004/09, section 3.1; DPWS 2006/02, section 5.2. Devices announce unreachable addresses, so each one is
tried in order. If none leads to the scan service, all are tried again, soon enough for a scanner that is switched on
later or takes half a minute to start. `bridge.discovery.location` decides where to search, and when.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.discovery.location import LINK_LOCAL_SECONDS, Location, Next
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.bridge.health.causes import NO_USABLE_ADDRESS, Cause, not_a_scanner, told
from wsdgateway.discovery.identity import is_same
from wsdgateway.metadata.messages import Labels, read_labels, scan_service_addresses
from wsdgateway.metadata.standin import find_metadata
from wsdgateway.net.presence.metadata import read_metadata, scan_address
from wsdgateway.net.scanners.address import usable
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.scanners.soapclient import SendRequest
from wsdgateway.net.transport.errors import BadDevice, DeviceError, Unavailable
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.parsing import Malformed

MAX_LOGGED = 500  # characters of a datagram in a log message


class Locator:
    """Finds the scan service of one scanner. `found` is called with its address.

    `send` sends requests to the scanner by `client`, `send_beside` by another connection that does not wait for dead
    ones. `endpoint` is the scanner's endpoint address in the scanner's own spelling, if it is known; answers from any
    other endpoint are rejected. `labels` are the names that the scanner had when it was last found. `on_failure` is
    called after a search without success (`was_tried`), whose `cause` is that of the first failure with a cause.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, client: DeviceClient, send: SendRequest, send_beside: SendRequest,
                 new_id: Callable[[], str], endpoint: str | None, found: Callable[[str], None],
                 on_failure: Callable[[], None] = lambda: None) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._client = client
        self._send = send
        self._send_beside = send_beside
        self._new_id = new_id
        self.endpoint = endpoint
        self._found = found
        self._on_failure = on_failure
        self._logged = ""
        self.cause: Cause | None = None
        self.was_tried = False
        self._location = Location()
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._throttle = LogThrottle()
        self._unusable: tuple[str, ...] = ()
        self.labels: Labels | None = None

    @property
    def device(self) -> str | None:
        """The URL at which the scanner's metadata was last read."""
        return self._location.device

    @property
    def is_waiting(self) -> bool:
        """True if the next search waits for the end of a pause."""
        return self._timer is not None

    def search(self, urls: tuple[str, ...] = ()) -> None:
        """Search for the scan service at these addresses, or again at the known ones."""
        self._location.name(urls)
        if self._stopped:
            return
        begun = self._location.begin()
        if begun is not None:
            self.cancel()
            reading: Deferred[None] = Deferred.fromCoroutine(self._read_at(begun))
            reading.addErrback(lambda failure: self.log.failure("{scanner}: reading its metadata failed",
                                                                failure, scanner=self._scanner))

    def sighted(self, sighting: Sighting, *, changed: bool) -> None:
        """Handle an announcement of the scanner's addresses. `changed` is true if its metadata may have changed."""
        if self.endpoint is not None and is_same(self.endpoint, sighting.endpoint):
            self.endpoint = sighting.endpoint
        urls = tuple(usable(sighting))
        if not urls:
            self._log_unusable(sighting.xaddrs)
        what = self._location.sighted(urls, sighting.via, changed=changed, reachable=self._client.reachable,
                                      is_waiting=self.is_waiting)
        if what is Next.STAY:
            self.cancel()
        elif what is not Next.NOTHING:
            self._client.zone = sighting.via
            if what is Next.WAIT:
                self._timer = self._reactor.callLater(LINK_LOCAL_SECONDS, self.search)
            else:
                self.search()

    def _log_unusable(self, xaddrs: tuple[str, ...]) -> None:
        """Log once that a scanner that is searched for announces no usable address."""
        if xaddrs and self.device is None and xaddrs != self._unusable:
            self._unusable = xaddrs
            self.cause = NO_USABLE_ADDRESS
            self._on_failure()
            if self._throttle.allows("", self._reactor.seconds()):
                self.log.warn("{scanner}: the scanner announces no usable address, only {xaddrs}; give its address "
                              "in the configuration, as device or scan",
                              scanner=self._scanner, xaddrs=" ".join(xaddrs)[:MAX_LOGGED])

    async def _read_at(self, urls: tuple[str, ...]) -> None:
        location = self._location
        problems: list[DeviceError] = []
        has_answered = False
        try:
            for url in urls:
                address, answered = await self._try(url, problems)
                has_answered = has_answered or answered
                if self._stopped or not location.is_current(urls):
                    return  # the scanner has been sighted elsewhere in the meantime
                if address is not None:
                    location.found(url)
                    self.cause = None
                    self._found(address)
                    return
        finally:
            if location.end(urls):
                self.search()
        self._not_found(problems, has_answered)

    def _not_found(self, problems: list[DeviceError], has_answered: bool) -> None:
        """Log why the scan service was not found, if the reason has changed, and schedule the next search."""
        location = self._location
        why = "; ".join(map(str, problems))
        if location.is_still_at_former(reachable=self._client.reachable):
            self.log.warn("{scanner}: the scanner was announced at a new address, but is still at the former one: "
                          "{why}", scanner=self._scanner, why=why)
            return
        self.was_tried = True
        former, self.cause = self.cause, next((one.cause for one in problems if one.cause is not None), None)
        if why != self._logged or self.cause != former:
            self._logged = why
            self.log.warn("{scanner}: the scan service was not found: {why}; searching again within {seconds:g} s",
                          scanner=self._scanner, why=why, seconds=location.backoff.bound(answered=has_answered))
        self.cancel()
        self._timer = self._reactor.callLater(location.backoff.next(answered=has_answered), self.search)
        self._on_failure()

    async def _try(self, url: str, problems: list[DeviceError]) -> tuple[str | None, bool]:
        """The scan service's address in the metadata at a URL, or None; and whether a device answered."""
        try:
            send = self._send if url == self.device and self._client.reachable else self._send_beside
            envelope = await read_metadata(send, url, self._new_id, self.endpoint)
            return self._read(url, envelope), True
        except DeviceError as error:
            problems.append(error)
            return None, error.sent
        except Malformed as error:
            problems.append(BadDevice(url, told(f"its metadata cannot be used: {error}", reached=True)))
            return None, True

    def _read(self, url: str, envelope: Envelope) -> str:
        """The scan service's address in metadata that was read at a URL. Raises `Malformed` or `DeviceError`."""
        address = scan_address(envelope, url)
        if address is None:
            nothing = Unavailable(url, not_a_scanner("its metadata contains no scan service"))
            nothing.sent = True
            raise nothing
        metadata = find_metadata(envelope.body)
        if metadata is not None:
            self.labels = read_labels(metadata)
        named = scan_service_addresses(envelope)
        if url.startswith("https:") and not any(one.startswith("https:") for one in named):
            self.log.warn("{scanner}: its metadata contains no https address of the scan service, only {address}; "
                          "using TLS there. If that fails, give the https address as scan", scanner=self._scanner,
                          address=named[0])
        return address

    def metadata_read(self, url: str, envelope: Envelope) -> str:
        """The scan service's address in metadata that was read elsewhere at a URL, which ends the search.

        Raises `DeviceError` if it contains none, `Malformed` if it is unusable.
        """
        address = self._read(url, envelope)
        if self.device is None:
            self._location.found(url)
            self.cancel()
        self.cause = None
        return address

    def cancel(self) -> None:
        """Cancel the next search."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def stop(self) -> None:
        """Stop searching."""
        self._stopped = True
        self.cancel()
