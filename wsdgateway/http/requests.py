"""Reads the requests of one HTTP/1.1 connection: takes bytes, and returns complete requests or one refusal.

RFC 9112. llhttp parses strictly; this module also refuses what llhttp accepts but must not be served: missing or
repeated Host, two Transfer-Encoding fields, chunked in HTTP/1.0, HTTP/0.9, unbounded header blocks, more than single
blanks in the request line. The stages of the reader::

             first byte           end of the head          end of the body
    BETWEEN ────────────► HEAD ─────────────────► BODY ─────────────────────► BETWEEN
       │                   │                       │ ▲                           │
       │ not HTTP          │ refused, too large    │ └─ an upgrade is ignored:   │ close, or an ignored upgrade
       ▼                   ▼                       ▼    the body is read         ▼
    ─────────────────────────── finished: nothing more is read ──────────────────────

Trailers belong to BODY. A reader that is finished keeps its stage, so that a refused request counts as being read.
"""

from typing import NoReturn

import attrs
import httptools

from wsdgateway.http.messages import Headers
from wsdgateway.http.requestlines import RequestLines, Stage
from wsdgateway.http.requesttargets import BadTarget, path_of, resolve

MAX_HEADER_BLOCK = 16384
MAX_HEADERS = 100
# A body in chunks of one byte takes six bytes on the wire for each of its own; more framing than this is an attack.
MAX_FRAMING_FACTOR = 8


@attrs.frozen(eq=False)
class Request:
    """A complete request. `path` has no query; `keep_alive` is true if the connection may be used again.

    `host` is the requested authority: that of an absolute target, else the Host field.
    """

    method: bytes
    path: bytes
    headers: Headers
    body: bytes
    http10: bool
    keep_alive: bool
    host: bytes
    content_type: bytes | None = None


@attrs.frozen
class Refusal:
    """The refusal of an invalid request: the status to answer before the connection is closed, and the reason."""

    status: int
    reason: str

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return f"{self.reason}\n".encode()


@attrs.frozen
class Continue:
    """The client waits for `100 Continue` before it sends the body. RFC 9110 section 10.1.1."""


Event = Request | Refusal | Continue


