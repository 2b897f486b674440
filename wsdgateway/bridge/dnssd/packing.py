"""Packets of a responder, and answers packed into messages that fit."""

from collections.abc import Iterable, Iterator

import attrs

from wsdgateway.dnssd.messages import Message, Question, Record, plain_data

MAX_PACKET = 1400  # bytes, within the MTU of Ethernet with room for tunnels
_FIXED = 11  # bytes of a record beside its name and data, and of the end of its name


@attrs.frozen
class Packet:
    """A message to send: to everybody, or to one `host` and `port`; over both versions of IP if `version` is None."""

    message: Message
    version: int | None = None
    host: str = ""
    port: int = 0


@attrs.frozen
class Answer:
    """A record that answers a question, and those that its asker will need next."""

    record: Record
    additionals: tuple[Record, ...] = ()


def pack(answers: Iterable[Answer], *, identifier: int = 0, questions: tuple[Question, ...] = ()) -> Iterator[Message]:
    """Responses with these answers, each of at most `MAX_PACKET` bytes unless a single answer needs more."""
    records: dict[Record, None] = {}
    additionals: dict[Record, None] = {}
    size = 0

    def message() -> Message:
        return Message(identifier, response=True, questions=questions, answers=tuple(records),
                       additionals=tuple(one for one in additionals if one not in records))

    for answer in dict.fromkeys(answers):
        wanted = (answer.record, *answer.additionals)
        more = sum(_size(one) for one in wanted if one not in records and one not in additionals)
        if records and size + more > MAX_PACKET:
            yield message()
            records, additionals, size = {}, {}, 0
            more = sum(map(_size, wanted))
        size += more
        records[answer.record] = None
        additionals.update(dict.fromkeys(answer.additionals))
    if records:
        yield message()


def _size(record: Record) -> int:
    """The size of a record without compression."""
    return _FIXED + len(plain_data(record)) + sum(len(label) + 1 for label in record.name)
