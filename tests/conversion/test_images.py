"""Tests of conversion.images: pages become exactly the type that was asked for, as large as the paper."""

import io

import pikepdf
import pytest
from PIL import Image

from wsdgateway.conversion import images
from wsdgateway.conversion.images import convert, size_of
from wsdgateway.conversion.kinds import START, Unconvertible, kind_of

TYPES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF", "application/bmp": "BMP"}


def image(kind, size=(100, 200), mode="RGB", **more):
    file = io.BytesIO()
    Image.new(mode, size, 1 if mode == "1" else "white").save(file, kind, **more)
    return file.getvalue()


@pytest.fixture
def converted(tmp_path):
    def run(data, media, dots=100, height=200):
        (tmp_path / "source").write_bytes(data)
        (tmp_path / "target").touch()
        convert(tmp_path / "source", tmp_path / "target", media, dots, height)
        return (tmp_path / "target").read_bytes()

    return run


@pytest.mark.parametrize("source", TYPES.values())
@pytest.mark.parametrize("media", TYPES)
def test_every_type_becomes_every_other(converted, source, media):
    data = image(source)
    result = converted(data, media)
    assert kind_of(result[:START]) == media
    with Image.open(io.BytesIO(result)) as found:
        assert (found.format, found.size) == (TYPES[media], (100, 200))
    assert (result == data) is (TYPES[media] == source)


@pytest.mark.parametrize("source", TYPES.values())
def test_a_pdf_has_the_size_of_the_paper(converted, source):
    data = image(source, dpi=(72, 72))
    result = converted(data, "application/pdf", dots=200)
    assert kind_of(result[:START]) == "application/pdf"
    with pikepdf.open(io.BytesIO(result)) as pdf:
        assert [float(value) / 72 for value in pdf.pages[0].MediaBox][2:] == pytest.approx((0.5, 1), abs=0.01)
    if source == "JPEG":
        assert data in result


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white_becomes_a_gray_jpeg(converted, mode):
    with Image.open(io.BytesIO(converted(image("PNG", mode=mode), "image/jpeg"))) as found:
        assert found.mode == "L"


@pytest.mark.parametrize(("tail", "height"), [(b"\xff\xdc\x00\x04\x00\xc8", 200), (b"", 150)])
@pytest.mark.parametrize("unknown", [b"\x00\x00", b"\xff\xff"])
def test_the_height_of_a_jpeg_is_corrected(converted, unknown, tail, height):
    good = image("JPEG")
    at = good.index(b"\xff\xc0") + 5
    data = good[:at] + unknown + good[at + 2:-2] + tail + good[-2:]
    with Image.open(io.BytesIO(converted(data, "image/jpeg", height=150))) as found:
        assert found.size == (100, height)
    assert size_of_pdf(converted(data, "application/pdf", height=150)) == pytest.approx((1, height / 100), abs=0.01)


def size_of_pdf(data):
    with pikepdf.open(io.BytesIO(data)) as pdf:
        return [float(value) / 72 for value in pdf.pages[0].MediaBox][2:]


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n", image("PNG")[:60],
                                  b"II*\x00\x00\x00\x00\x00"])
def test_damaged_pages_are_refused(converted, data):
    for media in ("image/jpeg", "application/pdf"):
        with pytest.raises((Unconvertible, OSError)):
            converted(data, media)


def test_a_page_with_too_many_pixels_is_refused(converted, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100 * 200 - 1)
    with pytest.raises(Unconvertible, match="more than 19999 pixels"):
        converted(image("PNG"), "image/jpeg")


def test_a_page_with_too_many_bytes_is_refused(converted, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 50)
    with pytest.raises(Unconvertible, match="more than 50 bytes"):
        converted(image("PNG"), "image/jpeg")


@pytest.mark.parametrize("data", [
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n", image("GIF"), image("PPM")])
@pytest.mark.parametrize("media", ["image/jpeg", "application/pdf"])
def test_other_kinds_are_not_read(converted, tmp_path, data, media):
    with pytest.raises(Unconvertible, match="it is no JPEG, PNG, TIFF or BMP image"):
        converted(data, media)
    with pytest.raises(Unconvertible):
        size_of(tmp_path / "source")


def test_further_images_in_a_file_are_left_out(converted):
    data = image("TIFF", save_all=True, append_images=[Image.new("RGB", (3, 3))] * 2)
    with pikepdf.open(io.BytesIO(converted(data, "application/pdf"))) as pdf:
        assert len(pdf.pages) == 1


@pytest.mark.parametrize("data", [b"nonsense", image("PNG")[:60], image("JPEG")[:100]])
def test_an_error_does_not_keep_the_page_in_memory(converted, data):
    with pytest.raises((Unconvertible, OSError)) as raised:
        converted(data, "image/tiff")
    assert raised.value.__context__ is None
    assert [frame.name for frame in raised.traceback][-1] == "run"


@pytest.mark.parametrize("media", ["image/jpeg", "application/pdf", "image/png"])
def test_a_deleted_file_is_not_made_again(tmp_path, media):
    (tmp_path / "source").write_bytes(image("PNG"))
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "source", tmp_path / "target", media, 100, 200)
    assert not (tmp_path / "target").exists()


def test_the_size_of_a_page(tmp_path):
    for kind, mode, line in (("JPEG", "RGB", 300), ("PNG", "1", 13), ("JPEG", "L", 100)):
        (tmp_path / "x").write_bytes(image(kind, mode=mode))
        assert size_of(tmp_path / "x") == (100, 200, line)
    (tmp_path / "x").write_bytes(b"nonsense")
    with pytest.raises(Unconvertible):
        size_of(tmp_path / "x")
