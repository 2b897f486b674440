"""Finds the XML document in a message's bytes, its encoding, and a document type declaration in it.

RFC 7303, section 3: a byte order mark determines the encoding, then the charset of Content-Type, then the document's
own declaration. Evidence in the bytes overrides all of them (XML 1.0, appendix F): a document in UTF-16 has a NUL after
its first "<", and no other document has one.

Embedded devices send white space, NUL and byte order marks around the document, which XML does not allow before a
declaration; they are removed.
"""

import re

import attrs

MAX_UNDECLARED = 16  # prefixes
MAX_MENDED = 262144  # bytes; Windows accepts 32,767, and mending makes a message several times as large
MAX_NAME = 40  # characters of an encoding's name in an error message

_MARK = b"\xef\xbb\xbf"
_AROUND = re.compile(rb"(?:[ \t\r\n\x00]|\xef\xbb\xbf)*+")
_AROUND_WIDE = re.compile(rb"[ \t\r\n\x00\xff\xfe]*+")
_PADDING = re.compile(rb"[ \t\r\n\x00\xff\xfe\xef\xbb\xbf]*+")
_DECLARED = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"'>]*)""")
# The beginnings of nearly all documents.
_USUAL = (b'<?xml version="1.0" encoding="utf-8"', b'<?xml version="1.0" encoding="UTF-8"', b"<s", b"<S", b"<e", b"<E")
_EBCDIC = b"\x4c\x6f\xa7\x94"  # "<?xm"
_EBCDIC_DOCTYPE = "DOCTYPE".encode("cp037")  # letters are the same in all its code pages
# ASCII-compatible encodings. In others, such as UTF-7, markup can be disguised as text, even a document type
# declaration, and libxml2 reads it as markup.
_ASCII_KIN = re.compile(
    r"utf-?8|(us-)?ascii|iso[-_]?8859[-_]\d{1,2}|latin-?\d{1,2}|(windows-|cp)125\d|koi8-[ru]|tis-620|gb2312|gbk|"
    r"gb18030|big5|shift[-_]?jis|sjis|euc-(jp|kr|tw|cn)", re.IGNORECASE)
_IN_UTF_8 = re.compile(r"utf-?8|(us-)?ascii", re.IGNORECASE)
# A document with one byte for "<" can't be in these encodings, whatever it declares. .NET's StringWriter declares
# them.
_WIDE = re.compile(r"utf-?(16|32)(le|be)?|(iso-10646-)?ucs-?[24]|unicode", re.IGNORECASE)
# Python's surrogates for bytes that are not UTF-8. Five bytes are no characters in windows-1252.
_STRAY_BYTES = {0xdc00 + byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0x100)}
_STRAY_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_USED_PREFIX = re.compile(rb"""</?([A-Za-z_][\w.-]*+):|\s([A-Za-z_][\w.-]*+):[\w.-]++\s*+=""")
_DECLARED_PREFIX = re.compile(rb"\sxmlns:([\w.-]++)\s*+=")
_ROOT = re.compile(rb"<[A-Za-z_][\w.:-]*+")
_NO_CHARACTERS = bytes(byte for byte in range(1, 32) if byte not in b"\t\n\r")
_UTF_7 = re.compile(r"(unicode-1-1-)?utf-?7", re.IGNORECASE)
_PROLOG = re.compile(r"\ufeff?(?:\s|<!--.*?-->|<\?.*?\?>)*+(<!DOCTYPE)?", re.DOTALL)
_OPENINGS = ("<!--", "<?", "<!DOCTYPE")


class UnreadEncoding(Exception):
    """The document is in an unsupported encoding; the text says which, and what to use instead."""

    def __init__(self, name: str) -> None:
        plain = re.sub(r"[^\w.:-]", "?", name[:MAX_NAME], flags=re.ASCII)
        super().__init__(f"the encoding {plain} is not supported; use UTF-8")


@attrs.frozen
class Document:
    """A document without the bytes around it. `encoding` overrides its declaration unless it is None."""

    data: bytes
    encoding: str | None = None


