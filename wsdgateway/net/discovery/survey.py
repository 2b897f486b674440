"""Surveys the scanners that can be found: searches, reads each one's metadata, and can check whether it has events.

WS-Discovery 2005/04, sections 5 and 6; WS-Eventing 2004/08, section 3. A Subscribe is sent on request only, because
weak scanners take it badly, and never to a stand-in, because its gateway has events. It is for JobStatusEvent, so that
nothing appears on the panel, and is ended at once.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from wsdgateway.bridge.discovery.candidates import ScanDevice
from wsdgateway.bridge.discovery.presence import STAND_IN
from wsdgateway.bridge.discovery.sightings import MAX_SIGHTINGS, Left, News, Sighting
from wsdgateway.discovery.identity import identity_of
from wsdgateway.eventing.messages import read_granted, write_subscribe, write_unsubscribe
from wsdgateway.http.urls import address_of, is_http, is_link_local
from wsdgateway.net.discovery.adoption import read_device
from wsdgateway.net.discovery.client import DiscoveryClient
from wsdgateway.net.discovery.links import DiscoveryLinks
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.events.eventingclient import managed_at
from wsdgateway.net.scanners.oneshot import TrustIn, ask_once
from wsdgateway.net.scanners.pins import Pins
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.localaddress import local_address, url_of, zoned
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.scan.operations import JOB_STATUS, SUBSCRIBE, UNSUBSCRIBE, action_of
from wsdgateway.soap.parsing import Malformed

RATE = 1000.0
EXPIRES = 60.0
ASK_SECONDS = 10.0
MAX_CONCURRENT = 8  # devices queried at once


@attrs.frozen
class Surveyed:
    """A scanner: its announcement, its metadata, and whether it supports events (None if that is not known).

    `pin` is the pin of its key, if pins were requested.
    """

    sighting: Sighting
    found: ScanDevice
    notifies: bool | None
    pin: str | None = None

    @property
    def is_stand_in(self) -> bool:
        """True if it is a gateway's stand-in."""
        return self.found.is_stand_in or STAND_IN in self.sighting.types


class Answers:
    """The best answer of each device, at most `MAX_SIGHTINGS`: the latest one with an address beyond its link.

    A device answers each Probe of a search, by IPv4 and by IPv6, and gives the addresses that suit the asker. Other
    hosts cannot use a link-local address.
    """

    def __init__(self) -> None:
        self._best: dict[str, Sighting] = {}

    def hear(self, sighting: Sighting) -> None:
        """Keep a sighting with addresses, unless the one before is better."""
        identity = identity_of(sighting.endpoint)
        former = self._best.get(identity)
        if former is None or _is_on_link(former) or not _is_on_link(sighting):
            self._best[identity] = sighting
        if len(self._best) > MAX_SIGHTINGS:
            del self._best[next(iter(self._best))]

    def best(self, sighting: Sighting) -> Sighting:
        """The best answer of the device of a sighting; the sighting itself if there is none."""
        return self._best.get(identity_of(sighting.endpoint), sighting)


def _is_on_link(sighting: Sighting) -> bool:
    """True if no host beyond the link can use an address of a sighting."""
    return not any(is_http(url) and not is_link_local(url) for url in sighting.xaddrs)


