"""Parses the MIME header of a part, classifies parts, and removes transfer encodings.

RFC 2045, section 6 (Content-Transfer-Encoding); RFC 2387, section 3.2 (the parameter `start` names the root part).
"""

import binascii
import re
from enum import Enum
from typing import Protocol

# Bytes at the end of quoted-printable text that may belong to the following bytes; RFC 2045 limits lines to 76.
MAX_HELD = 256

_START = re.compile(rb';\s*start\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_XML = re.compile(rb"(?:application|text)/(?:[\w.-]+\+)?xml")
_NOT_BASE64 = bytes(byte for byte in range(256) if not re.match(rb"[A-Za-z0-9+/=]", bytes([byte])))
_ESCAPE_BEGUN = re.compile(rb"=[0-9A-Fa-f]?\Z|=[ \t]*\r?\Z|[ \t]+\r?\Z|\r\Z")


class BadTransferEncoding(Exception):
    """The content is not in the transfer encoding given in its header."""


class Decoder(Protocol):
    """Removes a transfer encoding from content that arrives in pieces."""

    def feed(self, data: memoryview) -> bytes | memoryview:
        """Decodes these bytes. Raises `BadTransferEncoding`."""

    def end(self) -> bytes:
        """Decodes the remaining bytes. Raises `BadTransferEncoding`."""


def field(head: bytes, name: bytes) -> bytes:
    """Returns the value of the field with that lower-case name in a part's header; empty if it is missing."""
    for line in re.sub(rb"\r?\n[ \t]+", b" ", head).splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def start_of(content_type: bytes) -> bytes | None:
    """Returns the Content-ID of the root part given by a multipart Content-Type; None if it gives none."""
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
    """Classifies an answer's parts, in order. `start` is the Content-ID of the root, if the Content-Type gives it.

    Without such a part, the root is the first XML document, or the first part that is not an image. The image is the
    first of the other parts.
    """

    def __init__(self, start: bytes | None) -> None:
        self._start = start
        self._seen: set[Kind] = set()

    def of(self, head: bytes) -> Kind:
        """Returns the kind of the next part, which has this MIME header. A later root supersedes an earlier one."""
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
    """Returns the decoder for a part with this MIME header; `binary` and unknown encodings are left unchanged."""
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
        """Decode whole groups of four. Padding does not end the content: some encoders write several blocks."""
        decoded, start = [], 0
        try:
            while (padding := data.find(b"=", start)) >= 0:
                group = start + (padding - start) // 4 * 4
                decoded += [binascii.a2b_base64(data[start:group]), binascii.a2b_base64(data[group:group + 4])]
                start = group + 4
            return b"".join((*decoded, binascii.a2b_base64(data[start:])))
        except binascii.Error as error:
            raise BadTransferEncoding(f"base64 that cannot be decoded: {error}") from None


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
