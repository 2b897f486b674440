"""Finds the parts of a multipart/related body while its bytes pass.

RFC 2046 section 5.1 and RFC 2387. Part contents are passed on as views of the input; only bytes that may begin a
delimiter are held back, at most `MAX_PART_HEAD`. The states, each a method of `MultipartReader`::

    _preamble ── delimiter ──► _after_delimiter ── line break ──► _head ── blank line / PartBegin ──► _content
                                 │          ▲                                                            │
                                 │          └────────────────── delimiter / PartEnd ─────────────────────┘
                                 └── "--" / Closed ──► closed

A Xerox WorkCentre 3025 writes its delimiters without the preceding line break. Such a delimiter counts if a MIME header
follows it, or, with its closing dashes, if the body ends after it; anywhere else it is content.
"""

import re

import attrs

MAX_BOUNDARY = 70  # RFC 2046 section 5.1.1
MAX_PART_HEAD = 16384
MAX_EPILOGUE = 256  # bytes of white space after a closing delimiter without a line break before it
LARGE = 4096

_BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"[ \t]{0,64}\r?\n")
_LINE_END_BEGUN = re.compile(rb"[ \t]{0,64}\r?")
_FIELD = b"content-"  # the first bytes of a MIME header
_LAST = re.compile(rb"--[ \t\r\n]{0,%d}" % MAX_EPILOGUE)


class BadMultipart(Exception):
    """The body is not the multipart body that its Content-Type announces."""


@attrs.frozen
class PartBegin:
    """A part begins; `head` is its unparsed MIME header."""

    head: bytes


@attrs.frozen(eq=False)
class PartData:
    """A piece of the current part's content."""

    data: memoryview


@attrs.frozen
class PartEnd:
    """The current part has ended."""


@attrs.frozen
class Closed:
    """The closing delimiter has been read; everything after it is epilogue."""


Event = PartBegin | PartData | PartEnd | Closed


def boundary_of(content_type: bytes) -> bytes | None:
    """Returns the boundary of a multipart Content-Type, without its quotes; None if there is none."""
    if not content_type.strip().lower().startswith(b"multipart/"):
        return None
    found = _BOUNDARY.search(content_type)
    if found is None:
        return None
    boundary = found[1] or found[2]
    return boundary if len(boundary) <= MAX_BOUNDARY else None


