"""Finds the height of a JPEG image in its frame header, and in the marker DNL if the header does not have it.

ITU-T T.81, B.2.2 and B.2.5. Scanners that do not know the length of a sheet in advance write 0 or 65535 as the height,
and the real one after the first scan. libjpeg does not read it there, and clients show an error or an empty page.
"""

import attrs

MAX_HEADER = 262144  # bytes before the frame header, with thumbnails and profiles
UNKNOWN_HEIGHTS = (0, 65535)
_DNL = b"\xff\xdc\x00\x04"
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length


@attrs.frozen
class Frame:
    """The frame header of an image: its size in pixels, and the position of the two bytes of the height."""

    width: int
    height: int
    components: int
    position: int

    @property
    def is_height_known(self) -> bool:
        """True if the header has the real height."""
        return self.height not in UNKNOWN_HEIGHTS


class NotJpeg(ValueError):
    """The bytes are not the beginning of a JPEG image."""


def find_frame(data: bytes) -> Frame | None:
    """The frame header in the first bytes of an image; None if more bytes are needed. Raises `NotJpeg`."""
    if not data.startswith(b"\xff\xd8"[:len(data)]):
        raise NotJpeg("it does not begin with SOI")
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise NotJpeg("a segment does not begin with a marker")
        marker = data[position + 1]
        if marker == 0xFF or marker in _ALONE:  # a fill byte, or a marker without a segment
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (0xDA, 0xD9):
            raise NotJpeg("it has no frame header")
        if marker in _FRAMES:
            if position + 10 > len(data):
                return None
            return Frame(int.from_bytes(data[position + 7:position + 9]),
                         int.from_bytes(data[position + 5:position + 7]), data[position + 9], position + 5)
        position += 2 + int.from_bytes(data[position + 2:position + 4])
        if position > MAX_HEADER:
            raise NotJpeg("its frame header does not follow soon enough")
    return None


def real_height(data: bytes, expected: int) -> int:
    """The height in the marker DNL of a whole image; without one `expected`, at least 1.

    Entropy-coded data contains no such marker, since 0xFF is escaped in it.
    """
    found = data.rfind(_DNL)
    height = int.from_bytes(data[found + 4:found + 6]) if found >= 0 and found + 6 <= len(data) else 0
    return height if 0 < height < 65535 else max(1, min(expected, 65500))
