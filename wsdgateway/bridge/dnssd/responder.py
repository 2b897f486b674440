"""The responder of one link: announces services, answers questions about them, and gives way to names of others.

RFC 6762, sections 6 to 10. It answers only for its own host name and services, and for nothing until it has announced
one. Answers that several hosts may give wait a moment; a question from a port other than 5353 (section 6.7) and one
that asks for it get an answer of their own.
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

import attrs

from wsdgateway.bridge.dnssd.announcement import (
    ANNOUNCEMENTS,
    HOST_TTL,
    PROBE_INTERVAL,
    PROBES,
    Announcement,
    Key,
    Phase,
)
from wsdgateway.bridge.dnssd.answering import Identity, answers_to, for_legacy, identity, is_fresh
from wsdgateway.bridge.dnssd.packing import Answer, Packet, pack
from wsdgateway.dnssd.messages import (
    AAAA,
    PTR,
    SRV,
    A,
    Message,
    Name,
    Question,
    Record,
    Service,
    folded,
    name_of,
    plain_data,
)
from wsdgateway.dnssd.scannerservice import ScannerService
from wsdgateway.tokenbucket import SourceLimit, TokenBucket

PORT = 5353
LOST_TIEBREAK = 1.0  # seconds until the next probe
MAX_CONFLICTS = 15  # in CONFLICT_PERIOD; then the next probe waits for CONFLICT_PAUSE
CONFLICT_PERIOD = 10.0
CONFLICT_PAUSE = 5.0
REPEAT_PAUSE = 1.0  # seconds during which a record is not multicast again
GOODBYE_PAUSE = 0.25  # seconds between the two goodbyes of a service
MAX_WAITING = 64  # hosts whose questions wait to be answered
MAX_QUESTIONS = 32  # of one message; the rest is not answered
PACKETS_PER_SECOND = 100.0  # answers of one link
PER_SOURCE = 20.0  # questions a second that one host gets answered

Address = IPv4Address | IPv6Address


@attrs.define
class _Waiting:
    """Questions of one asker, until its known answers have come."""

    due: float
    questions: tuple[Question, ...]
    known: set[Identity]


class Responder:
    """Announces services on one link under a host name of its own; every method returns what is to be sent.

    `draw` returns a random number from 0 to 1. `on_name(service, name)` is called when a service has been announced
    under that instance name, `on_conflict(service, name)` when another host has the name.
    """

    def __init__(self, host: str, draw: Callable[[], float], *, on_name: Callable[[ScannerService, str], None],
                 on_conflict: Callable[[ScannerService, str], None]) -> None:
        self.host = name_of(host)
        self._draw = draw
        self._on_name = on_name
        self._on_conflict = on_conflict
        self._addresses: tuple[Address, ...] = ()
        self._entries: dict[Key, Announcement] = {}
        self._waiting: dict[tuple[int, str, int], _Waiting] = {}
        self._goodbyes: list[tuple[float, Message]] = []
        self._sent: dict[tuple[int, Record], float] = {}
        self._conflicts: list[float] = []
        self._answers_left = TokenBucket(PACKETS_PER_SECOND)
        self._sources = SourceLimit(PER_SOURCE)

    @property
    def deadline(self) -> float | None:
        """When `advance` must be called next; None: not before another call."""
        times = [entry.due for entry in self._entries.values() if entry.due is not None]
        times += [one.due for one in self._waiting.values()]
        times += [one[0] for one in self._goodbyes]
        return min(times, default=None)

    @property
    def names(self) -> dict[Key, str]:
        """The instance names of the services that are announced."""
        return {key: entry.shown for key, entry in self._entries.items() if entry.speaks}

    @property
    def pointers(self) -> tuple[Record, ...]:
        """The PTR records that are announced."""
        return tuple(entry.pointer() for entry in self._entries.values() if entry.speaks)

    def set_addresses(self, now: float, addresses: Iterable[Address]) -> list[Packet]:
        """Announce other addresses of this host; without any, nothing is announced."""
        before, self._addresses = self._addresses, tuple(dict.fromkeys(addresses))
        if before == self._addresses:
            return []
        for entry in self._entries.values():
            entry.url_host = self._url_host
            if not self._addresses:
                entry.restart(None)
            elif not before or not entry.speaks:
                entry.restart(self._probe_time(now))
            else:
                entry.restart(now, Phase.ANNOUNCING)
        gone = [Answer(attrs.evolve(self._record_of(one), ttl=0, unique=False))
                for one in before if one not in self._addresses]
        if not any(entry.speaks for entry in self._entries.values()):
            return []
        return [Packet(message) for message in pack(gone)] + self.advance(now)

    def announce(self, now: float, service: ScannerService) -> list[Packet]:
        """Announce a service, or a change of one. A new name is probed first."""
        key = service.scanner, service.type
        entry = self._entries.get(key)
        if entry is not None and entry.service == service:
            return []
        if entry is not None and entry.service.name == service.name:
            entry.service = service
            if entry.speaks:
                entry.restart(now, Phase.ANNOUNCING)
            return self.advance(now)
        packets = self.withdraw(now, key)
        made = self._entries[key] = Announcement(service, self.host, self._url_host)
        self._choose_number(made)
        # Probing takes longer than GOODBYE_PAUSE, so that no goodbye of before withdraws what is announced again.
        made.restart(self._probe_time(now) if self._addresses else None)
        return packets

    def withdraw(self, now: float, key: Key) -> list[Packet]:
        """Withdraw a service: two goodbyes, since one may be lost."""
        entry = self._entries.pop(key, None)
        if entry is None or not entry.speaks:
            return []
        return self._say_goodbye(now, entry)

    def stop(self) -> list[Packet]:
        """Goodbyes of everything; nothing is announced or answered afterwards."""
        answers = [answer for entry in self._entries.values() if entry.speaks for answer in entry.goodbye()]
        if answers:
            answers += [Answer(attrs.evolve(one, ttl=0)) for one in self._host_records]
        answers += [Answer(record) for _, message in self._goodbyes for record in message.answers]
        self._entries.clear()
        self._waiting.clear()
        self._goodbyes.clear()
        return [Packet(message) for message in pack(answers)]

    def announce_again(self, now: float) -> list[Packet]:
        """Announce everything again, after a packet could not be sent."""
        for entry in self._entries.values():
            if entry.speaks:
                entry.restart(now, Phase.ANNOUNCING)
            elif self._addresses:
                entry.restart(now)
        return self.advance(now)

    def advance(self, now: float) -> list[Packet]:
        """Do what is due."""
        packets = [Packet(message) for due, message in self._goodbyes if due <= now]
        self._goodbyes = [one for one in self._goodbyes if one[0] > now]
        for entry in list(self._entries.values()):
            if entry.due is not None and entry.due <= now:
                packets += self._step(now, entry)
        for asker, waiting in list(self._waiting.items()):
            if waiting.due <= now:
                del self._waiting[asker]
                packets += self._multicast(now, asker[0], waiting.questions, waiting.known)
        return packets

    def receive(self, now: float, version: int, host: str, port: int, message: Message) -> list[Packet]:
        """Take a message that came from that host and port of this link."""
        if message.response:
            return self._hear(now, message) if port == PORT else []
        self._break_ties(now, message)
        known = {identity(one) for one in message.answers if is_fresh(one)}
        waiting = self._waiting.get((version, host, port))
        if waiting is not None:
            waiting.known |= known
        concerned = tuple(one for one in message.questions[:MAX_QUESTIONS] if self._answers(one))
        if not concerned or not self._sources.spend(host, now):
            return []
        if port != PORT:
            return self._answer_one(now, version, host, port, message.identifier, concerned, legacy=True)
        packets = self._answer_one(now, version, host, port, 0, tuple(one for one in concerned if one.unicast),
                                   known=known)
        others = tuple(one for one in concerned if not one.unicast)
        if others and waiting is not None:
            waiting.questions = tuple(dict.fromkeys((*waiting.questions, *others)))[:MAX_QUESTIONS]
        elif others and (message.truncated or any(one.kind == PTR for one in others)):
            delay = 0.4 + 0.1 * self._draw() if message.truncated else 0.02 + 0.1 * self._draw()
            if len(self._waiting) < MAX_WAITING:
                self._waiting[version, host, port] = _Waiting(now + delay, others, known)
        elif others:
            packets += self._multicast(now, version, others, known, is_probe=bool(message.authorities))
        return packets

    # Announcing

    def _step(self, now: float, entry: Announcement) -> list[Packet]:
        """The next probe or announcement of one service."""
        if entry.phase is Phase.PROBING:
            if entry.count < PROBES:
                entry.count += 1
                entry.due = now + PROBE_INTERVAL
                return [Packet(entry.probe())]
            entry.restart(now, Phase.ANNOUNCING)
            self._on_name(entry.service, entry.shown)
        entry.count += 1
        entry.due = now + 2.0 ** (entry.count - 1) if entry.count < ANNOUNCEMENTS else None
        if entry.due is None:
            entry.phase = Phase.ANNOUNCED
        return [Packet(message) for message in pack(entry.all(self._host_records))]

    def _say_goodbye(self, now: float, entry: Announcement) -> list[Packet]:
        messages = list(pack(entry.goodbye()))
        self._goodbyes += [(now + GOODBYE_PAUSE, message) for message in messages]
        return [Packet(message) for message in messages]

    def _probe_time(self, now: float) -> float:
        """When to probe first: up to a quarter of a second later, so that hosts that start together do not collide."""
        return now + PROBE_INTERVAL * self._draw()

    def _choose_number(self, entry: Announcement) -> None:
        """Give the instance the lowest number from its own on whose name no other scanner of this gateway has here.

        The same scanner keeps one name for both service types, since ChromeOS lists a scanner by its name.
        """
        for other in self._entries.values():
            if other is not entry and other.service.scanner == entry.service.scanner \
                    and other.service.name == entry.service.name:
                entry.number = max(entry.number, other.number)
        taken = {other.shown.lower() for other in self._entries.values()
                 if other.service.scanner != entry.service.scanner}
        while entry.shown.lower() in taken:
            entry.number += 1

    # Conflicts

    def _hear(self, now: float, message: Message) -> list[Packet]:
        """Look for records of other hosts that have the name of a service here."""
        owners = {folded(record.name): folded(record.data.host)
                  for record in (*message.answers, *message.additionals)
                  if record.kind == SRV and record.ttl > 0 and isinstance(record.data, Service)}
        packets: list[Packet] = []
        for entry in list(self._entries.values()):
            owner = owners.get(entry.folded)
            # Before the first probe these may be copies of the message that made the service probe again.
            if owner not in (None, folded(self.host)) and (entry.speaks or entry.count):
                packets += self._give_way(now, entry)
        return packets

    def _give_way(self, now: float, entry: Announcement) -> list[Packet]:
        """Choose another name while probing; otherwise probe again, so that one of both hosts gives way."""
        self._conflicts = [*(one for one in self._conflicts if one > now - CONFLICT_PERIOD), now][-MAX_CONFLICTS:]
        due = now + (CONFLICT_PAUSE if len(self._conflicts) >= MAX_CONFLICTS else self._draw() * PROBE_INTERVAL)
        if entry.speaks:
            entry.restart(due)
            return []
        self._on_conflict(entry.service, entry.shown)
        entry.number += 1
        self._choose_number(entry)
        packets: list[Packet] = []
        for one in self._entries.values():
            if one.service.scanner == entry.service.scanner:
                if one.speaks:
                    packets += self._say_goodbye(now, one)
                one.number = entry.number
                one.restart(due)
        return packets

    def _break_ties(self, now: float, message: Message) -> None:
        """Two hosts that probe for one name at a time: the one whose records come later in order goes on."""
        theirs: dict[Name, list[tuple[int, bytes]]] = {}
        for record in message.authorities:
            theirs.setdefault(folded(record.name), []).append((record.kind, plain_data(record)))
        for entry in self._entries.values():
            others = theirs.get(entry.folded)
            if entry.speaks or others is None or entry.due is None:
                continue
            if sorted((record.kind, plain_data(record)) for record in entry.own()) < sorted(others):
                entry.restart(now + LOST_TIEBREAK)

    # Answering

    @property
    def _url_host(self) -> str:
        """An address of this link for URLs: IPv4 if there is one, since some clients read nothing else."""
        best = min(self._addresses, key=lambda one: (one.version == 6, one.is_link_local), default="")
        return f"[{best}]" if isinstance(best, IPv6Address) else str(best)

    def _record_of(self, address: Address) -> Record:
        return Record(self.host, A if address.version == 4 else AAAA, address, HOST_TTL, True)

    @property
    def _host_records(self) -> tuple[Record, ...]:
        return tuple(self._record_of(one) for one in self._addresses)

    def _answers(self, question: Question) -> list[Answer]:
        entries = [entry for entry in self._entries.values() if entry.speaks]
        return list(dict.fromkeys(answers_to(question, entries, self.host, self._host_records)))

    def _answer_one(self, now: float, version: int, host: str, port: int, identifier: int,
                    questions: tuple[Question, ...], *, legacy: bool = False,
                    known: Iterable[Identity] = ()) -> list[Packet]:
        """Answer to one host alone."""
        answers = [answer for question in questions for answer in self._answers(question)
                   if identity(answer.record) not in known]
        asked = questions if legacy else ()
        if legacy:
            answers = [Answer(for_legacy(one.record), tuple(map(for_legacy, one.additionals))) for one in answers]
        return self._within_rate(now, [
            Packet(message, version, host, port) for message in pack(answers, identifier=identifier, questions=asked)])

    def _multicast(self, now: float, version: int, questions: tuple[Question, ...],
                   known: set[Identity], *, is_probe: bool = False) -> list[Packet]:
        """Answer to everybody, without what the asker knows and what was just sent; a probe gets even that."""
        self._sent = {key: at for key, at in self._sent.items() if at > now - REPEAT_PAUSE}
        answers = [answer for question in questions for answer in self._answers(question)
                   if identity(answer.record) not in known
                   and (is_probe or (version, answer.record) not in self._sent)]
        packets = self._within_rate(now, [Packet(message, version) for message in pack(answers)])
        self._sent.update({(version, record): now for packet in packets for record in packet.message.answers})
        return packets

    def _within_rate(self, now: float, packets: list[Packet]) -> list[Packet]:
        allowed = packets[:max(0, int(self._answers_left.left(now)))]
        if allowed:
            self._answers_left.spend(now, len(allowed))
        return allowed
