"""The device side of discovery, a WS-Discovery client: searches for devices, and receives their announcements.

WS-Discovery 2005/04, sections 4 to 6; DPWS 2006/02, section 4 (directed Probe over HTTP, for devices that ignore
multicast). Only Hello, Bye, and matches for this client's own Probes and Resolves are used.
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
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.retransmission import PacedSender
from wsdgateway.net.scanners.oneshot import TrustIn, ask_once
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.net.transport.errors import DeviceError
from wsdgateway.net.transport.serial import SerialQueue
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.scan.operations import Operation
from wsdgateway.soap.faults import fault_in
from wsdgateway.soap.namespaces import WSDP
from wsdgateway.soap.parsing import Malformed
from wsdgateway.soap.seen import Seen

FIRST_PAUSES = (2.0, 4.0, 8.0, 16.0)  # seconds between the first searches, while a scanner is missing
ANSWER_SECONDS = 5.0
REPEATS_SECONDS = 10.0  # retransmissions arrive within this time; some devices give each message the same MessageID
DIRECTED_SECONDS = 10.0
STABLE = "/StableWSDiscoveryEndpoint/schemas-xmlsoap-org_ws_2005_04_discovery"
DEVICE = ((WSDP, "Device"),)  # a scanner may announce no other type
PROBE = Operation("Probe")

ANSWERS = frozenset(("ProbeMatches", "ResolveMatches"))


def probe_url(url: str) -> str:
    """The URL for a directed Probe: the given one, with the path of the specification if it has none."""
    return url if urlsplit(url).path not in ("", "/") else url.rstrip("/") + STABLE


async def probe_directly(reactor: Any, url: str, new_id: Callable[[], str], seconds: float,
                         accounting: Accounting | None = None, trust_in: TrustIn | None = None) -> Message:
    """The answer to a directed Probe. Raises `DeviceError` or `Malformed`.

    In its XAddrs, the address that has answered replaces host names other than that of `url`.
    """
    peers: set[str] = set()
    request = write_probe(DEVICE, message_id=new_id(), directed=True)
    reply = await ask_once(reactor, probe_url(url), PROBE, request, seconds, accounting=accounting, trust_in=trust_in,
                           peers=peers)
    if len(reply.body) > MAX_ENVELOPE:
        raise Malformed(f"{url}: the answer is longer than {MAX_ENVELOPE} bytes, the limit of a discovery message")
    refusal = fault_in(reply.body, reply.charset)
    if refusal is not None:
        raise Malformed(f"it refuses Probe ({refusal}), but may be a scanner")
    message = read_message(reply.body, ANSWERS)
    if message is None:
        raise Malformed(f"{url}: the answer to a Probe is not ProbeMatches")
    return placed(message, _plain(next(iter(peers), "")), urlsplit(url).hostname or "")


def _plain(host: str) -> str:
    """A sender's IP address as in URLs: without a zone, and IPv4-mapped addresses in IPv4 notation."""
    return str(plain_address(host) or "")


