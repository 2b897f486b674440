"""Tests of escl.reading against hostile documents: each is refused, or read in little time and memory."""

import pytest

from tests.escl.test_scansettings import document
from wsdgateway.escl.reading import MAX_BODY, PWG, SCAN, Unreadable
from wsdgateway.escl.scansettings import ScanSettings

BOMB = ('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "&{inner};&{inner};&{inner};&{inner};">' for inner, name in zip("abcdef", "bcdefg", strict=True))
    + "]>").encode()
FILE = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
ATTRIBUTES = b'<!DOCTYPE x [<!ATTLIST ScanSettings a CDATA "b">]>'
EXTERNAL = b'<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd">'


@pytest.mark.parametrize("prolog", [BOMB, FILE, ATTRIBUTES, EXTERNAL])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-32"])
def test_document_types_are_refused(prolog, codec):
    body = document("<scan:Intent>&g;&f;</scan:Intent>").partition(b"?>")[2]
    with pytest.raises(Unreadable, match="document type"):
        ScanSettings.read((prolog + body).decode().encode(codec))


def test_deep_nesting_and_many_namespaces_are_refused():
    with pytest.raises(Unreadable):
        ScanSettings.read(document("<a>" * 300 + "</a>" * 300))
    with pytest.raises(Unreadable, match="namespaces"):
        ScanSettings.read(document("".join(f"<a xmlns:n{number}='urn:{number}'/>" for number in range(1500))))


@pytest.mark.parametrize("data", [
    document("")[:-5], document("") + b"<again/>", document("").replace(b"scan:Sc", b"scan:\xff\xfe"), b"\0" * 1000,
    b'<?xml version="1.0" encoding="utf-7"?><a/>', document("\0"), document("&#0;"), document("&nbsp;"),
    document("<scan:Intent a='1' a='2'/>"), b"<" * MAX_BODY, b" " * MAX_BODY])
def test_documents_that_are_not_well_formed_are_refused(data):
    with pytest.raises(Unreadable):
        ScanSettings.read(data)


@pytest.mark.parametrize("content", [
    "<scan:Intent>" + "<!-- -->" * 7000 + "Photo</scan:Intent>", "<?a b?>" * 9000 + "<scan:Intent>Photo</scan:Intent>",
    "<v:x xmlns:v='urn:v'/>" * 900 + "<scan:Intent>Photo</scan:Intent>",
    "<scan:Intent><![CDATA[Pho]]><![CDATA[to]]></scan:Intent>", "<scan:Intent>Pho<b>to</b></scan:Intent>",
    "<scan:Intent>Photo</scan:Intent>" + "<scan:Intent>Document</scan:Intent>" * 1700])
def test_padding_does_not_hide_a_value(content):
    assert ScanSettings.read(document(content)) == ScanSettings(intent="Photo")


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_other_encodings_are_read(codec):
    text = f'<ScanSettings xmlns="{SCAN}"><Version xmlns="{PWG}">2.6</Version></ScanSettings>'
    assert ScanSettings.read(text.encode(codec)) == ScanSettings("2.6")
