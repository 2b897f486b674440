"""Reads a device's HTTP/1.1 answer from its bytes.

RFC 9112 section 6: a body ends with its length, its last chunk, or the connection. Interim answers (1xx) are skipped.
`lenient` is for old devices, `loose_framing` of `scan.quirks`: it switches on llhttp's tolerance, and that of `heads`.
A last chunk then ends an answer as soon as its size line is complete, since some devices keep the connection open and
never send the final line break. Without any line break, it ends the answer when the connection closes or anything else
follows. The stages of the reader::

    FIRST ──first byte──► HEAD ──final head──► BODY ──size of a chunk──► CHUNK
                          ▲  │                ▲ │ │                       │ │
                          └──┘                └─┼─┼──content, or its end──┘ │
                     interim answer             │ │                         │
                                   known length │ │ last chunk, no body,    │ lenient: it is the last chunk,
                                                ▼ │ close of an unframed    │ and nothing else follows
                                          COUNTED │ body                    │
                                      last byte │ │                         │
                                                ▼ ▼                         │
                                               ENDED ◄──────────────────────┘

Data after ENDED does not affect the answer, but the connection is not reused. In every other stage, bytes that are not
HTTP and a premature close raise `BadAnswer`. COUNTED begins with the read after the one in which the head ends: the
parser has read the rest of that one.
"""

import re
from enum import Enum

import attrs
import httptools

from wsdgateway.http.heads import Heads, is_clean
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.messages import FRAMING, Headers, end_to_end

MAX_HEADER_BLOCK = 65536
MAX_INTERIM = 10
_BODILESS = (204, 304)  # RFC 9112 section 6.3: whatever their fields say

# RFC 9110 section 5.5: control characters in a field or a reason phrase are not passed on.
_CONTROLS = bytes(byte for byte in range(32) if byte != 9) + b"\x7f"
_TO_SPACES = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


class AnswerStage(Enum):
    """The part of an answer that its reader expects next."""

    FIRST = "the first byte"
    HEAD = "the head"
    BODY = "the body, the size of a chunk, or trailers"
    CHUNK = "the content of a chunk, or the trailers after the last one"
    COUNTED = "the rest of a body of known length"
    ENDED = "nothing"


_FIRST, _HEAD, _BODY, _CHUNK, _COUNTED, _ENDED = AnswerStage


class BadAnswer(Exception):
    """The device's bytes are not an HTTP answer, or the answer broke off; the text says why."""


@attrs.frozen(eq=False)
class Head:
    """Status line and fields of an answer. `length` is None for chunked and unframed bodies.

    `passed_on` are the fields that an intermediary passes on.
    """

    status: int
    reason: bytes
    headers: Headers
    length: int | None
    framed: bool
    keep_alive: bool
    passed_on: tuple[tuple[bytes, bytes], ...] = attrs.field(init=False, default=attrs.Factory(
        lambda self: tuple(end_to_end(self.headers, FRAMING)), takes_self=True))


@attrs.frozen(eq=False)
class Data:
    """A piece of the body without its transfer coding."""

    data: bytes


@attrs.frozen
class End:
    """The answer is complete."""


Event = Head | Data | End

_END = End()

_LAST_CHUNK = re.compile(rb"\n0\r?\Z")
_LAST_CHUNK_LINE = re.compile(rb"[\r\n]0++[ \t]*+(?:;[^\r\n]*+)?\r\n\Z")
_TAIL = 64  # bytes in which the line of a last chunk is searched

_LENIENT = {
    "lenient_headers": True,  # control characters in fields, which are passed on as spaces
    "lenient_chunked_length": True,  # Content-Length in addition to chunks, which take precedence
    "lenient_keep_alive": True,  # bytes after "Connection: close"
    "lenient_transfer_encoding": True,  # a transfer coding in the wrong place
    "lenient_version": True,  # a version other than 1.0 and 1.1
    "lenient_data_after_close": True,  # the same, for what follows the answer
    "lenient_optional_lf_after_cr": True,  # lines that end with CR alone
    "lenient_optional_cr_before_lf": True,  # lines that end with LF alone
    "lenient_optional_crlf_after_chunk": True,  # chunks without a line break after their content
    "lenient_spaces_after_chunk_size": True,  # chunk sizes that are padded with blanks
}


