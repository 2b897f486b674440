"""Remembers the heads of answers, so that an answer with the same head is read without the parser.

A scanner that answers several requests in one second sends the same head, its Date included. RFC 9112 section 6.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

MAX_HEADS = 64
MAX_HEAD = 2048  # bytes of a head that is remembered
_END = b"\r\n\r\n"

T = TypeVar("T")


class KnownHeads(Generic[T]):
    """Heads of answers with a body of known length that arrived in one piece, each with a value."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[int, T]] = OrderedDict()

    def find(self, data: bytes) -> tuple[T, bytes] | None:
        """The value of the head and the body of the answer, if these bytes are an answer with a known head."""
        end = data.find(_END)
        known = self._known.get(data[:end]) if 0 < end <= MAX_HEAD else None
        body = end + len(_END)
        return None if known is None or known[0] != len(data) - body else (known[1], data[body:])

    def learn(self, data: bytes, length: int | None, value: T) -> None:
        """Remember the head of a complete answer whose head says that its body has that length."""
        head, end, body = data.partition(_END)
        if end and len(body) == length and len(head) <= MAX_HEAD and head not in self._known:
            if len(self._known) >= MAX_HEADS:
                self._known.popitem(last=False)
            self._known[head] = length, value