class DiscoveryClient:
    """Searches for devices every `period` seconds, by multicast and at the URLs in `directed`.

    `missing` gives the endpoints that have not been found yet; `is_own` tells whether a MessageID is one of this
    process. `on_news` is called with each new sighting or Bye, `on_unanswered` with the endpoint of a device that did
    not answer a search, `on_address_change` when this host's addresses have changed, and `on_dropped` with the reason
    for a dropped message.
    """

    log = Logger()

    def __init__(self, reactor: Any, parameters: MessageParameters, *, seconds: Callable[[], float], period: float,
                 directed: tuple[str, ...], is_own: Callable[[str], bool], missing: Callable[[], Iterable[str]],
                 on_unanswered: Callable[[str], None], on_address_change: Callable[[], None],
                 on_news: Callable[[News | Left], None], on_dropped: Callable[[str], None],
                 accounting: Accounting | None = None,
                 trust_in: TrustIn | None = None) -> None:
        self._reactor = reactor
        self._trust_in = trust_in
        self._accounting = accounting
        self._parameters = parameters
        self._seconds = seconds
        self._period = period
        self._directed = directed
        self._is_own = is_own
        self._missing = missing
        self._on_unanswered = on_unanswered
        self._on_address_change = on_address_change
        self._on_news = on_news
        self._on_dropped = on_dropped
        self._links: dict[Link, PacedSender] = {}
        self._next_search: IDelayedCall | None = None
        self._next_check: IDelayedCall | None = None
        self.failed: dict[str, str] = {}  # URLs in `directed` that did not answer, and why
        self._searches = 0
        self._serial = SerialQueue(reactor)
        self._running = Tasks("Sending a directed Probe failed")
        self._stopped = False
        self._seen = Seen()
        self.sightings = Sightings()

    def start(self) -> None:
        """Start searching."""
        self._search()

    def stop(self) -> None:
        """Stop searching."""
        self._stopped = True
        for timer in (self._next_search, self._next_check):
            if timer is not None and timer.active():
                timer.cancel()
        for link in list(self._links):
            self.link_closed(link)
        self._running.cancel()

    def link_opened(self, link: Link) -> None:
        """Start searching on a link that was opened, or whose addresses have changed."""
        if link in self._links:
            self._on_address_change()
        else:
            pacing = Pacing(self._parameters.announce_rate, self._parameters.random)
            self._links[link] = PacedSender(self._reactor, pacing, link.ask)
        self._search_on(self._links[link])

    def link_closed(self, link: Link) -> None:
        """Stop using a link that was closed."""
        sender = self._links.pop(link, None)
        if sender is not None:
            sender.stop()

    def _search(self) -> None:
        for sender in self._links.values():
            self._search_on(sender)
        for url in self._directed if not self._serial.waiting else ():  # unless those of the last search still wait
            self._running.run(self._serial.run(partial(self._probe_directly, url)))
        missing = list(self._missing())
        pause = self._period
        if missing and self._searches < len(FIRST_PAUSES):
            pause = min(FIRST_PAUSES[self._searches], self._period)
        elif self._searches == len(FIRST_PAUSES):
            for endpoint in (one for one in missing if self.sightings.get(one) is None):
                self.log.warn("{endpoint}: no answer on the interfaces in [discovery] device_interfaces; searching "
                              "again every {seconds:g} s. Check that the scanner is switched on and connected to "
                              "that network", endpoint=endpoint,
                              seconds=self._period)
        self._searches += 1
        self._next_search = self._reactor.callLater(pause, self._search)
        self._next_check = self._reactor.callLater(min(ANSWER_SECONDS, pause / 2), self._check_answers, self._seconds())

    def _check_answers(self, searched_at: float) -> None:
        """Report the devices that have not answered since a search began."""
        for sighting in self.sightings.all():
            if sighting.at < searched_at:
                self._on_unanswered(sighting.endpoint)

    def _search_on(self, sender: PacedSender) -> None:
        sender.put("", lambda: write_probe(DEVICE, message_id=self._parameters.new_id()), first=True)
        for endpoint in self._missing():
            self._resolve_on(sender, endpoint)

    def _resolve_on(self, sender: PacedSender, endpoint: str) -> None:
        known = self.sightings.get(endpoint)
        spelled = endpoint if known is None else known.endpoint  # some devices compare it as text
        sender.put(identity_of(endpoint), lambda: write_resolve(spelled, message_id=self._parameters.new_id()))

    def resolve(self, endpoint: str) -> None:
        """Send a Resolve for the endpoint on every link."""
        for sender in self._links.values():
            self._resolve_on(sender, endpoint)

    async def _probe_directly(self, url: str) -> None:
        problem = await self.probe(url, DIRECTED_SECONDS)
        if problem is None:
            self.failed.pop(url, None)
            return
        if url not in self.failed:
            self.log.warn("[discovery] directed {url}: {problem}", url=url, problem=problem)
        self.failed[url] = problem

    async def probe(self, url: str, seconds: float) -> str | None:
        """Send a directed Probe to a URL. Returns the reason why there was no answer within so many seconds, or None.
        """
        try:
            message = await probe_directly(self._reactor, url, self._parameters.new_id, seconds, self._accounting,
                                           self._trust_in)
        except (DeviceError, Malformed) as problem:
            return str(problem)
        self._process(message, "")
        return None

    def receive(self, link: Link, message: Message, host: str, *, answer: bool) -> None:
        """Handle a message of a device at the address `host`.

        `answer`: it came to the port that requests are sent from.

        A message without RelatesTo at that port is an answer, since nothing else is ever sent there.
        """
        ids = message.relates_to, message.message_id  # some devices answer with the request's MessageID as their own
        is_related = any(self._is_own(one or "") for one in ids) or (answer and not message.relates_to)
        if message.name in ANSWERS and not is_related:
            self._on_dropped("unasked")
        elif message.message_id is None or self._seen.is_new(self._key(link, message, host)):
            self._process(placed(message, _plain(host)), link.interface.name)

    def _key(self, link: Link, message: Message, host: str) -> str:
        """The key of a message and its retransmissions; many devices may answer with the same MessageID."""
        services = message.content if isinstance(message.content, tuple) else ()
        endpoints = hash(tuple(service.endpoint for service in services))
        return f"{link} {host} {message.name} {endpoints} {self._seconds() // REPEATS_SECONDS} {message.message_id}"

    def _process(self, message: Message, via: str) -> None:
        if self._stopped:
            return
        for news in self.sightings.hear(message, via, self._seconds()):
            self._on_news(news)
