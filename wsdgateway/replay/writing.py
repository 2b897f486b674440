"""Adapts a recorded message for replay: new MessageID and RelatesTo, and current addresses and JobIds.

WS-Addressing 2004/08, section 3. Everything else stays as recorded.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from lxml import etree

from wsdgateway.exchangelog.images import LeftOut
from wsdgateway.exchangelog.reading import Part, WireMessage
from wsdgateway.http.messages import first
from wsdgateway.mtom.multipart import boundary_of
from wsdgateway.replay.pages import make_page
from wsdgateway.scan.reading import tag
from wsdgateway.soap.envelope import Envelope, read, write
from wsdgateway.soap.namespaces import WSA
from wsdgateway.soap.parsing import text_of

MAX_ANSWER = 1 << 28  # bytes; once an answer has as many, no more pages are drawn
_RELATES_TO = f"{{{WSA}}}RelatesTo"
_MESSAGE_ID = f"{{{WSA}}}MessageID"


def renewed(envelope: Envelope, *, message_id: str, relates_to: str | None, hosts: frozenset[str], base: str,
            jobs: Mapping[str, str]) -> bytes:
    """Serialize the message in an envelope with new ids and addresses. Modifies the envelope.

    `base` is the URL of this server without a path, `hosts` the recorded host names.
    """
    for element in envelope.root.iter(etree.Element):
        if element.tag == _MESSAGE_ID:
            element.text = message_id
        elif element.tag == _RELATES_TO:
            element.text = relates_to or message_id
        elif element.tag == tag("JobId"):
            known = text_of(element)
            if known is not None and known in jobs:
                element.text = jobs[known]
        elif element.text and not len(element) and "://" in element.text:
            element.text = " ".join(_moved(url, hosts, base) for url in element.text.split())
    return write(envelope.root)


def _moved(url: str, hosts: frozenset[str], base: str) -> str:
    """The URL with `base` in place of its origin if it is one of the scanner's, else unchanged."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname not in hosts:
            return url
    except ValueError:
        return url
    return f"{base}{parts.path}{f'?{parts.query}' if parts.query else ''}"


def answer_body(answer: WireMessage, *, message_id: str, relates_to: str | None, hosts: frozenset[str], base: str,
                jobs: Mapping[str, str]) -> bytes:
    """The body of a recorded answer. Raises `Malformed` if its SOAP can't be read."""
    soap = renewed(read(answer.envelope), message_id=message_id, relates_to=relates_to, hosts=hosts, base=base,
                   jobs=jobs)
    parts = answer.parts
    boundary = boundary_of(answer.field(b"content-type"))
    if not parts or boundary is None:
        return soap
    written: list[bytes] = []
    for number, part in enumerate(parts):
        content = soap if number == 0 else _image(part) if sum(map(len, written)) < MAX_ANSWER else b""
        written.append(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, part.head, content))
    return b"".join((*written, b"--%b--\r\n" % boundary))


def _image(part: Part) -> bytes:
    if part.left_out is None or not part.left_out.length:
        return b"" if part.left_out else part.content
    fields = [line.partition(b":")[::2] for line in part.head.splitlines()]
    return make_page(part.left_out, (first([*fields], b"content-type") or b"").strip().decode("latin-1"))


def bare_image(answer: WireMessage, left_out: LeftOut) -> bytes:
    """Draw the page for an image that was the whole body of an answer."""
    return make_page(left_out, answer.media_type)


def to_listener(envelope: Envelope, contexts: tuple[str, ...]) -> Envelope:
    """Adapt a ScanAvailableEvent to a subscriber: its first ClientContext replaces one that is not among `contexts`."""
    element = None if envelope.body is None else next(envelope.body.iter(tag("ClientContext")), None)
    if element is not None and contexts and text_of(element) not in contexts:
        element.text = contexts[0]
    return envelope
