"""The formats of WS-Scan from which each media type of eSCL is made.

WS-Scan, FormatsSupported; eSCL, DocumentFormat. JPEG and PDF are made from every image that the scanner can send, so
that each client finds a type that it knows; the other types are offered only if the scanner has them. A media type's
own formats are first, then those that lose least by conversion.
"""

JPEG, PDF, PNG, TIFF, BMP = "image/jpeg", "application/pdf", "image/png", "image/tiff", "application/bmp"

_JFIF = ("jfif", "exif")
_TIFF = ("tiff-single-uncompressed", "tiff-single-jpeg-tn2")
_FAX = ("tiff-single-g4", "tiff-single-g3mh")  # one bit per pixel
BILEVEL = "BlackAndWhite1"
# The modes with 16 bits per sample, and those for media types with only 8.
DEEP = {"RGB48": "RGB24", "Grayscale16": "Grayscale8"}
_DEEP = ("png", "tiff-single-uncompressed")

_OWN = {PNG: ("png",), TIFF: (*_TIFF, *_FAX), BMP: ("dib",)}
_IMAGES = (*_JFIF, "png", *_TIFF, "dib")
_ORDER = {
    JPEG: _IMAGES,
    PDF: ("pdf-a", *_IMAGES),
    PNG: ("png", "tiff-single-uncompressed", "dib", *_JFIF, "tiff-single-jpeg-tn2"),
    TIFF: (*_TIFF, "png", "dib", *_JFIF),
    BMP: ("dib", "png", "tiff-single-uncompressed", *_JFIF, "tiff-single-jpeg-tn2"),
}
# A page of one bit per pixel is smallest, and undamaged, in the formats of faxes; JPEG cannot store it.
_BILEVEL_ORDER = {
    JPEG: (*_IMAGES, *_FAX),
    PDF: ("pdf-a", *_FAX, "png", *_TIFF, "dib", *_JFIF),
    PNG: ("png", *_FAX, "tiff-single-uncompressed", "dib", *_JFIF, "tiff-single-jpeg-tn2"),
    TIFF: (*_FAX, *_TIFF, "png", "dib", *_JFIF),
    BMP: ("dib", "png", *_FAX, "tiff-single-uncompressed", *_JFIF, "tiff-single-jpeg-tn2"),
}
MEDIA_TYPES = {name: media for media, names in (
    (JPEG, _JFIF), (PDF, ("pdf-a",)), *_OWN.items()) for name in names}


def media_types(formats: tuple[str, ...]) -> tuple[str, ...]:
    """The media types to offer for a scanner's formats; empty if none of these can be used."""
    made = (JPEG, PDF) if any(name in _IMAGES for name in formats) else (PDF,) if "pdf-a" in formats else ()
    return made + tuple(media for media, own in _OWN.items() if made and any(name in own for name in formats))


def formats_for(media: str, color: str, formats: tuple[str, ...]) -> tuple[str, ...]:
    """The scanner's formats from which a media type can be made in that colour mode, the best first."""
    order = (_BILEVEL_ORDER if color == BILEVEL else _ORDER).get(media, ())
    return tuple(name for name in order if name in formats and (color not in DEEP or name in _DEEP))


def is_deep(media: str) -> bool:
    """Return whether a media type holds 16 bits per sample."""
    return media in (PNG, TIFF)


def holds_deep(formats: tuple[str, ...]) -> bool:
    """Return whether a scanner has a format with 16 bits per sample."""
    return any(name in _DEEP for name in formats)
