"""Schedules the answers to questions on one link: at once or after a moment, to everybody or to the asker alone.

RFC 6762, sections 5.4 (unicast), 6 (delays), 6.7 (ordinary DNS clients), 7.1 and 7.2 (known answers), 8.1 (probes).
"""

from collections.abc import Callable, Iterable

import attrs

from wsdgateway.bridge.dnssd.answering import Identity, for_legacy, identity, is_fresh
from wsdgateway.bridge.dnssd.packing import Answer, Packet, pack
from wsdgateway.dnssd.messages import PTR, Message, Question, Record
from wsdgateway.tokenbucket import SourceLimit, TokenBucket

PORT = 5353
DELAY = (0.02, 0.12)  # seconds, of an answer that other hosts may give, too
TRUNCATED_DELAY = (0.4, 0.5)  # seconds, while more known answers come
REPEAT_PAUSE = 1.0  # seconds during which a record is not multicast again
MAX_WAITING = 64  # hosts whose questions wait to be answered
MAX_QUESTIONS = 32  # of one host; the rest is not answered
MAX_KNOWN = 1024  # known answers of one host
PACKETS_PER_SECOND = 100.0  # answers of one link
PER_SOURCE = 20.0  # questions a second that one host gets answered

Find = Callable[[Question], list[Answer]]


@attrs.define
class _Waiting:
    """Questions of one asker, until its known answers have come."""

    due: float
    questions: tuple[Question, ...]
    known: set[Identity]


class Replies:
    """Answers questions with the records that `find` finds; `draw` returns a random number from 0 to 1."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._waiting: dict[tuple[int, str, int], _Waiting] = {}
        self._sent: dict[tuple[int, Record], float] = {}
        self._left = TokenBucket(PACKETS_PER_SECOND)
        self._sources = SourceLimit(PER_SOURCE)

    @property
    def deadline(self) -> float | None:
        """The time at which `advance` must be called next; None: not before another question."""
        return min((one.due for one in self._waiting.values()), default=None)

    def advance(self, now: float, find: Find) -> list[Packet]:
        """Answer the questions that have waited long enough."""
        packets = []
        for asker, waiting in list(self._waiting.items()):
            if waiting.due <= now:
                del self._waiting[asker]
                packets += self._to_all(now, asker[0], _lacking(find, waiting.questions, waiting.known))
        return packets

    def clear(self) -> None:
        """Forget the questions that wait."""
        self._waiting.clear()

    def ask(self, now: float, version: int, host: str, port: int, message: Message, find: Find) -> list[Packet]:
        """Take a query that came from that host and port."""
        known = {identity(one) for one in message.answers if is_fresh(one)}
        waiting = self._waiting.get((version, host, port))
        if waiting is not None and len(waiting.known) < MAX_KNOWN:
            waiting.known |= known
        concerned = tuple(one for one in message.questions[:MAX_QUESTIONS] if find(one))
        if not concerned or not self._sources.spend(host, now):
            return []
        if port != PORT:
            answers = [Answer(for_legacy(one.record), tuple(map(for_legacy, one.additionals)))
                       for one in _lacking(find, concerned, known)]
            return self._within_rate(now, [Packet(one, version, host, port) for one in pack(
                answers, identifier=message.identifier, questions=concerned)])
        answers = _lacking(find, [one for one in concerned if one.unicast], known)
        packets = self._within_rate(now, [Packet(one, version, host, port) for one in pack(answers)])
        others = tuple(one for one in concerned if not one.unicast)
        if others and waiting is not None:
            waiting.questions = tuple(dict.fromkeys((*waiting.questions, *others)))[:MAX_QUESTIONS]
        elif others and (message.truncated or any(one.kind == PTR for one in others)):
            least, most = TRUNCATED_DELAY if message.truncated else DELAY
            if len(self._waiting) < MAX_WAITING:
                due = now + least + (most - least) * self._draw()
                self._waiting[version, host, port] = _Waiting(due, others, known)
        elif others:
            packets += self._to_all(now, version, _lacking(find, others, known), is_probe=bool(message.authorities))
        return packets

    def _to_all(self, now: float, version: int, found: list[Answer], *, is_probe: bool = False) -> list[Packet]:
        """Answer to everybody, without what was just sent; a probe gets even that."""
        self._sent = {key: at for key, at in self._sent.items() if at > now - REPEAT_PAUSE}
        answers = [one for one in found if is_probe or (version, one.record) not in self._sent]
        packets = self._within_rate(now, [Packet(message, version) for message in pack(answers)])
        self._sent.update({(version, record): now for packet in packets for record in packet.message.answers})
        return packets

    def _within_rate(self, now: float, packets: list[Packet]) -> list[Packet]:
        allowed = packets[:max(0, int(self._left.left(now)))]
        if allowed:
            self._left.spend(now, len(allowed))
        return allowed


def _lacking(find: Find, questions: Iterable[Question], known: set[Identity]) -> list[Answer]:
    """The answers that the asker does not know yet."""
    return [answer for question in questions for answer in find(question) if identity(answer.record) not in known]