def is_usual(document: bytes, charset: str | None) -> bool:
    """Return whether a document begins as nearly all do, in UTF-8, so that no further checks are needed."""
    return document.startswith(_USUAL) and (charset is None or _IN_UTF_8.fullmatch(charset) is not None)


def is_read(encoding: str | None) -> bool:
    """Return whether the parser may read documents in that encoding, in which no markup can be disguised."""
    return encoding is None or (_ASCII_KIN.fullmatch(encoding) or _WIDE.fullmatch(encoding)) is not None


def extract(data: bytes, charset: str | None = None) -> Document:
    """The document in a message, whose Content-Type may name a charset.

    A document in UTF-16 is returned as UTF-16LE without its mark. Bytes without a document are returned unchanged, so
    that the parser refuses them. Raises `UnreadEncoding`.
    """
    start, end = data.find(b"<"), data.rfind(b">")
    if _is_ebcdic(data):
        raise UnreadEncoding("EBCDIC")
    if start < 0 or end < start:
        return Document(data)
    if data.startswith(b"\x00\x00\x00", start + 1):
        raise UnreadEncoding("UTF-32")
    if data.startswith(b"\x00", start + 1):
        return _wide(data, start, end)
    before = data[:start]
    if not _AROUND.fullmatch(before):
        return Document(data)
    document = data[start:end + 1] if _AROUND.fullmatch(data, end + 1) else data[start:]
    return Document(document, _encoding(document, _MARK in before, charset))


def span(data: bytes) -> tuple[int, int]:
    """Start and end of the document within the surrounding bytes; of all bytes if there is none, or in UTF-16."""
    start, end = data.find(b"<"), data.rfind(b">") + 1
    if start < 0 or data.startswith(b"\x00", start + 1) or not (
            _AROUND.fullmatch(data, 0, start) and _AROUND.fullmatch(data, end)):
        return 0, len(data)
    return start, end


def bare(data: bytes) -> bytes:
    """The message without the bytes around its document, except a mark before and white space after it."""
    if data.startswith(b"<") and data.endswith(b">"):
        return data
    start, end = data.find(b"<"), data.rfind(b">")
    before, after = data[:max(start, 0)], data[end + 1:]
    if data.startswith(b"\x00", start + 1):
        wide = _wide(data, start, end)
        is_allowed = before in (b"", b"\x00", b"\xff\xfe", b"\xfe\xff\x00") and b"\x00\x00" not in after
        return data if is_allowed or wide.encoding is None else b"\xff\xfe" + wide.data
    is_allowed = before in (b"", _MARK) and not after.strip(b" \t\r\n")
    if is_allowed or not (_AROUND.fullmatch(before) and _AROUND.fullmatch(after)):
        return data
    return (_MARK if _MARK in before else b"") + data[start:end + 1]


def _is_ebcdic(data: bytes) -> bool:
    return data.lstrip(b" \t\r\n\x00").startswith(_EBCDIC)


def _wide(data: bytes, start: int, end: int) -> Document:
    """A document in UTF-16. The mark tells the byte order, else the position of the first "<"."""
    before = data[:start]
    if not _AROUND_WIDE.fullmatch(before):
        return Document(data)
    marks = [mark for mark in (b"\xff\xfe", b"\xfe\xff") if mark in before]
    is_big = marks == [b"\xfe\xff"] if marks else start % 2 == 1
    first, last = (max(start - 1, 0), end + 1) if is_big else (start, end + 2)
    if end < start or not _AROUND_WIDE.fullmatch(data, last):
        last = len(data)
    try:
        text = data[first:last].decode("utf-16-be" if is_big else "utf-16-le")
    except UnicodeDecodeError:
        return Document(data)
    return Document(text.encode("utf-16-le"), "utf-16")


def _encoding(document: bytes, is_marked: bool, charset: str | None) -> str | None:
    """The encoding of a document with one byte for "<"; None means the declared one, or UTF-8."""
    if charset is not None and not _ASCII_KIN.fullmatch(charset):
        if not _WIDE.fullmatch(charset):
            raise UnreadEncoding(charset)
        charset = None  # the document can't be in that charset
    found = _DECLARED.match(document)
    declared = None if found is None else found[1].decode("ascii", "replace")
    if declared is not None and not _ASCII_KIN.fullmatch(declared) and not (
            _WIDE.fullmatch(declared) and (is_marked or charset is not None)):
        raise UnreadEncoding(declared)
    if is_marked:
        return "utf-8"
    if charset is None or not _IN_UTF_8.fullmatch(charset):
        return charset
    if declared is not None and _is_other_kin(declared) and not _is_utf_8(document):
        return None  # the sender names UTF-8 whatever it sends
    return "utf-8"