_HANDSHAKE = b"\x16\x03"  # the beginning of each TLS connection: RFC 8446, section 5.1
_TLS = Refusal(400, "The client opened a TLS connection to a port for plain HTTP; the address must begin with http://.")
_BETWEEN, _HEAD, _BODY = Stage.BETWEEN, Stage.HEAD, Stage.BODY


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class RequestReader:
    """Reads the requests of one connection. `max_body` is in bytes. Once `finished` it reads nothing more."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._parser = httptools.HttpRequestParser(self)
        self._events: list[Event] = []
        self._refusal: Refusal | None = None
        self._raw = 0
        self._unseen = 0  # bytes fed since the head or the last piece of the body; httptools copies a line as it grows
        self._stage = _BETWEEN
        self._line = RequestLines()
        self._ignoring_upgrade = False
        self.finished = False
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._chunked = False
        self._headers: Headers = []
        self._block = 0
        self._body: bytes | bytearray = b""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, and return the requests that they complete. A `Refusal` is always the last event."""
        if self.finished:
            return []
        self._raw += len(data)
        self._unseen += len(data)
        self._line.feed(data, self._stage)
        self._consume(data)
        if self._stage is _BETWEEN:
            self._line.clear()
        elif not self.finished:
            self._check_bounds()
        events, self._events = self._events, []
        return events

    @property
    def reading(self) -> bool:
        """True while a request is incomplete, also if it was refused."""
        return self._stage is not _BETWEEN

    @property
    def path(self) -> bytes:
        """The path of the request that is being read, or was read last, as far as its target has arrived."""
        return path_of(self._url)

    def close(self) -> None:
        """Stop reading, and release the parser: the connection is closed.

        Parser and reader refer to each other. For a long connection the garbage collector would only find that hours
        later.
        """
        self.finished = True
        del self._parser

    def _consume(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade()
            if not self.finished:
                self._consume(data[upgrade.args[0]:])
        except httptools.HttpParserError as error:
            if not self.finished:
                self._refuse(self._refusal or (_TLS if data.startswith(_HANDSHAKE) and self._raw == len(data)
                                               else Refusal(400, f"Bad request: {error}")))

    def _check_bounds(self) -> None:
        if self._stage is _HEAD and self._raw > MAX_HEADER_BLOCK:
            self._refuse(Refusal(431, f"The header block is larger than {MAX_HEADER_BLOCK} bytes."))
        elif (self._unseen > 2 * MAX_HEADER_BLOCK
              or self._raw > MAX_FRAMING_FACTOR * self._max_body + 2 * MAX_HEADER_BLOCK):
            self._refuse(Refusal(400, "The chunked body contains more framing than content."))

    def _refuse(self, refusal: Refusal) -> None:
        self.finished = True
        self._events.append(refusal)

    def _ignore_upgrade(self) -> None:
        """Prepare to read the body that llhttp left unread, as if the client had not requested another protocol."""
        self._ignoring_upgrade = True
        self._parser = httptools.HttpRequestParser(self)
        self._consume(b"POST / HTTP/1.1\r\n" + b"".join(
            b"%s: %s\r\n" % (name, value) for name, value in self._headers
            if name.lower() in (b"host", b"content-length", b"transfer-encoding")) + b"\r\n")

    # Callbacks of llhttp. An exception in one ends feed_data with HttpParserCallbackError.

    def on_message_begin(self) -> None:
        if self.finished:
            raise _Refused(Refusal(400, "There is data after the last request."))
        if not self._ignoring_upgrade:
            self._stage = _HEAD
            if self._line.ended:
                self._line.begin_behind()
            self._begin()

    def on_url(self, url: bytes) -> None:
        if self._stage is _HEAD:
            self._grow(len(url))
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage is not _HEAD:
            self._grow(len(name) + len(value) + 4)
            return
        if len(self._headers) >= MAX_HEADERS:
            self._fail(431, f"The request has more than {MAX_HEADERS} header fields.")
        self._headers.append((name, value.strip(b" \t")))
        self._grow(len(name) + len(value) + 4)

    def _grow(self, size: int) -> None:
        self._block += size
        if self._block > MAX_HEADER_BLOCK:
            self._fail(431, f"The header block is larger than {MAX_HEADER_BLOCK} bytes.")

    def _fail(self, status: int, reason: str) -> NoReturn:
        self._refusal = Refusal(status, reason)
        raise _Refused(self._refusal)

    def on_headers_complete(self) -> None:
        self._stage = _BODY
        self._unseen = 0
        if self._ignoring_upgrade:
            return
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._fail(505 if version == "2.0" else 400, f"HTTP/{version} is not supported.")
        self._http10 = version == "1.0"
        self._method = self._parser.get_method()
        if not self._line.is_plain():
            self._fail(400, "The parts of a request line must be separated by single spaces.")
        self._keep_alive = self._parser.should_keep_alive()
        expects = False
        content_type: bytes | None = None
        hosts: list[bytes] = []
        codings: list[bytes] = []
        for name, value in self._headers:
            size = len(name)
            if size == 4 and name.lower() == b"host":
                hosts.append(value)
            elif size == 12 and name.lower() == b"content-type":
                content_type = content_type or value
            elif size == 14 and name.lower() == b"content-length":
                if int(value) > self._max_body:
                    self._too_large()
            elif size == 17 and name.lower() == b"transfer-encoding":
                codings.append(value)
            elif size == 10 and self._http10 and name.lower() == b"connection":
                if b"close" in _members(value):  # whatever else it contains; RFC 9112 section 9.3
                    self._keep_alive = False
            elif size == 6 and name.lower() == b"expect":
                for expectation in _members(value):
                    if expectation != b"100-continue":
                        self._fail(417, "The only supported expectation is 100-continue.")
                    expects = not self._http10
        try:
            self._path, self._host = resolve(self._method, self._url, hosts, self._http10)
        except BadTarget as error:
            self._fail(400, str(error))
        self._check_codings(codings)
        self._content_type = content_type
        if expects:
            self._events.append(Continue())

    def _too_large(self) -> None:
        self._fail(413, f"The request is larger than {self._max_body} bytes.")

    def _check_codings(self, codings: list[bytes]) -> None:
        """Check RFC 9112 section 6.1: a single Transfer-Encoding, only chunked, and only in HTTP/1.1."""
        if not codings:
            return
        if len(codings) > 1:
            self._fail(400, "A request may have at most one Transfer-Encoding field.")
        if self._http10:
            self._fail(400, "HTTP/1.0 does not allow Transfer-Encoding.")
        self._chunked = True
        names = [coding.strip() for coding in codings[0].lower().split(b",")]
        if names[-1] != b"chunked" or names.count(b"chunked") > 1:
            self._fail(400, "The length of the body is unknown, because the last transfer coding is not chunked.")
        if len(names) > 1:
            self._fail(501, "The only supported transfer coding is chunked.")

    def on_body(self, data: bytes) -> None:
        self._unseen = 0
        self._line.body += len(data)
        if len(self._body) + len(data) > self._max_body:
            self._too_large()
        if not self._body:
            self._body = data
            return
        if isinstance(self._body, bytes):  # not kept in pieces: chunks of two bytes would take twenty times their size
            self._body = bytearray(self._body)
        self._body += data

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade() and not self._ignoring_upgrade:
            return
        # A close in the trailers counts, too, since llhttp reads nothing after it.
        keep_alive = self._keep_alive and not self._ignoring_upgrade and self._parser.should_keep_alive()
        self._stage = _BETWEEN
        self._line.ended, self._line.chunked = True, self._chunked
        self.finished = not keep_alive
        self._events.append(Request(
            self._method, self._path, self._headers, bytes(self._body), self._http10, keep_alive, self._host,
            self._content_type))
        self._raw = 0
        self._body = b""


def _members(value: bytes) -> list[bytes]:
    """The members of a comma-separated field in lower case, without empty ones. RFC 9110 section 5.6.1."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]
