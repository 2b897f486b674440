"""Tests of exchangelog.images: images in answers are left out, and their notes are read."""

import pytest

from tests.replay.folders import IMAGE
from wsdgateway.exchangelog.images import Sieve, read_note


def test_an_interim_answer_is_no_image():
    """An interim answer with a body, which is not permitted."""
    raw = b"HTTP/1.1 199 X\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\n\xff\xd8\xff\xe0x"
    sieve = Sieve()
    sieve.feed(raw)
    assert (sieve.kept(), sieve.leaves_out) == (raw, False)


@pytest.mark.parametrize(("body", "is_image"), [
    (b"\r\n <?xml version='1.0'?><a/>", False), (b"\xef\xbb\xbf<a/>", False), (b"\xff\xd8\xff\xe0", True),
    (b" \r\n", False)])
def test_an_image_is_recognised_in_pieces_of_any_size(body, is_image):
    for size in (1, 100):
        raw, sieve = b"HTTP/1.0 200 OK\r\n\r\n" + body, Sieve()
        for at in range(0, len(raw), size):
            sieve.feed(raw[at:at + size])
        assert (b"<image left out: 4 bytes" in sieve.kept()) is is_image
        assert sieve.leaves_out is is_image


@pytest.mark.parametrize("note", [
    IMAGE.note().replace(b"JPEG", b"FOO"), IMAGE.note().replace(b"40x30", b"40x100000000"),
    IMAGE.note().replace(b"5000", b"9" * 5000), IMAGE.note().replace(b"SHA-256 0", b"SHA-256 g"), b""])
def test_invalid_notes(note):
    assert read_note(note) is None


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n"
XML, JPEG, MULTIPART = HEAD % b"text/xml", HEAD % b"image/jpeg", HEAD % b"multipart/related; boundary=b"
PART = b"--b\r\nContent-Type: text/xml\r\n\r\n"


@pytest.mark.parametrize(("steps", "end"), [
    # unchanged: no images, unreadable, or not yet decided
    ([(XML[:20], False), (XML[20:], False), (b"<a/>", False)], b"<a/>"),
    ([(JPEG, False), (b"\r\n", False), (b"<a/>", False)], b"<a/>"),
    ([(JPEG, False), (b"\r\n", False)], b"\r\n"),
    ([(b"nonsense", False), (JPEG, False)], JPEG),
    ([(b"HTTP/1.1", False)], b"HTTP/1.1"),
    # an image
    ([(JPEG, False), (b"\xff", False), (b"\xd8\xff\xe0", True), (b"\0" * 6, True)], b"transfer coding>\r\n"),
    ([(JPEG.replace(b"Content-T", b"Content-Length: 9\r\nContent-T"), False), (b"\xff\xd8\xff\xe0", True)],
     b"broken off>\r\n"),
    # parts
    ([(MULTIPART, True), (PART + b"<a/>\r\n", True), (b"--b--", True)], b"transfer coding>\r\n"),
    ([(MULTIPART, True), (PART, True)], b"broken off>\r\n"),
    ([(MULTIPART, True), (b"--b\r\n" + b"x" * 20000, True), (b"--b--", True)], b"broken off>\r\n"),
])
def test_the_step_at_which_images_are_recognised_and_the_end_of_the_answer(steps, end):
    sieve = Sieve()
    for data, leaves_out in steps:
        sieve.feed(data)
        assert sieve.leaves_out is leaves_out
    kept = sieve.kept()
    assert kept.endswith(end) and sieve.leaves_out is leaves_out
    assert leaves_out or kept == b"".join(data for data, _ in steps)
    sieve.feed(b"more")
    assert sieve.kept() == kept + (b"" if leaves_out else b"more")