def mended(data: bytes, charset: str | None = None) -> bytes | None:
    """The message with text that XML allows, and with all prefixes declared; None if there is nothing to mend.

    Scanners put names into their documents as somebody typed them on their web page, with "&" and without an encoding,
    or cut them off in the middle of a character. In a document that is UTF-8 by its own word, other bytes count as
    windows-1252. References to unknown entities become text, and control characters are left out. Prefixes that are
    declared nowhere belong to elements and attributes that nobody reads. A message of more than `MAX_MENDED` bytes is
    not mended: the time and memory for it would delay others.
    """
    start = data.find(b"<")
    if len(data) > MAX_MENDED or start < 0 or data.startswith(b"\x00", start + 1):
        return None
    found, better = _DECLARED.match(data, start), data
    named = (charset, None if found is None else found[1].decode("ascii", "replace"))
    if all(name is None or _IN_UTF_8.fullmatch(name) for name in named) and not _is_utf_8(data):
        better = data.decode("utf-8", "surrogateescape").translate(_STRAY_BYTES).encode()
    better = _declared(_STRAY_AMPERSAND.sub(b"&amp;", better.translate(None, _NO_CHARACTERS)))
    return None if better == data else better


def _declared(data: bytes) -> bytes:
    """The document with the prefixes declared in its root element that it uses and declares nowhere."""
    used = {element or attribute for element, attribute in _USED_PREFIX.findall(data)}
    missing = sorted(used - {b"xml", b"xmlns"}.union(_DECLARED_PREFIX.findall(data)))[:MAX_UNDECLARED]
    declarations = b"".join(b' xmlns:%b="urn:undeclared:%b"' % (prefix, prefix) for prefix in missing)
    return _ROOT.sub(lambda root: root[0] + declarations, data, count=1)


def _is_other_kin(declared: str) -> bool:
    return _ASCII_KIN.fullmatch(declared) is not None and _IN_UTF_8.fullmatch(declared) is None


def _is_utf_8(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def document_type(data: bytes, charset: str | None = None) -> bool | None:
    """Return whether a document type declaration precedes the root element; None if there are too few bytes to tell.

    False for bytes that are not XML. Documents in unsupported encodings are examined, too.
    """
    if _is_ebcdic(data):
        return _EBCDIC_DOCTYPE in data or None
    if charset is not None and _UTF_7.fullmatch(charset):
        return _after_prolog(data.decode("utf-7", "replace"))
    start = data.find(b"<")
    if start < 0 or start + 1 == len(data):
        return None if _PADDING.fullmatch(data[:start] if start >= 0 else data) else False
    if not _PADDING.fullmatch(data[:start]):
        return False
    if data.startswith(b"\x00", start + 1):
        # In UTF-16 and UTF-32, markup is ASCII interspersed with NULs; other characters do not matter here.
        return _after_prolog(data[start:].replace(b"\x00", b"").decode("latin-1"))
    found = _DECLARED.match(data, start)
    is_utf_7 = found is not None and _UTF_7.fullmatch(found[1].decode("ascii", "replace"))
    return _after_prolog(data[start:].decode("utf-7" if is_utf_7 else "latin-1", "replace"))


def holds_document_type(data: bytes, charset: str | None = None) -> bool:
    """Return whether a complete message contains a document type declaration, in any encoding."""
    if is_usual(data, charset) and b"<!DOCTYPE" not in data:
        return False
    return document_type(data, charset) is True


def _after_prolog(text: str) -> bool | None:
    found = _PROLOG.match(text)
    assert found is not None
    if found[1]:
        return True
    rest = text[found.end():found.end() + len("<!DOCTYPE")]
    return None if rest.startswith(("<!--", "<?")) or any(opening.startswith(rest) for opening in _OPENINGS) else False
