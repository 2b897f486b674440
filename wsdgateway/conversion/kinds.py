"""Kinds and bounds of the pages that can be converted, for every process; this module loads no image library."""

from wsdgateway.bridge.frontends.escl.formats import BMP, JPEG, PDF, PNG, TIFF

MAX_PIXELS = 150_000_000  # of a page that is decoded: A4 at 1200 dpi has 139 million
MAX_BYTES = 512 << 20  # of a page that is converted
MAX_PAGES = 10_000  # of a PDF
START = 8  # bytes by which `kind_of` recognises a page
_STARTS = ((b"\xff\xd8", JPEG), (b"%PDF", PDF), (b"\x89PNG", PNG), (b"II*\x00", TIFF), (b"MM\x00*", TIFF), (b"BM", BMP))


class Unconvertible(Exception):
    """A page cannot be converted; the text says why."""


def kind_of(start: bytes) -> str | None:
    """The media type of an image by its first bytes; None if it is none that eSCL knows."""
    return next((media for signature, media in _STARTS if start.startswith(signature)), None)
