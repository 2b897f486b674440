"""Masks secrets in messages: each of their bytes becomes an `x`, and everything else stays in place.

Secrets are JobToken and DestinationToken (WS-Scan), credentials in header fields (RFC 9110 section 11.6.2), and the
secret parts of the gateway's own notification addresses. People's names (JobOriginatingUserName, JobName) are masked
too unless the log is to name people. Messages are parsed for this, because XML can defeat search patterns; a document
that cannot be parsed is masked from the first name of a secret on.
"""

import re
from xml.parsers import expat

import attrs

from wsdgateway.http.layout import layout
from wsdgateway.mtom.multipart import boundary_of
from wsdgateway.soap.encodings import span

SECRETS = frozenset(("JobToken", "DestinationToken", "Password"))
NAMES = frozenset(("JobOriginatingUserName", "JobName", "ClientDisplayName"))
MAX_TEXT = 4096  # bytes of an element that may hold one of our secret addresses

_FIELDS = re.compile(rb"(?im)^(?:authorization|proxy-authorization|cookie|set-cookie)"
                     rb"[ \t]*:[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")
_XML = re.compile(rb"\s*<|\xef\xbb\xbf|\xff\xfe|\xfe\xff|\0")
_TYPE = re.compile(rb"(?im)^content-type[ \t]*:[ \t]*([^\r\n]*)")
_NOTIFY = re.compile(r"/events/[\w-]{20,}")
_NOTIFY_HEAD = re.compile(rb"/events/([\w-]{20,})")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_PLAIN = re.compile(rb"\s*<(?!\?xml[^>]{0,200}encoding=['\"](?!utf-8['\"]))", re.IGNORECASE)

Ranges = list[tuple[int, int]]


def looks_like_xml(begin: bytes) -> bool:
    """True if content that begins like this may be XML, in any encoding."""
    return _XML.match(begin) is not None


def _is_plain(document: bytes) -> bool:
    """True if the document is in an encoding that extends ASCII, so that element names can be searched for as bytes."""
    return b"\0" not in document[:100] and _PLAIN.match(document) is not None


def _from_first_name(text: bytes, start: int, names: frozenset[str], addresses: bool) -> Ranges:
    """Returns the range from the first name of a secret after `start` to the end; empty if there is no such name."""
    wanted = [*(name.encode() for name in names), *([b"/events/"] if addresses else [])]
    found = [position for position in (text.find(name, start) for name in wanted) if position >= 0]
    return [(min(found), len(text))] if found else []


class _Stop(Exception):
    """Stops the parser: the rest of the document must not be parsed."""


class _Finder:
    """Finds the byte ranges to be masked in one document."""

    def __init__(self, names: frozenset[str], addresses: bool) -> None:
        self._names = names
        self._addresses = addresses
        self._ranges: Ranges = []
        self._depth = 0
        self._at = 0  # position up to which the document was parsed
        self._secret = 0  # depth of the element that is being masked; 0 if none
        self._secret_at = 0  # position of its start tag
        self._begin = -1  # start of the current element's content; -1 while none of it has been seen
        self._text: list[str] = []
        self._size = 0
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.CommentHandler = parser.StartCdataSectionHandler = parser.EndCdataSectionHandler = self._other
        parser.ProcessingInstructionHandler = parser.DefaultHandler = self._other
        parser.StartDoctypeDeclHandler = self._doctype

    def find(self, document: bytes) -> Ranges:
        try:
            self._parser.Parse(document, True)
        except (expat.ExpatError, _Stop, ValueError, LookupError):
            self._cover_rest(document)
        return self._ranges

    def _cover_rest(self, document: bytes) -> None:
        """Masks the rest of a document that cannot be parsed, as far as it may hold a secret."""
        if self._secret:
            self._ranges.append((self._begin if self._begin >= 0 else self._secret_at, len(document)))
        elif b"\0" in document or (self._at == 0 and not _is_plain(document)):
            self._ranges.append((0, len(document)))  # an encoding in which names cannot be found
        else:
            # From the last parsed token on: the tag that could not be parsed may be that of a secret.
            self._ranges += _from_first_name(document, self._at, self._names, self._addresses)

    def _seen(self) -> None:
        self._at = self._parser.CurrentByteIndex
        if self._begin < 0:
            self._begin = self._at

    def _start(self, name: str, attributes: object) -> None:
        if self._secret:
            self._seen()
        self._at = self._parser.CurrentByteIndex
        self._depth += 1
        if not self._secret:
            self._begin = -1
            self._text, self._size = [], 0
            if name.rpartition(":")[2] in self._names:
                self._secret, self._secret_at = self._depth, self._at

    def _end(self, name: str) -> None:
        end = self._at = self._parser.CurrentByteIndex
        if self._secret == self._depth:
            if 0 <= self._begin < end:
                self._ranges.append((self._begin, end))
            self._secret = 0
        elif not self._secret and self._addresses and self._text and _NOTIFY.search("".join(self._text)):
            self._ranges.append((self._begin, end))
        if not self._secret:
            self._begin, self._text, self._size = -1, [], 0
        self._depth -= 1

    def _characters(self, text: str) -> None:
        self._seen()
        if self._addresses and not self._secret and self._size < MAX_TEXT:
            self._text.append(text)
            self._size += len(text)

    def _other(self, *_: object) -> None:
        self._seen()

    def _doctype(self, *_: object) -> None:
        raise _Stop


