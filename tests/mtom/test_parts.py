"""Tests of mtom.parts: the kind of each part from its MIME headers, and contents in every transfer encoding at any cut.
"""

import base64
import binascii
import itertools
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.mtom.parts import BadTransferEncoding, Kind, Kinds, decoder_of, field, start_of

ROOT, IMAGE, OTHER = Kind.ROOT, Kind.IMAGE, Kind.OTHER
XOP = b"Content-Type: application/xop+xml; charset=UTF-8"
JPEG = b"Content-Type: image/jpeg"


def named(head, content_id):
    return head + b"\r\nContent-Id: <" + content_id + b">"


@pytest.mark.parametrize(("start", "heads", "kinds"), [
    (None, [XOP, JPEG], [ROOT, IMAGE]), (None, [b"", b""], [ROOT, IMAGE]),
    (None, [XOP, JPEG, JPEG], [ROOT, IMAGE, OTHER]),
    (b"r", [named(XOP, b"r"), named(JPEG, b"i")], [ROOT, IMAGE]),
    (b"r", [named(JPEG, b"i"), named(XOP, b"r")], [IMAGE, ROOT]),
    (b"r", [named(b"", b"i"), named(b"", b"r")], [IMAGE, ROOT]),
    (b"r", [named(XOP, b"m"), named(XOP, b"r"), named(JPEG, b"i")], [ROOT, ROOT, IMAGE]),
    (b"r", [named(XOP, b"r"), named(XOP, b"m"), named(JPEG, b"i")], [ROOT, OTHER, IMAGE]),
    (b"nowhere", [named(XOP, b"r"), named(JPEG, b"i")], [ROOT, IMAGE]), (b"nowhere", [b"", JPEG], [ROOT, IMAGE]),
    (None, [JPEG, XOP], [IMAGE, ROOT]), (None, [b"content-type:TEXT/XML", b"A: b"], [ROOT, IMAGE]),
])
def test_kinds(start, heads, kinds):
    found = Kinds(start)
    assert [found.of(head) for head in heads] == kinds


@pytest.mark.parametrize(("content_type", "start"), [
    (b'multipart/related; type="a/b"; start="<r@x>"; start-info="y"', b"r@x"), (b"multipart/related; start=<r>", b"r"),
    (b'multipart/related; START="r"', b"r"), (b'multipart/related; start-info="y"', None),
    (b"multipart/related", None), (b'multipart/related; start=""', None)])
def test_start(content_type, start):
    assert start_of(content_type) == start


def test_fields_of_a_header():
    head = b"Content-Type: a/b;\r\n c=d\r\ncontent-ID : <x> \r\nnonsense"
    assert field(head, b"content-type") == b"a/b; c=d"
    assert field(head, b"content-id") == b"<x>"
    assert field(head, b"nonsense") == b""


def decoded(encoding, data, cuts=()):
    decoder = decoder_of(b"Content-Transfer-Encoding: " + encoding)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [bytes(decoder.feed(memoryview(data[a:b]))) for a, b in itertools.pairwise(places)]
    return b"".join(pieces) + decoder.end()


CUTS = st.lists(st.integers(0, 600), max_size=8)


@given(st.binary(max_size=300), CUTS)
def test_base64_at_any_cut(content, cuts):
    for encoded in (base64.b64encode(content), base64.encodebytes(content), base64.b64encode(content).rstrip(b"="),
                    base64.encodebytes(content).replace(b"\n", b"\r\n ")):
        assert decoded(b"Base64", encoded, cuts) == content


@given(st.binary(max_size=200), CUTS)
def test_quoted_printable_at_any_cut(content, cuts):
    for encoded in (quopri.encodestring(content), binascii.b2a_qp(content, istext=False),
                    binascii.b2a_qp(content, istext=False).replace(b"=\n", b"= \t\r\n")):
        assert decoded(b"quoted-printable", encoded, cuts) == binascii.a2b_qp(encoded)


@pytest.mark.parametrize("encoding", [b"binary", b"8bit", b"7bit", b"x-unknown", b""])
def test_other_encodings_leave_the_content_unchanged(encoding):
    assert decoded(encoding, b"\xff=41 QQ==\r\n") == b"\xff=41 QQ==\r\n"


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_base64_in_several_blocks_with_padding(size):
    encoded = base64.b64encode(b"abcd") + base64.b64encode(b"efghi") + base64.b64encode(b"jkl")
    assert decoded(b"base64", encoded, range(0, len(encoded), size)) == b"abcdefghijkl"


def test_incomplete_base64_is_an_error():
    with pytest.raises(BadTransferEncoding, match="base64"):
        decoded(b"base64", b"QUJDR")
