"""The scanners' side of discovery: asks for devices, and hears what they announce.

WS-Discovery 2005/04, sections 4 to 6; DPWS 2006/02, section 4 (directed Probe over HTTP, for devices that ignore
multicast). What a device says is taken from announcements, and from answers to what was asked here.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.discovery.sightings import Left, News, Sightings
from wsdgateway.discovery.identity import identity_of
from wsdgateway.discovery.messages import MAX_ENVELOPE, Message, read_message
from wsdgateway.discovery.pacing import Pacing
from wsdgateway.discovery.writing import write_probe, write_resolve
from wsdgateway.discovery.xaddrs import placed
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.retransmission import PacedSending
from wsdgateway.net.discovery.targetservices import Voice
from wsdgateway.net.scanners.oneshot import TrustIn, ask_once
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.scan.operations import Operation
from wsdgateway.soap.namespaces import WSDP
from wsdgateway.soap.parsing import Malformed
from wsdgateway.soap.seen import Seen

FIRST_ROUNDS = (2.0, 4.0, 8.0, 16.0)  # seconds between the first rounds, while somebody is missing
ANSWER_SECONDS = 5.0
REPEATS_SECONDS = 10.0  # a device's repeats are here by then; some give each message the same MessageID
DIRECTED_SECONDS = 10.0
STABLE = "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"
DEVICE = ((WSDP, "Device"),)  # a scanner may announce itself as nothing more
PROBE = Operation("Probe")

ANSWERS = frozenset(("ProbeMatches", "ResolveMatches"))


def probe_url(url: str) -> str:
    """Where a device takes a directed Probe: the URL, or its usual place where that has no path."""
    return url if urlsplit(url).path not in ("", "/") else url.rstrip("/") + STABLE


async def probe_directly(reactor: Any, url: str, new_id: Callable[[], str], seconds: float,
                         accounting: Accounting | None = None, trust_in: TrustIn | None = None) -> Message:
    """The answer to a directed Probe. Raises `DeviceError` or `Malformed`.

    In its addresses the one that has answered takes the place of host names other than that of `url`.
    """
    peers: set[str] = set()
    request = write_probe(DEVICE, message_id=new_id(), directed=True)
    reply = await ask_once(reactor, probe_url(url), PROBE, request, seconds, accounting=accounting, trust_in=trust_in,
                           peers=peers)
    if len(reply.body) > MAX_ENVELOPE:
        raise Malformed(f"{url}: its answer is longer than the {MAX_ENVELOPE} bytes of a discovery message")
    message = read_message(reply.body, ANSWERS)
    if message is None:
        raise Malformed(f"{url}: it answered a Probe with something else than ProbeMatches")
    return placed(message, _plain(next(iter(peers), "")), urlsplit(url).hostname or "")


def _plain(host: str) -> str:
    """A sender's IP address as URLs have it: without a scope, an IPv4 one in IPv6 notation as itself."""
    return str(plain_address(host) or "")


