"""Tests of bridge.frontends.escl.formats: media types for the formats of scanners."""

import pytest

from wsdgateway.bridge.frontends.escl.formats import MEDIA_TYPES, formats_for, media_types

JPEG, PDF, PNG, TIFF, BMP = "image/jpeg", "application/pdf", "image/png", "image/tiff", "application/bmp"


@pytest.mark.parametrize(("formats", "offered"), [
    (("jfif",), (JPEG, PDF)), (("exif",), (JPEG, PDF)), (("png",), (JPEG, PDF, PNG)),
    (("tiff-single-uncompressed",), (JPEG, PDF, TIFF)), (("tiff-single-jpeg-tn2",), (JPEG, PDF, TIFF)),
    (("dib",), (JPEG, PDF, BMP)), (("jfif", "tiff-single-g4"), (JPEG, PDF, TIFF)),
    (("exif", "png", "dib", "pdf-a"), (JPEG, PDF, PNG, BMP)),
    (("pdf-a",), (PDF,)), ((), ()), (("xps", "jbig", "jpeg2k", "tiff-multi-g4", "tiff-multi-uncompressed"), ()),
    (("tiff-single-g4",), ())])
def test_jpeg_and_pdf_are_offered_for_every_image(formats, offered):
    assert media_types(formats) == offered


@pytest.mark.parametrize(("format", "media"), [
    ("jfif", JPEG), ("exif", JPEG), ("png", PNG), ("pdf-a", PDF), ("tiff-single-uncompressed", TIFF),
    ("tiff-single-g4", TIFF), ("tiff-single-g3mh", TIFF), ("tiff-single-jpeg-tn2", TIFF), ("dib", BMP), ("xps", None),
    ("jbig", None), ("jpeg2k", None), ("tiff-multi-g4", None)])
def test_the_media_type_of_a_format(format, media):
    assert MEDIA_TYPES.get(format) == media


@pytest.mark.parametrize(("media", "color", "formats", "order"), [
    (JPEG, "RGB24", ("exif", "jfif", "png"), ("jfif", "exif", "png")),
    (JPEG, "RGB24", ("pdf-a", "dib"), ("dib",)),
    (JPEG, "RGB24", ("tiff-single-g4",), ()),
    (JPEG, "BlackAndWhite1", ("tiff-single-g4", "exif"), ("exif", "tiff-single-g4")),
    (PDF, "RGB24", ("exif", "pdf-a"), ("pdf-a", "exif")),
    (PDF, "RGB24", ("exif", "tiff-single-uncompressed"), ("exif", "tiff-single-uncompressed")),
    (PDF, "BlackAndWhite1", ("jfif", "tiff-single-g4"), ("tiff-single-g4", "jfif")),
    (TIFF, "BlackAndWhite1", ("tiff-single-uncompressed", "tiff-single-g4"),
     ("tiff-single-g4", "tiff-single-uncompressed")),
    (TIFF, "RGB24", ("tiff-single-g4", "tiff-single-jpeg-tn2"), ("tiff-single-jpeg-tn2",)),
    (PNG, "RGB48", ("jfif", "png", "dib"), ("png",)), (PNG, "RGB24", ("jfif", "png"), ("png", "jfif")),
    (BMP, "Grayscale8", ("dib", "jfif"), ("dib", "jfif")), ("image/webp", "RGB24", ("jfif",), ())])
def test_the_scanners_own_format_is_first_and_one_that_can_be_converted_follows(media, color, formats, order):
    assert formats_for(media, color, formats) == order
