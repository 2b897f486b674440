"""Repairs the heads of scanners' answers for the parser, as RFC 9112 requires of a recipient, and as `lenient` allows.

RFC 9112 section 5.1: white space between a field's name and the colon is removed. With `lenient`, for old devices:
equal Content-Length fields, or equal members of one, count once (section 6.3), and the transfer coding `identity` of
RFC 2616 is dropped.
"""

import re

_BLANK_BEFORE_COLON = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+:")
_FIELD = re.compile(rb"(content-length|transfer-encoding):[ \t]*([^\r\n]*?)[ \t]*(?=[\r\n])", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/\d\.\d[ \t]+1\d\d")
MAX_STATUS = 16  # bytes of a status line that suffice to recognise an interim answer


def is_clean(data: bytes) -> bool:
    """Return whether an answer begins with its complete final head, which needs no repair; nearly all do."""
    end = data.find(b"\r\n\r\n")
    return (end > 0 and data.find(b" :", 0, end) < 0 and data.find(b"\t:", 0, end) < 0
            and not data.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1", b"\r", b"\n")))


class Heads:
    """Filters the bytes of one answer for its parser. Interim answers have heads of their own.

    A field line is held back until it is complete, the status line is not. `passed` is true once the final head is
    complete, and further bytes need not be fed here::

        status line ──► fields ──the empty line of a final head──► passed
             ▲            │
             └────────────┘ that of an interim answer's
    """

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient
        self._held = b""
        self._status = b""
        self._in_fields = False
        self._lengths: set[int] = set()
        self.passed = False

    def feed(self, data: bytes) -> bytes:
        """The bytes to pass to the parser now, including those held back before."""
        data, self._held = self._held + data, b""
        ready: list[bytes] = []
        at = 0
        while at < len(data) and not self.passed:
            end = self._line_end(data, at)
            if not self._in_fields:
                line = data[at:end]
                if end is None and self._lenient and line.endswith(b"\r"):
                    line, self._held = line[:-1], b"\r"
                ready.append(line)
                self._status = (self._status + line).lstrip(b"\r\n")[:MAX_STATUS]
                if end is None:
                    return b"".join(ready)
                self._in_fields = bool(self._status)
            elif end is None:
                self._held = data[at:]
                return b"".join(ready)
            else:
                ready.append(self._field_line(data[at:end]))
            at = end
        return b"".join((*ready, data[at:]))

    def flush(self) -> bytes:
        """The bytes that are still held back when the connection has ended."""
        held, self._held = self._held, b""
        return held

    def _line_end(self, data: bytes, at: int) -> int | None:
        """The end of the line that begins at `at`; None if it has not arrived. Old devices end lines with CR alone."""
        line_feed = data.find(b"\n", at)
        if self._lenient:
            lone = data.find(b"\r", at, line_feed if line_feed >= 0 else len(data))
            if 0 <= lone < len(data) - 1 and lone + 1 != line_feed:
                return lone + 1
        return None if line_feed < 0 else line_feed + 1

    def _field_line(self, line: bytes) -> bytes:
        if not line.strip(b"\r\n"):
            self.passed = _INTERIM.match(self._status) is None
            self._in_fields, self._status = False, b""
            self._lengths.clear()
            return line
        blank = _BLANK_BEFORE_COLON.match(line)
        if blank is not None:
            line = blank[1] + line[blank.end() - 1:]
        return self._tolerated(line) if self._lenient else line

    def _tolerated(self, line: bytes) -> bytes:
        """The line after the repairs that `lenient` allows."""
        found = _FIELD.match(line)
        if found is None:
            return line
        members = [member.strip(b" \t") for member in found[2].split(b",")]
        if found[1].lower() == b"transfer-encoding":
            codings = [member for member in members if member.lower() != b"identity"]
            if len(codings) == len(members):
                return line
            return b"" if not codings else found[1] + b": " + b", ".join(codings) + line[found.end():]
        if not all(re.fullmatch(rb"\d{1,15}", member) for member in members):
            return line
        lengths = {int(member) for member in members}
        if len(lengths) > 1:
            return line
        if lengths == self._lengths:
            return b""
        self._lengths |= lengths
        return found[1] + b": %d" % lengths.pop() + line[found.end():]
