"""Tests of soap.parsing: accepted and refused documents of the hardened parser."""

import pytest

from wsdgateway.soap.envelope import write
from wsdgateway.soap.parsing import MAX_DEPTH, MAX_NAMESPACES, Malformed, escape, parse, text_of


@pytest.mark.parametrize("data", [
    b"", b" ", b"<a>", b"<a></b>", b"<a/><b/>", b"text", b"<a>\x00</a>", b"<a b='1' b='2'/>", b"<x:a/>",
    b"<?xml version='1.0' encoding='no-such'?><a/>", b"<a>&unknown;</a>", b"\xff\xfe<", b"<a>\xff</a>",
])
def test_documents_that_are_not_well_formed_are_malformed(data):
    with pytest.raises(Malformed, match="not well-formed"):
        parse(data)


@pytest.mark.parametrize("data", [
    b"<!DOCTYPE a><a/>",
    b"<!DOCTYPE a SYSTEM 'http://127.0.0.1/a.dtd'><a/>",
    b"<!DOCTYPE a [<!ENTITY e 'x'>]><a/>",
    b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
    "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE a [<!ENTITY e 'x'>]><a/>".encode("utf-16"),
])
def test_a_document_type_is_refused_in_any_encoding(data):
    with pytest.raises(Malformed, match="document type"):
        parse(data)


def test_a_billion_laughs_attack_is_refused():
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    with pytest.raises(Malformed):
        parse(f"<!DOCTYPE a [<!ENTITY e0 'ha'>{entities}]><a>&e11;</a>".encode())


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-16", "ASCII", "iso-8859-15", "Windows-1252", "Shift_JIS", "GB2312"])
def test_encodings_in_use_are_read(encoding):
    assert parse(f"<?xml version='1.0' encoding='{encoding}'?><a>x</a>".encode(encoding)).text == "x"


@pytest.mark.parametrize("broken", [b"<r><q:a/>%b</r>", b"<r xmlns:q='a b'>%b</r>", b"<r q:a='b'>%b</r>"])
@pytest.mark.parametrize("after", [b"", b"<b xmlns='relative'/>"])
def test_undeclared_prefixes_are_refused_whatever_follows(broken, after):
    parse(b"<r>%b</r>" % after)
    with pytest.raises(Malformed, match="not well-formed"):
        parse(broken % after)


def test_the_number_of_namespaces_is_limited():
    def declaring(count):
        return ("<a " + " ".join(f"xmlns:n{number}='u'" for number in range(count)) + "/>")

    parse(declaring(MAX_NAMESPACES).encode())
    for encoding in ("utf-8", "utf-16", "utf-32"):
        with pytest.raises(Malformed, match="namespaces"):
            parse(declaring(MAX_NAMESPACES + 1).encode(encoding))


@pytest.mark.parametrize(
    "encoding", ["utf-7", "utf-16", "UTF-16LE", "ISO-2022-JP", "hz", "cp037", "UCS-4", "x" * 100, ""])
def test_encodings_that_could_hide_markup_are_refused(encoding):
    with pytest.raises(Malformed, match="encoding"):
        parse(f"<?xml version='1.0' encoding='{encoding}'?><a/>".encode())


@pytest.mark.parametrize("encoding", ["ISO-8859-15", "latin1", "windows-1252", "Shift_JIS", "GB18030", "US-ASCII"])
def test_other_encodings_are_read(encoding):
    assert parse(f"<?xml version='1.0' encoding='{encoding}'?><a>b</a>".encode()).text == "b"


@pytest.mark.parametrize(("before", "after"), [
    (b"", b"\x00"), (b"\x00", b""), (b"\r\n", b"\r\n"), (b"\xef\xbb\xbf\r\n", b"\xef\xbb\xbf"),
    (b"\x00 \t\r\n\xef\xbb\xbf\xef\xbb\xbf", b"\x00\x00\r\n")])
@pytest.mark.parametrize("prolog", [b"", b"<?xml version='1.0' encoding='utf-8'?>", b"<?xml version='1.0'?>\r\n"])
def test_bytes_around_a_document_are_skipped(before, after, prolog):
    assert parse(before + prolog + "<a>é</a>".encode() + after).text == "é"


@pytest.mark.parametrize("data", [b"\x00x<a/>", b"<a/>\x00x", b"<a/>\x00<b/>", b"<\x00a/>", b"<a>\x00</a>\x00"])
def test_bytes_that_are_not_skipped(data):
    with pytest.raises(Malformed, match="not well-formed"):
        parse(data)


@pytest.mark.parametrize(("declared", "codec", "charset"), [
    ("utf-16", "utf-8", "utf-8"), ("utf-16", "latin-1", "iso-8859-1"), ("utf-8", "latin-1", "iso-8859-1"),
    ("iso-8859-1", "utf-8", "utf-8"), ("iso-8859-1", "latin-1", "utf-8"), ("ascii", "utf-8", "utf-8"),
    ("utf-8", "utf-16", "utf-8"), ("utf-8", "utf-8", "utf-16"), ("utf-8", "utf-8-sig", "iso-8859-1")])
def test_the_charset_takes_precedence_unless_the_bytes_contradict_it(declared, codec, charset):
    root = parse(f"<?xml version='1.0' encoding='{declared}'?><a>é</a>".encode(codec), charset)
    assert root.text == "é"
    assert parse(write(root)).text == "é"


def test_the_depth_is_limited():
    parse(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)
    with pytest.raises(Malformed):
        parse(b"<a>" * (MAX_DEPTH + 10) + b"</a>" * (MAX_DEPTH + 10))


@pytest.mark.parametrize(("data", "text"), [
    (b"<a> x \n</a>", "x"), (b"<a/>", None), (b"<a> \n </a>", None), (b"<a>x<!-- c -->y</a>", "xy"),
    (b"<a><![CDATA[ <z> ]]></a>", "<z>"),
])
def test_text_is_trimmed(data, text):
    assert text_of(parse(data)) == text


def test_any_number_of_comments_is_skipped_in_a_text():
    assert text_of(parse(b"<a>" + b"1<!---->" * 200000 + b"</a>")) == "1" * 200000


def test_text_of_nothing_is_none():
    assert text_of(None) is None


def test_escaped_text_is_read_back_unchanged():
    text = "a<b>&\"'c\r"
    assert parse(f'<a b="{escape(text)}">{escape(text)}</a>'.encode()).text == text
    assert parse(f'<a b="{escape(text)}"/>'.encode()).get("b") == text
