"""The records with which a responder answers a question.

RFC 6762, sections 6 and 7.1 (known answers); RFC 6763, sections 9 (enumeration of types) and 12 (additional records).
"""

from collections.abc import Iterable, Iterator

import attrs

from wsdgateway.bridge.dnssd.announcement import HOST_TTL, OTHER_TTL, Announcement
from wsdgateway.bridge.dnssd.packing import Answer
from wsdgateway.dnssd.messages import (
    AAAA,
    ANY,
    NSEC,
    PTR,
    SRV,
    TXT,
    A,
    Name,
    Question,
    Record,
    folded,
    name_of,
    nsec_data,
    plain_data,
)

LEGACY_TTL = 10  # seconds, in answers to ordinary DNS clients; section 6.7

_ENUMERATION = name_of("_services._dns-sd._udp.local")
Identity = tuple[Name, int, bytes]


def answers_to(question: Question, entries: Iterable[Announcement], host: Name,
               host_records: tuple[Record, ...]) -> Iterator[Answer]:
    """The records that answer a question, with what the asker will want to know next."""
    name = folded(question.name)
    for entry in entries:
        if question.kind in (PTR, ANY) and name == entry.type:
            yield Answer(entry.pointer(), (*entry.own(), *host_records))
        if question.kind in (PTR, ANY) and name == _ENUMERATION:
            yield Answer(Record(_ENUMERATION, PTR, entry.type, OTHER_TTL))
        if question.kind in (SRV, TXT, ANY) and name == entry.folded:
            yield from (Answer(one, host_records) for one in entry.own() if question.kind in (one.kind, ANY))
        if name == folded(host):
            yield from (Answer(one, host_records) for one in host_records if question.kind in (one.kind, ANY))
            if question.kind in (A, AAAA) and all(one.kind != question.kind for one in host_records):
                yield Answer(_lack(host, host_records), host_records)


def _lack(host: Name, host_records: tuple[Record, ...]) -> Record:
    """Says that the host has no addresses of the other version of IP, so that the asker does not wait for one."""
    return Record(host, NSEC, nsec_data(host, {one.kind for one in host_records}), HOST_TTL, True)


def identity(record: Record) -> Identity:
    """The identity of a record; it is the same for records that say the same."""
    return folded(record.name), record.kind, plain_data(record)


def is_fresh(known: Record) -> bool:
    """True if an asker need not be told a record that it knows: at least half of its time to live is left."""
    return known.ttl * 2 >= (OTHER_TTL if known.kind in (PTR, TXT) else HOST_TTL)


def for_legacy(record: Record) -> Record:
    """The record for an ordinary DNS client, which knows no cache-flush bit and would keep it too long."""
    return attrs.evolve(record, ttl=min(record.ttl, LEGACY_TTL), unique=False)
