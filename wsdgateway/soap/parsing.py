"""The one hardened XML parser, through which everything from the network goes.

SOAP 1.2 part 1, section 5: a message must hold no document type declaration and no
processing instruction that matters. No DTD, no entities, no network; elements nest at most
`MAX_DEPTH` deep (libxml2's own bound), and callers bound the size before they call.

What costs more than its size is refused before it is read. Of a document type a megabyte of attribute defaults, each
made of one entity, keeps libxml2 busy for seconds, though nothing of it is ever used. With many namespaces in scope
lxml takes time with their square for each element that is written by itself: a second for 20,000 of them.
"""

import re

from lxml import etree

MAX_DEPTH = 256
MAX_NAMESPACES = 1024  # declarations in a document
_SHORTEST = len(' xmlns=""')
_DECLARATIONS = tuple("xmlns".encode(encoding).strip(b"\x00") for encoding in ("utf-8", "utf-16-le", "utf-32-le"))
_PROLOG = re.compile(r"\ufeff?(?:\s|<!--.*?-->|<\?.*?\?>)*+<!DOCTYPE", re.DOTALL)
_DECLARED = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"'>]*)""")
# Those in which ASCII is written as itself, and UTF-16. In others, UTF-7 among them, markup can be written as what
# looks like text, a document type, too, and libxml2 writes it so.
_KIN = (r"utf-?8|(us-)?ascii|iso[-_]?8859[-_]\d{1,2}|latin-?\d{1,2}|(windows-|cp)125\d|koi8-[ru]|tis-620|gb2312|gbk|"
        r"gb18030|big5|shift[-_]?jis|sjis|euc-(jp|kr|tw|cn)")
_ASCII_KIN = re.compile(_KIN.encode(), re.IGNORECASE)
_ENCODING = re.compile(rf"{_KIN}|utf-?16(le|be)?", re.IGNORECASE)
# How nearly all begin: of these nothing has to be found out, and a status read should take no longer for the others.
_USUAL = (b'<?xml version="1.0" encoding="utf-8"', b'<?xml version="1.0" encoding="UTF-8"', b"<s", b"<S", b"<e", b"<E")
_BOM = b"\xef\xbb\xbf"
# Documents that begin so have more bytes to a character. XML 1.0, appendix F.
_WIDE = ((b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\x00<", "utf-32-be"),
         (b"<\x00\x00\x00", "utf-32-le"), (b"\xfe\xff", "utf-16"), (b"\xff\xfe", "utf-16"), (b"\x00<", "utf-16-be"),
         (b"<\x00", "utf-16-le"))
_EBCDIC = b"\x4c\x6f\xa7\x94"  # "<?xm"


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

    Raises `Malformed` if it is not well-formed, deeper than `MAX_DEPTH`, declares a document
    type or more than `MAX_NAMESPACES`, or is written in an encoding that is not read here.
    """
    if len(data) > MAX_NAMESPACES * _SHORTEST and sum(map(data.count, _DECLARATIONS)) > MAX_NAMESPACES:
        raise Malformed(f"more than {MAX_NAMESPACES} namespaces are declared")
    usual = data.startswith(_USUAL) and b"<!DOCTYPE" not in data
    if not usual and _declares_document_type(data):
        raise Malformed("a document type declaration is not allowed in SOAP")
    try:
        root = etree.fromstring(data, _parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise Malformed(f"not well-formed XML: {str(error)[:200]}") from None
    # lxml passes over a prefix that nobody declared, if a relative namespace, which it only warns of, comes after it.
    for problem in _parser.error_log:
        if problem.level != etree.ErrorLevels.WARNING:
            raise Malformed(f"not well-formed XML: {problem.message[:200]}")
    if usual:
        return root
    about = root.getroottree().docinfo
    if about.internalDTD is not None:
        raise Malformed("a document type declaration is not allowed in SOAP")
    if about.encoding is not None and not _ENCODING.fullmatch(about.encoding):
        raise Malformed(f"the encoding {about.encoding[:40]} is not read here; write it in UTF-8")
    return root


def _declares_document_type(data: bytes) -> bool:
    """Whether a document type stands before the root element. Raises `Malformed` for encodings that could hide one."""
    if data.startswith(_EBCDIC):
        raise Malformed("not well-formed XML: the encoding EBCDIC is not read here; write it in UTF-8")
    wide = next((encoding for start, encoding in _WIDE if data.startswith(start)), None)
    declared = _DECLARED.match(data) if wide is None else None
    if declared is not None and not _ASCII_KIN.fullmatch(declared[1]) and not (
            data.startswith(_BOM) and declared[1].lower() == b"utf-16"):  # a slip of .NET's; the mark is believed
        named = declared[1][:40].decode("ascii", "replace")
        raise Malformed(f"not well-formed XML: the encoding {named} is not read here; write it in UTF-8")
    if wide is None and b"<!DOCTYPE" not in data:
        return False
    return _PROLOG.match(data.decode(wide or "utf-8", "replace")) is not None


# Not itertext, whose time grows with the square of the comments in an element: a megabyte of them took a second.
_whole_text = etree.XPath("string()", smart_strings=False)


def text_of(element: etree._Element | None) -> str | None:
    """The element's text without the white space around it; None for nothing."""
    if element is None:
        return None
    text = _whole_text(element) if len(element) else element.text
    return (text.strip() or None) if text else None


def say(element: etree._Element, text: str | None) -> None:
    """Let an element hold that text and nothing else."""
    for inside in list(element):
        element.remove(inside)
    element.text = text


def escape(text: str) -> str:
    """Text made fit to stand between tags and in double-quoted attributes."""
    if "&" in text or "<" in text or ">" in text or '"' in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    if "\r" in text:
        text = text.replace("\r", "&#13;")  # which is read as a line feed when it stands there as it is
    return text
