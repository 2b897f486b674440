"""Tests of bridge.frontends.escl.jpeg: the height of an image, also one that the scanner did not know in advance."""

import io

import pytest
from PIL import Image

from wsdgateway.bridge.frontends.escl.jpeg import MAX_HEADER, Frame, NotJpeg, find_frame, real_height


def image(size=(40, 30), mode="RGB", **more):
    file = io.BytesIO()
    Image.new(mode, size, "white").save(file, "JPEG", **more)
    return file.getvalue()


@pytest.mark.parametrize(("data", "size"), [
    (image(), (40, 30, 3)), (image(mode="L"), (40, 30, 1)), (image((2481, 3507)), (2481, 3507, 3)),
    (image(progressive=True), (40, 30, 3)), (image(exif=b"Exif\0\0" + b"x" * 60000), (40, 30, 3)),
    (b"\xff\xd8\xff\xff" + image()[3:], (40, 30, 3))])
def test_the_frame_header_of_an_image(data, size):
    frame = find_frame(data)
    assert (frame.width, frame.height, frame.components) == size
    assert data[frame.position:frame.position + 2] == frame.height.to_bytes(2)
    assert frame.is_height_known


def test_more_bytes_are_needed_until_the_header_is_there():
    data = image()
    end = find_frame(data).position + 5
    assert all(find_frame(data[:length]) is None for length in range(end))
    assert find_frame(data[:end]) == find_frame(data)


@pytest.mark.parametrize("data", [
    b"\x89PNG", b"%PDF-1.4", b"\xff\xd8\x00\x00\x00\x00", b"\xff\xd8\xff\xda\x00\x02", b"\xff\xd8\xff\xd9\x00\x00",
    b"\xff\xd8" + b"\xff\xe1\xff\xff".ljust(65537, b"x") * (MAX_HEADER // 65537 + 1)])
def test_bytes_that_are_no_usable_image(data):
    with pytest.raises(NotJpeg):
        find_frame(data)


@pytest.mark.parametrize(("height", "known"), [(0, False), (65535, False), (1, True), (65534, True)])
def test_unknown_heights(height, known):
    assert Frame(1, height, 1, 2).is_height_known is known


@pytest.mark.parametrize(("tail", "height"), [
    (b"\xff\xdc\x00\x04\x0d\xb3\xff\xd9", 3507), (b"\xff\xd9", 100), (b"\xff\xdc\x00\x04\x00\x00\xff\xd9", 100),
    (b"\xff\xdc\x00\x04\x0d", 100)])
def test_the_real_height(tail, height):
    assert real_height(image()[:-2] + tail, 100) == height
    assert real_height(b"", 0) == 1
