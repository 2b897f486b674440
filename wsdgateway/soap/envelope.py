"""Reads SOAP envelopes from bytes, and writes them; unknown content is preserved.

SOAP 1.2 part 1, section 5, and the headers of WS-Addressing 2004/08.
"""

import attrs
from lxml import etree

from wsdgateway.soap.addressing import anonymous
from wsdgateway.soap.encodings import mended
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
_ONCE = frozenset((_ACTION, _MESSAGE_ID, _TO))
_READ = _ONCE | {_RELATES_TO}
_ADDRESSING = _READ | {_WSA + name for name in ("From", "ReplyTo", "FaultTo")}


class DoubledHeader(Malformed):
    """A header that routes the message occurs twice: another reader might use the other one."""


@attrs.frozen(eq=False)
class Envelope:
    """A SOAP message: its tree, and the addressing headers that route it.

    `body` is the first element in the Body, or None. `obliges` is true if a header outside WS-Addressing has
    `mustUnderstand`: the receiver of such a message must check it (`soap.obligations`).
    """

    root: etree._Element
    header: etree._Element | None
    body: etree._Element | None
    action: str | None
    message_id: str | None
    relates_to: str | None
    to: str | None
    obliges: bool


def read(data: bytes, charset: str | None = None) -> Envelope:
    """The envelope in a message. Raises `Malformed` if it is not SOAP 1.2, `DoubledHeader` if it contradicts itself.

    `charset` is that of the message's Content-Type, if it has one.

    Other children of the Envelope than Header and Body are ignored. Header and Body must be in order and unique, since
    the scanner could otherwise interpret them differently. wsa:RelatesTo may be repeated (WS-Addressing 2004/08,
    section 3).
    """
    root = parse(data, charset)
    if root.tag != _ENVELOPE:
        raise Malformed(f"the root element is {root.tag!s}, not a SOAP 1.2 Envelope")
    parts = list(root.iterchildren(_HEADER, _BODY))
    header = parts[0] if parts and parts[0].tag == _HEADER else None
    found: dict[str, str | None] = {}
    doubled: str | None = None
    obliges = False
    if header is not None:
        for child in header:
            tag = child.tag
            if tag in _READ:
                if tag in found and tag in _ONCE:
                    doubled = tag
                found[tag] = text_of(child)
            elif tag not in _ADDRESSING and isinstance(tag, str) and child.attrib and is_obligatory(child):
                obliges = True
    message_id = found.get(_MESSAGE_ID)
    if len(parts) != (1 if header is None else 2) or parts[-1].tag != _BODY:
        raise Malformed("an Envelope must contain at most one Header, followed by one Body", message_id)
    if doubled is not None:
        raise _doubled(doubled, message_id)
    return Envelope(root, header, next(parts[-1].iterchildren(tag=etree.Element), None), found.get(_ACTION),
                    message_id, found.get(_RELATES_TO), found.get(_TO), obliges)


def read_leniently(data: bytes, charset: str | None = None) -> Envelope:
    """The envelope in an answer of a scanner, as `read`, whose text may need to be mended.

    Raises `Malformed`, `DoubledHeader`.
    """
    try:
        return read(data, charset)
    except Malformed:
        better = mended(data, charset)
        if better is None:
            raise
        return read(better, charset)


def is_obligatory(header: etree._Element) -> bool:
    """Return whether a header has `mustUnderstand`. SOAP 1.2 part 1, section 5.2.3: an xs:boolean."""
    return header.get(_MUST_UNDERSTAND, "").strip() in ("1", "true")


def _doubled(tag: str, message_id: str | None) -> DoubledHeader:
    name = etree.QName(tag).localname
    return DoubledHeader(f"the Header contains more than one wsa:{name}", None if name == "MessageID" else message_id)


def readdressed(envelope: Envelope, addressing: str) -> Envelope:
    """The same message with its headers read as those of another version of WS-Addressing, given by its namespace.

    Raises `DoubledHeader`.
    """
    def header(name: str) -> str | None:
        tag = f"{{{addressing}}}{name}"
        found = [] if envelope.header is None else list(envelope.header.iterchildren(tag))
        if len(found) > 1 and _WSA + name in _ONCE:
            raise _doubled(tag, None)
        return text_of(found[-1]) if found else None

    return attrs.evolve(envelope, action=header("Action"), message_id=header("MessageID"),
                        relates_to=header("RelatesTo"), to=header("To"))


def write(root: etree._Element) -> bytes:
    """The tree as bytes, in its original encoding."""
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
    is_request: bool = False,
) -> bytes:
    """Write a message of the gateway's own.

    `headers` and `body` are XML with prefixes of `namespaces`; those that occur are declared, `soap` and `wsa` always.
    `addressing` is the namespace of `wsa`. A request has the anonymous address as its ReplyTo, since some scanners
    refuse one without (WS-Addressing 2004/08, section 3).
    """
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items()
                       if f"{prefix}:" in body or f"{prefix}:" in headers)
    related = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    reply_to = f"<wsa:ReplyTo><wsa:Address>{anonymous(addressing)}</wsa:Address></wsa:ReplyTo>" if is_request else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{addressing}"{declared}>'
        f"<soap:Header><wsa:To>{escape(to)}</wsa:To><wsa:Action>{escape(action)}</wsa:Action>"
        f"<wsa:MessageID>{escape(message_id)}</wsa:MessageID>{related}{reply_to}{headers}</soap:Header>"
        f"<soap:Body>{body}</soap:Body></soap:Envelope>"
    ).encode()
