"""The client side of discovery: a target service for each bridged scanner.

WS-Discovery 2005/04, sections 4 to 6: Hello when a scanner appears, Bye when it disappears, and matches for Probe and
Resolve with this gateway's address on the interface of the request. Received messages change no state.

If several gateways share the scanners, each has the target services of those that it owns, and the same endpoints: the
owner alone speaks for a scanner.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import attrs
from twisted.logger import Logger

from wsdgateway.bridge.discovery.appsequences import GATEWAY
from wsdgateway.bridge.discovery.presence import Bye, Hello, Presence, asked_for, located, stand_in_service
from wsdgateway.discovery.matching import UnknownRule
from wsdgateway.discovery.messages import Message, Probe, Sequence, TargetService
from wsdgateway.discovery.pacing import Pacing
from wsdgateway.discovery.schedule import APP_MAX_DELAY, sending_times
from wsdgateway.discovery.writing import in_envelopes, write_bye, write_hello, write_matches
from wsdgateway.net.discovery.messageparameters import MessageParameters
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.retransmission import PacedSender, Retransmission
from wsdgateway.net.transport.timeouts import within
from wsdgateway.soap.seen import Seen
from wsdgateway.tokenbucket import SourceLimit

MAX_SEPARATE = 8  # matches sent in separate messages, since some clients only read the first match of a message
NO_ADDRESS = "http://0.0.0.0"  # without a reachable listener: only to decide whether to count a drop
BYE_SECONDS = 2.0  # for all Byes together


class Announced(Protocol):
    """The properties of a stand-in that discovery uses."""

    @property
    def service(self) -> TargetService | None:
        """The stand-in as a target service, without its address; None while its scanner is away."""

    def path(self) -> str:
        """The path of its address."""


class Sequences(Protocol):
    """The AppSequences of messages about stand-ins."""

    def has(self, name: str) -> bool:
        """True if messages about a stand-in can be sent."""

    def next(self, names: Iterable[str]) -> Sequence | None:
        """The AppSequence of the next message about these stand-ins; None if it cannot be sent."""


@attrs.frozen
class _Sent:
    """An announcement on a link: the name of the stand-in, and its endpoint there."""

    name: str
    endpoint: str


class TargetServices:
    """Announces stand-ins, and answers requests for them.

    `sequences` gives the AppSequence of each message. `speaks` is false for a stand-in for which this gateway must be
    silent, because it may have another owner by now; what waits to be sent is dropped then.

    `base_on` gives the base URL at which a client at an address, or any client, reaches this gateway over a link; None
    if there is none. `others` gives further bases for the scanner at a name, at other gateways that clients on the link
    reach. `proxy` answers Probes for a discovery proxy. `on_dropped` is called with the reason for each
    message that is not answered. `allows` tells whether a client may see a scanner: client address, name, operation.
    """

    log = Logger()

    def __init__(self, reactor: Any, parameters: MessageParameters, sequences: Sequences, *,
                 seconds: Callable[[], float], answer_rate: float,
                 base_on: Callable[[Link, str | None], str | None], proxy: TargetService | None,
                 on_dropped: Callable[[str], None],
                 allows: Callable[[str, str, str], bool] = lambda client, scanner, operation: True,
                 speaks: Callable[[str], bool] = lambda name: True,
                 others: Callable[[str, str, Link], Iterable[str]] = lambda name, base, link: ()) -> None:
        self._allows = allows
        self._sequences = sequences
        self._speaks = speaks
        self._others = others
        self._reactor = reactor
        self._parameters = parameters
        self._seconds = seconds
        self._limit = SourceLimit(answer_rate)
        self._base_on = base_on
        self._proxy = proxy
        self._on_dropped = on_dropped
        self._stand_ins: dict[str, Announced] = {}
        self._presences: dict[str, Presence] = {}
        self._links: dict[Link, PacedSender] = {}
        self._seen: dict[Link, Seen] = {}
        # By the endpoint of a stand-in over http: the endpoint announced on the link, which differs over https.
        self._announced: dict[Link, dict[str, _Sent]] = {}
        self._reachable: set[Link] = set()
        self._unreachable: set[str] = set()
        self._answers = Retransmission(reactor)

    # Hello and Bye.

    def add(self, name: str, stand_in: Announced) -> None:
        """Add a stand-in, which is announced whenever its scanner is available."""
        self._stand_ins[name] = stand_in
        self._presences[name] = Presence()
        self.changed(name)

    def remove(self, name: str) -> None:
        """Withdraw a stand-in, with Bye if it was announced."""
        if self._stand_ins.pop(name, None) is not None:
            self._announce(name, self._presences.pop(name).update(None))

    def leave(self, name: str) -> None:
        """Withdraw a stand-in without a Bye, because another gateway announces it from now on."""
        if self._stand_ins.pop(name, None) is not None:
            announced = self._presences.pop(name).announced
            if announced is not None:
                for sent in self._announced.values():
                    sent.pop(announced.endpoint, None)

    def withdraw(self, name: str, endpoint: str, path: str) -> None:
        """Send Bye for a stand-in that another gateway has announced, and that no gateway announces any more."""
        for link in self._reachable:
            service = located(stand_in_service(endpoint, (), 0), (self._base_on(link, None) or NO_ADDRESS) + path)
            self._announced[link].setdefault(endpoint, _Sent(name, service.endpoint))
            self._send(link, name, Bye(endpoint))

    def forget(self, name: str) -> None:
        """Treat a stand-in as gone without sending a Bye; it is announced when it is available again."""
        self._presences[name] = Presence()

    def changed(self, name: str) -> None:
        """Announce a change: of the stand-in's metadata, or that its scanner has appeared or disappeared.

        Must also be called when a stand-in without AppSequence has got one.
        """
        stand_in = self._stand_ins.get(name)
        if stand_in is not None and self._sequences.has(name):
            presence = self._presences[name]
            was_there = presence.announced is not None
            self._announce(name, presence.update(stand_in.service))
            if self._links and was_there is not (presence.announced is not None):
                self.log.info("{scanner}: no longer announced to clients, because the scanner is gone" if was_there
                              else "{scanner}: announced to clients", scanner=name)

    def link_opened(self, link: Link) -> None:
        """Announce everything on a link that was opened, or whose addresses have changed."""
        if link not in self._links:
            pacing = Pacing(self._parameters.announce_rate, self._parameters.random)
            self._links[link] = PacedSender(self._reactor, pacing, link.announce)
            self._seen[link] = Seen()
            self._announced[link] = {}
        self._reachable.discard(link)
        self._announce_all(link)

    def _announce_all(self, link: Link) -> None:
        """Announce all stand-ins on the link, if a listener is reachable over it."""
        if self._base_on(link, None) is not None:
            self._reachable.add(link)
            for name, presence in self._presences.items():
                if presence.announced is not None:
                    self._send(link, name, Hello(presence.announced))

    def review(self) -> None:
        """Announce on links where a listener has become reachable, and log a warning for those without one."""
        for link in self._links:
            if link not in self._reachable:
                self._announce_all(link)
        unreachable = {link.interface.name for link in self._links} - {link.interface.name for link in self._reachable}
        for name in sorted(unreachable - self._unreachable):
            self.log.warn("[discovery] {name}: no [[listen]] is open on an address of this interface, so nothing is "
                          "announced there", name=name)
        self._unreachable = unreachable

    def link_closed(self, link: Link) -> None:
        """Stop using a link that was closed."""
        sender = self._links.pop(link, None)
        if sender is not None:
            sender.stop()
            self._reachable.discard(link)
            del self._seen[link], self._announced[link]

    def _announce(self, name: str, announcements: list[Hello | Bye]) -> None:
        for announcement in announcements:
            for link in self._reachable:
                self._send(link, name, announcement)

    def _send(self, link: Link, name: str, announcement: Hello | Bye) -> None:
        parameters, announced_as, sender = self._parameters, self._announced[link], self._links[link]

        def write() -> bytes | None:
            if isinstance(announcement, Bye):
                sent = announced_as.pop(announcement.endpoint, _Sent(name, announcement.endpoint))
                sequence = self._sequences.next([name])
                return None if sequence is None else write_bye(
                    sent.endpoint, sequence=sequence, message_id=parameters.new_id())
            stand_in = self._stand_ins.get(name)
            sequence = None if stand_in is None or not self._speaks(name) else self._sequences.next([name])
            if stand_in is None or sequence is None:
                return None
            service = announcement.service
            base = self._base_on(link, None) or NO_ADDRESS
            if base.startswith("https:"):
                service = located(service, base + stand_in.path())
            announced_as[announcement.service.endpoint] = _Sent(name, service.endpoint)
            return write_hello(service, sequence=sequence, message_id=parameters.new_id())

        key = announcement.endpoint if isinstance(announcement, Bye) else announcement.service.endpoint
        if not sender.put(key, write):
            self._on_dropped("busy")

    # Probe and Resolve.

    def may_answer(self, host: str) -> bool:
        """True if the rate limit allows an answer to that source now."""
        return self._limit.allows(host, self._seconds())

    def receive(self, link: Link, message: Message, host: str, port: int) -> None:
        """Answer a Probe or Resolve that was received on the link."""
        if message.message_id is None:  # an answer could not have a RelatesTo
            self._on_dropped("malformed")
            return
        seen = self._seen.get(link)
        if seen is None or not seen.is_new(message.message_id):
            return  # a retransmission
        base = self._base_on(link, host)
        try:
            found = self._matches(message, link, base or NO_ADDRESS, host)
        except UnknownRule:
            self._on_dropped("rule")
            return
        services = [service for service, _ in found]
        names = {service.endpoint: name for service, name in found}
        if not services:
            return
        if base is None:
            self._on_dropped("no_address")
            return
        first = APP_MAX_DELAY if isinstance(message.content, Probe) else 0.0
        services.sort(key=lambda _: self._parameters.random())  # so that the rate limit hides different ones each time
        is_within_rate = self._limit.left(host, self._seconds()) >= 2 * len(services)
        separate = len(services) <= MAX_SEPARATE and is_within_rate
        for matches in in_envelopes(services, message.message_id, at_most=1 if separate else len(services)):
            if not self._limit.spend(host, self._seconds()):
                self._on_dropped("rate")
                return
            times = sending_times(self._parameters.random, first=first)
            writer = self._writer(message, matches, [names[service.endpoint] for service in matches])
            if not self._answers.send(writer, lambda data: link.answer(data, host, port),
                                      times):
                self._on_dropped("busy")
                return

    def _matches(self, message: Message, link: Link, base: str, client: str) -> list[tuple[TargetService, str]]:
        """The services that the message asks for, with addresses under `base`, and the names of their stand-ins."""
        probe = message.content
        if isinstance(probe, Probe) and self._proxy is not None and probe.types and (
                set(probe.types) <= set(self._proxy.types)):
            return [(service, GATEWAY) for service in asked_for(message, {"/": self._proxy}, base)]
        found = []
        for name, stand_in in self._stand_ins.items():
            service = stand_in.service
            if service is not None and self._may_tell(name) and self._allows(client, name, message.name):
                found += [(match, name) for match in asked_for(
                    message, {stand_in.path(): service}, base, self._others(name, base, link))]
        return found

    def _may_tell(self, name: str) -> bool:
        return name == GATEWAY or (name in self._stand_ins and self._sequences.has(name) and self._speaks(name))

    def _writer(self, message: Message, matches: list[TargetService], names: list[str]) -> Callable[[], bytes | None]:
        """A function that writes the answer, about the stand-ins with these names.

        It takes the MessageNumber when it is called, since clients drop lower numbers than the last.
        """
        def write() -> bytes | None:
            sequence = self._sequences.next(names) if all(map(self._may_tell, names)) else None
            return None if sequence is None else write_matches(
                f"{message.name}Matches", matches, version=message.version, sequence=sequence,
                relates_to=message.message_id, message_id=self._parameters.new_id())

        return write

    async def stop(self) -> None:
        """Send Bye for everything that was announced."""
        self._answers.stop()
        for link, sender in self._links.items():
            sender.clear()
            for endpoint, sent in sorted(self._announced[link].items()):
                if sent.name not in self._stand_ins or self._speaks(sent.name):  # a Bye waits, or is due
                    self._send(link, sent.name, Bye(endpoint))
        self._stand_ins.clear()
        await within(self._reactor, BYE_SECONDS + 1, [
            sender.finish(BYE_SECONDS) for sender in self._links.values()])
        for link in list(self._links):
            self.link_closed(link)
