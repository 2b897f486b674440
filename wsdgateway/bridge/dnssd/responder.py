"""The responder of one link: announces services, answers questions about them, and gives way to names of others.

RFC 6762, sections 8 to 10. It answers only for its own host name and services, and for nothing until it has announced
one.
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
from wsdgateway.bridge.dnssd.answering import answers_to
from wsdgateway.bridge.dnssd.packing import Answer, Packet, pack
from wsdgateway.bridge.dnssd.replies import PORT, Replies
from wsdgateway.dnssd.messages import (
    AAAA,
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

LOST_TIEBREAK = 1.0  # seconds until the next probe
MAX_CONFLICTS = 15  # in CONFLICT_PERIOD; then the next probe waits for CONFLICT_PAUSE
CONFLICT_PERIOD = 10.0
CONFLICT_PAUSE = 5.0
GOODBYE_PAUSE = 0.25  # seconds between the two goodbyes of a service

Address = IPv4Address | IPv6Address


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
        self._replies = Replies(draw)
        self._goodbyes: list[tuple[float, Message]] = []
        self._conflicts: list[float] = []

    @property
    def deadline(self) -> float | None:
        """The time at which `advance` must be called next; None: not before another call."""
        times = [entry.due for entry in self._entries.values() if entry.due is not None]
        times += [due for due, _ in self._goodbyes]
        replies = self._replies.deadline
        return min(times if replies is None else [*times, replies], default=None)

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

    def hand_over(self, key: Key) -> None:
        """Answer no more for a service, without a goodbye, since another host announces it from now on.

        A goodbye would withdraw the PTR record of the other host, too, which is the same.
        """
        self._entries.pop(key, None)

    def stop(self) -> list[Packet]:
        """Goodbyes of everything; nothing is announced or answered afterwards."""
        answers = [answer for entry in self._entries.values() if entry.speaks for answer in entry.goodbye()]
        if answers:
            answers += [Answer(attrs.evolve(one, ttl=0)) for one in self._host_records]
        answers += [Answer(record) for _, message in self._goodbyes for record in message.answers]
        self._entries.clear()
        self._replies.clear()
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
        """Return the messages that are due, and go on with probing and announcing."""
        packets = [Packet(message) for due, message in self._goodbyes if due <= now]
        self._goodbyes = [one for one in self._goodbyes if one[0] > now]
        for entry in list(self._entries.values()):
            if entry.due is not None and entry.due <= now:
                packets += self._step(now, entry)
        return packets + self._replies.advance(now, self._answers)

    def receive(self, now: float, version: int, host: str, port: int, message: Message) -> list[Packet]:
        """Take a message that came from that host and port of this link."""
        if message.response:
            return self._hear(now, message) if port == PORT else []
        self._break_ties(now, message)
        return self._replies.ask(now, version, host, port, message, self._answers)

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
        """The time of the first probe: up to 0.25 s later, so that hosts that start together do not collide."""
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
