"""eSCL scanners that other hosts announce on a link, so that the gateway does not offer them a second time.

RFC 6762, sections 5.2 (questions are repeated, and asked again before records expire) and 10 (time to live). A scanner
stays known until its PTR record expires or is withdrawn, even if its host is switched off meanwhile.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import attrs

from wsdgateway.dnssd.messages import AAAA, PTR, SRV, TXT, A, Message, Name, Question, Record, Service, folded, name_of
from wsdgateway.dnssd.scannerservice import TYPES, read_txt

MAX_SCANNERS = 256  # known on one link; more are not noticed
MAX_ADDRESSES = 16  # of one scanner
MAX_KNOWN_ANSWERS = 24  # listed in a question, so that it fits into one packet
LONGEST_TTL = 4500 * 4  # seconds; a longer time to live counts as this
FIRST_QUESTIONS = (0.1, 1.0, 3.0, 9.0)  # seconds after the link was opened
QUESTION_INTERVAL = 3600.0
REFRESH = (0.8, 0.9)  # of the time to live: when to ask whether a scanner is still there
DETAILS = (0.5, 2.0, 6.0)  # seconds after a scanner was seen: when to ask for what its announcement lacks
GOODBYE_SECONDS = 1.0  # RFC 6762, section 10.1

Address = IPv4Address | IPv6Address
_TYPES = tuple(name_of(one) for one in TYPES)


@attrs.frozen
class OtherScanner:
    """An eSCL scanner announced by another host. `uuid` is in lower case, empty if it has none."""

    name: str
    host: str
    uuid: str
    addresses: frozenset[Address]


@attrs.define
class _Seen:
    name: Name
    expires: float
    refresh: list[float]
    details: list[float]
    host: Name | None = None
    uuid: str = ""
    has_text: bool = False
    addresses: dict[Address, None] = attrs.Factory(dict)

    @property
    def lacks(self) -> bool:
        return self.host is None or not self.has_text or not self.addresses


class Others:
    """The eSCL scanners of other hosts on one link. `is_own` tells whether a host name is one of this gateway's."""

    def __init__(self, now: float, is_own: Callable[[Name], bool], draw: Callable[[], float]) -> None:
        self._is_own = is_own
        self._seen: dict[Name, _Seen] = {}
        self._questions = [now + seconds * (0.5 + draw() / 2) for seconds in FIRST_QUESTIONS]

    @property
    def scanners(self) -> frozenset[OtherScanner]:
        """The scanners whose host is known."""
        return frozenset(
            OtherScanner(one.name[0].decode(errors="replace"), ".".join(label.decode(errors="replace")
                                                                         for label in one.host),
                         one.uuid, frozenset(one.addresses))
            for one in self._seen.values() if one.host is not None and not self._is_own(folded(one.host)))

    @property
    def deadline(self) -> float:
        """The time at which `advance` must be called next."""
        times = [self._questions[0]]
        for one in self._seen.values():
            times += [one.expires, *one.refresh[:1], *(one.details[:1] if one.lacks else ())]
        return min(times)

    def advance(self, now: float, own: tuple[Record, ...] = ()) -> list[Message]:
        """Forget what has expired, and return the questions that are due.

        `own` are the PTR records of this gateway. As known answers they keep its own responder silent, which hears the
        question, too.
        """
        self._seen = {name: one for name, one in self._seen.items() if one.expires > now}
        due = self._questions[0] <= now
        if due:
            self._questions = self._questions[1:] or [now + QUESTION_INTERVAL]
        missing: list[Question] = []
        for one in self._seen.values():
            if one.refresh and one.refresh[0] <= now:
                one.refresh = [at for at in one.refresh if at > now]
                due = True
            if one.details and one.details[0] <= now:
                one.details = [at for at in one.details if at > now]
                missing += _missing(one)
        messages = []
        if due:
            known = [Record(one.name[1:], PTR, one.name, int(one.expires - now))
                     for one in self._seen.values() if one.refresh]
            messages.append(Message(questions=tuple(Question(one, PTR) for one in _TYPES),
                                    answers=(*own, *known)[:MAX_KNOWN_ANSWERS]))
        if missing:
            messages.append(Message(questions=tuple(missing[:MAX_KNOWN_ANSWERS])))
        return messages

    def receive(self, now: float, message: Message) -> None:
        """Take what a response says about scanners."""
        records = (*message.answers, *message.additionals)
        for record in records:
            if record.kind == PTR and folded(record.name) in _TYPES and isinstance(record.data, tuple):
                self._see(now, record.data, record.ttl)
        for record in records:
            one = self._seen.get(folded(record.name))
            if one is None or record.ttl == 0:
                continue
            if isinstance(record.data, Service):
                if one.host is not None and folded(one.host) != folded(record.data.host):
                    one.addresses = {}
                one.host = record.data.host
            elif record.kind == TXT and isinstance(record.data, bytes):
                one.uuid = read_txt(record.data).get("uuid", "").lower().removeprefix("urn:uuid:")
                one.has_text = True
        self._take_addresses(records)

    def _see(self, now: float, name: Name, ttl: int) -> None:
        if folded(name[1:]) not in _TYPES:
            return
        key = folded(name)
        if ttl == 0:
            if key in self._seen:
                self._seen[key].expires = min(self._seen[key].expires, now + GOODBYE_SECONDS)
            return
        lasts = float(min(ttl, LONGEST_TTL))
        refresh = [now + part * lasts for part in REFRESH]
        one = self._seen.get(key)
        if one is not None:
            one.expires, one.refresh = now + lasts, refresh
        elif len(self._seen) < MAX_SCANNERS:
            self._seen[key] = _Seen(name, now + lasts, refresh, [now + seconds for seconds in DETAILS])

    def _take_addresses(self, records: tuple[Record, ...]) -> None:
        """Replace the addresses of each host that the message has addresses of, for each version of IP."""
        found: dict[tuple[Name, int], list[Address]] = {}
        for record in records:
            if record.kind in (A, AAAA) and record.ttl > 0 and isinstance(record.data, IPv4Address | IPv6Address):
                found.setdefault((folded(record.name), record.kind), []).append(record.data)
        for one in self._seen.values():
            for kind, version in ((A, 4), (AAAA, 6)):
                new = found.get((folded(one.host), kind)) if one.host is not None else None
                if new is not None:
                    kept = [address for address in one.addresses if address.version != version]
                    one.addresses = dict.fromkeys([*kept, *new][-MAX_ADDRESSES:])


def _missing(one: _Seen) -> list[Question]:
    if one.host is None or not one.has_text:
        return [Question(one.name, SRV), Question(one.name, TXT)]
    return [Question(one.host, A), Question(one.host, AAAA)] if not one.addresses else []
