"""Finds a scanner's scan service, and follows it: in the metadata at one of the addresses that the scanner has.

WS-Transfer 2004/09, section 3.1; DPWS 2006/02, section 5.2. Devices name addresses that nobody can reach, so each is
tried in its order; where none leads to the scan service, they all are tried again, soon enough for a scanner that is
switched on late or needs half a minute to start.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.discovery.identity import is_same
from wsdgateway.http.urls import is_ipv6, is_link_local
from wsdgateway.metadata.messages import Labels, read_labels, scan_service_addresses
from wsdgateway.metadata.standin import find_metadata
from wsdgateway.net.events.eventingclient import Own
from wsdgateway.net.presence.metadata import read_metadata, scan_address
from wsdgateway.net.scanners.address import usable
from wsdgateway.net.scanners.client import DeviceClient
from wsdgateway.net.transport.errors import DeviceError, Unavailable
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.parsing import Malformed

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 10.0  # between tries at a device that answers, and is not ready, or no scanner
LONGEST_AWAY = 3.0  # at one that takes no connections: trying costs it nothing, and nobody else tells when it does
LINK_LOCAL_SECONDS = 1.0
MOST_ADDRESSES = 8  # of those that it says it has
MAX_SAID = 500  # characters of what a datagram has said that go to the log
MOST_AT_ONCE = 3  # what was seen somewhere else need not wait until its former address has failed


class Locator:
    """One scanner's. `own` asks it by `client`, `elsewhere` by a connection of its own, which does not wait for what is
    dead; `found` is called with the address of its scan service.

    `endpoint` is the scanner's endpoint address where it is known, as the scanner spells it: whoever else answers is
    not it. `device` is where
    the scan service was found last, `labels` what it called itself there.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, client: DeviceClient, own: Own, elsewhere: Own,
                 new_id: Callable[[], str], endpoint: str | None, found: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._client = client
        self._own = own
        self._elsewhere = elsewhere
        self._new_id = new_id
        self.endpoint = endpoint
        self._found = found
        self._timer: IDelayedCall | None = None
        self._pause = FIRST_PAUSE
        self._asking: tuple[str, ...] | None = None
        self._running = 0
        self._stopped = False
        self._throttle = LogThrottle()
        self._unusable: tuple[str, ...] = ()
        self._urls: tuple[str, ...] = ()
        self._via = ""
        self.device: str | None = None
        self.labels: Labels | None = None

    def look(self, urls: tuple[str, ...] = ()) -> None:
        """Look at these addresses, or once more at those that are known."""
        if urls and urls != self._urls:
            self._urls = urls
            self._pause = FIRST_PAUSE
        is_asking = self._asking is not None and self._asking == self._urls
        if not is_asking and not self._stopped and self._urls and self._running < MOST_AT_ONCE:
            self.cancel()
            self._asking = self._urls
            looking: Deferred[None] = Deferred.fromCoroutine(self._look())
            looking.addErrback(lambda failure: self.log.failure("{scanner}: metadata", failure, scanner=self._scanner))

    def sighted(self, sighting: Sighting, *, changed: bool) -> None:
        """The scanner has said where it is; `changed`: it may tell something else there than it did."""
        if self.endpoint is not None and is_same(self.endpoint, sighting.endpoint):
            self.endpoint = sighting.endpoint
        urls = tuple(sorted(usable(sighting), key=lambda url: url != self.device))[:MOST_ADDRESSES]
        if not urls:
            self._say_unusable(sighting.xaddrs)
        has_moved = bool(urls) and self._may_have_moved(urls, sighting.via)
        if changed and not has_moved and self.device is not None:
            urls = (self.device, *(url for url in urls if url != self.device))
        if not urls or not (changed or has_moved):
            if self.device in urls and urls != self._urls:  # it is where it was, whatever somebody else has said
                self._urls = urls
                self.cancel()
            return
        waits = self.device is None and all(map(is_link_local, urls))
        if waits and self._running:
            return  # at a better one
        if changed or urls != self._urls or self._timer is None:
            self._client.zone = self._via = sighting.via
            if waits and self._timer is None:
                self._urls = urls  # a better one may be on its way
                self._timer = self._reactor.callLater(LINK_LOCAL_SECONDS, self.look)
            else:
                self.look(urls)

    def _say_unusable(self, xaddrs: tuple[str, ...]) -> None:
        """Log once that a scanner which is looked for gives no address that can be used."""
        if xaddrs and self.device is None and xaddrs != self._unusable:
            self._unusable = xaddrs
            if self._throttle.allows("", self._reactor.seconds()):
                self.log.warn("{scanner}: it announces no address that can be used, only {xaddrs}; give it by its "
                              "address, as device or scan", scanner=self._scanner, xaddrs=" ".join(xaddrs)[:MAX_SAID])

    def _may_have_moved(self, urls: tuple[str, ...], via: str) -> bool:
        """Whether the scanner has to be looked for at these addresses.

        One that is reached stays where it is, though it has addresses on other links, or of the other version of IP;
        but not at a link-local one, since it would have to notify us at such a one, which it can't tell from another.
        """
        device = self.device
        if device is None or self._client.reachable is False:
            return True
        if is_link_local(device) and not any(map(is_link_local, urls)):
            return True
        alike = [url for url in urls if is_ipv6(url) == is_ipv6(device)]
        return via == self._via and bool(alike) and device not in alike

    async def _look(self) -> None:
        urls = self._urls
        why: list[str] = []
        has_answered = False
        self._running += 1
        try:
            for url in urls:
                address, answered = await self._try(url, why)
                has_answered = has_answered or answered
                if self._stopped or urls != self._urls:
                    return  # it has been seen somewhere else meanwhile
                if address is not None:
                    self._pause = FIRST_PAUSE
                    self.device = url
                    self._found(address)
                    return
        finally:
            self._running -= 1
            if urls == self._urls:
                self._asking = None
            elif self._asking != self._urls:  # there was no room to look there
                self.look()
        if self.device is not None and self.device not in urls and self._client.reachable:
            self.log.warn("{scanner}: it is said to be elsewhere, and is not: {why}", scanner=self._scanner,
                          why="; ".join(why))
            return
        longest = LONGEST_PAUSE if has_answered else LONGEST_AWAY
        self._say("; ".join(why), longest)
        self.cancel()
        self._timer = self._reactor.callLater(min(self._pause, longest), self.look)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _say(self, why: str, longest: float) -> None:
        """Log why the scan service is not known, at most once a minute for each reason."""
        if self._throttle.allows(why, self._reactor.seconds()):
            self.log.warn("{scanner}: the scan service is not known: {why}; it is looked for again within {seconds:g} "
                          "s", scanner=self._scanner, why=why, seconds=longest)

    async def _try(self, url: str, why: list[str]) -> tuple[str | None, bool]:
        """The scan service's address in the metadata at a URL, None if there is none; and whether anybody answered."""
        try:
            ask = self._own if url == self.device and self._client.reachable else self._elsewhere
            envelope = await read_metadata(ask, url, self._new_id, self.endpoint)
            return self._learn(url, envelope), True
        except DeviceError as error:
            why.append(str(error))
            return None, error.sent
        except Malformed as error:
            why.append(f"{url}: its metadata can't be used: {error}")
            return None, True

    def _learn(self, url: str, envelope: Envelope) -> str:
        """The scan service's address in metadata that was read at a URL. Raises `Malformed` or `DeviceError`."""
        address = scan_address(envelope, url)
        if address is None:
            nothing = Unavailable(url, "its metadata names no scan service")
            nothing.sent = True
            raise nothing
        metadata = find_metadata(envelope.body)
        if metadata is not None:
            self.labels = read_labels(metadata)
        named = scan_service_addresses(envelope)
        if url.startswith("https:") and not any(one.startswith("https:") for one in named):
            self.log.warn("{scanner}: its metadata names no https address of its scan service, only {address}; TLS is "
                          "tried there. If it fails, give the https address as scan", scanner=self._scanner,
                          address=named[0])
        return address

    def told(self, url: str, envelope: Envelope) -> str:
        """The scan service's address in metadata that somebody else has read at a URL: no further look is needed.

        Raises `DeviceError` if it names none, `Malformed` if it can't be used.
        """
        address = self._learn(url, envelope)
        if self.device is None:
            self.device = url
            self._pause = FIRST_PAUSE
            self.cancel()
        return address

    def cancel(self) -> None:
        """Wait for no further try."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self.cancel()
