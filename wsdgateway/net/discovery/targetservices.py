"""The clients' side of discovery: a target service for each bridged scanner.

WS-Discovery 2005/04, sections 4 to 6. Hello when a scanner is there, Bye when it goes, matches for Probe and Resolve
with our address on the interface on which the question came. Nothing that is heard here changes anything.
"""

from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.logger import Logger

from wsdgateway.bridge.discovery.presence import Bye, Hello, Presence, asked_for, located
from wsdgateway.discovery.matching import UnknownRule
from wsdgateway.discovery.messages import Message, Probe, Sequence, TargetService
from wsdgateway.discovery.pacing import Pacing
from wsdgateway.discovery.schedule import APP_MAX_DELAY, sending_times
from wsdgateway.discovery.writing import in_envelopes, write_bye, write_hello, write_matches
from wsdgateway.net.discovery.multicast import Link
from wsdgateway.net.discovery.retransmission import PacedSending, Retransmission
from wsdgateway.net.transport.timeouts import within
from wsdgateway.soap.seen import Seen
from wsdgateway.tokenbucket import SourceLimit

MOST_ALONE = 8  # matches that each have a message of their own, for some clients read no more than the first in one
NOWHERE = "http://0.0.0.0"  # for clients whom we have no address for: whether anything was meant is all that counts
LEAVING_SECONDS = 2.0  # for all Byes together


@attrs.frozen(eq=False)
class Voice:
    """What messages of our own need: ids, a place in our sequence, chance, and how many may be announced a second."""

    new_id: Callable[[], str]
    sequence: Callable[[], Sequence]
    random: Callable[[], float]
    rate: float


class Announced(Protocol):
    """What is announced."""

    @property
    def service(self) -> TargetService | None:
        """What clients are told, but for the address; None while it is not there."""

    def path(self) -> str:
        """Where it is under a base address."""


