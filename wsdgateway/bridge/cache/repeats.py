"""Remembers requests that were answered by the gateway, so that their repetitions are recognised without being read.

A repetition has the same bytes except for its MessageID, which has the same length. A request may arrive in two pieces,
first the head and then the body, as many HTTP libraries send it.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

from wsdgateway.soap.skeleton import Skeleton, is_replaceable, split

MAX_REPEATS = 1024  # the requests that are remembered
MAX_TAGS = 100_000  # tags in all of them together; an element that is kept takes 100 to 200 bytes
MAX_REQUEST = 8192  # bytes of a request that is remembered
_HEAD_END = b"\r\n\r\n"

T = TypeVar("T")


class Repeats(Generic[T]):
    """The requests that are remembered, each with a value. The least recently repeated one is dropped first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Skeleton, tuple[int, T]] = OrderedDict()
        self._tags = 0
        self._lengths: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, raw: bytes) -> tuple[T, bytes] | None:
        """The value of the request that these bytes repeat, and the MessageID in them; None for anything else."""
        skeleton, message_id = split(raw)
        known = self._known.get(skeleton)
        if known is None or len(raw) != known[0] or not is_replaceable(message_id):
            return None
        self._known.move_to_end(skeleton)
        return known[1], message_id

    def is_partial(self, raw: bytes) -> bool:
        """Return whether these bytes begin with the whole head of a remembered request, and lack a part of the body."""
        head, end, _ = raw.partition(_HEAD_END)
        return bool(end) and len(raw) < self._lengths.get(head, 0)

    def learn(self, skeleton: Skeleton, length: int, value: T) -> None:
        """Remember a request of that length in bytes."""
        if skeleton not in self._known:
            self._tags += _tags(skeleton)
        self._known[skeleton] = length, value
        self._known.move_to_end(skeleton)
        while len(self._known) > MAX_REPEATS or self._tags > MAX_TAGS:
            self._tags -= _tags(self._known.popitem(last=False)[0])
        head = skeleton[0].partition(_HEAD_END)[0]
        if len(self._lengths) >= MAX_REPEATS:
            self._lengths.clear()
        self._lengths[head] = length

    def clear(self) -> None:
        """Forget all requests."""
        self._known.clear()
        self._tags = 0
        self._lengths.clear()


def _tags(skeleton: Skeleton) -> int:
    return skeleton[0].count(b"<") + skeleton[1].count(b"<")