class MultipartReader:
    """Reads one body, which is fed to it as it passes. `closed` is True once the closing delimiter has been read."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"--" + boundary
        self._held = b"\r\n"  # so that a delimiter at the very beginning follows a line break
        self._undecided: int | None = None
        self._state = self._preamble
        self._at_start = True
        self.closed = False

    def feed(self, data: bytes) -> list[Event]:
        """Returns the events that these bytes complete. Raises `BadMultipart`."""
        if self.closed:
            return []
        events: list[Event] = []
        if len(data) >= LARGE and self._inside and not self._at_start and self._pass_by(data, events):
            return events
        data = self._held + data if self._held else data
        self._held = b""
        self._undecided = None
        position: int | None = 0
        while position is not None and not self.closed:
            position = self._state(data, position, events)
        return events

    def end(self) -> list[Event]:
        """Ends the body. Only now can a closing delimiter without a line break before it be told from content."""
        if self.closed or self._undecided is None or not _LAST.fullmatch(self._held, len(self._delimiter)):
            return []
        self.closed = True
        return [PartEnd(), Closed()]

    @property
    def _inside(self) -> bool:
        return self._state == self._content

    def _pass_by(self, data: bytes, events: list[Event]) -> bool:
        """Passes on a large piece without copying it, unless a delimiter is in it or begins before it."""
        if self._delimiter in data or self._delimiter in self._held + data[:len(self._delimiter) + 2]:
            return False
        safe = self._safe_end(data, 0)
        events.append(PartData(memoryview(self._held)))
        events.append(PartData(memoryview(data)[:safe]))
        self._hold(data, safe)
        return True

    def _hold(self, data: bytes, start: int) -> None:
        self._held = data[start:]

    def _find(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Returns the start of the line break before a delimiter, and the end of the delimiter; None if there is none.

        Also returns None, and sets `_undecided` to the position, if a delimiter has no line break before it and the
        bytes after it do not yet show whether it counts.
        """
        found = data.find(self._delimiter, start)
        while found >= 0:
            end = found + len(self._delimiter)
            if found > start and data[found - 1:found] == b"\n":
                before = found - 1
                if before > start and data[before - 1:before] == b"\r":
                    before -= 1
                return before, end
            if self._inside:
                counts = self._counts(data, end)
                if counts:
                    return found, end
                if counts is None:
                    self._undecided = found
                    return None
            found = data.find(self._delimiter, found + 1)
        return None

    def _counts(self, data: bytes, end: int) -> bool | None:
        """True if a delimiter that ends there, without a line break before it, counts; None if that is undecided."""
        if _LAST.fullmatch(data, end) or data[end:] == b"-":
            return None
        line = _LINE_END.match(data, end)
        if line is None:
            return None if _LINE_END_BEGUN.fullmatch(data, end) else False
        field = data[line.end():line.end() + len(_FIELD)].lower()
        return True if field == _FIELD else None if _FIELD.startswith(field) and line.end() + len(field) == len(
            data) else False

    def _safe_end(self, data: bytes, start: int) -> int:
        """Returns the position up to which the bytes cannot belong to an incomplete delimiter."""
        return max(start, len(data) - len(self._delimiter) - 2)

    def _preamble(self, data: bytes, start: int, events: list[Event]) -> int | None:
        found = self._find(data, start)
        if found is None:
            self._hold(data, self._safe_end(data, start))
            return None
        return self._delimiter_line(data, found[1])

    def _delimiter_line(self, data: bytes, start: int) -> int:
        self._state = self._after_delimiter
        return start

    def _after_delimiter(self, data: bytes, start: int, events: list[Event]) -> int | None:
        if data[start:start + 2] == b"--":
            self.closed = True
            events.append(Closed())
            return None
        line = data.find(b"\n", start)
        if line < 0:
            self._bound_head(len(data) - start)
            self._hold(data, start)
            return None
        self._state = self._head
        # The line break is kept, so that a part without MIME headers can be recognized.
        return line

    def _head(self, data: bytes, start: int, events: list[Event]) -> int | None:
        end = _HEAD_END.search(data, start)
        if end is None:
            self._bound_head(len(data) - start)
            self._hold(data, start)
            return None
        self._bound_head(end.start() - start)
        events.append(PartBegin(data[start + 1:end.start()]))
        self._state = self._content
        # The line break of the blank line is kept, because an empty part's delimiter needs one before it.
        self._at_start = True
        return end.end() - 1

    def _content(self, data: bytes, start: int, events: list[Event]) -> int | None:
        # Until content has been passed on, `start` is at the line break that ended the part's head.
        skip = 1 if self._at_start else 0
        found = self._find(data, start) if not self._at_start else self._find_at_start(data, start)
        if found is not None:
            if found[0] > start + skip:
                events.append(PartData(memoryview(data)[start + skip:found[0]]))
            events.append(PartEnd())
            return self._delimiter_line(data, found[1])
        safe = self._safe_end(data, start) if self._undecided is None else self._undecided
        if safe > start + skip:
            events.append(PartData(memoryview(data)[start + skip:safe]))
            self._at_start = False
            self._hold(data, safe)
        else:
            self._hold(data, start)
        return None

    def _find_at_start(self, data: bytes, start: int) -> tuple[int, int] | None:
        if data.startswith(self._delimiter, start + 1):
            return start, start + 1 + len(self._delimiter)
        return self._find(data, start + 1)

    def _bound_head(self, size: int) -> None:
        if size > MAX_PART_HEAD:
            raise BadMultipart(f"the header of a part is longer than {MAX_PART_HEAD} bytes")
