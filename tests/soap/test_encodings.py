"""Tests of soap.encodings: finding a document in the bytes of a message, its encoding and its document type."""

import pytest

from wsdgateway.soap.encodings import UnreadEncoding, bare, document_type, extract, holds_document_type

XML = "<?xml version='1.0' encoding='utf-8'?><a>é</a>"
MARK = b"\xef\xbb\xbf"
UTF_16 = XML.encode("utf-16-le")


@pytest.mark.parametrize(("data", "forwarded"), [
    (XML.encode(), None), (XML.encode() + b"\r\n", None), (MARK + XML.encode(), None), (b"\xff\xfe" + UTF_16, None),
    (XML.encode("utf-16-be"), None), (b"\xff\xfe" + UTF_16 + "\r\n".encode("utf-16-le"), None),
    (b"hello", None), (b"x" + XML.encode(), None), (XML.encode() + b"x", None), (b"", None),
    (b"\r\n" + XML.encode(), XML.encode()), (XML.encode() + b"\x00", XML.encode()),
    (b"\x00 " + XML.encode() + b"\r\n\x00", XML.encode()), (MARK * 2 + XML.encode(), MARK + XML.encode()),
    (b"\x00" + MARK + XML.encode() + MARK, MARK + XML.encode()),
    (UTF_16 + b"\x00\x00", b"\xff\xfe" + UTF_16), (b"\x00\x00" + UTF_16, b"\xff\xfe" + UTF_16),
    (b"\xfe\xff" + XML.encode("utf-16-be") + b"\x00\x00", b"\xff\xfe" + UTF_16),
])
def test_bytes_around_a_document_are_removed(data, forwarded):
    assert bare(data) == (data if forwarded is None else forwarded)


@pytest.mark.parametrize(("data", "charset", "encoding"), [
    (XML.encode(), None, None), (XML.encode(), "utf-8", "utf-8"), (MARK + XML.encode(), "iso-8859-1", "utf-8"),
    (XML.replace("utf-8", "utf-16").encode(), "utf-8", "utf-8"), (b"<a/>", "iso-8859-15", "iso-8859-15"),
    (UTF_16, "utf-8", "utf-16"), (XML.encode("utf-16-be"), None, "utf-16"), (b"<a/>", "utf-16", None),
])
def test_the_encoding_of_a_document(data, charset, encoding):
    assert extract(data, charset).encoding == encoding


@pytest.mark.parametrize(("data", "charset"), [
    (XML.replace("utf-8", "utf-16").encode(), None), (b"<a/>", "utf-7"), (XML.encode("utf-32"), None),
    (XML.encode("cp037"), None), (XML.replace("utf-8", "hz").encode(), "utf-8"), (b"<a/>", "no-such")])
def test_encodings_that_are_refused(data, charset):
    with pytest.raises(UnreadEncoding, match="UTF-8"):
        extract(data, charset)


TYPED = "<?xml version='1.0' encoding='ENCODING'?>\r\n<!-- a --><?b c?><!DOCTYPE a [<!ENTITY e 'x'>]><a/>"


@pytest.mark.parametrize(("encoding", "codec"), [
    ("utf-8", "utf-8"), ("utf-8", "utf-8-sig"), ("utf-16", "utf-8"), ("utf-16", "utf-16"), ("utf-8", "utf-16"),
    ("utf-16", "utf-16-le"), ("utf-16", "utf-16-be"), ("utf-32", "utf-32"), ("utf-32", "utf-32-be"),
    ("cp037", "cp037"), ("cp500", "cp500"), ("Shift_JIS", "shift_jis"), ("hz", "ascii"), ("no-such", "ascii")])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"\x00\x00"])
def test_a_document_type_is_found_in_every_encoding(encoding, codec, before):
    data = before + TYPED.replace("ENCODING", encoding).encode(codec)
    assert document_type(data) is True
    assert holds_document_type(data)
    without = TYPED.partition("<!DOCTYPE")[0].replace("ENCODING", encoding) + "<a/>"
    assert not holds_document_type(before + without.encode(codec))


@pytest.mark.parametrize(("data", "charset"), [
    (b"<?xml version='1.0' encoding='utf-7'?>+ADwAIQ-DOCTYPE a+AD4-<a/>", None),
    (b"+ADwAIQ-DOCTYPE a+AD4-<a/>", "utf-7")])
def test_a_document_type_in_utf_7_is_found(data, charset):
    assert document_type(data, charset) is True


@pytest.mark.parametrize("data", [
    b"<a><![CDATA[<!DOCTYPE a>]]></a>", b"<?xml version='1.0'?><a><!-- <!DOCTYPE a> --></a>", b"<!doctype html><a/>",
    b"<!-- <!DOCTYPE a> --><a/>", b"\xff\xd8\xff\xe0<!DOCTYPE a>", b"hello <!DOCTYPE a>", b"{}", b"<!ELEMENT a>"])
def test_other_contents_are_no_document_type(data):
    assert document_type(data) is False
    assert not holds_document_type(data)


@pytest.mark.parametrize("data", [
    b"", b"\r\n\x00", b"\xef\xbb", b"\xff", b"<", b"<!", b"<!DOCTYP", b"<!--", b"<!-- <!DOCTYPE a> --", b"<?xml x",
    b"<?xml x?>", "<!DOC".encode("utf-16"), b"\x00<\x00!"])
def test_a_short_beginning_leaves_the_document_type_undecided(data):
    assert document_type(data) is None
    assert not holds_document_type(data)
