"""Tests of mtom.image: the image in an answer to RetrieveImage, in whatever pieces it arrives."""

import base64

import pytest

from wsdgateway.mtom.image import MAX_ROOT, ImageReader
from wsdgateway.mtom.multipart import BadMultipart
from wsdgateway.mtom.parts import BadTransferEncoding

TYPE = b'multipart/related; boundary=b; start="<root@x>"'
ROOT = b"<a/>"


def body(image=b"\xff\xd8 image \r\n--", media=b"image/jpeg", encoding=b"", root=ROOT):
    encoding = b"Content-Transfer-Encoding: " + encoding + b"\r\n" if encoding else b""
    return (b"--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <root@x>\r\n\r\n" + root
            + b"\r\n--b\r\nContent-Type: " + media + b"\r\nContent-ID: <i@x>\r\n" + encoding + b"\r\n" + image
            + b"\r\n--b--\r\n")


def read(pieces, content_type=TYPE):
    written = []
    reader = ImageReader(content_type, b"b", lambda data: written.append(bytes(data)))
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return reader, b"".join(written)


@pytest.mark.parametrize("cut", [lambda d: [d], lambda d: [d[i:i + 1] for i in range(len(d))],
                                 lambda d: [d, b"trailing"]], ids=["whole", "bytes", "trailing"])
def test_the_image_and_the_message_are_separated(cut):
    reader, image = read(cut(body()))
    assert image == b"\xff\xd8 image \r\n--"
    assert (reader.size, bytes(reader.root), reader.media_type, reader.closed) == (len(image), ROOT, "image/jpeg", True)


def test_the_media_type_has_no_parameters():
    assert read([body(media=b"Image/PNG; name=x")])[0].media_type == "image/png"


def test_a_transfer_encoding_is_removed():
    assert read([body(base64.encodebytes(b"image" * 50), encoding=b"base64")])[1] == b"image" * 50


def test_a_body_without_its_end_is_not_closed():
    reader, image = read([body()[:-9]])
    assert not reader.closed
    assert image.startswith(b"\xff\xd8 image")


def test_a_long_message_is_not_kept():
    reader, image = read([body(b"x", root=b"<" * (MAX_ROOT + 1))])
    assert (len(reader.root), image) == (0, b"x")


@pytest.mark.parametrize(("data", "error"), [
    (b"--b\r\n" + b"x" * 20000, BadMultipart), (body(b"a", encoding=b"base64"), BadTransferEncoding)])
def test_a_body_that_cannot_be_read_is_an_error(data, error):
    with pytest.raises(error):
        read([data])
