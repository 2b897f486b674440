"""Takes what is secret out of a message, and leaves everything else where it was: each byte becomes an `x`.

WS-Scan, JobToken and DestinationToken; RFC 9110 section 11.6.2; our own addresses for notifications, which are secret,
too. People's names (JobOriginatingUserName, JobName) go the same way unless the log is to name people.
"""

import re

import attrs

from wsdgateway.http.layout import layout

SECRET_ELEMENTS = ("JobToken", "DestinationToken")
NAME_ELEMENTS = ("JobOriginatingUserName", "JobName", "ClientDisplayName")

_FIELDS = re.compile(rb"(?im)^(?:authorization|proxy-authorization|cookie|set-cookie)[ \t]*:[ \t]*([^\r\n]*)")
_NOTIFY = re.compile(rb"/events/([\w-]{20,})")


def _elements(names: tuple[str, ...]) -> re.Pattern[bytes]:
    alternatives = "|".join(names).encode()
    # To the closing tag, whatever stands between: CDATA and comments must hide nothing.
    return re.compile(rb"<(?:[\w.-]+:)?(" + alternatives + rb")(?:\s[^>]*)?(?<!/)>(.*?)(?:</(?:[\w.-]+:)?\1\s*>|\Z)",
                      re.DOTALL)


_SECRETS = _elements(SECRET_ELEMENTS)
_NAMES = _elements(NAME_ELEMENTS)


class Masks:
    """What is masked: secrets unless `secrets` are wanted, people's names unless `identify`."""

    def __init__(self, *, secrets: bool = False, identify: bool = False) -> None:
        self.secrets = secrets
        self.identify = identify
        self._patterns = [(_SECRETS, 2), (_NOTIFY, 1)] if not secrets else []
        if not identify:
            self._patterns.append((_NAMES, 2))

    def message(self, raw: bytes, *, request: bool, coded: bool = True) -> bytes:
        """A message as on the wire; chunks may cut what is to be masked. Not `coded`: it has none, whatever it says."""
        found = layout(raw, request=request)
        if not coded:
            found = attrs.evolve(found, pieces=((found.head, len(raw)),))
        masked = bytearray(raw)
        if not self.secrets:
            for pattern in (_FIELDS, _NOTIFY):
                for match in pattern.finditer(raw, 0, found.head):
                    _cover(masked, *match.span(1))
        for start, end in self._ranges(found.content(raw)):
            _cover_content(masked, found.pieces, start, end)
        return bytes(masked)

    def content(self, body: bytes) -> bytes:
        """A body."""
        masked = bytearray(body)
        for start, end in self._ranges(body):
            _cover(masked, start, end)
        return bytes(masked)

    def _ranges(self, body: bytes) -> list[tuple[int, int]]:
        if not self._patterns:
            return []
        if b"\0" in body[:4]:
            return [(0, len(body))]  # UTF-16 or UTF-32, which nobody is known to send: better nothing than a secret
        return [match.span(group) for pattern, group in self._patterns for match in pattern.finditer(body)]


def _cover(masked: bytearray, start: int, end: int) -> None:
    masked[start:end] = b"x" * (end - start)


def _cover_content(masked: bytearray, pieces: tuple[tuple[int, int], ...], start: int, end: int) -> None:
    """The same for offsets into the content, which lies in pieces."""
    at = 0
    for first, last in pieces:
        size = last - first
        lower, upper = max(start - at, 0), min(end - at, size)
        if lower < upper:
            _cover(masked, first + lower, first + upper)
        at += size
