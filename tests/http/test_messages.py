"""Tests of http.messages: end-to-end header fields, media types and chunks."""


import pytest

from wsdgateway.http.messages import chunk, end_to_end, is_soap


def test_hop_by_hop_fields_are_removed():
    fields = [(b"Connection", b"close, X-Own"), (b"x-own", b"1"), (b"Keep-Alive", b"5"), (b"TE", b"t"), (b"A", b"b"),
              (b"Content-Length", b"5")]
    assert end_to_end(fields, frozenset((b"content-length",))) == [(b"A", b"b")]


@pytest.mark.parametrize(("value", "soap"), [
    (b"application/soap+xml", True), (b"Application/SOAP+XML ; charset=utf-8", True), (b"text/xml", False),
    (None, False), (b"application/soap+xmlx", False),
])
def test_soap_content_types(value, soap):
    assert is_soap(value) is soap


def test_chunks():
    assert b"".join(chunk(b"x" * 26)) == b"1a\r\n" + b"x" * 26 + b"\r\n"
