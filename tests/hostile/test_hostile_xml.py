"""Hostile XML at every address: document types, entities, encodings, floods and fragments."""

import re

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import DEVICE_PATH, EVENTS, SCAN_PATH
from tests.messages import PROBE, get_job_elements, status_event
from wsdgateway.soap import parsing
from wsdgateway.soap.namespaces import SOAP
from wsdgateway.soap.parsing import MAX_DEPTH, MAX_NAMESPACES, Malformed, parse

# Address, base message, and the status if it is readable.
PLACES = [
    (SCAN_PATH, get_job_elements("1"), 200),
    (DEVICE_PATH, PROBE, 200),
    ("/", PROBE, 200),
    (EVENTS, status_event("1", "Completed", 2, message_id="urn:uuid:again"), 202),
]
PROLOG = b'<?xml version="1.0" encoding="utf-8"?>'
TWO = [bytes([byte]) for byte in (0x01, 0x08, 0x0B, 0x1F)]


def prolog(with_):
    """Replaces the prolog of a message."""
    return lambda message: with_ + message.removeprefix(PROLOG)


def inside(what, *, before=b"</soap:Body>"):
    """Inserts something into a message."""
    return lambda message: message.replace(before, what + before, 1)


def on_envelope(attributes):
    """Adds attributes to the Envelope of a message."""
    return lambda message: message.replace(b"<soap:Envelope ", b"<soap:Envelope " + attributes + b" ", 1)


def declarations(count):
    """Returns so many namespace declarations."""
    return b" ".join(b"xmlns:n%d='u'" % number for number in range(count))


def encoded(declared, codec, mark=b"", character=""):
    """Encodes a message, with another encoding declaration."""

    def made(message):
        text = message.removeprefix(PROLOG).decode().replace("<soap:Body>", f"<!--{character}--><soap:Body>")
        return mark + f'<?xml version="1.0"{declared}?>{text}'.encode(codec)

    return made


def doctype(subset, name="soap:Envelope"):
    """Puts a document type before a message."""
    return prolog(f"<!DOCTYPE {name} {subset}>".encode())


def laughs(count, width, kind="", joined=""):
    """Returns entities, each of which refers to the one before several times."""
    mark = "&#37;" if kind else "&"
    return (
        f"[<!ENTITY {kind} e0 'ha'>"
        + "".join(f"<!ENTITY {kind} e{n} '{f'{mark}e{n - 1};' * width}'>" for n in range(1, count))
        + f"{joined}]"
    )


