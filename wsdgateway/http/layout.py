"""Locates the head, content and end of an HTTP message in its bytes, for captures that keep the original bytes.

RFC 9112 sections 2.1, 6 and 7.1.
"""

import re

import attrs

# Two line breaks. CR alone also counts as one, as in answers of old devices.
_HEAD_END = re.compile(rb"(?>\r\n|\n|\r(?!\Z)){2}")
_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*0*(\d{1,15})(?:[ \t]*,[ \t]*0*\1)*[ \t]*\r?$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding[ \t]*:.*chunked[ \t]*\r?$")
_INTERIM = re.compile(rb"HTTP/1\.\d 1\d\d")
_SIZE = re.compile(rb"0*[0-9A-Fa-f]{1,15}")


@attrs.frozen
class Layout:
    """Offsets into a message: `start` and `head` are the start and the end of its head, `pieces` its content.

    `end` is None if the message is incomplete, or ends with its connection.
    """

    start: int
    head: int
    pieces: tuple[tuple[int, int], ...]
    end: int | None

    def content(self, raw: bytes) -> bytes:
        """The content without its transfer coding."""
        return b"".join(raw[start:end] for start, end in self.pieces)


def layout(raw: bytes, *, request: bool) -> Layout:
    """Locate the parts of the message at the beginning of these bytes; interim answers are skipped.

    This never fails: a broken message counts as incomplete.
    """
    start = len(raw) - len(raw.lstrip(b"\r\n"))
    while True:
        found = _HEAD_END.search(raw, start)
        if found is None:
            return Layout(start, len(raw), (), None)
        if request or _INTERIM.match(raw, start) is None:
            break
        start = found.end()
    head, begin = raw[start:found.end()], found.end()
    if _CHUNKED.search(head):
        return _chunked(raw, start, begin)
    length = _LENGTH.search(head)
    if length is None and not request:
        return Layout(start, begin, ((begin, len(raw)),), None)
    end = begin + (int(length[1]) if length is not None else 0)
    return Layout(start, begin, ((begin, min(end, len(raw))),), end if end <= len(raw) else None)


def _chunked(raw: bytes, start: int, begin: int) -> Layout:
    pieces: list[tuple[int, int]] = []
    at = begin
    while (line := raw.find(b"\n", at)) >= 0:
        size = _SIZE.match(raw, at)
        if size is None:
            break
        at = line + 1
        length = int(size[0], 16)
        if length == 0:
            return Layout(start, begin, tuple(pieces), _after_trailer(raw, at))
        pieces.append((at, min(at + length, len(raw))))
        at += length
        at += 2 if raw[at:at + 2] == b"\r\n" else 1
    return Layout(start, begin, tuple(pieces), None)


def _after_trailer(raw: bytes, at: int) -> int | None:
    while (line := raw.find(b"\n", at)) >= 0:
        if not raw[at:line].strip():
            return line + 1
        at = line + 1
    return None


class Splitter:
    """Splits the bytes of one connection into its requests. The caller parses them, and tells when one is complete."""

    def __init__(self) -> None:
        self._raw = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        self._raw += data

    def take(self) -> bytes:
        """Remove and return the first request, which must be complete."""
        raw = bytes(self._raw)
        end = layout(raw, request=True).end
        first = raw if end is None else raw[:end]
        del self._raw[:len(first)]
        return first
