"""A scanner's answer made ready for many clients: its own bytes, but for the request that it relates to.

WS-Addressing 2004/08, section 3: RelatesTo names the client's request, MessageID this very message. Both are found
once, so that the next client's answer costs no XML; everything else stays as the scanner wrote it.
"""

import re

import attrs

from wsdgateway.bridge.decisions import Answer
from wsdgateway.http.messages import charset_of
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.parsing import Malformed, escape

# A tag by bytes: in UTF-8 and every other encoding that writes ASCII as it is. Others are not prepared.
_RELATES_TO, _MESSAGE_ID = (
    re.compile(rb"<(?:[\w.-]+:)?" + name + rb"(?:\s[^<>]*)?>([^<]*)</") for name in (b"RelatesTo", b"MessageID"))
_PROBE = ("urn:uuid:00000000-0000-4000-8000-00000000000a", "urn:uuid:00000000-0000-4000-8000-00000000000b")


@attrs.frozen(eq=False)
class Copy:
    """An answer with gaps: `pieces` stand around them, `related` says whether each is RelatesTo's or MessageID's."""

    content_type: bytes
    pieces: tuple[bytes, ...]
    related: tuple[bool, ...]

    def answer(self, relates_to: str | None, message_id: str) -> Answer:
        """The same for another client's request; None leaves RelatesTo empty."""
        return Answer(self.fill(relates_to, message_id), self.content_type)

    def fill(self, relates_to: str | None, message_id: str) -> bytes:
        """The whole message with these in its gaps."""
        filled = [self.pieces[0]]
        for related, piece in zip(self.related, self.pieces[1:], strict=True):
            value = (relates_to or "") if related else message_id
            filled += (escape(value).encode("ascii", "xmlcharrefreplace"), piece)
        return b"".join(filled)


def prepare(envelope: Envelope, body: bytes, content_type: bytes) -> Copy | None:
    """The answer with its gaps; None if they can't be told for certain, as in an encoding of another kind."""
    gaps: list[tuple[int, int, bool]] = []
    for pattern, value in ((_RELATES_TO, envelope.relates_to), (_MESSAGE_ID, envelope.message_id)):
        if value is not None:
            places = list(pattern.finditer(body))
            if len(places) != 1:
                return None
            gaps.append((*places[0].span(1), pattern is _RELATES_TO))
    gaps.sort()
    edges = [0, *(edge for start, end, _ in gaps for edge in (start, end)), len(body)]
    pieces = tuple(body[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    copy = Copy(content_type, pieces, tuple(related for _, _, related in gaps))
    return copy if _is_right(copy, envelope) else None


def _is_right(copy: Copy, envelope: Envelope) -> bool:
    """Whether what is put into the gaps is read as what it is meant to be."""
    try:
        filled = read(copy.fill(*_PROBE), charset_of(copy.content_type))
    except Malformed:
        return False
    relates_to, message_id = _PROBE
    return (filled.relates_to == (relates_to if envelope.relates_to is not None else None)
            and filled.message_id == (message_id if envelope.message_id is not None else None))
