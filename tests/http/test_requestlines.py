"""Tests of http.requestlines: request lines are found in a connection's bytes, and only single blanks are accepted."""

import pytest

from wsdgateway.http.requestlines import RequestLines, Stage

LINE = b"POST /scan HTTP/1.1\r\n"
ODD = b"POST  /scan HTTP/1.1\r\n"
LENGTH = b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def lines(data, stage=Stage.BETWEEN):
    made = RequestLines()
    made.feed(data, stage)
    return made


@pytest.mark.parametrize(("line", "plain"), [
    (LINE, True), (b"\r\n" + LINE, True), (ODD, False), (b"POST /scan  HTTP/1.1\r\n", False),
    (b"POST\t/scan HTTP/1.1\r\n", False), (b" POST /scan HTTP/1.1\r\n", False), (b"POST /scan HTTP/1.1 \r\n", False)])
def test_only_single_blanks_are_plain(line, plain):
    assert lines(line).is_plain() is plain


def test_a_head_may_come_in_pieces():
    made = lines(ODD[:5])
    made.feed(ODD[5:], Stage.HEAD)
    assert not made.is_plain()


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED])
def test_a_request_behind_another_in_one_read_is_found(framing):
    made = lines(LINE + framing + ODD)
    assert made.is_plain()
    made.ended, made.chunked = True, framing is CHUNKED
    made.begin_behind()
    assert not made.is_plain()
    assert not made.ended


def test_a_request_behind_a_body_from_an_earlier_read_is_found():
    made = lines(b"hello" + ODD, Stage.BODY)
    made.body, made.ended = 5, True
    made.begin_behind()
    assert not made.is_plain()


def test_behind_a_chunked_body_from_an_earlier_read_the_line_is_not_checked():
    made = lines(b"5\r\nhello\r\n0\r\n\r\n" + ODD, Stage.BODY)
    made.body, made.ended, made.chunked = 5, True, True
    made.begin_behind()
    assert made.is_plain()


def test_each_read_between_requests_begins_anew():
    made = lines(LINE + LENGTH)
    made.clear()
    made.feed(ODD, Stage.BETWEEN)
    assert not made.is_plain()