class DiscoveryClient:
    """Looks for devices every `period` seconds. `missing` gives the endpoints that are looked for and not found yet.

    `is_own` tells whether a MessageID is one of ours; `tell` gets what is new, `overdue` the endpoint of a device that
    did not answer in a round; `readdressed` is called when our own addresses have changed.
    """

    log = Logger()

    def __init__(self, reactor: Any, voice: Voice, *, seconds: Callable[[], float], period: float,
                 directed: tuple[str, ...], is_own: Callable[[str], bool], missing: Callable[[], Iterable[str]],
                 overdue: Callable[[str], None], readdressed: Callable[[], None], tell: Callable[[News | Left], None],
                 dropped: Callable[[str], None], accounting: Accounting | None = None,
                 trust_in: TrustIn | None = None) -> None:
        self._reactor = reactor
        self._trust_in = trust_in
        self._accounting = accounting
        self._voice = voice
        self._seconds = seconds
        self._period = period
        self._directed = directed
        self._is_own = is_own
        self._missing = missing
        self._overdue = overdue
        self._readdressed = readdressed
        self._tell = tell
        self._dropped = dropped
        self._links: dict[Link, PacedSending] = {}
        self._round: IDelayedCall | None = None
        self._review: IDelayedCall | None = None
        self.silent: dict[str, str] = {}
        self._rounds = 0
        self._serial = SerialQueue(reactor)
        self._running = Tasks("while asking by directed Probe")
        self._stopped = False
        self._seen = Seen()
        self.sightings = Sightings()

    def start(self) -> None:
        """Begin to ask."""
        self._ask()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        for timer in (self._round, self._review):
            if timer is not None and timer.active():
                timer.cancel()
        for link in list(self._links):
            self.unlinked(link)
        self._running.cancel()

    def linked(self, link: Link) -> None:
        """There is a link, or it has other addresses: who is there?"""
        if link in self._links:
            self._readdressed()
        else:
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
        for url in self._directed if not self._serial.waiting else ():  # those of the last round
            self._running.run(self._serial.run(partial(self._ask_directly, url)))
        missing = list(self._missing())
        pause = self._period
        if missing and self._rounds < len(FIRST_ROUNDS):
            pause = min(FIRST_ROUNDS[self._rounds], self._period)
        elif self._rounds == len(FIRST_ROUNDS):
            for endpoint in (one for one in missing if self.sightings.get(one) is None):
                self.log.warn("{endpoint}: nobody answers to it on the scanners' side; it is searched for every "
                              "{seconds:g} s. Is it switched on, and in that network?", endpoint=endpoint,
                              seconds=self._period)
        self._rounds += 1
        self._round = self._reactor.callLater(pause, self._ask)
        self._review = self._reactor.callLater(min(ANSWER_SECONDS, pause / 2), self._look_back, self._seconds())

    def _look_back(self, asked_at: float) -> None:
        """Who has not answered in this round?"""
        for sighting in self.sightings.all():
            if sighting.at < asked_at:
                self._overdue(sighting.endpoint)

    def _ask_on(self, sending: PacedSending) -> None:
        sending.put("", lambda: write_probe(DEVICE, message_id=self._voice.new_id()), first=True)
        for endpoint in self._missing():
            self._resolve_on(sending, endpoint)

    def _resolve_on(self, sending: PacedSending, endpoint: str) -> None:
        known = self.sightings.get(endpoint)
        spelled = endpoint if known is None else known.endpoint  # some compare it as text
        sending.put(identity_of(endpoint), lambda: write_resolve(spelled, message_id=self._voice.new_id()))

    def resolve(self, endpoint: str) -> None:
        """Where is that endpoint now?"""
        for sending in self._links.values():
            self._resolve_on(sending, endpoint)

    async def _ask_directly(self, url: str) -> None:
        try:
            message = await probe_directly(self._reactor, url, self._voice.new_id, DIRECTED_SECONDS,
                                           self._accounting, self._trust_in)
        except (DeviceError, Malformed) as problem:
            if self.silent.get(url) is None:
                self.log.warn("[discovery] directed {url}: {problem}", url=url, problem=str(problem))
            self.silent[url] = str(problem)
            return
        self.silent.pop(url, None)
        self._take(message, "")

    def heard(self, link: Link, message: Message, host: str, *, answer: bool) -> None:
        """Takes what a device on the link, at the address `host`, says; `answer`: at the port that questions go out by.

        A message without RelatesTo that comes there is an answer, for nothing else is ever sent to that port.
        """
        asked = message.relates_to, message.message_id  # some answer with the question's MessageID as their own
        is_related = any(self._is_own(one or "") for one in asked) or (answer and not message.relates_to)
        if message.name in ANSWERS and not is_related:
            self._dropped("unasked")
        elif message.message_id is None or self._seen.is_new(self._mark(link, message, host)):
            self._take(placed(message, _plain(host)), link.interface.name)

    def _mark(self, link: Link, message: Message, host: str) -> str:
        """The key that a message shares with its repeats; many devices may answer with the same MessageID."""
        services = message.content if isinstance(message.content, tuple) else ()
        endpoints = hash(tuple(service.endpoint for service in services))
        return f"{link} {host} {message.name} {endpoints} {self._seconds() // REPEATS_SECONDS} {message.message_id}"

    def _take(self, message: Message, via: str) -> None:
        if self._stopped:
            return
        for news in self.sightings.hear(message, via, self._seconds()):
            self._tell(news)
