"""The one hardened XML parser, through which everything from the network goes.

SOAP 1.2 part 1, section 5: a message must hold no document type declaration and no
processing instruction that matters. No DTD, no entities, no network; elements nest at most
`MAX_DEPTH` deep (libxml2's own bound), and callers bound the size before they call.
"""

from lxml import etree

MAX_DEPTH = 256


class Malformed(Exception):
    """The bytes are not a document that this program reads; the text says why.

    `message_id` is the message's own where it could be read all the same.
    """

    def __init__(self, why: str, message_id: str | None = None) -> None:
        super().__init__(why)
        self.message_id = message_id


_parser = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    strip_cdata=False,
    remove_blank_text=False,
    ns_clean=False,
)


def parse(data: bytes) -> etree._Element:
    """The root element of a document.

    Raises `Malformed` if it is not well-formed, deeper than `MAX_DEPTH`, or declares a
    document type.
    """
    try:
        root = etree.fromstring(data, _parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise Malformed(f"not well-formed XML: {str(error)[:200]}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a document type declaration is not allowed in SOAP")
    return root


def text_of(element: etree._Element | None) -> str | None:
    """The element's text without the white space around it; None for nothing."""
    if element is None:
        return None
    text = "".join(element.itertext()) if len(element) else element.text
    return (text.strip() or None) if text else None


def escape(text: str) -> str:
    """Text made fit to stand between tags and in double-quoted attributes."""
    if "&" in text or "<" in text or ">" in text or '"' in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text
