"""Tests of http.heads: repair of the heads of answers, and the tolerance of `lenient`."""


import pytest

from tests.http.answers import BYTES, TWO, WHOLE, body, ends_early, read
from wsdgateway.http.responses import BadAnswer


@pytest.mark.parametrize("framing", [
    b"Content-Length : 5\r\n\r\nhello", b"Content-Length\t \t:5\r\n\r\nhello",
    b"Transfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"])
@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 100 Continue\r\nX : interim\r\n\r\n", b"\r\n"])
@pytest.mark.parametrize("cut", [WHOLE, BYTES, TWO], ids=["whole", "bytes", "two"])
def test_a_blank_before_a_colon_is_removed(framing, lenient, before, cut):
    """RFC 9112 section 5.1: a recipient of an answer removes it from any field."""
    reader, events = read(cut(before + b"HTTP/1.1 200 OK\r\nServer : x : y\r\nX-A\t: b\r\nY: c :d\r\n" + framing),
                          lenient=lenient)
    assert events[0].headers[:3] == [(b"Server", b"x : y"), (b"X-A", b"b"), (b"Y", b"c :d")]
    assert events[0].headers[3][0] in (b"Content-Length", b"Transfer-Encoding")
    assert (body(events), reader.reusable) == (b"hello", not ends_early(framing, lenient, cut))


@pytest.mark.parametrize("field", [b"Ser ver : x", b" : x", b"Server x", b"X(y) : z", b"X: y\r\n Z : folded"])
def test_invalid_fields_are_not_repaired(field):
    with pytest.raises(BadAnswer):
        read([b"HTTP/1.1 200 OK\r\n" + field + b"\r\nContent-Length: 0\r\n\r\n"])


@pytest.mark.parametrize("framing", [
    b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", b"Content-Length: 5, 5\r\n\r\nhello",
    b"content-length : 5\r\nContent-Length: 05 ,5,\t5\r\n\r\nhello",
    b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    b"Transfer-Encoding : Identity\r\n\r\nhello", b"Transfer-Encoding: identity\r\n\r\nhello",
    b"Transfer-Encoding: identity, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"])
@pytest.mark.parametrize("cut", [WHOLE, BYTES, TWO], ids=["whole", "bytes", "two"])
def test_a_lenient_reader_accepts_equal_lengths_and_the_identity_coding(framing, cut):
    data = b"HTTP/1.1 200 OK\r\nX: y\r\n" + framing
    _, events = read(cut(data), eof=True, lenient=True)
    assert body(events) == b"hello"
    assert [name.lower() for name, _ in events[0].headers].count(b"content-length") <= 1
    with pytest.raises(BadAnswer):
        read(cut(data), eof=True)


@pytest.mark.parametrize("framing", [
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"Content-Length: 5, 6\r\n\r\nhello",
    b"Content-Length: 5,\r\n\r\nhello", b"Content-Length: 5, x\r\n\r\nhello", b"Content-Length: -5, -5\r\n\r\nhello",
    b"Transfer-Encoding: gzip\r\n\r\nhello", b"Transfer-Encoding: identity, gzip\r\n\r\nhello"])
@pytest.mark.parametrize("lenient", [False, True])
def test_contradicting_lengths_are_an_error_even_if_lenient(framing, lenient):
    with pytest.raises(BadAnswer):
        read([b"HTTP/1.1 200 OK\r\n" + framing], eof=True, lenient=lenient)
