"""Bytes to Envelope and back; what we do not know is kept as it is.

SOAP 1.2 part 1, section 5; the headers of WS-Addressing 2004/08 are read beside it.
"""

import attrs
from lxml import etree

from wsdgateway.soap.namespaces import SOAP, WSA
from wsdgateway.soap.parsing import Malformed, escape, parse, text_of

CONTENT_TYPE = b"application/soap+xml; charset=utf-8"

_ENVELOPE = f"{{{SOAP}}}Envelope"
_HEADER = f"{{{SOAP}}}Header"
_BODY = f"{{{SOAP}}}Body"
_MUST_UNDERSTAND = f"{{{SOAP}}}mustUnderstand"
_WSA = f"{{{WSA}}}"
_ACTION = _WSA + "Action"
_MESSAGE_ID = _WSA + "MessageID"
_RELATES_TO = _WSA + "RelatesTo"
_TO = _WSA + "To"


@attrs.frozen(eq=False)
class Envelope:
    """A SOAP message: its tree, and the addressing headers that decide its way.

    `body` is the first element in the Body, or None. `obliges` is true where a header outside
    WS-Addressing carries `mustUnderstand`: such a message is for its receiver to judge.
    """

    root: etree._Element
    header: etree._Element | None
    body: etree._Element | None
    action: str | None
    message_id: str | None
    relates_to: str | None
    to: str | None
    obliges: bool


def read(data: bytes) -> Envelope:
    """The envelope in a message. Raises `Malformed` if it is not SOAP 1.2."""
    root = parse(data)
    if root.tag != _ENVELOPE:
        raise Malformed(f"the root element is {root.tag!s}, not a SOAP 1.2 Envelope")
    header = next(root.iterchildren(_HEADER), None)
    body = next(root.iterchildren(_BODY), None)
    action = message_id = relates_to = to = None
    obliges = False
    actions = 0
    if header is not None:
        for child in header:
            tag = child.tag
            if not isinstance(tag, str):
                continue  # a comment
            if tag == _ACTION:
                actions += 1
                action = text_of(child)
            elif tag == _MESSAGE_ID:
                message_id = text_of(child)
            elif tag == _RELATES_TO:
                relates_to = text_of(child)
            elif tag == _TO:
                to = text_of(child)
            elif child.attrib and child.get(_MUST_UNDERSTAND, "").strip() in ("1", "true"):
                obliges = obliges or not tag.startswith(_WSA)
    if body is None:
        raise Malformed("the Envelope has no Body", message_id)
    if actions > 1:
        raise Malformed("the Header has more than one wsa:Action", message_id)
    return Envelope(root, header, next(body.iterchildren(tag=etree.Element), None),
                    action, message_id, relates_to, to, obliges)


def readdressed(envelope: Envelope, addressing: str) -> Envelope:
    """The same message, its headers read as those of another version of WS-Addressing, by its namespace."""
    def header(name: str) -> str | None:
        return None if envelope.header is None else text_of(envelope.header.find(f"{{{addressing}}}{name}"))

    return attrs.evolve(envelope, action=header("Action"), message_id=header("MessageID"),
                        relates_to=header("RelatesTo"), to=header("To"))


def write(root: etree._Element) -> bytes:
    """The tree as bytes, in the encoding that it came in."""
    tree = root.getroottree()
    return etree.tostring(tree, xml_declaration=True, encoding=tree.docinfo.encoding or "utf-8")


def compose(
    *,
    action: str,
    message_id: str,
    to: str,
    body: str,
    relates_to: str | None = None,
    headers: str = "",
    namespaces: dict[str, str],
    addressing: str = WSA,
) -> bytes:
    """A message of our own. `headers` and `body` are XML whose prefixes `namespaces` declares.

    `soap` and `wsa` are always declared; `addressing` is the namespace of the latter.
    """
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items())
    related = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{addressing}"{declared}>'
        f"<soap:Header><wsa:To>{escape(to)}</wsa:To><wsa:Action>{escape(action)}</wsa:Action>"
        f"<wsa:MessageID>{escape(message_id)}</wsa:MessageID>{related}{headers}</soap:Header>"
        f"<soap:Body>{body}</soap:Body></soap:Envelope>"
    ).encode()
