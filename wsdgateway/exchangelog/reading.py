"""Captured messages as values: what stood in the head, and the content without its transfer coding.

RFC 9112; RFC 2046 section 5.1.
"""

import attrs

from wsdgateway.exchangelog.images import LeftOut, has_note, read_note
from wsdgateway.http.layout import layout
from wsdgateway.http.messages import Headers, first, media_type
from wsdgateway.mtom.multipart import BadMultipart, MultipartReader, PartBegin, PartData, boundary_of


@attrs.frozen(eq=False)
class Part:
    """A part of a multipart body: its MIME header as it stands, and its content or what is known of it."""

    head: bytes
    content: bytes
    left_out: LeftOut | None = None


@attrs.frozen(eq=False)
class WireMessage:
    """A message. `first_line` is the request line or the status line, `whole` says whether its end was captured."""

    first_line: str
    headers: Headers
    content: bytes
    whole: bool

    def field(self, name: bytes) -> bytes:
        """The value of a header field; empty where it is missing."""
        return first(self.headers, name) or b""

    @property
    def media_type(self) -> str:
        """The content's type, without parameters."""
        return media_type(self.field(b"content-type")).decode("latin-1")

    @property
    def status(self) -> int:
        """The status of an answer; 0 if there is none."""
        code = self.first_line.split()[1:2]
        return int(code[0]) if code and code[0].isdigit() and len(code[0]) == 3 else 0

    @property
    def parts(self) -> list[Part]:
        """The parts of a multipart body, as many as can be read; of another body none."""
        boundary = boundary_of(self.field(b"content-type"))
        if boundary is None:
            return []
        heads: list[bytes] = []
        contents: list[bytearray] = []
        try:
            for event in MultipartReader(boundary).feed(self.content):
                if isinstance(event, PartBegin):
                    heads.append(event.head)
                    contents.append(bytearray())
                elif isinstance(event, PartData):
                    contents[-1] += event.data
        except BadMultipart:
            pass  # the parts before it stand
        return [Part(head, bytes(content), read_note(bytes(content)))
                for head, content in zip(heads, contents, strict=True)]

    @property
    def envelope(self) -> bytes:
        """The bytes of the SOAP message: the first part of a multipart body, else the whole."""
        parts = self.parts
        return parts[0].content if parts else self.content


def read_message(raw: bytes, *, request: bool) -> WireMessage:
    """A message as it was captured."""
    found = layout(raw, request=request)
    lines = raw[found.start:found.head].decode("latin-1").splitlines()
    fields = [line.partition(":") for line in lines[1:] if ":" in line]
    headers = [(name.strip().encode("latin-1"), value.strip().encode("latin-1")) for name, _, value in fields]
    left_out = not request and has_note(raw[found.head:])
    return WireMessage(lines[0] if lines else "", headers, raw[found.head:] if left_out else found.content(raw),
                       left_out or found.end is not None)
