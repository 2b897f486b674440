"""Parses all XML from the network with a single hardened parser.

SOAP 1.2 part 1, section 5: a message must contain no document type declaration and no significant processing
instruction. No DTD, no entities, no network; elements nest at most `MAX_DEPTH` deep (libxml2's own limit), and callers
limit the size beforehand.

Documents that take disproportionate time are refused before they are parsed. A document type with a megabyte of
attribute defaults, each made of one entity, keeps libxml2 busy for seconds, even if none is ever used. With many
namespaces in scope, the time that lxml takes to write each separate element grows with their square: a second for
20,000 of them.
"""

from functools import lru_cache

from lxml import etree

from wsdgateway.soap.encodings import UnreadEncoding, document_type, extract, is_read, is_usual

MAX_DEPTH = 256
MAX_NAMESPACES = 1024  # declarations in a document
_SHORTEST = len(' xmlns=""')
_DECLARATIONS = tuple("xmlns".encode(encoding).strip(b"\x00") for encoding in ("utf-8", "utf-16-le", "utf-32-le"))
_AROUND = b" \t\r\n\x00"


class Malformed(Exception):
    """The bytes are not a supported document; the text says why.

    `message_id` is the message's own if it could still be read.
    """

    def __init__(self, why: str, message_id: str | None = None) -> None:
        super().__init__(why)
        self.message_id = message_id


def _make_parser(encoding: str | None) -> etree.XMLParser:
    """A parser that assumes that encoding whatever a document declares; with None the declaration counts."""
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        strip_cdata=False,
        remove_blank_text=False,
        ns_clean=False,
    )


_parser = _make_parser(None)
_parser_for = lru_cache(maxsize=64)(_make_parser)  # `extract` knows fewer encodings than that


def parse(data: bytes, charset: str | None = None) -> etree._Element:
    """The root element of a document; `charset` is that of the Content-Type, if it has one.

    White space, NUL and byte order marks around the document are skipped. Raises `Malformed` if it is not well-formed,
    is deeper than `MAX_DEPTH`, declares a document type or more than `MAX_NAMESPACES` namespaces, or is in an
    unsupported encoding.
    """
    if len(data) > MAX_NAMESPACES * _SHORTEST and sum(map(data.count, _DECLARATIONS)) > MAX_NAMESPACES:
        raise Malformed(f"more than {MAX_NAMESPACES} namespaces are declared")
    document, parser = data.strip(_AROUND), _parser
    usual = document.endswith(b">") and is_usual(document, charset) and b"<!DOCTYPE" not in document
    if not usual:
        if document_type(data, charset):
            raise Malformed("a document type declaration is not allowed")
        try:
            found = extract(data, charset)
            document, parser = found.data, _parser_for(found.encoding)
        except (UnreadEncoding, LookupError) as error:
            raise Malformed(f"not well-formed XML: {error}") from None
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise Malformed(f"not well-formed XML: {str(error)[:200]}") from None
    # lxml accepts an undeclared prefix after a relative namespace, which only causes a warning.
    for problem in parser.error_log:
        if problem.level != etree.ErrorLevels.WARNING:
            raise Malformed(f"not well-formed XML: {problem.message[:200]}")
    if usual:
        return root
    about = root.getroottree().docinfo
    if about.internalDTD is not None:
        raise Malformed("a document type declaration is not allowed")
    if not is_read(about.encoding):
        raise Malformed(f"not well-formed XML: {UnreadEncoding(about.encoding or '')}")
    return root


# Not itertext, whose time grows with the square of the comments in an element: a megabyte of them took a second.
_whole_text = etree.XPath("string()", smart_strings=False)


def text_of(element: etree._Element | None) -> str | None:
    """The element's text without surrounding white space; None if that is empty."""
    if element is None:
        return None
    text = _whole_text(element) if len(element) else element.text
    return (text.strip() or None) if text else None


def set_text(element: etree._Element, text: str | None) -> None:
    """Replace the element's content by the text."""
    for inside in list(element):
        element.remove(inside)
    element.text = text


def escape(text: str) -> str:
    """Escape text for use between tags and in double-quoted attributes."""
    if "&" in text or "<" in text or ">" in text or '"' in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    if "\r" in text:
        text = text.replace("\r", "&#13;")  # unescaped it would be read as a line feed
    return text
