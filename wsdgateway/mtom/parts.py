"""The MIME header of a part: its fields, what kind of part it is, and its content without its transfer encoding.

RFC 2045, section 6 (Content-Transfer-Encoding); RFC 2387, section 3.2 (the parameter `start` names the root part).
"""

import binascii
import re
from enum import Enum
from typing import Protocol

MAX_HELD = 256  # bytes at the end of quoted-printable that may belong to what follows; RFC 2045 has lines of 76

_START = re.compile(rb';\s*start\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_XML = re.compile(rb"(?:application|text)/(?:[\w.-]+\+)?xml")
_NOT_BASE64 = bytes(byte for byte in range(256) if not re.match(rb"[A-Za-z0-9+/=]", bytes([byte])))
_ESCAPE_BEGUN = re.compile(rb"=[0-9A-Fa-f]?\Z|=[ \t]*\r?\Z|[ \t]+\r?\Z|\r\Z")


class BadTransferEncoding(Exception):
    """The content is not in the transfer encoding that its header names."""


class Decoder(Protocol):
    """Takes a transfer encoding off a content that comes in pieces."""

    def feed(self, data: memoryview) -> bytes | memoryview:
        """Decode these bytes. Raises `BadTransferEncoding`."""

    def end(self) -> bytes:
        """Decode the remaining bytes. Raises `BadTransferEncoding`."""


def field(head: bytes, name: bytes) -> bytes:
    """The value of the field with that lower-case name in a part's header; empty where it is missing."""
    for line in re.sub(rb"\r?\n[ \t]+", b" ", head).splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def start_of(content_type: bytes) -> bytes | None:
    """The Content-ID of the root part that a multipart Content-Type names; None where it names none."""
    found = _START.search(content_type)
    return None if found is None else _identifier(found[1] or found[2] or b"") or None


def _identifier(value: bytes) -> bytes:
    return value.strip().removeprefix(b"<").removesuffix(b">")


class Kind(Enum):
    """The role of a part in an answer to RetrieveImage."""

    ROOT = "root"
    IMAGE = "image"
    OTHER = "other"


class Kinds:
    """Tells an answer's parts apart, in their order. `start` is the Content-ID of the root, if Content-Type names it.

    Without such a part the root is the first XML document, or the first part that is no image. The image is the first
    of the others.
    """

    def __init__(self, start: bytes | None) -> None:
        self._start = start
        self._seen: set[Kind] = set()

    def of(self, head: bytes) -> Kind:
        """The kind of the next part, which has this MIME header. A later root takes the place of one before it."""
        kind = self._kind(head)
        self._seen.add(kind)
        return kind

    def _kind(self, head: bytes) -> Kind:
        media, named = field(head, b"content-type").lower(), _identifier(field(head, b"content-id"))
        if self._start is not None and named == self._start:
            return Kind.ROOT
        if _XML.match(media):
            return Kind.OTHER if Kind.ROOT in self._seen else Kind.ROOT
        is_named = self._start is not None and bool(named)
        if not self._seen and not is_named and not media.startswith(b"image/"):
            return Kind.ROOT
        return Kind.OTHER if Kind.IMAGE in self._seen else Kind.IMAGE


def decoder_of(head: bytes) -> Decoder:
    """The decoder for a part with this MIME header; `binary` and unknown encodings change nothing."""
    encoding = field(head, b"content-transfer-encoding").lower()
    if encoding == b"base64":
        return _Base64()
    return _QuotedPrintable() if encoding == b"quoted-printable" else _Identity()


class _Identity:
    def feed(self, data: memoryview) -> memoryview:
        return data

    def end(self) -> bytes:
        return b""


class _Base64:
    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: memoryview) -> bytes:
        digits = self._held + bytes(data).translate(None, _NOT_BASE64)
        whole = len(digits) // 4 * 4
        self._held = digits[whole:]
        return self._decoded(digits[:whole])

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return self._decoded(held + b"=" * (-len(held) % 4))

    def _decoded(self, data: bytes) -> bytes:
        try:
            return binascii.a2b_base64(data)
        except binascii.Error as error:
            raise BadTransferEncoding(f"base64 that can't be decoded: {error}") from None


class _QuotedPrintable:
    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: memoryview) -> bytes:
        text = self._held + bytes(data)
        begun = _ESCAPE_BEGUN.search(text, max(0, len(text) - MAX_HELD))
        whole = len(text) if begun is None else begun.start()
        self._held = text[whole:]
        return binascii.a2b_qp(text[:whole])

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return binascii.a2b_qp(held)
