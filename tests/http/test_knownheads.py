"""Tests of http.knownheads: an answer whose head is known is read as the parser would read it."""

import httptools
import pytest

from wsdgateway.http import knownheads
from wsdgateway.http.knownheads import KnownHeads
from wsdgateway.http.responses import BadAnswer, Data, End, ResponseReader

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
ANSWER = HEAD + b"\r\nhello"


def read(pieces, known=None):
    """Returns head, body, end and the possibility to use the connection again, as a reader finds them."""
    reader = ResponseReader(known=known)
    try:
        events = [event for piece in pieces for event in reader.feed(piece)]
    except BadAnswer as error:
        return str(error)
    heads = [(event.status, event.reason, event.headers, event.length, event.framed, event.keep_alive)
             for event in events if not isinstance(event, Data | End)]
    body = b"".join(event.data for event in events if isinstance(event, Data))
    return heads, body, isinstance(events[-1], End) if events else False, reader.reusable, reader.started


@pytest.fixture
def known():
    """The heads of a reader that has read `ANSWER`."""
    known = KnownHeads()
    read([ANSWER], known)
    return known


def test_an_answer_with_a_known_head_is_not_parsed(known, monkeypatch):
    monkeypatch.setattr(httptools, "HttpResponseParser", None)
    heads, body, has_ended, is_reusable, _ = read([HEAD + b"\r\nworld"], known)
    assert heads == [(200, b"OK", [(b"Content-Type", b"text/plain"), (b"Content-Length", b"5")], 5, True, True)]
    assert (body, has_ended, is_reusable) == (b"world", True, True)


@pytest.mark.parametrize("answer", [
    ANSWER, ANSWER + b"x", ANSWER[:-1], HEAD, HEAD + b"\r\n", HEAD[:20], ANSWER + ANSWER, ANSWER.replace(b"OK", b"No"),
    ANSWER.replace(b"5", b"4"), b"\r\n" + ANSWER, b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER, b"nonsense", b"",
    HEAD + b"Connection: close\r\n\r\nhello", HEAD.replace(b"\r\n", b"\n") + b"\nhello"])
def test_every_other_answer_is_parsed(known, answer):
    in_bytes = [bytes([byte]) for byte in answer]
    for pieces in ([answer], [answer[:10], answer[10:]], [answer[:-2], answer[-2:]], in_bytes):
        assert read(pieces, known) == read(pieces)


@pytest.mark.parametrize("answer", [
    HEAD + b"Connection: close\r\n\r\nhello", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello",
    ANSWER + b"x", b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
    b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 3000 + b"\r\nContent-Length: 5\r\n\r\nhello"])
def test_other_heads_are_not_remembered(answer):
    known = KnownHeads()
    read([answer], known)
    assert known.find(answer) is None


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 304 No\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 5\r\n\r\nhello"])
def test_unusual_heads_are_read_alike_again_and_again(answer):
    known = KnownHeads()
    assert read([answer], known) == read([answer], known) == read([answer])


def test_a_head_is_not_remembered_if_its_body_came_later():
    known = KnownHeads()
    read([ANSWER[:-1], ANSWER[-1:]], known)
    assert known.find(ANSWER) is None


def test_a_body_without_content():
    empty = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    known = KnownHeads()
    assert read([empty], known) == read([empty], known) == read([empty])
    assert known.find(empty) is not None


def test_the_number_of_heads_is_bounded(monkeypatch):
    monkeypatch.setattr(knownheads, "MAX_HEADS", 2)
    known = KnownHeads()
    answers = [b"HTTP/1.1 200 OK\r\nX: %d\r\nContent-Length: 0\r\n\r\n" % number for number in range(3)]
    for answer in answers:
        read([answer], known)
    assert [known.find(answer) is None for answer in answers] == [True, False, False]


def test_lenient_readers_use_no_known_heads(known):
    reader = ResponseReader(lenient=True, known=known)
    reader.feed(HEAD + b"\r\nworld")
    assert reader.stage.name == "ENDED"
    assert known.find(HEAD + b"\r\nthere") is not None
