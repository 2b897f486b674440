"""Parses captured messages into heads and into content without transfer coding.

RFC 9112; RFC 2046 section 5.1.
"""

from functools import cached_property

import attrs

from wsdgateway.exchangelog.images import LeftOut, read_note, without_images
from wsdgateway.http.layout import layout
from wsdgateway.http.messages import Headers, first, media_type
from wsdgateway.mtom.multipart import BadMultipart, MultipartReader, PartBegin, PartData, boundary_of


@attrs.frozen(eq=False)
class Part:
    """A part of a multipart body: its unparsed MIME header, and its content or a description of the image left out."""

    head: bytes
    content: bytes
    left_out: LeftOut | None = None


@attrs.frozen(eq=False, slots=False)
class WireMessage:
    """A message. `first_line` is the request line or the status line; `whole` is False if it was cut off."""

    first_line: str
    headers: Headers
    content: bytes
    whole: bool

    def field(self, name: bytes) -> bytes:
        """Returns the value of a header field; empty if it is missing."""
        return first(self.headers, name) or b""

    @property
    def media_type(self) -> str:
        """The media type of the content, without parameters."""
        return media_type(self.field(b"content-type")).decode("latin-1")

    @property
    def status(self) -> int:
        """The status of an answer; 0 if there is none."""
        code = self.first_line.split()[1:2]
        return int(code[0]) if code and len(code[0]) == 3 and code[0].isascii() and code[0].isdigit() else 0

    @cached_property
    def parts(self) -> list[Part]:
        """The readable parts of a multipart body; empty for other bodies."""
        boundary = boundary_of(self.field(b"content-type"))
        if boundary is None:
            return []
        heads: list[bytes] = []
        contents: list[bytearray] = []
        try:
            reader = MultipartReader(boundary)
            for event in (*reader.feed(self.content), *reader.end()):
                if isinstance(event, PartBegin):
                    heads.append(event.head)
                    contents.append(bytearray())
                elif isinstance(event, PartData):
                    contents[-1] += event.data
        except BadMultipart:
            pass  # the parts before the error are valid
        return [Part(head, bytes(content), read_note(bytes(content)))
                for head, content in zip(heads, contents, strict=True)]

    @property
    def envelope(self) -> bytes:
        """The bytes of the SOAP message: the first part of a multipart body, otherwise the whole content."""
        parts = self.parts
        return parts[0].content if parts else self.content


def read_message(raw: bytes, *, request: bool) -> WireMessage:
    """Parses a captured message."""
    found = layout(raw, request=request)
    kept = None if request else without_images(raw[found.head:])
    lines = raw[found.start:found.head].decode("latin-1").splitlines()
    fields = [line.partition(":") for line in lines[1:] if ":" in line]
    headers = [(name.strip().encode("latin-1"), value.strip().encode("latin-1")) for name, _, value in fields]
    first_line = lines[0] if lines else ""
    if kept is not None:
        return WireMessage(first_line, headers, kept.content, kept.whole)
    content = found.content(raw)
    framed = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers)
    return WireMessage(first_line, headers, content, found.end is not None or (
        not framed and bool(found.pieces) and _ends(headers, content)))


def _ends(headers: Headers, content: bytes) -> bool:
    """True if a body that ended with its connection is complete, as far as can be told."""
    boundary = boundary_of(first(headers, b"content-type") or b"")
    return boundary is None or b"--" + boundary + b"--" in content