class _Sink(Protocol):
    """Accepts notifications between Subscribe and Unsubscribe."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.transport.loseConnection()


async def _notifies(reactor: Any, url: str, zone: str, new_id: Callable[[], str],
                    trust_in: TrustIn | None) -> bool | None:
    """True if the scan service at a URL accepts a subscription, None if it cannot be queried."""
    try:
        address = address_of(url)
        local = await local_address(reactor, zoned(address.host, zone), address.port)
        endpoint = TCP6ServerEndpoint if ":" in local else TCP4ServerEndpoint
        port: Any = await endpoint(reactor, 0, interface=zoned(local, zone)).listen(Factory.forProtocol(_Sink))
    except (DeviceError, OSError, CannotListenError):
        return None
    try:
        reply = await ask_once(reactor, url, SUBSCRIBE, write_subscribe(
            to=url, message_id=new_id(), notify_to=f"{url_of(local, port.getHost().port)}/", expires=EXPIRES,
            actions=(action_of(JOB_STATUS),)), ASK_SECONDS, zone, trust_in=trust_in)
        # Its expiry does not matter, so any time will do.
        granted = read_granted(reply.read(), datetime.fromtimestamp(0, UTC)) if (
            reply.status < 400) else None
        if granted is not None and granted.manager is not None:
            where, manager = managed_at(granted.manager, url)
            await ask_once(reactor, where, UNSUBSCRIBE, write_unsubscribe(
                manager=manager, message_id=new_id()), ASK_SECONDS, zone, trust_in=trust_in)
        return granted is not None
    except Malformed:
        return False
    except DeviceError:
        return None
    finally:
        await port.stopListening()


async def survey(reactor: Any, *, interfaces: tuple[str, ...], addresses: tuple[str, ...], seconds: float,
                 new_id: Callable[[], str], is_own: Callable[[str], bool], random: Callable[[], float],
                 on_count: Callable[[int], None], on_failure: Callable[[str, str], None],
                 pins: Pins | None = None, events: bool = False) -> list[Surveyed]:
    """Search for scanners for so many seconds, on these interfaces and by directed Probe at these URLs.

    Without interfaces, the search ends when every URL has answered. `new_id` makes message ids, which `is_own`
    recognizes; `random` gives numbers from 0 to 1. `on_count` is called with the number of devices so far, `on_failure`
    with each URL that does not answer, and why. With `pins`, devices with TLS are queried whatever key they have, and
    its pin is returned; without, only those whose certificate is trusted by the system's authorities. With `events`,
    each scanner is asked for a subscription, to learn whether it notifies.
    """
    trust_in = None if pins is None else pins.trust
    answers = Answers()

    def on_news(news: News | Left) -> None:
        on_count(len(client.sightings.all()))
        if isinstance(news, News) and news.resolved:
            answers.hear(news.sighting)
        if isinstance(news, News) and not news.resolved:
            client.resolve(news.sighting.endpoint)

    parameters = MessageParameters(new_id, random, RATE)
    client = DiscoveryClient(
        reactor, parameters, seconds=reactor.seconds, period=seconds / 2, directed=(), is_own=is_own,
        missing=lambda: (), on_unanswered=lambda endpoint: None, on_address_change=lambda: None, on_news=on_news,
        on_dropped=lambda reason: None, trust_in=trust_in)
    links = DiscoveryLinks(reactor, client_interfaces=(), device_interfaces=interfaces, client=client, is_own=is_own,
                           count=lambda side, name: None, on_dropped=lambda reason: None)
    links.startService()
    try:
        asking = [Deferred.fromCoroutine(_ask(reactor, client, url, seconds)) for url in addresses]
        if interfaces:
            await deferLater(reactor, seconds, lambda: None)
        problems = await gatherResults(asking)
    finally:
        await links.stopService()
    for url, problem in zip(addresses, problems, strict=True):
        if problem is not None:
            on_failure(url, problem)
    queues = [SerialQueue(reactor) for _ in range(MAX_CONCURRENT)]

    async def read_one(number: int, sighting: Sighting) -> Surveyed | None:
        return await queues[number % MAX_CONCURRENT].run(
            lambda: _read_one(reactor, answers.best(sighting), new_id, on_failure, pins, events))

    found = await gatherResults([
        Deferred.fromCoroutine(read_one(number, sighting)) for number, sighting in enumerate(client.sightings.all())])
    return [one for one in found if one is not None]


async def _ask(reactor: Any, client: DiscoveryClient, url: str, seconds: float) -> str | None:
    """Send a directed Probe, and another one after half of the time if the first was refused.

    Returns the reason why there was no answer, or None.
    """
    began = reactor.seconds()
    problem = await client.probe(url, seconds)
    pause = began + seconds / 2 - reactor.seconds()
    if problem is None or pause <= 0:
        return problem
    await deferLater(reactor, pause, lambda: None)
    return await client.probe(url, seconds / 2)


async def _read_one(reactor: Any, sighting: Sighting, new_id: Callable[[], str], on_failure: Callable[[str, str], None],
                pins: Pins | None, events: bool) -> Surveyed | None:
    trust_in = None if pins is None else pins.trust
    try:
        found = await read_device(reactor, sighting, new_id, trust_in=trust_in, stand_ins=True)
    except (DeviceError, Malformed) as problem:
        # Others are not told, because most devices on a network are no scanners.
        told = [url for url in sighting.xaddrs if not sighting.via or url.startswith("https:")]
        if told:
            on_failure(told[0], str(problem))
        return None
    if found is None:
        return None
    place = address_of(found.scan)
    pin = None if pins is None else pins.found.get((place.host, place.port))
    one = Surveyed(sighting, found, None, pin)
    if not events or one.is_stand_in:
        return one
    return attrs.evolve(one, notifies=await _notifies(reactor, found.scan, sighting.via, new_id, trust_in))
