"""The body of an upload: a form with one file, read from the disk while it is sent.

RFC 7578; names are escaped as browsers do (HTML, "multipart/form-data encoding algorithm").
"""

import os
from collections.abc import Callable
from pathlib import Path

_MEDIA = {".pdf": b"application/pdf", ".jpg": b"image/jpeg", ".jpeg": b"image/jpeg", ".png": b"image/png",
          ".tif": b"image/tiff", ".tiff": b"image/tiff"}
_ESCAPED = {b"\r": b"%0D", b"\n": b"%0A", b'"': b"%22", b"\0": b"%00"}


def quoted(text: str) -> bytes:
    """Returns a name as the value of a parameter of Content-Disposition, without the quotation marks around it."""
    data = text.encode("utf-8", "replace")
    for character, escaped in _ESCAPED.items():
        data = data.replace(character, escaped)
    return data


class Form:
    """A form, as a binary file to read, for `FileBodyProducer`. The constructor raises `OSError`.

    The file at `path` stays open until `close`, so that its length does not change. `on_read` is called at each
    read, with True once all has been read.
    """

    def __init__(self, path: Path, field: str, name: str, boundary: bytes, on_read: Callable[[bool], None]) -> None:
        self._on_read = on_read
        media = _MEDIA.get(Path(name).suffix.lower(), b"application/octet-stream")
        self._head = (b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: %b\r\n\r\n'
                      % (boundary, quoted(field), quoted(name), media))
        self._tail = b"\r\n--%b--\r\n" % boundary
        self.content_type = b"multipart/form-data; boundary=" + boundary
        self._descriptor: int | None = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._left = os.fstat(self._descriptor).st_size
        self.length = len(self._head) + self._left + len(self._tail)
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Sets the position that `tell` returns; needed only to find out the length."""
        self._position = self.length if whence == os.SEEK_END else offset
        return self._position

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def read(self, size: int) -> bytes:
        """Returns the next piece, empty at the end. Raises `OSError` if the file has become shorter."""
        if self._descriptor is None:
            raise OSError("the file is closed")
        self._on_read(not (self._head or self._left))
        if self._head:
            piece, self._head = self._head, b""
        elif self._left:
            piece = os.read(self._descriptor, min(size, self._left))
            if not piece:
                raise OSError("the file has become shorter")
            self._left -= len(piece)
        else:
            piece, self._tail = self._tail, b""
        return piece

    @property
    def is_read(self) -> bool:
        """True if all of the form has been read."""
        return not (self._head or self._left or self._tail)

    def close(self) -> None:
        """Close the file; further calls have no effect."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
