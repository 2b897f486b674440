"""The parts of an answer that are images."""

import pytest

from tests.replay.folders import IMAGE
from wsdgateway.exchangelog.images import Sieve, read_note


def test_what_comes_before_the_answer_is_no_image():
    """An interim answer with a body, which there is not."""
    raw = b"HTTP/1.1 199 X\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\n\xff\xd8\xff\xe0x"
    sieve = Sieve()
    sieve.feed(raw)
    assert (sieve.kept(), sieve.leaves_out) == (raw, False)


@pytest.mark.parametrize(("body", "is_image"), [
    (b"\r\n <?xml version='1.0'?><a/>", False), (b"\xef\xbb\xbf<a/>", False), (b"\xff\xd8\xff\xe0", True),
    (b" \r\n", False)])
def test_what_is_an_image_does_not_depend_on_the_first_piece(body, is_image):
    for size in (1, 100):
        raw, sieve = b"HTTP/1.0 200 OK\r\n\r\n" + body, Sieve()
        for at in range(0, len(raw), size):
            sieve.feed(raw[at:at + size])
        assert (b"<image left out: 4 bytes" in sieve.kept()) is is_image
        assert sieve.leaves_out is is_image


@pytest.mark.parametrize("note", [
    IMAGE.note().replace(b"JPEG", b"FOO"), IMAGE.note().replace(b"40x30", b"40x100000000"),
    IMAGE.note().replace(b"5000", b"9" * 5000), IMAGE.note().replace(b"SHA-256 0", b"SHA-256 g"), b""])
def test_notes_that_are_none(note):
    assert read_note(note) is None