DOCUMENT_TYPES = {
    "empty": doctype(""),
    "public": doctype('PUBLIC "-//X//Y" "http://127.0.0.1:9/x.dtd"'),
    "system": doctype("SYSTEM 'file:///etc/passwd'"),
    "other-root": doctype("", "nothing"),
    "entity": doctype("[<!ENTITY e 'x'>]"),
    "external-entity": doctype("[<!ENTITY e SYSTEM 'file:///etc/passwd'>]"),
    "external-http": doctype("[<!ENTITY e SYSTEM 'http://127.0.0.1:9/'>]"),
    "external-ftp": doctype("[<!ENTITY e SYSTEM 'ftp://127.0.0.1/x'>]"),
    "php-wrapper": doctype("[<!ENTITY e SYSTEM 'php://filter/resource=x'>]"),
    "netdoc": doctype("[<!ENTITY e SYSTEM 'netdoc:/etc/hosts'>]"),
    "external-parameter": doctype("[<!ENTITY % e SYSTEM 'http://127.0.0.1:9/x.dtd'> %e;]"),
    "parameter": doctype("[<!ENTITY % e '<!ENTITY f \"g\">'> %e;]"),
    "exfiltrating": doctype(
        "[<!ENTITY % f SYSTEM 'file:///etc/passwd'><!ENTITY % e '<!ENTITY &#37; s SYSTEM "
        '"http://127.0.0.1:9/?%f;">\'> %e; %s;]'
    ),
    "billion-laughs": doctype(laughs(12, 10)),
    "parameter-laughs": doctype(laughs(30, 2, "%", "%e29;")),
    "quadratic": doctype(f"[<!ENTITY a '{'x' * 100000}'>]"),
    "recursive": doctype("[<!ENTITY a '&b;'><!ENTITY b '&a;'>]"),
    "defaults": doctype(
        f"[<!ENTITY p '{'x' * 400000}'><!ATTLIST soap:Envelope "
        + " ".join(f"b{n} CDATA '&p;'" for n in range(20000))
        + ">]"
    ),
    "attlist": doctype("[<!ATTLIST soap:Envelope a CDATA 'b'>]"),
    "notation": doctype("[<!NOTATION n SYSTEM 'sh'>]"),
    "conditional": doctype("[<![INCLUDE[<!ENTITY e 'x'>]]>]"),
    "unclosed": prolog(b"<!DOCTYPE a ["),
    "after-comment": prolog(b"<!-- a --><!DOCTYPE a>"),
    "after-instruction": prolog(b"<?a b?>\n\t<!DOCTYPE a>"),
    "after-many": prolog(b"<!-- -->" * 50000 + b"<!DOCTYPE a>"),
    "after-declaration": prolog(PROLOG + b"<!DOCTYPE a>"),
    "after-bom": prolog(b"\xef\xbb\xbf<!DOCTYPE a>"),
    "after-bytes-to-skip": lambda m: b"\r\n\x00\xef\xbb\xbf \x00" + doctype("")(m),
    "after-bytes-and-declaration": lambda m: b"\x00" + prolog(PROLOG + b"<!DOCTYPE a>")(m) + b"\x00",
    "utf-16-after-nulls": lambda m: b"\x00\x00" + ("<!DOCTYPE a>" + m.removeprefix(PROLOG).decode()).encode("utf-16"),
    "utf-16-declared-utf-8": lambda m: (PROLOG.decode() + "<!DOCTYPE a>" + m.removeprefix(PROLOG).decode()).encode(
        "utf-16"),
    "utf-16": lambda m: b"\xff\xfe" + ("<!DOCTYPE a>" + m.removeprefix(PROLOG).decode()).encode("utf-16-le"),
    "utf-16-be": lambda m: ("<!DOCTYPE a>" + m.removeprefix(PROLOG).decode()).encode("utf-16-be"),
    "utf-32": lambda m: ("<!DOCTYPE a>" + m.removeprefix(PROLOG).decode()).encode("utf-32"),
}

ENCODINGS = {
    "utf-7": encoded(' encoding="utf-7"', "ascii"),
    "utf-7-doctype": lambda m: b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-' + m.removeprefix(PROLOG),
    "utf-7-after-bom": encoded(' encoding="utf-7"', "ascii", b"\xef\xbb\xbf"),
    "hz": encoded(' encoding="hz-gb-2312"', "ascii"),
    "iso-2022": encoded(' encoding="ISO-2022-JP"', "ascii"),
    "ebcdic": encoded(' encoding="cp037"', "cp037"),
    "ebcdic-named": encoded(' encoding="EBCDIC-US"', "ascii"),
    "unknown": encoded(' encoding="no-such"', "ascii"),
    "punycode": encoded(' encoding="punycode"', "ascii"),
    "rot13": encoded(' encoding="rot13"', "ascii"),
    "hex": encoded(' encoding="hex"', "ascii"),
    "idna": encoded(' encoding="idna"', "ascii"),
    "unicode-escape": encoded(' encoding="unicode_escape"', "ascii"),
    "empty-name": encoded(' encoding=""', "ascii"),
    "long-name": encoded(f' encoding="{"x" * 5000}"', "ascii"),
    "utf-16-named-only": encoded(' encoding="utf-16"', "ascii"),
    "ucs-4-named": encoded(' encoding="UCS-4"', "ascii"),
    "latin-1-as-utf-8": encoded(' encoding="utf-8"', "latin-1", character="é"),
    "latin-1-undeclared": encoded("", "latin-1", character="é"),
    "cp1252-as-ascii": encoded(' encoding="us-ascii"', "cp1252", character="€"),
    "utf-16-cut-in-two": lambda m: encoded("", "utf-16")(m)[:-1],
    "utf-16-lone": prolog(b"\xff\xfe\x00\xd8"),
    "other-mark": lambda m: b"\xfe\xff" + m.decode().encode("utf-16-le"),
    "overlong": inside(b"<!--\xc0\xaf-->"),
    "overlong-null": inside(b"<!--\xc0\x80-->"),
    "surrogate": inside(b"<!--\xed\xa0\x80-->"),
    "beyond": inside(b"<!--\xf5\x80\x80\x80-->"),
    "cut-character": inside(b"<!--\xe2\x82-->"),
    "lone-byte": inside(b"<!--\xff-->"),
    "null": inside(b"\x00"),
    "null-in-name": lambda m: m.replace(b"soap:Body", b"soap:Bo\x00dy"),
    "null-in-comment": inside(b"<!--\x00-->"),
    "not-a-character": inside("<!--\uffff-->".encode()),
    **{f"control-{byte.hex()}": inside(byte) for byte in TWO},
    "control-reference": inside(b"&#1;"),
    "null-reference": inside(b"&#0;"),
    "huge-reference": inside(b"&#x110000;"),
    "surrogate-reference": inside(b"&#xD800;"),
    "endless-reference": inside(b"&#" + b"9" * 5000 + b";"),
}

