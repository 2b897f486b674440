"""One service on one link: its records, and its way from probing to announced.

RFC 6762, section 8:

    PROBING ──3 probes, no conflict──► ANNOUNCING ──3 announcements──► ANNOUNCED
       ▲  └─ conflict: next number ─┐       │                              │
       └────────────────────────────┘◄──────┴── conflict, same number ─────┘
"""

from enum import Enum
from functools import lru_cache

import attrs

from wsdgateway.bridge.dnssd.packing import Answer
from wsdgateway.dnssd.messages import ANY, PTR, SRV, TXT, Message, Name, Question, Record, Service, folded, name_of
from wsdgateway.dnssd.scannerservice import ScannerService, instance_name, txt_data, txt_of

HOST_TTL = 120  # seconds, of records that name a host; RFC 6762, section 10
OTHER_TTL = 4500
PROBES = 3
PROBE_INTERVAL = 0.25
ANNOUNCEMENTS = 3  # after 1 and 2 seconds

Key = tuple[str, str]  # the scanner and the service type
_KEPT = 1024  # names, which every question is compared with


@lru_cache(_KEPT)
def _full_name(name: str, number: int, kind: str) -> Name:
    return (instance_name(name, number).encode(), *name_of(kind))


@lru_cache(_KEPT)
def _folded_name(name: str, number: int, kind: str) -> Name:
    return folded(_full_name(name, number, kind))


class Phase(Enum):
    """The phases of the announcement of a service."""

    PROBING = "probing"
    ANNOUNCING = "announcing"
    ANNOUNCED = "announced"


@attrs.define(eq=False)
class Announcement:
    """A service on one link. `due` is when its next probe or announcement is sent; None: nothing is due."""

    service: ScannerService
    host: Name
    url_host: str
    number: int = 1
    phase: Phase = Phase.PROBING
    count: int = 0
    due: float | None = None

    @property
    def key(self) -> Key:
        """The key of the service."""
        return self.service.scanner, self.service.type

    @property
    def shown(self) -> str:
        """The instance name."""
        return instance_name(self.service.name, self.number)

    @property
    def type(self) -> Name:
        """The service type as a name."""
        return name_of(self.service.type)

    @property
    def name(self) -> Name:
        """The full name of the instance."""
        return _full_name(self.service.name, self.number, self.service.type)

    @property
    def folded(self) -> Name:
        """The full name for comparison."""
        return _folded_name(self.service.name, self.number, self.service.type)

    @property
    def speaks(self) -> bool:
        """True if questions about it are answered."""
        return self.phase is not Phase.PROBING

    def pointer(self, ttl: int = OTHER_TTL) -> Record:
        """The PTR record."""
        return Record(self.type, PTR, self.name, ttl)

    def own(self, ttl: int | None = None) -> tuple[Record, Record]:
        """The SRV and TXT records, which nobody else may have."""
        text = txt_data(txt_of(self.service, self.url_host))
        return (Record(self.name, SRV, Service(self.host, self.service.port), HOST_TTL if ttl is None else ttl, True),
                Record(self.name, TXT, text, OTHER_TTL if ttl is None else ttl, True))

    def probe(self) -> Message:
        """The question whether anybody has the name. It asks for multicast answers: this socket gets no others."""
        return Message(questions=(Question(self.name, ANY),),
                       authorities=tuple(attrs.evolve(record, unique=False) for record in self.own()))

    def all(self, addresses: tuple[Record, ...]) -> tuple[Answer, ...]:
        """All of its records, as an announcement has them."""
        return tuple(Answer(one) for one in (self.pointer(), *self.own(), *addresses))

    def goodbye(self) -> tuple[Answer, ...]:
        """The service's records with a time to live of 0; the addresses stay, since other services may use them."""
        return tuple(Answer(one) for one in (self.pointer(0), *self.own(0)))

    def restart(self, due: float | None, phase: Phase = Phase.PROBING) -> None:
        """Begin with a phase."""
        self.phase, self.count, self.due = phase, 0, due
