"""Tests of http.requests: requests in every framing and at every cut, and refusals with their clauses of RFC 9110 and
9112.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.pieces import bytes_of
from wsdgateway.http.requests import MAX_HEADER_BLOCK, MAX_HEADERS, Continue, Refusal, Request, RequestReader

POST = b"POST /scan HTTP/1.1\r\nHost: gateway\r\n"
WHOLE = POST + b"Content-Type: application/soap+xml\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"


def read(*pieces, max_body=1000):
    reader = RequestReader(max_body)
    return [event for piece in pieces for event in reader.feed(piece)]


@pytest.mark.parametrize("data", [WHOLE, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("cut", [lambda d: [d], bytes_of, lambda d: [b"\r\n" + d]],
                         ids=["whole", "bytes", "after CRLF"])
def test_a_request_is_read_at_every_cut(data, cut):
    [request] = read(*cut(data))
    assert (request.method, request.path, request.body) == (b"POST", b"/scan", b"hello")
    assert request.keep_alive
    assert not request.http10
    assert request.host == b"gateway"


@given(st.lists(st.integers(0, len(WHOLE + CHUNKED + WHOLE)), max_size=12))
def test_pipelined_requests_come_in_order_for_any_cut(cuts):
    data = WHOLE + CHUNKED + WHOLE
    places = [0, *sorted(cuts), len(data)]
    events = read(*(data[a:b] for a, b in itertools.pairwise(places)))
    assert [event.body for event in events] == [b"hello"] * 3


def test_trailing_data_begins_the_next_request():
    reader = RequestReader(1000)
    [first] = reader.feed(WHOLE + b"POST /a")
    assert first.path == b"/scan"
    assert reader.reading
    [second] = reader.feed(b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert (second.path, second.body) == (b"/a", b"")
    assert not reader.reading


@pytest.mark.parametrize(("data", "status"), [
    # RFC 9112 6.1, 6.3: a body with two framings, or with an invalid one
    (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    (POST + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    (POST + b"Content-Length: +5\r\n\r\nhello", 400),
    (POST + b"Content-Length: -5\r\n\r\nhello", 400),
    (POST + b"Content-Length: 0x5\r\n\r\nhello", 400),
    (POST + b"Content-Length: 5 5\r\n\r\nhello", 400),
    (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n1\nx\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400),
    (POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    # RFC 9112 2.2, 5: lines
    (b"POST / HTTP/1.1\nHost: x\n\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\nContent-Length: 0\r\n\r\n", 400),
    (POST + b"X: a\r\n b\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    (POST + b"X : a\r\n\r\n", 400),
    (POST + b": a\r\n\r\n", 400),
    (POST + b"X: a\x00b\r\n\r\n", 400),
    (POST + b"X\x00: a\r\n\r\n", 400),
    (POST + b"X: a\rb\r\n\r\n", 400),
    # RFC 9112 3.2: Host
    (b"POST / HTTP/1.1\r\n\r\n", 400),
    (POST + b"Host: gateway\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    (b"POST / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    # RFC 9112 2.3, 3: the request line
    (b"GET /\r\n\r\n", 400),
    (b"POST / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"POST / HTTP/1.2\r\nHost: x\r\n\r\n", 400),
    (b"POST / http/1.1\r\nHost: x\r\n\r\n", 400),
    (b"POST / HTTP/1.1 x\r\nHost: x\r\n\r\n", 400),
    (b"post / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    # RFC 9110 10.1.1: Expect
    (POST + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\n", 417),
    # limits
    (POST + b"Content-Length: 1001\r\n\r\n", 413),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n", 413),
    (POST + b"X: " + b"x" * MAX_HEADER_BLOCK + b"\r\n\r\n", 431),
    (POST + b"X: " + b"x" * (2 * MAX_HEADER_BLOCK), 431),
    (b"POST /" + b"x" * (2 * MAX_HEADER_BLOCK), 431),
    (POST + b"X: 1\r\n" * MAX_HEADERS + b"\r\n", 431),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * MAX_HEADER_BLOCK, 431),
])
@pytest.mark.parametrize("cut", [lambda d: [d], bytes_of], ids=["whole", "bytes"])
def test_refusals(data, status, cut):
    events = read(*cut(data))
    assert [event.status for event in events if isinstance(event, Refusal)] == [status]
    assert isinstance(events[-1], Refusal)
    assert not [event for event in events if isinstance(event, Request)]
    assert events[-1].reason


def test_nothing_is_read_after_a_refusal():
    reader = RequestReader(1000)
    assert isinstance(reader.feed(b"nonsense\r\n\r\n")[-1], Refusal)
    assert reader.feed(WHOLE) == []


def test_a_good_request_before_a_bad_one_is_still_answered():
    first, second = read(WHOLE + b"POST / HTTP/1.1\r\n\r\n")
    assert first.body == b"hello"
    assert second.status == 400


@pytest.mark.parametrize("pieces", [1, 7])
def test_endless_framing_is_refused(pieces):
    extension = b"1;" + b"x" * 30000 + b"\r\na\r\n"
    assert read(POST + b"Transfer-Encoding: chunked\r\n\r\n", *[extension] * 5, max_body=1000)[-1].status == 400


@pytest.mark.parametrize(("head", "keep_alive", "http10"), [
    (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", False, False),
    (b"POST / HTTP/1.0\r\n", False, True),
    (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n", True, True),
    (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n", True, False),
])
def test_persistence(head, keep_alive, http10):
    [request] = read(head + b"Content-Length: 2\r\n\r\nhi")
    assert (request.keep_alive, request.http10, request.body) == (keep_alive, http10, b"hi")


def test_nothing_is_read_after_connection_close():
    [request] = read(POST + b"Connection: close\r\nContent-Length: 0\r\n\r\n" + WHOLE)
    assert request.path == b"/scan"


@pytest.mark.parametrize(("target", "path"), [
    (b"/a?b=c", b"/a"), (b"http://gateway:5357/a/b", b"/a/b"), (b"HTTP://gateway", b"/"), (b"*", b"*"),
    (b"http://gateway?x", b"/"),
    (b"http://gateway/a?x", b"/a"),
])
def test_targets(target, path):
    method = b"OPTIONS" if target == b"*" else b"POST"
    [request] = read(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert request.path == path


def test_expect_is_answered_before_the_body():
    reader = RequestReader(1000)
    head = POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    assert reader.feed(head) == [Continue()]
    [request] = reader.feed(b"hello")
    assert request.body == b"hello"


def test_expect_in_http_1_0_is_ignored():
    assert read(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n") == []


def test_expect_with_too_large_a_body_is_refused_at_once():
    [refusal] = read(POST + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
    assert refusal.status == 413


@pytest.mark.parametrize("framing", [
    b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"])
@pytest.mark.parametrize("cut", [lambda d: [d], bytes_of], ids=["whole", "bytes"])
def test_an_upgrade_is_ignored_and_the_connection_closed(framing, cut):
    data = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + framing + WHOLE
    [request] = read(*cut(data))
    assert (request.method, request.path, request.body, request.keep_alive) == (b"POST", b"/scan", b"hello", False)
    assert (b"Upgrade", b"h2c") in request.headers


def test_connect_is_a_request_like_others():
    [request] = read(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nanything")
    assert (request.method, request.path, request.keep_alive) == (b"CONNECT", b"a:1", False)


@given(st.binary(max_size=300))
def test_no_bytes_raise(data):
    reader = RequestReader(100)
    for event in reader.feed(data) + reader.feed(data):
        assert isinstance(event, Request | Refusal | Continue)


def test_a_tls_connection_to_a_port_for_plain_http_is_named():
    hello = b"\x16\x03\x01\x02\x00\x01"
    [refusal] = read(hello)
    assert refusal.reason == (
        "The client opened a TLS connection to a port for plain HTTP; the address must begin with http://.")
    [refusal] = read(POST, hello)
    assert "TLS" not in refusal.reason
