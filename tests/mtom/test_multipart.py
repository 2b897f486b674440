"""Tests of mtom.multipart: multipart bodies read whole, byte by byte and at any cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.mtom.multipart import (
    MAX_EPILOGUE,
    MAX_PART_HEAD,
    BadMultipart,
    Closed,
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
)

IMAGE = b"\xff\xd8\r\n--not-it\r\n\r\n--boundar\x00" + bytes(range(256)) + b"\r\n--"
BODY = (b"preamble\r\n--boundary\r\nContent-Type: application/xop+xml\r\nContent-ID: <0>\r\n\r\n<soap/>\r\n"
        b"--boundary \r\nContent-Type: image/jpeg\r\n\r\n" + IMAGE + b"\r\n--boundary--\r\nepilogue")


def read(*pieces):
    reader = MultipartReader(b"boundary")
    heads, parts = [], []
    for piece in (*pieces, None):
        for event in reader.end() if piece is None else reader.feed(piece):
            if isinstance(event, PartBegin):
                heads.append(event.head)
                parts.append(b"")
            elif isinstance(event, PartData):
                parts[-1] += bytes(event.data)
            else:
                assert isinstance(event, PartEnd | Closed)
    return reader, heads, parts


@pytest.mark.parametrize("cut", [
    lambda d: [d], lambda d: [d[i:i + 1] for i in range(len(d))], lambda d: [d, b"more epilogue"]],
    ids=["whole", "bytes", "trailing"])
def test_parts_are_read_unchanged(cut):
    reader, heads, parts = read(*cut(BODY))
    assert reader.closed
    assert heads[1] == b"Content-Type: image/jpeg"
    assert parts == [b"<soap/>", IMAGE]


@given(st.lists(st.integers(0, len(BODY)), max_size=10))
def test_any_cut(cuts):
    places = [0, *sorted(cuts), len(BODY)]
    reader, _, parts = read(*(BODY[a:b] for a, b in itertools.pairwise(places)))
    assert reader.closed
    assert parts == [b"<soap/>", IMAGE]


@given(st.lists(st.binary(max_size=200).filter(lambda b: b"--boundary" not in b), min_size=1, max_size=4), st.randoms())
def test_any_content(contents, random):
    body = b"".join(b"--boundary\r\nA: b\r\n\r\n" + content + b"\r\n" for content in contents) + b"--boundary--"
    pieces = []
    while body:
        size = random.randint(1, 40)
        pieces.append(body[:size])
        body = body[size:]
    reader, _, parts = read(*pieces)
    assert reader.closed
    assert parts == contents


def test_empty_parts_and_parts_without_headers():
    _, heads, parts = read(b"--boundary\r\nA: b\r\n\r\n\r\n--boundary\r\n\r\nx\r\n--boundary--")
    assert heads == [b"A: b", b""]
    assert parts == [b"", b"x"]


def test_bare_line_feeds_of_old_devices():
    _, heads, parts = read(b"--boundary\nA: b\n\nxy\n--boundary--\n")
    assert (heads, parts) == ([b"A: b"], [b"xy"])


GLUED = (b"--boundary\r\nContent-Type: application/xop+xml\r\n\r\n<soap/>--boundary\r\nContent-Type: image/jpeg\r\n\r\n"
         + IMAGE + b"--boundary--")


@given(st.lists(st.integers(0, len(GLUED)), max_size=8), st.sampled_from([b"", b"\r\n", b"\n", b" \r\n\r\n"]))
def test_delimiters_without_a_line_break_before_them(cuts, end):
    """A Xerox WorkCentre 3025 writes such delimiters."""
    places = [0, *sorted(cuts), len(GLUED)]
    reader, heads, parts = read(*(GLUED[a:b] for a, b in itertools.pairwise(places)), end)
    assert reader.closed
    assert heads[1] == b"Content-Type: image/jpeg"
    assert parts == [b"<soap/>", IMAGE]


@pytest.mark.parametrize("content", [
    b"x--boundary--x", b"x--boundary--\r\nx", b"x--boundary", b"x--boundary\r\nx", b"x--boundary-", b"x--boundaryx",
    b"x--boundary\r\nContent\r\n", b"x--boundary\r\nX-Content-Type: a/b\r\n\r\n",
    b"x--boundary--" + b" " * (MAX_EPILOGUE + 1), b"--boundar", b"x--boundary--\0"])
@pytest.mark.parametrize("cut", [lambda d: [d], lambda d: [d[i:i + 1] for i in range(len(d))]], ids=["whole", "bytes"])
def test_other_delimiters_without_a_line_break_are_content(content, cut):
    whole = b"--boundary\r\n\r\n" + content
    reader, heads, parts = read(*cut(whole))
    assert (reader.closed, heads) == (False, [b""])
    assert content.startswith(parts[0])
    reader, heads, parts = read(*cut(whole + b"\r\n--boundary--"))
    assert (reader.closed, heads, parts) == (True, [b""], [content])


def test_the_last_delimiter_needs_no_line_break_behind_it():
    """A Canon MG3040 writes it so."""
    reader, _, parts = read(BODY.removesuffix(b"\r\nepilogue"))
    assert reader.closed and parts[1] == IMAGE


def test_without_the_end_it_is_not_closed():
    reader, _, parts = read(BODY[:-20])
    assert not reader.closed
    assert parts[1].startswith(IMAGE[:100])


def test_the_size_of_a_part_header_is_limited():
    with pytest.raises(BadMultipart):
        read(b"--boundary\r\nA: " + b"x" * (MAX_PART_HEAD + 10))


@pytest.mark.parametrize(("content_type", "boundary"), [
    (b'multipart/related; type="a/b"; boundary="a b"; start="x"', b"a b"),
    (b"Multipart/Related;BOUNDARY=abc;x=y", b"abc"), (b"multipart/related; boundary=", None),
    (b"image/jpeg; boundary=a", None), (b"multipart/related; boundary=" + b"x" * 71, None), (b"", None),
])
def test_boundaries(content_type, boundary):
    assert boundary_of(content_type) == boundary


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_bad_multipart(data):
    reader = MultipartReader(b"b")
    try:
        reader.feed(data)
        reader.feed(data)
    except BadMultipart:
        pass


@given(st.lists(st.integers(1, 30000), max_size=6), st.integers(0, 60))
def test_large_pieces(cuts, before_the_end):
    image = b"\r\n--boundar" * 4000 + b"x" * before_the_end
    body = b"--boundary\r\n\r\n\r\n--boundary\r\nA: b\r\n\r\n" + image + b"\r\n--boundary--\r\n"
    pieces = []
    for cut in cuts:
        pieces.append(body[:cut])
        body = body[cut:]
    reader, _, parts = read(*pieces, body)
    assert reader.closed
    assert parts == [b"", image]
