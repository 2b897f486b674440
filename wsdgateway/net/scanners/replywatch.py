"""Watches the body of a scanner's answer as it passes: document type declarations, images, the SOAP message, the end.

Document type declarations are never passed on to clients: attacks on XML parsers are built on them, and SOAP does not
allow them (SOAP 1.2 part 1, section 5). They are searched for at the beginning of the body, and of each part of a
multipart body.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from wsdgateway.http.messages import charset_of, media_type
from wsdgateway.mtom.multipart import BadMultipart, Event, MultipartReader, PartBegin, PartData, PartEnd, boundary_of
from wsdgateway.mtom.parts import BadTransferEncoding, Decoder, decoder_of, field
from wsdgateway.net.transport.errors import BadDevice
from wsdgateway.soap import encodings

MAX_PROLOG = 16384  # bytes before the root element of a document that is relayed
MAX_ROOT = 65536  # bytes kept of the SOAP message

DOCUMENT_TYPE = "its answer contains a document type declaration, which SOAP does not allow"
NO_BEGINNING = f"its answer contains a document with a prolog of more than {MAX_PROLOG} bytes"

HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<!DOCTYPE\s++html[^>\[]*+>", re.IGNORECASE)


def check_document(peer: str, content_type: bytes, body: bytes) -> None:
    """Raises `BadDevice` if a whole answer must not be passed on; web pages may have HTML's own declaration."""
    if _is_multipart(content_type):
        watch = ReplyWatch(content_type, lambda size: None)
        watch.see(body)
        if watch.problem:
            raise BadDevice(peer, watch.problem)
    elif encodings.holds_document_type(body, charset_of(content_type)) and (
            media_type(content_type) != b"text/html" or HTML.match(body) is None):
        raise BadDevice(peer, DOCUMENT_TYPE)


@lru_cache(maxsize=64)
def _is_multipart(content_type: bytes) -> bool:
    return boundary_of(content_type) is not None


class _Prolog:
    """The beginning of a document that arrives in pieces, checked for a document type declaration."""

    def __init__(self, charset: str | None = None) -> None:
        self._charset = charset
        self._begin = b""

    def see(self, data: bytes) -> str | None:
        """Processes the next bytes.

        Returns the problem of the document, empty if there is none; None while it is undecided.
        """
        self._begin += data
        found = encodings.document_type(self._begin, self._charset)
        if found is None:
            return None if len(self._begin) <= MAX_PROLOG else NO_BEGINNING
        return DOCUMENT_TYPE if found else ""


class ReplyWatch:
    """Watches one body that is relayed; `count` is called with the number of bytes of images that pass.

    `problem` is the reason why the answer must not be passed on. `decided`: the first document has been checked. `root`
    is that document (the first part of a multipart body), up to `MAX_ROOT` bytes.
    """

    def __init__(self, content_type: bytes, count: Callable[[int], None]) -> None:
        boundary = boundary_of(content_type)
        self._reader = MultipartReader(boundary) if boundary else None
        self._count = count
        self._parts = 0
        self._decoder: Decoder = decoder_of(b"")
        self._body: _Prolog | None = _Prolog(charset_of(content_type))
        self._document: _Prolog | None = None
        self.root = bytearray()
        self.decided = False
        self.problem = ""

    @property
    def looking(self) -> bool:
        """True if a document has begun whose check is still undecided."""
        return self._body is not None or self._document is not None

    @property
    def whole(self) -> bool:
        """True if the body has ended, as far as it shows: a multipart body ends with its closing delimiter."""
        return self._reader is None or self._reader.closed

    def see(self, data: bytes) -> None:
        """Processes the next bytes."""
        if self._body is not None:
            self._body = self._examine(self._body, data)
        if self._reader is None:
            self._keep(data)
            self.decided = self.decided or self._body is None
            return
        try:
            self._see(self._reader.feed(data))
        except (BadMultipart, BadTransferEncoding):
            self._reader, self.decided = None, True

    def end(self) -> None:
        """Handles the end of the body."""
        if self._reader is not None:
            self._see(self._reader.end())

    def _see(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PartBegin):
                self._parts += 1
                self._decoder = decoder_of(event.head)
                self._document = _Prolog(charset_of(field(event.head, b"content-type")))
            elif isinstance(event, PartData):
                self._part(event.data)
            elif isinstance(event, PartEnd):
                self.decided = True

    def _part(self, data: memoryview) -> None:
        if self._parts > 1:
            self._count(len(data))
            if self._document is None:
                return
        decoded = bytes(self._decoder.feed(data))
        if self._parts == 1:
            self._keep(decoded)
        if self._document is not None:
            self._document = self._examine(self._document, decoded)
            self.decided = self.decided or self._document is None

    def _keep(self, data: bytes) -> None:
        self.root += data[:MAX_ROOT - len(self.root)]

    def _examine(self, prolog: _Prolog, data: bytes) -> _Prolog | None:
        """Continues the check of a document's prolog; returns None once it is decided."""
        problem = prolog.see(data)
        self.problem = self.problem or problem or ""
        return prolog if problem is None else None
