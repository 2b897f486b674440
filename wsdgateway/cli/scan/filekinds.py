"""The kinds of files: their suffixes, the WS-Scan formats that they are made from, and their first bytes.

WS-Scan, Format. Formats are in order of preference: sane-airscan's for JPEG, that of Windows for black and white.
"""

PDF, JPEG, PNG, TIFF = "pdf", "jpeg", "png", "tiff"

SUFFIXES = {".pdf": PDF, ".jpg": JPEG, ".jpeg": JPEG, ".png": PNG, ".tif": TIFF, ".tiff": TIFF}
SUFFIX = {PDF: ".pdf", JPEG: ".jpg", PNG: ".png", TIFF: ".tif", None: ".image"}

_G4 = ("tiff-single-g4", "tiff-single-g3mh")
_FORMATS = {JPEG: ("jfif", "exif"), PNG: ("png",), TIFF: ("tiff-single-uncompressed", "tiff-single-jpeg-tn2")}
_BILEVEL = {JPEG: _FORMATS[JPEG], PNG: ("png",), TIFF: (*_G4, "tiff-single-uncompressed")}
_MULTI = ("tiff-multi-uncompressed", "tiff-multi-g4", "tiff-multi-g3mh", "tiff-multi-jpeg-tn2")

KIND_OF_FORMAT = {
    "jfif": JPEG, "exif": JPEG, "png": PNG, **dict.fromkeys((*_FORMATS[TIFF], *_G4, *_MULTI), TIFF)}
# The values of --format: a kind of file, or a format of the specification.
CHOICES = (PDF, JPEG, "jpg", PNG, TIFF, *(name for name in KIND_OF_FORMAT if name != PNG))


def formats_for(kind: str, *, bilevel: bool) -> tuple[str, ...]:
    """The formats that a file of that kind can be made from, the best first."""
    if kind != PDF:
        return (_BILEVEL if bilevel else _FORMATS)[kind]
    # JPEG cannot store one bit per pixel, so it is last for bilevel scans.
    order = (TIFF, PNG, JPEG) if bilevel else (JPEG, PNG, TIFF)
    return tuple(name for image in order for name in formats_for(image, bilevel=bilevel))


def kind_of(head: bytes) -> str | None:
    """The kind of file that begins with these bytes; None if it is unknown."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"II*\0", b"MM\0*")):
        return TIFF
    return PDF if head.startswith(b"%PDF-") else None
