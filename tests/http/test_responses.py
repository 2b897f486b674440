"""Tests of http.responses: a device's answers in every framing and at every cut, tolerated and refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.answers import BYTES, TWO, WHOLE, body, ends_early, read
from tests.http.pieces import bytes_of
from wsdgateway.http.responses import AnswerStage, BadAnswer, End, Head, ResponseReader

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 10\r\n\r\n0123456789"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n7\r\n3456789\r\n0\r\n\r\n"
UNFRAMED = b"HTTP/1.0 200 OK\r\n\r\n0123456789"
BARE_LF = b"HTTP/1.1 200 OK\nContent-Length: 10\n\n0123456789"


@pytest.mark.parametrize(("data", "eof", "lenient", "reusable"), [
    (LENGTH, False, False, True), (CHUNKED, False, False, True), (UNFRAMED, True, False, False),
    (BARE_LF, False, True, True), (LENGTH, False, True, True), (CHUNKED, False, True, True),
    (UNFRAMED.replace(b"1.0", b"1.1"), True, False, False),
    (LENGTH.replace(b"1.1", b"1.0"), False, False, False),
    (LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False, False, False),
])
@pytest.mark.parametrize("cut", [lambda d: [d], bytes_of, lambda d: [d[:30], d[30:]]], ids=["whole", "bytes", "two"])
def test_an_answer_is_read_at_every_cut(data, eof, lenient, reusable, cut):
    reader, events = read(cut(data), eof=eof, lenient=lenient)
    assert isinstance(events[0], Head)
    assert (events[0].status, events[0].reason) == (200, b"OK")
    assert body(events) == b"0123456789"
    assert isinstance(events[-1], End)
    assert reader.reusable is (reusable and not ends_early(data, lenient, cut))


@given(st.lists(st.integers(0, len(CHUNKED)), max_size=8), st.sampled_from([LENGTH, CHUNKED]))
def test_any_cut(cuts, data):
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    _, events = read([piece for a, b in itertools.pairwise(places) if (piece := data[a:b])])
    assert body(events) == b"0123456789"


@pytest.mark.parametrize("data", [LENGTH[:-1], CHUNKED[:-3], LENGTH[:20], b"", b"HTTP/1.1 200 OK\r\n"])
def test_an_incomplete_answer_is_an_error(data):
    reader = ResponseReader()
    if data:
        reader.feed(data)
    with pytest.raises(BadAnswer):
        reader.eof()


@pytest.mark.parametrize("data", [LENGTH + b"x", LENGTH + b"\r\n", CHUNKED + b"HTTP/1.1 200 OK\r\n\r\n",
                                  CHUNKED + b"\x00"])
@pytest.mark.parametrize("cut", [lambda d: [d], bytes_of, lambda d: [d[:60], d[60:]]], ids=["whole", "bytes", "two"])
def test_trailing_data_is_ignored_and_ends_the_connection(data, cut):
    reader, events = read(cut(data))
    assert body(events) == b"0123456789"
    assert isinstance(events[-1], End)
    assert not reader.reusable or data.endswith(b"9\r\n")


@pytest.mark.parametrize("endless", [
    b"HTTP/1.1 200 OK\r\nA: b\r\nX: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: ",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"])
def test_an_endless_line_is_an_error(endless):
    with pytest.raises(BadAnswer):
        read([endless, *[b"a" * 10000] * 30])


@pytest.mark.parametrize("data", [
    b"nonsense\r\n\r\n", b"\x00\x01", BARE_LF, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100000 + b"\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
])
def test_an_invalid_answer_is_an_error(data):
    with pytest.raises(BadAnswer):
        read([data])


@pytest.mark.parametrize("data", [
    *(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n" for coding in [
        b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked\r\nTransfer-Encoding: chunked",
        b"identity"]),
    b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_only_chunked_and_http_1_are_understood(data):
    """RFC 9112 section 6.1. A client would get a body with an encoding that it does not know."""
    with pytest.raises(BadAnswer):
        read([data], eof=True)


def test_chunks_in_http_1_0_are_read_and_the_connection_is_not_reused():
    """RFC 9112 section 6.1."""
    data = CHUNKED.replace(b"1.1 200 OK\r\n", b"1.0 200 OK\r\nConnection: keep-alive\r\n")
    reader, events = read([data])
    assert body(events) == b"0123456789"
    assert not reader.reusable


def test_control_characters_become_blanks():
    """RFC 9110 section 5.5: where they are accepted, they become blanks."""
    _, [head, _] = read([b"HTTP/1.1 200 a\x00b\x1b\r\nContent-Length: 0\r\n\r\n"])
    assert head.reason == b"a b "
    _, [head, _] = read([b"HTTP/1.1 200 OK\r\nX: a\x00b\tc\x7f\r\nContent-Length: 0\r\n\r\n"], lenient=True)
    assert head.headers[0] == (b"X", b"a b\tc")


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.mark.parametrize(("end", "closes"), [
    (b"0\r\n", True), (b"0", True), (b"0\r", True), (b"0\r\n\r", True), (b"00\r\n", True), (b"0;a=b\r\n", True),
    (b"0\r\nHTTP/1.1 200 OK\r\n\r\n", False), (b"0\r\n\x00\x00", False)])
@pytest.mark.parametrize("cut", [WHOLE, BYTES, TWO], ids=["whole", "bytes", "two"])
def test_a_lenient_reader_accepts_a_last_chunk_without_its_final_line_break(end, closes, cut):
    reader, events = read(cut(CHUNKS + end), eof=closes, lenient=True)
    assert (body(events), events[-1], reader.reusable) == (b"hello", End(), False)
    with pytest.raises(BadAnswer):
        read(cut(CHUNKS + end), eof=closes)


@pytest.mark.parametrize("end", [b"0\r\n", b"000\r\n", b"0;a=b\r\n", b"0 \r\n"])
@pytest.mark.parametrize("cut", [WHOLE, BYTES, TWO], ids=["whole", "bytes", "two"])
def test_a_lenient_reader_ends_at_the_last_chunk_of_a_connection_that_stays_open(end, cut):
    reader, events = read(cut(CHUNKS + end), lenient=True)
    assert (body(events), events[-1], reader.reusable) == (b"hello", End(), False)
    assert reader.feed(b"\r\n") == []
    assert End() not in read(cut(CHUNKS + b"0\r\n"))[1]


@pytest.mark.parametrize("end", [
    b"", b"5\r\n", b"5", b"50\r\n", b"3\r\n\n0", b"1\r\n0", b"10\r\n\r\n\r\n", b"000", b"x",
    b"8\r\nab\r\n0\r\n", b"8\r\n\r\n0\r\n"])
@pytest.mark.parametrize("cut", [WHOLE, BYTES], ids=["whole", "bytes"])
def test_a_lenient_reader_refuses_incomplete_answers(end, cut):
    with pytest.raises(BadAnswer):
        read(cut(CHUNKS + end), eof=True, lenient=True)


def test_interim_answers_are_skipped():
    _, events = read([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\n" + LENGTH])
    assert events[0].status == 200
    assert events[0].headers[0] == (b"Content-Type", b"a/b")


@pytest.mark.parametrize("framing", [
    b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"])
@pytest.mark.parametrize("cut", [lambda d: [d], bytes_of], ids=["whole", "bytes"])
def test_a_body_of_an_answer_without_body_is_ignored(framing, cut):
    reader, events = read(cut(b"HTTP/1.1 204 No Content\r\n" + framing))
    assert [type(event) for event in events] == [Head, End]
    assert not reader.reusable
    with pytest.raises(BadAnswer):
        read(cut(b"HTTP/1.1 199 Soon\r\n" + framing))


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_answers_have_no_body(status):
    reader, events = read([b"HTTP/1.1 " + status + b"\r\n\r\n"])
    assert events[-1] == End()
    assert reader.reusable


@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_any_bytes_raise_only_bad_answer(data, lenient):
    reader = ResponseReader(lenient)
    try:
        reader.feed(data)
        reader.eof()
    except BadAnswer:
        pass


FIRST, HEAD, BODY, CHUNK, COUNTED, ENDED = AnswerStage
COUNTS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKS_FOLLOW = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("steps", "closed"), [
    ([], None),
    ([(b"H", HEAD), (b"TTP/1.1 100 Continue\r\n\r\n", HEAD), (b"HTTP/1.1 200 OK\r\n", HEAD)], None),
    ([(COUNTS, COUNTED), (b"1", COUNTED), (b"2", ENDED), (b"more", ENDED)], ENDED),
    ([(COUNTS + b"1", COUNTED), (b"2 and more", ENDED)], ENDED),
    ([(COUNTS, COUNTED)], None),
    ([(COUNTS + b"12", ENDED)], ENDED),
    ([(b"HTTP/1.1 204 No Content\r\n\r\n", ENDED)], ENDED),
    ([(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", ENDED)], ENDED),
    ([(b"HTTP/1.0 200 OK\r\n\r\n", BODY), (b"12", BODY)], ENDED),
    ([(CHUNKS_FOLLOW, BODY), (b"2", BODY), (b"\r\n", CHUNK), (b"1", BODY), (b"2", BODY), (b"\r\n", BODY),
      (b"0\r\n", CHUNK), (b"X: y\r\n", CHUNK), (b"\r\n", ENDED)], ENDED),
    ([(CHUNKS_FOLLOW, BODY), (b"2\r\n", CHUNK)], None),
])
def test_the_stages_of_an_answer(steps, closed):
    """The stage after each piece; `closed` is the stage after the device has closed, or None if that is an error."""
    reader = ResponseReader()
    assert (reader.stage, reader.started, reader.ended) == (FIRST, False, False)
    for data, stage in steps:
        reader.feed(data)
        assert (reader.stage, reader.started, reader.ended) == (stage, True, stage is ENDED)
    if closed is None:
        with pytest.raises(BadAnswer):
            reader.eof()
    else:
        reader.eof()
        assert reader.stage is closed


@pytest.mark.parametrize(("steps", "closed"), [
    ([(CHUNKS_FOLLOW, BODY), (b"0\r\n", ENDED)], ENDED),
    ([(CHUNKS_FOLLOW, BODY), (b"0", BODY)], ENDED),
    ([(CHUNKS_FOLLOW, BODY), (b"2\r\n", CHUNK)], None),
    ([(b"HTTP/1.1 199 Soon\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n", CHUNK)], None),
    ([(b"HTTP/1.1 199 Soon\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HEAD), (COUNTS, COUNTED)], None),
])
def test_the_stages_of_an_answer_that_is_read_leniently(steps, closed):
    reader = ResponseReader(lenient=True)
    for data, stage in steps:
        reader.feed(data)
        assert reader.stage is stage
    if closed is None:
        with pytest.raises(BadAnswer):
            reader.eof()
    else:
        reader.eof()
        assert reader.stage is closed