FORMS = {
    "empty": lambda m: b"",
    "blank": lambda m: b" \r\n",
    "text": lambda m: b"hello",
    "json": lambda m: b'{"a": 1}',
    "html": lambda m: b"<!doctype html><p>",
    "jpeg": lambda m: b"\xff\xd8\xff\xe0" + bytes(500),
    "zeros": lambda m: bytes(5000),
    "gzip": lambda m: b"\x1f\x8b\x08" + bytes(40),
    "two-roots": lambda m: m + b"<a/>",
    "text-after": lambda m: m + b"x",
    "text-before": lambda m: b"x" + m,
    "mark-cut-before": lambda m: b"\xef\xbb" + m,
    "other-white-space-before": lambda m: b"\x0b\x0c" + m,
    "no-break-space-after": lambda m: m + b"\xc2\xa0",
    "declaration-twice": lambda m: PROLOG + m,
    "version-9": prolog(b'<?xml version="9.9">'),
    "no-version": prolog(b'<?xml encoding="utf-8"?>'),
    "standalone-perhaps": prolog(b'<?xml version="1.0" standalone="perhaps"?>'),
    "undeclared-entity": inside(b"&nbsp;"),
    "bare-ampersand": inside(b"a & b"),
    "bare-less": inside(b"a < b"),
    "cdata-end": inside(b"]]>"),
    "cdata-open": inside(b"<![CDATA["),
    "cdata-outside": lambda m: b"<![CDATA[" + m + b"]]>",
    "comment-in-name": lambda m: m.replace(b"<soap:Body>", b"<soap<!-- -->:Body>"),
    "comment-in-tag": lambda m: m.replace(b"<soap:Body>", b"<soap:Body <!-- --> >"),
    "comment-dashes": inside(b"<!-- -- -->"),
    "comment-open": inside(b"<!-- "),
    "instruction-open": inside(b"<?a "),
    "instruction-xml": inside(b'<?xml version="1.0"?>'),
    "instruction-XML": inside(b"<?XmL a?>"),
    "undeclared-prefix": inside(b"<nobody:a/>"),
    "undeclared-attribute": inside(b"<a nobody:b=''/>"),
    "two-colons": inside(b"<a:b:c xmlns:a='u'/>"),
    "name-digit": inside(b"<1a/>"),
    "attribute-twice": inside(b"<a b='' b=''/>"),
    "attribute-twice-by-prefix": inside(b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>"),
    "attribute-bare": inside(b"<a b/>"),
    "attribute-less": inside(b"<a b='<'/>"),
    "attribute-unquoted": inside(b"<a b=c/>"),
    "prefix-xmlns": inside(b"<a xmlns:xmlns='u'/>"),
    "prefix-xml": inside(b"<a xmlns:xml='u'/>"),
    "undeclared-again": inside(b"<p:a xmlns:p=''/>"),
    "wrong-end": inside(b"<a></b>"),
    "end-alone": inside(b"</a>"),
    "overlapping": inside(b"<a><b></a></b>"),
    "deep": inside(b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1)),
    "deep-open": inside(b"<a>" * 200000),
    "long-name": inside(b"<" + b"a" * 100000 + b"/>"),
    "long-prefix": inside(b"<" + b"a" * 60000 + b":b/>"),
    "namespaces": on_envelope(declarations(30000)),
    "namespaces-in-turn": inside(b"<a xmlns='u'/>" * 30000),
    "nested-namespaces": inside(
        b"".join(b"<a %b>" % b" ".join(b"xmlns:a%d_%d='u'" % (m, n) for n in range(100)) for m in range(200))
        + b"</a>" * 200
    ),
    "namespaces-utf-16": lambda m: encoded("", "utf-16-be", b"\xfe\xff")(on_envelope(declarations(30000))(m)),
    "namespaces-utf-32": lambda m: encoded("", "utf-32")(on_envelope(declarations(3000))(m)),
    "attributes-twice": inside(b"<a " + b" ".join(b"a%d=''" % n for n in range(50000)) + b" a0=''/>"),
}

