"""DNS messages as values: reads and writes those of multicast DNS.

RFC 1035, section 4.1, with the changes of RFC 6762, section 18: the top bit of the class asks for a unicast answer in a
question, and replaces older records of that name and type in an answer. Names are tuples of labels, since a label of an
instance name may have dots in it.
"""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import attrs

MAX_MESSAGE = 9000  # bytes; RFC 6762, section 17
MAX_NAME = 255  # bytes
MAX_RECORDS = 512  # of one message, questions included
MAX_POINTERS = 32  # followed within one name

A, PTR, TXT, AAAA, SRV, NSEC, ANY = 1, 12, 16, 28, 33, 47, 255
IN = 1
_TOP = 0x8000  # of a class
_RESPONSE, _AUTHORITATIVE, _TRUNCATED = 0x8000, 0x0400, 0x0200

Name = tuple[bytes, ...]


class BadMessage(ValueError):
    """Bytes that are no DNS message."""


@attrs.frozen
class Service:
    """The data of an SRV record (RFC 2782), without priority and weight, which multicast DNS does not use."""

    host: Name
    port: int


Data = Name | Service | IPv4Address | IPv6Address | bytes


@attrs.frozen
class Question:
    """A question. `unicast`: its sender asks for an answer to itself alone."""

    name: Name
    kind: int
    unicast: bool = False


@attrs.frozen
class Record:
    """A resource record. `unique`: it belongs to one host, and replaces older records of its name and type.

    `ttl` is in seconds; 0 withdraws the record. The data of types other than PTR, SRV, A and AAAA are bytes.
    """

    name: Name
    kind: int
    data: Data
    ttl: int
    unique: bool = False


@attrs.frozen
class Message:
    """A query or a response. A truncated query is followed by more known answers."""

    identifier: int = 0
    response: bool = False
    truncated: bool = False
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authorities: tuple[Record, ...] = ()
    additionals: tuple[Record, ...] = ()


def name_of(text: str) -> Name:
    """The name for host names and types, which have no dots in their labels."""
    return tuple(text.rstrip(".").encode().split(b"."))


def folded(name: Name) -> Name:
    """The name for comparison: ASCII letters count alike in both cases."""
    return tuple(label.lower() for label in name)


def count_records(data: bytes) -> int:
    """The number of records, questions included, that `read_message` would read at most."""
    if len(data) > MAX_MESSAGE or len(data) < 12:
        return 0
    count = sum(struct.unpack_from("!4H", data, 4))
    return count if count <= MAX_RECORDS else 0


def read_message(data: bytes) -> Message:
    """Read a message. Raises `BadMessage`; classes other than IN are left out."""
    if len(data) > MAX_MESSAGE:
        raise BadMessage("longer than a multicast DNS message can be")
    try:
        identifier, flags, *counts = struct.unpack_from("!6H", data)
        if sum(counts) > MAX_RECORDS:
            raise BadMessage("too many records")
        at, questions = 12, []
        for _ in range(counts[0]):
            name, at = _read_name(data, at)
            kind, its_class = struct.unpack_from("!HH", data, at)
            at += 4
            if its_class & ~_TOP in (IN, ANY):
                questions.append(Question(name, kind, bool(its_class & _TOP)))
        sections = []
        for count in counts[1:]:
            records = []
            for _ in range(count):
                record, at = _read_record(data, at)
                if record is not None:
                    records.append(record)
            sections.append(tuple(records))
    except (struct.error, IndexError) as error:
        raise BadMessage(str(error)) from None
    return Message(identifier, bool(flags & _RESPONSE), bool(flags & _TRUNCATED), tuple(questions), *sections)