class ResponseReader:
    """Reads one answer. A body of known length bypasses llhttp, since an image has megabytes.

    `stage` is the part that it expects next. `known` has heads that other readers have read, and learns new ones.
    `trailers` are the fields after a chunked body, which no scanner is known to send; gateways do.
    """

    def __init__(self, lenient: bool = False, known: KnownHeads[Head] | None = None) -> None:
        self._parser: httptools.HttpResponseParser | None = None  # until it is needed
        self._lenient = lenient
        self._known = None if lenient else known
        self._events: list[Event] = []
        self._headers: Headers = []
        self.trailers: Headers = []
        self._reason = b""
        self._block = 0
        self._unseen = 0  # bytes fed since the last head or piece of the body
        self._surplus = False
        self._interim = 0
        self._left = 0  # bytes of the body that are still missing, if they are counted
        self._head: Head | None = None
        self._heads: Heads | None = None  # None before the first bytes, and if the head needs no repair
        self._tail = b""  # the last bytes of the connection
        self._closed = False
        self.stage = _FIRST

    @property
    def started(self) -> bool:
        """True if any byte has arrived."""
        return self.stage is not _FIRST

    @property
    def ended(self) -> bool:
        """True if the answer is complete."""
        return self.stage is _ENDED

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, and return the events that they complete. Raises `BadAnswer`.

        Bytes after the end do not affect the answer, but the connection is not used again.
        """
        stage = self.stage
        if stage is _FIRST:
            if self._known is not None and (found := self._known.find(data)) is not None:
                self._head, body = found
                self.stage = _ENDED
                return [self._head, Data(body), _END] if body else [self._head, _END]
            self.stage = _HEAD
            self._heads = None if not self._lenient and is_clean(data) else Heads(self._lenient)
        elif stage is _COUNTED:
            return self._feed_counted(data)
        elif stage is _ENDED:
            self._surplus = True
            return []
        self._unseen += len(data)
        self._parse(data if self._heads is None or self._heads.passed else self._heads.feed(data))
        if self._lenient:
            self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
            if self.stage is _CHUNK and _LAST_CHUNK_LINE.search(self._tail):
                self._surplus = True  # the line break may still arrive
                self.on_message_complete()
        if self._unseen > 2 * MAX_HEADER_BLOCK:
            raise BadAnswer(f"it sent more than {2 * MAX_HEADER_BLOCK} bytes that are neither head nor body")
        if self.stage is not _ENDED and self._head is not None:
            self._after_head(self._head)
        events, self._events = self._events, []
        if self.stage is _ENDED:
            self._parser = None  # parser and reader refer to each other, and would wait for the garbage collector
            if stage is _FIRST and self._known is not None and self.reusable and self._head is not None:
                self._known.learn(data, self._head.length, self._head)
        return events

    def _after_head(self, head: Head) -> None:
        """Count the rest of a body of known length, or end an answer that has none."""
        if head.status in _BODILESS:
            self._surplus = True  # its fields announce a body, which llhttp waits for
            self._end()
        elif head.length is not None:
            self.stage = _COUNTED
            self._left = head.length - sum(len(event.data) for event in self._events if isinstance(event, Data))

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
            if self._lenient:
                self._parser.set_dangerous_leniencies(**_LENIENT)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise BadAnswer("it switched protocols without being asked") from None
        except httptools.HttpParserError as error:
            if self.stage is not _ENDED:
                if not (self._lenient and self.stage is _CHUNK):
                    raise BadAnswer(f"its answer is not HTTP: {error.__context__ or error}") from None
                # A chunk without content after its size is the last one, whatever its size.
                self.on_message_complete()
            self._surplus = True

    def _feed_counted(self, data: bytes) -> list[Event]:
        if len(data) > self._left:
            self._surplus = True
            data = data[:self._left]
        self._left -= len(data)
        if self._left:
            return [Data(data)]
        self.stage = _ENDED
        self._parser = None
        return [Data(data), _END]

    def eof(self) -> list[Event]:
        """Handle the end of the connection. Raises `BadAnswer` unless it ends the answer."""
        if self.stage is _ENDED:
            return []
        if self._lenient:
            self._complete()
        if self.stage is not _ENDED and self._head is not None and not self._head.framed:
            self._end()
        events, self._events = self._events, []
        if self.stage is _ENDED:
            return events
        raise BadAnswer("it closed the connection before the end of its answer" if self.started
                        else "it closed the connection without an answer")

    def _complete(self) -> None:
        """Treat the answer as complete if only line breaks are missing, after the head or the last chunk."""
        self._closed = True
        try:
            self._parse(b"" if self._heads is None else self._heads.flush())
            if self._head is not None and (self.stage is _CHUNK or _LAST_CHUNK.search(self._tail)):
                self._parse((b"\n" if self._tail.endswith(b"\r") else b"") + b"\r\n\r\n")
        except BadAnswer:
            pass  # it broke off
        self._surplus = True

    @property
    def reusable(self) -> bool:
        """True if the connection may carry another exchange."""
        return (self.stage is _ENDED and not self._surplus and self._head is not None and self._head.framed
                and self._head.keep_alive)

    def _end(self) -> None:
        self.stage = _ENDED
        self._events.append(_END)

    # Callbacks of llhttp. An exception in one ends feed_data with HttpParserCallbackError.

    def on_message_begin(self) -> None:
        if self._head is not None:
            raise BadAnswer("it sent a second answer to one request")
        self._headers = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._grow(len(reason))
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value) + 4)
        if self._head is None:
            if self._lenient:
                value = value.translate(_TO_SPACES)
            self._headers.append((name, value.strip(b" \t")))
        else:
            self.trailers.append((name, value.strip(b" \t")))

    def _grow(self, size: int) -> None:
        self._block += size
        if self._block > MAX_HEADER_BLOCK:
            raise BadAnswer(f"its header block is larger than {MAX_HEADER_BLOCK} bytes")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1") and not self._lenient:
            raise BadAnswer(f"it answered in HTTP/{version}, which is not supported")
        if status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise BadAnswer("it sent too many interim answers")
            return
        length: int | None = None
        codings: list[bytes] = []
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"transfer-encoding":
                codings.append(value.lower())
            elif lower == b"content-length":
                length = int(value)
        if status in _BODILESS:
            length, codings = 0, []
        elif codings and codings != [b"chunked"]:  # the client could not tell how to read it
            raise BadAnswer("it used a transfer coding other than chunked")
        chunked = bool(codings)
        # RFC 9112 section 6.1: in HTTP/1.0 the framing after a chunked answer is not reliable.
        keep_alive = self._parser.should_keep_alive() and not (chunked and version == "1.0")
        self._head = Head(status, self._reason.translate(_TO_SPACES), self._headers, None if chunked else length,
                          chunked or length is not None, keep_alive)
        self.stage = _BODY
        self._unseen = 0
        self._events.append(self._head)

    def on_chunk_header(self) -> None:
        self.stage = _CHUNK

    def on_chunk_complete(self) -> None:
        self.stage = _HEAD if self._head is None else _BODY  # an interim answer has no chunks, and may send some

    def on_body(self, data: bytes) -> None:
        self.stage = _BODY
        if self._closed:
            raise BadAnswer("it closed the connection in the middle of a chunk")
        if self._head is None:
            raise BadAnswer("it sent an interim answer with a body")
        if self._head.status in _BODILESS:
            self._surplus = True
            return
        self._unseen = 0
        self._events.append(Data(data))

    def on_message_complete(self) -> None:
        if self._head is not None:
            self.stage = _ENDED
            self._events.append(_END)
