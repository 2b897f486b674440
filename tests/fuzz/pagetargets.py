"""Fuzz targets for the code that reads pages of scanners: multipart images, JPEG headers, sizes of images.

For any bytes, a target raises only `AssertionError`, if a guarantee is broken.
"""

import tempfile
from pathlib import Path

from wsdgateway.bridge.frontends.escl.jpeg import MAX_HEADER, UNKNOWN_HEIGHTS, NotJpeg, find_frame, real_height
from wsdgateway.conversion.images import size_of
from wsdgateway.conversion.kinds import START, Unconvertible, kind_of
from wsdgateway.mtom.image import ImageReader
from wsdgateway.mtom.multipart import BadMultipart
from wsdgateway.mtom.parts import BadTransferEncoding

CONTENT_TYPE = b'multipart/related; type="application/xop+xml"; boundary=boundary; start="<r@x>"'


def frame_of(data):
    try:
        return find_frame(data)
    except NotJpeg:
        return NotJpeg


def jpeg_frames(data):
    """A part of an image says the same as all of it, or nothing; the height can be written where it was found."""
    found = frame_of(data)
    for end in {0, 1, 2, 5, len(data) // 2, max(0, len(data) - 1)}:
        part = frame_of(data[:end])
        assert part is None or part == found
    if found is None or found is NotJpeg:
        return
    assert 2 <= found.position <= MAX_HEADER + 16
    assert int.from_bytes(data[found.position:found.position + 2]) == found.height
    height = real_height(data, found.width)
    assert height >= 1 and height not in UNKNOWN_HEIGHTS
    again = find_frame(data[:found.position] + height.to_bytes(2) + data[found.position + 2:])
    assert (again.height, again.width, again.is_height_known) == (height, found.width, True)


def read_image(pieces):
    """The image in a body that arrives in pieces, what is known about it, or the error."""
    found = bytearray()
    reader = ImageReader(CONTENT_TYPE, b"boundary", lambda data: found.extend(data))
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end()
    except (BadMultipart, BadTransferEncoding):
        return None
    assert reader.size == len(found)
    return bytes(found), bytes(reader.root), reader.media_type, reader.closed


def images(data):
    """An image is the same however its body is divided."""
    whole = read_image([data])
    for size in (1 if len(data) < 500 else 13, 7):  # byte by byte takes long
        assert read_image([data[at:at + size] for at in range(0, len(data), size)]) == whole


def page_sizes(data):
    """An image has a size, or cannot be read."""
    assert kind_of(data[:START]) is None or len(data) > 1
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            width, height, line = size_of(Path(file.name))
        except (Unconvertible, OSError):
            return
    assert width >= 0 and height >= 0 and line >= 0
