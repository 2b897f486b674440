"""The scanners' side of discovery: asks for devices, and hears what they announce.

WS-Discovery 2005/04, sections 4 to 6; DPWS 2006/02, section 4 (directed Probe over HTTP, for devices that ignore
multicast). What a device says is taken from announcements, and from answers to what was asked here.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.sightings import Left, News, Sightings
from wsdgateway.discovery.messages import Message, read_message
from wsdgateway.discovery.pacing import Pacing
from wsdgateway.discovery.writing import write_probe, write_resolve
from wsdgateway.net.asking import ask_once
from wsdgateway.net.failures import DeviceError
from wsdgateway.net.lane import Lane
from wsdgateway.net.multicast import Link
from wsdgateway.net.targets import Voice
from wsdgateway.net.transmissions import PacedSending
from wsdgateway.scan.operations import Operation
from wsdgateway.soap.namespaces import WSDP
from wsdgateway.soap.parsing import Malformed

FIRST_ROUNDS = (2.0, 4.0, 8.0, 16.0)  # seconds between the first rounds, while somebody is missing
OVERDUE_ROUNDS = 2.5
DIRECTED_SECONDS = 10.0
STABLE = "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"
DEVICE = ((WSDP, "Device"),)  # a scanner may announce itself as nothing more
PROBE = Operation("Probe")

ANNOUNCEMENTS, ANSWERS = ("Hello", "Bye"), ("ProbeMatches", "ResolveMatches")


def probe_url(url: str) -> str:
    """Where a device takes a directed Probe: the URL, or its usual place where that has no path."""
    return url if urlsplit(url).path not in ("", "/") else url.rstrip("/") + STABLE


async def probe_directly(reactor: Any, url: str, new_id: Callable[[], str], seconds: float) -> Message:
    """The answer to a directed Probe. Raises `DeviceError` or `Malformed`."""
    reply = await ask_once(reactor, probe_url(url), PROBE, write_probe(DEVICE, message_id=new_id()), seconds)
    return read_message(reply.body)


class Search:
    """Looks for devices every `period` seconds. `missing` gives the endpoints that are looked for and not found yet.

    `is_own` tells whether a MessageID is one of ours; `tell` gets what is new, `overdue` the endpoint of a device that
    has not been heard of for some rounds.
    """

    log = Logger()

    def __init__(self, reactor: Any, voice: Voice, *, seconds: Callable[[], float], period: float,
                 directed: tuple[str, ...], is_own: Callable[[str], bool], missing: Callable[[], Iterable[str]],
                 overdue: Callable[[str], None], tell: Callable[[News | Left], None],
                 dropped: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._voice = voice
        self._seconds = seconds
        self._period = period
        self._directed = directed
        self._is_own = is_own
        self._missing = missing
        self._overdue = overdue
        self._tell = tell
        self._dropped = dropped
        self._links: dict[Link, PacedSending] = {}
        self._round: IDelayedCall | None = None
        self._rounds = 0
        self._lane = Lane(reactor)
        self._stopped = False
        self.sightings = Sightings()

    def start(self) -> None:
        """Begin to ask."""
        self._ask()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        if self._round is not None and self._round.active():
            self._round.cancel()
        for link in list(self._links):
            self.unlinked(link)

    def linked(self, link: Link) -> None:
        """There is a link, or it has other addresses: who is there?"""
        if link not in self._links:
            self._links[link] = PacedSending(self._reactor, Pacing(self._voice.rate, self._voice.random), link.ask)
        self._ask_on(self._links[link])

    def unlinked(self, link: Link) -> None:
        """The link is gone."""
        sending = self._links.pop(link, None)
        if sending is not None:
            sending.stop()

    def _ask(self) -> None:
        for sending in self._links.values():
            self._ask_on(sending)
        for url in self._directed:
            asking = Deferred.fromCoroutine(self._lane.run(partial(self._ask_directly, url)))
            asking.addErrback(lambda failure: self.log.failure("while asking by directed Probe", failure))
        oldest = self._seconds() - OVERDUE_ROUNDS * self._period
        for sighting in self.sightings.all():
            if sighting.at < oldest:
                self._overdue(sighting.endpoint)
        hurried = self._rounds < len(FIRST_ROUNDS) and any(True for _ in self._missing())
        pause = min(FIRST_ROUNDS[self._rounds], self._period) if hurried else self._period
        self._rounds += 1
        self._round = self._reactor.callLater(pause, self._ask)

    def _ask_on(self, sending: PacedSending) -> None:
        sending.put(lambda: write_probe(DEVICE, message_id=self._voice.new_id()))
        for endpoint in self._missing():
            self._resolve_on(sending, endpoint)

    def _resolve_on(self, sending: PacedSending, endpoint: str) -> None:
        sending.put(lambda: write_resolve(endpoint, message_id=self._voice.new_id()))

    def resolve(self, endpoint: str) -> None:
        """Where is that endpoint now?"""
        for sending in self._links.values():
            self._resolve_on(sending, endpoint)

    async def _ask_directly(self, url: str) -> None:
        try:
            message = await probe_directly(self._reactor, url, self._voice.new_id, DIRECTED_SECONDS)
        except (DeviceError, Malformed) as problem:
            self.log.debug("{url}: directed Probe: {problem}", url=url, problem=str(problem))
            return
        self._take(message, "")

    def heard(self, link: Link, message: Message) -> None:
        """A device on the link says something."""
        if message.name in ANSWERS and not self._is_own(message.relates_to or ""):
            self._dropped("unasked")
        else:
            self._take(message, link.interface.name)

    def _take(self, message: Message, via: str) -> None:
        if self._stopped:
            return
        for news in self.sightings.hear(message, via, self._seconds()):
            self._tell(news)