# Harmless messages, which are read and answered normally.
READ = {
    "utf-16-le": encoded("", "utf-16"),
    "utf-16-be": encoded("", "utf-16-be", b"\xfe\xff"),
    "utf-16-declared": encoded(' encoding="utf-16"', "utf-16"),
    "utf-16-no-mark": encoded(' encoding="utf-16"', "utf-16-le"),
    "utf-8-mark": encoded(' encoding="utf-8"', "utf-8", b"\xef\xbb\xbf", "é"),
    "utf-16-named-utf-8": encoded(' encoding="utf-8"', "utf-16-le", b"\xff\xfe", "é"),
    "utf-16-big-named-ascii": encoded(' encoding="ASCII"', "utf-16-be", b"\xfe\xff", "é"),
    "utf-16-big-named-utf-8-no-mark": encoded(' encoding="utf-8"', "utf-16-be"),
    "utf-16-among-nulls": lambda m: b"\x00\x00" + encoded("", "utf-16")(m) + b"\n\x00\x00\x00",
    "utf-8-mark-named-latin-1": encoded(' encoding="ISO-8859-1"', "utf-8", b"\xef\xbb\xbf", "é"),
    "two-marks": lambda m: b"\xef\xbb\xbf" * 2 + m,
    "mark-and-line": lambda m: b"\xef\xbb\xbf\r\n" + m,
    "mark-at-end": lambda m: m + b"\r\n\xef\xbb\xbf",
    "null-at-end": lambda m: m + b"\x00",
    "nulls-at-end": lambda m: m + b"\r\n\x00\x00\x00\r\n",
    "null-before": lambda m: b"\x00" + m,
    "declaration-later": lambda m: b" " + m,
    "lines-before": lambda m: b"\r\n\t\r\n" + m,
    "everything-around": lambda m: b" \x00\xef\xbb\xbf\r\n\x00" + m + b"\x00 \xef\xbb\xbf\n" * 50,
    "utf-16-named-utf-8-marked": encoded(' encoding="utf-16"', "utf-8", b"\xef\xbb\xbf", "é"),
    "latin-1": encoded(' encoding="ISO-8859-1"', "latin-1", character="é"),
    "windows-1252": encoded(' encoding="windows-1252"', "cp1252", character="€"),
    "shift-jis": encoded(' encoding="Shift_JIS"', "shift_jis", character="紙"),
    "euc-jp": encoded(' encoding="EUC-JP"', "euc-jp", character="紙"),
    "gbk": encoded(' encoding="GBK"', "gbk", character="纸"),
    "ascii-capitals": encoded(' encoding="ASCII"', "ascii"),
    "no-encoding": encoded("", "utf-8", character="é"),
    "no-declaration": prolog(b""),
    "single-quotes": prolog(b"<?xml version='1.0' encoding='UTF-8'?>"),
    "spaces": prolog(b'<?xml  version = "1.0"\n encoding = "utf-8" standalone="yes" ?>\n\n'),
    "doctype-in-comment": prolog(b"<!-- <!DOCTYPE a> -->"),
    "doctype-in-cdata": inside(b"<![CDATA[<!DOCTYPE a>]]>"),
    "doctype-in-instruction": prolog(b"<?a <!DOCTYPE a>?>"),
    "stylesheet": prolog(b'<?xml-stylesheet href="file:///x"?>'),
    "schema": on_envelope(
        b'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="u http://127.0.0.1:9/x"'
    ),
    "base": on_envelope(b'xml:base="http://127.0.0.1:9/"'),
    "space": on_envelope(b'xml:space="preserve" xml:lang="x"'),
    "include": inside(b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>'),
    "include-in-header": inside(
        b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>', before=b"</soap:Header>"
    ),
    "comments": lambda m: re.sub(rb"(<wsa:Action>[^<]{9})", rb"\1<!-- a -->", m),
    "comment-flood": inside(b"<!-- -->" * 50000),
    "cdata": lambda m: re.sub(rb"<wsa:MessageID>([^<]*)<", rb"<wsa:MessageID><![CDATA[\1]]><", m),
    "references": lambda m: m.replace(b"<wsa:Action>h", b"<wsa:Action>&#104;"),
    "instructions": inside(b"<?a b?>", before=b"</soap:Header>"),
    "instruction-flood": prolog(b"<?a?>" * 50000),
    "attributes": on_envelope(b" ".join(b"a%d=''" % n for n in range(30000))),
    "namespaces": on_envelope(declarations(MAX_NAMESPACES - 20)),
    "namespaces-in-turn": inside(b"<a xmlns='u'/>" * (MAX_NAMESPACES - 20)),
    "long-attribute": on_envelope(b"a='" + b"x" * 500000 + b"'"),
    "long-namespace": on_envelope(b"xmlns:x='" + b"u" * 500000 + b"'"),
    "elements": inside(b"<a/>" * 200000),
    "text": inside(b"x" * 800000),
    "deep-but-not-too": inside(b"<a>" * 250 + b"</a>" * 250),
    "trailing-comment": lambda m: m + b"\n<!-- end --><?end?>\n",
    "carriage-returns": inside(b"\r\r\n" * 1000),
    "right-to-left": inside("\u202e\u200b\ufeff".encode()),
}

REFUSED = {
    **{f"doctype-{name}": made for name, made in DOCUMENT_TYPES.items()},
    **{f"encoding-{name}": made for name, made in ENCODINGS.items()},
    **{f"form-{name}": made for name, made in FORMS.items()},
}
WHOLE = get_job_elements("1")
# Every position at the start, in the middle or at the end of a tag.
CUTS = sorted(
    {
        cut
        for found in re.finditer(rb"<[^>]*>", WHOLE)
        for cut in (found.start() + 1, (found.start() + found.end()) // 2, found.end())
    }
    - {len(WHOLE)}
)


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED)
@pytest_twisted.ensureDeferred
async def test_a_message_is_refused_at_every_address(attacked, made):
    for path, message, _ in PLACES:
        outcome = await attacked.send(path, made(message))
        assert (outcome.status, outcome.code, outcome.reached) == (400, "InvalidArgs", ())
        assert b"passwd" not in outcome.body
        assert len(outcome.body) < 2000


@pytest.mark.parametrize("made", READ.values(), ids=READ)
@pytest_twisted.ensureDeferred
async def test_a_message_is_read_at_every_address(attacked, made):
    for path, message, status in PLACES:
        outcome = await attacked.send(path, made(message))
        assert (outcome.status, outcome.code, outcome.reached) == (status, None, ())
        assert b"root:" not in outcome.body


SOAP_IN = "application/soap+xml; charset="
# The charset of Content-Type, the encoded message, and whether it can be read.
CHARSETS = {
    "utf-16-named-utf-8": ("utf-8", encoded(' encoding="utf-16"', "utf-8", character="é"), True),
    "ucs-2-named-utf-8": ("UTF-8", encoded(' encoding="ISO-10646-UCS-2"', "utf-8", character="é"), True),
    "unicode-named-utf-8": ('"utf-8"', encoded(' encoding="unicode"', "utf-8", character="é"), True),
    "utf-16-named-ascii": ("us-ascii", encoded(' encoding="utf-16"', "ascii"), True),
    "utf-16-named-latin-1": ("iso-8859-1", encoded(' encoding="utf-16"', "latin-1", character="é"), True),
    "utf-16-named-utf-8-among-nulls": (
        "utf-8", lambda m: b"\x00\r\n" + encoded(' encoding="utf-16"', "utf-8", character="é")(m) + b"\x00", True),
    "utf-8-named-latin-1": ("iso-8859-1", encoded(' encoding="utf-8"', "latin-1", character="é"), True),
    "latin-1-named-utf-8": ("utf-8", encoded(' encoding="iso-8859-1"', "utf-8", character="é"), True),
    "utf-8-for-whatever-it-is": ("utf-8", encoded(' encoding="windows-1252"', "cp1252", character="€"), True),
    "nothing-named": ("windows-1252", encoded("", "cp1252", character="€"), True),
    "utf-16": ("utf-16", encoded(' encoding="utf-16"', "utf-16"), True),
    "utf-16-named-nothing": ("utf-16le", encoded("", "utf-16-le"), True),
    "utf-8-named-utf-16-which-it-is": ("utf-8", encoded(' encoding="utf-8"', "utf-16"), True),
    "utf-16-which-it-is-not": ("utf-16", encoded(' encoding="utf-8"', "utf-8", character="é"), True),
    "utf-16-twice-which-it-is-not": ("utf-16", encoded(' encoding="utf-16"', "utf-8"), False),
    "utf-7": ("utf-7", encoded("", "ascii"), False),
    "utf-7-named-utf-8": ("utf-7", encoded(' encoding="utf-8"', "ascii"), False),
    "utf-7-in-utf-8": ("utf-8", encoded(' encoding="utf-7"', "ascii"), False),
    "ebcdic": ("cp037", encoded(' encoding="utf-8"', "ascii"), False),
    "unknown": ("x-mine", encoded(' encoding="utf-8"', "ascii"), False),
    "not-in-it": ("utf-8", encoded(' encoding="utf-8"', "latin-1", character="é"), False),
    "doctype": ("utf-8", doctype(""), False),
    "doctype-utf-16": ("utf-8", DOCUMENT_TYPES["utf-16"], False),
    "doctype-utf-7": ("utf-7", ENCODINGS["utf-7-doctype"], False),
}


@pytest.mark.parametrize(("charset", "made", "is_read"), CHARSETS.values(), ids=CHARSETS)
@pytest_twisted.ensureDeferred
async def test_the_charset_of_content_type_has_precedence(attacked, charset, made, is_read):
    """RFC 7303, section 3, except for bytes that allow only one encoding, and for encodings that can hide markup."""
    for path, message, status in PLACES:
        outcome = await attacked.send(path, made(message), content_type=(SOAP_IN + charset).encode())
        expected = (status, None) if is_read else (400, "InvalidArgs")
        assert (outcome.status, outcome.code, outcome.reached) == (*expected, ())


@pytest.mark.parametrize("cut", CUTS)
@pytest_twisted.ensureDeferred
async def test_a_fragment_is_refused(attacked, cut):
    outcome = await attacked.send(SCAN_PATH, WHOLE[:cut])
    assert (outcome.status, outcome.code, outcome.reached) == (400, "InvalidArgs", ())


@pytest_twisted.ensureDeferred
async def test_a_message_above_the_limit_is_refused_before_it_is_parsed(attacked):
    outcome = await attacked.send(SCAN_PATH, b"<" * (attacked.service.config.limits.request_body + 1))
    assert (outcome.status, outcome.code, outcome.reached) == (413, None, ())


@pytest.mark.parametrize("name", DOCUMENT_TYPES)
def test_a_document_type_is_refused_before_parsing(monkeypatch, name):
    monkeypatch.setattr(parsing, "etree", None)  # any use of the parser fails
    with pytest.raises(Malformed, match="document type"):
        parse(DOCUMENT_TYPES[name](f'<soap:Envelope xmlns:soap="{SOAP}"/>'.encode()))