class TargetServices:
    """Announces stand-ins and answers for them.

    `base_on` gives the URL under which a client at an address, or anybody, reaches us over a link, None if nobody does.
    `proxy` is what a Probe for a discovery proxy is answered with. `dropped` is told why something is not answered.
    `allows` says whether a client may ask for a stand-in by its name.
    """

    log = Logger()

    def __init__(self, reactor: Any, voice: Voice, *, seconds: Callable[[], float], answer_rate: float,
                 base_on: Callable[[Link, str | None], str | None], proxy: TargetService | None,
                 dropped: Callable[[str], None],
                 allows: Callable[[str, str, str], bool] = lambda client, scanner, operation: True) -> None:
        self._allows = allows
        self._reactor = reactor
        self._voice = voice
        self._seconds = seconds
        self._limit = SourceLimit(answer_rate)
        self._base_on = base_on
        self._proxy = proxy
        self._dropped = dropped
        self._stand_ins: dict[str, Announced] = {}
        self._presences: dict[str, Presence] = {}
        self._links: dict[Link, PacedSending] = {}
        self._seen: dict[Link, Seen] = {}
        self._said: dict[Link, dict[str, str]] = {}  # endpoints as they are there, by what they are over http
        self._reached: set[Link] = set()
        self._unreached: set[str] = set()
        self._answers = Retransmission(reactor)

    # Who there is, and where.

    def add(self, name: str, stand_in: Announced) -> None:
        """Announce a stand-in whenever its scanner is there."""
        self._stand_ins[name] = stand_in
        self._presences[name] = Presence()
        self.changed(name)

    def remove(self, name: str) -> None:
        """It is bridged no more."""
        if self._stand_ins.pop(name, None) is not None:
            self._announce(self._presences.pop(name).update(None), "")

    def forget(self, name: str) -> None:
        """It is not there any more, and nobody is told; when it is there again, everybody is."""
        self._presences[name] = Presence()

    def changed(self, name: str) -> None:
        """What a stand-in tells of itself may have changed, or its scanner come or gone."""
        stand_in = self._stand_ins.get(name)
        if stand_in is not None:
            presence = self._presences[name]
            was_there = presence.announced is not None
            self._announce(presence.update(stand_in.service), stand_in.path())
            if self._links and was_there is not (presence.announced is not None):
                self.log.info("{name}: {what}", name=name, what="not announced to clients any more, for it is gone"
                              if was_there else "announced to clients")

    def linked(self, link: Link) -> None:
        """There is a link, or it has other addresses: everybody on it is told of everything."""
        if link not in self._links:
            pacing = Pacing(self._voice.rate, self._voice.random)
            self._links[link] = PacedSending(self._reactor, pacing, link.announce)
            self._seen[link] = Seen()
            self._said[link] = {}
        self._reached.discard(link)
        self._reach(link)

    def _reach(self, link: Link) -> None:
        """If clients reach us over the link, say who is there."""
        if self._base_on(link, None) is not None:
            self._reached.add(link)
            for name, presence in self._presences.items():
                if presence.announced is not None:
                    self._say(link, Hello(presence.announced), self._stand_ins[name].path())

    def review(self) -> None:
        """A port may have been opened where there was none; where there is none, somebody has to know."""
        for link in self._links:
            if link not in self._reached:
                self._reach(link)
        unreached = {link.interface.name for link in self._links} - {link.interface.name for link in self._reached}
        for name in sorted(unreached - self._unreached):
            self.log.warn("[discovery] {name}: no [[listen]] is open at an address of this interface, so nothing is "
                          "announced there", name=name)
        self._unreached = unreached

    def unlinked(self, link: Link) -> None:
        """The link is gone."""
        sending = self._links.pop(link, None)
        if sending is not None:
            sending.stop()
            self._reached.discard(link)
            del self._seen[link], self._said[link]

    def _announce(self, announcements: list[Hello | Bye], path: str) -> None:
        for announcement in announcements:
            for link in self._reached:
                self._say(link, announcement, path)

    def _say(self, link: Link, announcement: Hello | Bye, path: str) -> None:
        voice, said, sending = self._voice, self._said[link], self._links[link]

        def write() -> bytes:
            if isinstance(announcement, Bye):
                told = said.pop(announcement.endpoint, announcement.endpoint)
                return write_bye(told, sequence=voice.sequence(), message_id=voice.new_id())
            service = announcement.service
            base = self._base_on(link, None) or NOWHERE
            if base.startswith("https:"):
                service = located(service, base + path)
            said[announcement.service.endpoint] = service.endpoint
            return write_hello(service, sequence=voice.sequence(), message_id=voice.new_id())

        about = announcement.endpoint if isinstance(announcement, Bye) else announcement.service.endpoint
        if not sending.put(about, write):
            self._dropped("busy")

    # What clients ask.

    def may_answer(self, host: str) -> bool:
        """Whether that source may be answered at the moment."""
        return self._limit.allows(host, self._seconds())

    def heard(self, link: Link, message: Message, host: str, port: int) -> None:
        """Somebody on the link asks."""
        if message.message_id is None:  # no answer could say what it is one to
            self._dropped("malformed")
            return
        seen = self._seen.get(link)
        if seen is None or not seen.is_new(message.message_id):
            return  # its repeat
        base = self._base_on(link, host)
        try:
            services = self._matches(message, base or NOWHERE, host)
        except UnknownRule:
            self._dropped("rule")
            return
        if not services:
            return
        if base is None:
            self._dropped("no_address")
            return
        first = APP_MAX_DELAY if isinstance(message.content, Probe) else 0.0
        services.sort(key=lambda _: self._voice.random())  # the limit must not hide always the same
        plenty = self._limit.left(host, self._seconds()) >= 2 * len(services)
        alone = len(services) <= MOST_ALONE and plenty
        for together in in_envelopes(services, message.message_id, at_most=1 if alone else len(services)):
            if not self._limit.spend(host, self._seconds()):
                self._dropped("rate")
                return
            times = sending_times(self._voice.random, first=first)
            if not self._answers.send(self._writing(message, together), lambda data: link.answer(data, host, port),
                                      times):
                self._dropped("busy")
                return

    def _matches(self, message: Message, base: str, client: str) -> list[TargetService]:
        """The services that are asked for, at their addresses under `base`."""
        probe = message.content
        if isinstance(probe, Probe) and self._proxy is not None and probe.types and (
                set(probe.types) <= set(self._proxy.types)):
            return asked_for(message, {"/": self._proxy}, base)
        here = {stand_in.path(): stand_in.service for name, stand_in in self._stand_ins.items()
                if self._allows(client, name, message.name)}
        return asked_for(message, {path: service for path, service in here.items() if service is not None}, base)

    def _writing(self, message: Message, matches: list[TargetService]) -> Callable[[], bytes]:
        """The number of a message is given when it goes out: a client takes no lower one after a higher."""
        return lambda: write_matches(
            f"{message.name}Matches", matches, version=message.version, sequence=self._voice.sequence(),
            relates_to=message.message_id, message_id=self._voice.new_id())

    async def stop(self) -> None:
        """Say Bye for everything that was announced."""
        self._answers.stop()
        self._stand_ins.clear()
        for link, sending in self._links.items():
            sending.clear()
            for endpoint in sorted(self._said[link]):
                self._say(link, Bye(endpoint), "")
        await within(self._reactor, LEAVING_SECONDS + 1, [
            sending.finish(LEAVING_SECONDS) for sending in self._links.values()])
        for link in list(self._links):
            self.unlinked(link)
