"""Turns a scanner's answer into a template for many clients, in which only RelatesTo and MessageID change.

WS-Addressing 2004/08, section 3: RelatesTo names the client's request, MessageID this message. Both are located once,
so that the next client's answer needs no XML parsing; everything else stays as the scanner wrote it.
"""

import re

import attrs

from wsdgateway.bridge.decisions import Answer
from wsdgateway.http.messages import charset_of
from wsdgateway.soap.envelope import Envelope, read_leniently
from wsdgateway.soap.parsing import Malformed, escape

# Matches a tag in UTF-8 and every other ASCII-compatible encoding. Answers in other encodings are not made
# templates.
_RELATES_TO, _MESSAGE_ID = (
    re.compile(rb"<(?:[\w.-]+:)?" + name + rb"(?:\s[^<>]*)?>([^<]*)</") for name in (b"RelatesTo", b"MessageID"))
_PROBE = ("urn:uuid:00000000-0000-4000-8000-00000000000a", "urn:uuid:00000000-0000-4000-8000-00000000000b")


@attrs.frozen(eq=False)
class ReplyTemplate:
    """An answer with gaps between its `pieces`. `related` is true for a RelatesTo gap, false for a MessageID gap."""

    content_type: bytes
    pieces: tuple[bytes, ...]
    related: tuple[bool, ...]

    def answer(self, relates_to: str | None, message_id: str) -> Answer:
        """The answer to another client's request; None leaves RelatesTo empty."""
        return Answer(self.fill(relates_to, message_id), self.content_type)

    def fill(self, relates_to: str | None, message_id: str) -> bytes:
        """The complete message with these ids in its gaps."""
        filled = [self.pieces[0]]
        for related, piece in zip(self.related, self.pieces[1:], strict=True):
            value = (relates_to or "") if related else message_id
            filled += (escape(value).encode("ascii", "xmlcharrefreplace"), piece)
        return b"".join(filled)


def make_template(envelope: Envelope, body: bytes, content_type: bytes) -> ReplyTemplate | None:
    """Make the template of an answer; None if the gaps can't be located reliably, for example in another encoding."""
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
    template = ReplyTemplate(content_type, pieces, tuple(related for _, _, related in gaps))
    return template if _is_right(template, envelope) else None


def _is_right(template: ReplyTemplate, envelope: Envelope) -> bool:
    """Return whether ids in the gaps are read back as RelatesTo and MessageID."""
    try:
        filled = read_leniently(template.fill(*_PROBE), charset_of(template.content_type))
    except Malformed:
        return False
    relates_to, message_id = _PROBE
    return (filled.relates_to == (relates_to if envelope.relates_to is not None else None)
            and filled.message_id == (message_id if envelope.message_id is not None else None))