def _read_name(data: bytes, at: int) -> tuple[Name, int]:
    """A name, and where it ends. A pointer must lead backwards, so that reading ends."""
    labels: list[bytes] = []
    end, before, size, pointers = -1, at, 1, 0
    while True:
        length = data[at]
        if length >= 0xC0:
            target = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            end = at + 2 if end < 0 else end
            pointers += 1
            if target >= before or pointers > MAX_POINTERS:
                raise BadMessage("a name points forwards, or too often")
            at = before = target
            continue
        if length > 63:
            raise BadMessage("a label of an unknown kind")
        at += 1
        if length == 0:
            return tuple(labels), at if end < 0 else end
        label = data[at:at + length]
        size += length + 1
        if len(label) != length or size > MAX_NAME:
            raise BadMessage("a name is too long")
        labels.append(label)
        at += length


def _read_record(data: bytes, at: int) -> tuple[Record | None, int]:
    name, at = _read_name(data, at)
    kind, its_class, ttl, length = struct.unpack_from("!HHIH", data, at)
    at += 10
    end = at + length
    if end > len(data):
        raise BadMessage("a record is longer than the message")
    value: Data = data[at:end]
    if kind == PTR:
        value = _read_name(data, at)[0]
    elif kind == SRV:
        port = struct.unpack_from("!H", data, at + 4)[0]
        value = Service(_read_name(data, at + 6)[0], port)
    elif (kind, length) == (A, 4):
        value = IPv4Address(data[at:end])
    elif (kind, length) == (AAAA, 16):
        value = IPv6Address(data[at:end])
    elif kind in (A, AAAA):
        raise BadMessage("an address of the wrong length")
    if its_class & ~_TOP != IN:
        return None, end
    return Record(name, kind, value, ttl, bool(its_class & _TOP)), end


def write_message(message: Message) -> bytes:
    """Write a message; names are compressed."""
    writer = _Writer()
    flags = _RESPONSE | _AUTHORITATIVE if message.response else 0
    sections = (message.answers, message.authorities, message.additionals)
    writer.data += struct.pack("!6H", message.identifier, flags | (_TRUNCATED if message.truncated else 0),
                               len(message.questions), *map(len, sections))
    for question in message.questions:
        writer.name(question.name)
        writer.data += struct.pack("!HH", question.kind, IN | (_TOP if question.unicast else 0))
    for section in sections:
        for record in section:
            writer.record(record)
    return bytes(writer.data)


def plain_data(record: Record) -> bytes:
    """A record's data without compression, for comparison (RFC 6762, section 8.2)."""
    writer = _Writer(compresses=False)
    writer.record_data(record.data)
    return bytes(writer.data)


def nsec_data(name: Name, kinds: Iterable[int]) -> bytes:
    """The data of an NSEC record: the name has records of these types, below 256, alone (RFC 6762, section 6.1)."""
    bits = bytearray(32)
    for kind in kinds:
        bits[kind // 8] |= 0x80 >> kind % 8
    bitmap = bytes(bits).rstrip(b"\0")
    writer = _Writer(compresses=False)
    writer.name(name)
    return bytes(writer.data) + bytes((0, len(bitmap))) + bitmap


class _Writer:
    def __init__(self, compresses: bool = True) -> None:
        self.data = bytearray()
        self._places: dict[Name, int] = {}
        self._compresses = compresses

    def name(self, name: Name) -> None:
        for number in range(len(name)):
            rest = name[number:]
            place = self._places.get(rest)
            if place is not None:
                self.data += struct.pack("!H", 0xC000 | place)
                return
            if self._compresses and len(self.data) < 0x4000:
                self._places[rest] = len(self.data)
            self.data += bytes((len(rest[0]),)) + rest[0]
        self.data += b"\0"

    def record(self, record: Record) -> None:
        self.name(record.name)
        self.data += struct.pack("!HHIH", record.kind, IN | (_TOP if record.unique else 0), record.ttl, 0)
        start = len(self.data)
        self.record_data(record.data)
        struct.pack_into("!H", self.data, start - 2, len(self.data) - start)

    def record_data(self, data: Data) -> None:
        if isinstance(data, Service):
            self.data += struct.pack("!HHH", 0, 0, data.port)
            self.name(data.host)
        elif isinstance(data, tuple):
            self.name(data)
        else:
            self.data += data if isinstance(data, bytes) else data.packed