class Masks:
    """Masks messages: secrets unless `secrets` is set, people's names unless `identify` is set."""

    def __init__(self, *, secrets: bool = False, identify: bool = False) -> None:
        self.secrets = secrets
        self.identify = identify
        self._names = (frozenset() if secrets else SECRETS) | (frozenset() if identify else NAMES)
        self._quick = re.compile(b"|".join([*(name.encode() for name in self._names), b"&#", b"/events/"]))

    def message(self, raw: bytes, *, request: bool, coded: bool = True) -> bytes:
        """Masks a message as on the wire, even where chunks divide a secret.

        Without `coded`, the body has no transfer coding, even if the head gives one.
        """
        found = layout(raw, request=request)
        if not coded:
            found = attrs.evolve(found, pieces=((found.head, len(raw)),))
        masked = bytearray(raw)
        if not self.secrets:
            for start, end in ((0, found.head), (found.pieces[-1][1] if found.pieces else found.head, len(raw))):
                self._cover_fields(raw, masked, start, end)
        kind = _TYPE.search(raw, found.start, found.head)
        boundary = None if kind is None else boundary_of(kind[1])
        _cover_pieces(masked, found.pieces, self._find(found.content(raw), boundary))
        rest = found.pieces[-1][1] if found.pieces else found.head
        _cover_pieces(masked, ((0, len(raw)),), self._find_in(raw, rest, len(raw)))  # bytes after the content
        return bytes(masked)

    def _cover_fields(self, raw: bytes, masked: bytearray, start: int, end: int) -> None:
        """Masks the fields of a head, or of the trailer after the last chunk."""
        for pattern in (_FIELDS, _NOTIFY_HEAD):
            for match in pattern.finditer(raw, start, end):
                first, last = match.span(1)
                masked[first:last] = re.sub(rb"[^\r\n]", b"x", masked[first:last])  # line breaks of folded lines stay

    def content(self, body: bytes) -> bytes:
        """Masks a document without a head."""
        masked = bytearray(body)
        _cover_pieces(masked, ((0, len(body)),), self._find(body, None))
        return bytes(masked)

    def _find(self, body: bytes, boundary: bytes | None) -> Ranges:
        """Returns the ranges to be masked, in order."""
        if not self._names and self.secrets:
            return []
        if boundary is None:
            return self._find_in(body, 0, len(body))
        ranges: Ranges = []
        at = 0
        while at >= 0:
            following = body.find(b"\n--" + boundary, at) if at or not body.startswith(b"--" + boundary) else 0
            if at or following:
                end = len(body) if following < 0 else following
                head = _HEAD_END.search(body, at, end) if at else None
                ranges += self._find_in(body, at if head is None else head.end(), end)
            at = -1 if following < 0 else following + 1
        return ranges

    def _find_in(self, body: bytes, start: int, end: int) -> Ranges:
        first, last = span(body[start:end])
        document = body[start + first:start + last].rstrip(b"\r\n")
        start += first + len(document) - len(document.lstrip())  # nothing may precede an XML declaration
        document = document.lstrip()
        if self._quick.search(document) is None and (_is_plain(document) or not looks_like_xml(document)):
            return []
        if not looks_like_xml(document):
            return _from_first_name(body[:end], start, self._names, not self.secrets)
        ranges = _Finder(self._names, not self.secrets).find(document)
        return [(begin + start, stop + start) for begin, stop in sorted(ranges)]


def _cover_pieces(masked: bytearray, pieces: tuple[tuple[int, int], ...], ranges: Ranges) -> None:
    """Masks ranges of the content, which is split into pieces. Both are in order, and each is visited once."""
    position = at = 0
    for first, last in pieces:
        end = at + last - first
        while position < len(ranges) and ranges[position][0] < end:
            lower, upper = max(ranges[position][0], at), min(ranges[position][1], end)
            if lower < upper:
                masked[first + lower - at:first + upper - at] = b"x" * (upper - lower)
            if ranges[position][1] > end:
                break
            position += 1
        at = end
