"""Reads and filters header fields, and writes the heads of requests and answers.

RFC 9110 section 5 and RFC 9112 sections 2 to 4.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

Headers = list[tuple[bytes, bytes]]

# RFC 9110 section 7.6.1: these concern a single connection and are never passed on.
HOP_BY_HOP = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"proxy-authenticate", b"proxy-authorization", b"http2-settings",
))

# Fields that give the length of a body; they are written anew for each connection. A name with "_" is a different
# field, but the same one to programs that read fields from environment variables, as small servers do.
FRAMING = frozenset((b"content-length", b"content_length", b"transfer_encoding"))

_PERSISTENCE = frozenset((b"close", b"keep-alive"))

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def first(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of the first field with that lower-case name."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None


def end_to_end(headers: Headers, drop: frozenset[bytes] = frozenset()) -> Headers:
    """The fields that an intermediary passes on, without those named in Connection and those in `drop`."""
    kept: Headers = []
    named: set[bytes] = set()
    for field in headers:
        lower = field[0].lower()
        if lower in HOP_BY_HOP:
            if lower == b"connection":
                named.update(option.strip().lower() for option in field[1].split(b","))
        elif lower not in drop:
            kept.append(field)
    if named - _PERSISTENCE:
        return [field for field in kept if field[0].lower() not in named]
    return kept


_PARAMETER = re.compile(rb"""[;\s]([^=;\s"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*+"|[^;\s]*+)""")
_CHARSET = re.compile(rb"""["']?([A-Za-z0-9._:-]{1,40})["']?""")


def _charset(value: bytes) -> bytes | None:
    """The charset of a Content-Type; the quoted text of other parameters is ignored."""
    for name, given in _PARAMETER.findall(value):
        if name.lower() == b"charset":
            found = _CHARSET.fullmatch(given)
            return None if found is None else found[1]
    return None


def plain_type(value: bytes) -> bytes:
    """A Content-Type reduced to media type and charset, without its action parameter (RFC 3902 section 2)."""
    charset = _charset(value)
    return media_type(value) + (b"; charset=" + charset if charset else b"")


@lru_cache(maxsize=64)
def charset_of(value: bytes | None) -> str | None:
    """The charset of a Content-Type in lower case; None if it has none. RFC 9110 section 8.3.2."""
    found = _charset(value or b"")
    return None if found is None else found.decode("ascii").lower()


def actionless(headers: Headers) -> Headers:
    """The fields with any action parameter removed from Content-Type."""
    if not any(b"action" in value.lower() for name, value in headers if name.lower() == b"content-type"):
        return headers
    return [(name, plain_type(value) if name.lower() == b"content-type" else value) for name, value in headers]


def media_type(value: bytes | None) -> bytes:
    """The media type of a Content-Type without its parameters, in lower case."""
    return (value or b"").partition(b";")[0].strip().lower()


@lru_cache(maxsize=64)
def is_soap(value: bytes | None) -> bool:
    """Return whether a Content-Type is that of SOAP 1.2."""
    return media_type(value) == b"application/soap+xml"


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%s: %s\r\n" % field for field in headers])


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]], reason: bytes | None = None) -> bytes:
    """The head of an answer, including the blank line."""
    phrase = REASONS.get(status, b"") if reason is None else reason
    return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, phrase, _fields(headers))


def request_head(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a POST, including the blank line."""
    return b"POST %s HTTP/1.1\r\n%s\r\n" % (target, _fields(headers))


def chunk(data: bytes | memoryview) -> list[bytes | memoryview]:
    """One chunk of a chunked body, as pieces that need not be joined. RFC 9112 section 7.1."""
    return [b"%x\r\n" % len(data), data, b"\r\n"]


LAST_CHUNK = b"0\r\n\r\n"
