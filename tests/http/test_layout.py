"""Tests of http.layout: the end and the content of captured messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.http.layout import Splitter, layout

POST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n")
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


ZEROS = b"0" * 40


@pytest.mark.parametrize(("raw", "content"), [
    (POST, b"hello"), (CHUNKED, b"hello"), (GET, b""), (POST.replace(b"Length: ", b"Length: " + ZEROS), b"hello"),
    (CHUNKED.replace(b"\r\n2\r\n", b"\r\n" + ZEROS + b"2\r\n"), b"hello")])
def test_a_whole_request(raw, content):
    found = layout(raw + b"GET /next", request=True)
    assert found.end == len(raw)
    assert found.content(raw) == content


@pytest.mark.parametrize("raw", [POST, CHUNKED, GET])
def test_every_prefix_of_a_request_is_incomplete(raw):
    for cut in range(len(raw)):
        assert layout(raw[:cut], request=True).end is None


@pytest.mark.parametrize("length", [b"Content-Length: 2, 2", b"Content-Length : 2,02 ,\t2"])
def test_lengths_that_agree_are_one(length):
    raw = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\nhi"
    found = layout(raw + b"more", request=False)
    assert (found.end, found.content(raw)) == (len(raw), b"hi")


def test_interim_answers_and_blank_lines_are_skipped():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    raw = b"HTTP/1.1 100 Continue\r\n\r\n" + answer
    found = layout(raw, request=False)
    assert raw[found.start:found.end] == answer
    assert layout(b"\r\n" + POST, request=True).end == len(POST) + 2


def test_an_answer_without_a_length_lasts_until_the_connection_ends():
    raw = b"HTTP/1.0 200 OK\r\n\r\nwhatever"
    found = layout(raw, request=False)
    assert (found.end, found.content(raw)) == (None, b"whatever")


def test_a_lone_carriage_return_ends_a_line_of_old_devices():
    raw = b"HTTP/1.0 200 OK\r\nA: b\r\n\rwhat\r\n\r\never"
    assert layout(raw, request=False).content(raw) == b"what\r\n\r\never"


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"nonsense",
                                 b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_broken_requests_are_incomplete(raw):
    assert layout(raw, request=True).end is None


@given(st.lists(st.sampled_from([POST, CHUNKED, GET]), min_size=1, max_size=6), st.integers(1, 40))
def test_pipelined_requests_are_split_correctly(requests, size):
    splitter = Splitter()
    stream = b"".join(requests)
    for at in range(0, len(stream), size):
        splitter.feed(stream[at:at + size])
    assert [splitter.take() for _ in requests] == requests
    assert splitter.take() == b""
