"""Tests of conversion.documents: pages become one PDF, in order, and nothing else is left in the folder."""

import io

import pikepdf
import pytest

from tests.conversion.test_images import image
from wsdgateway.conversion import documents
from wsdgateway.conversion.documents import join
from wsdgateway.conversion.images import convert
from wsdgateway.conversion.kinds import Unconvertible


@pytest.fixture
def joined(tmp_path):
    """Joins pages; returns the sizes in inches of those of the PDF, and keeps what was left out."""
    def run(*pages, dots=100, height=200):
        sources = [tmp_path / f"{number}" for number in range(len(pages))]
        for source, data in zip(sources, pages, strict=True):
            source.write_bytes(data)
        target = tmp_path / "target"
        target.touch()
        run.left_out = join(sources, target, dots, height)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [*(source.name for source in sources), "target"])
        with pikepdf.open(io.BytesIO(target.read_bytes())) as pdf:
            return [tuple(round(float(value) / 72, 2) for value in page.MediaBox[2:]) for page in pdf.pages]

    return run


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_pages_of_all_kinds_in_their_order(joined, monkeypatch, tmp_path, at_once):
    monkeypatch.setattr(documents, "PAGES_AT_ONCE", at_once)
    (tmp_path / "source").write_bytes(image("JPEG", (300, 50)))
    (tmp_path / "made").touch()
    convert(tmp_path / "source", tmp_path / "made", "application/pdf", 100, 50)
    scanned = (tmp_path / "made").read_bytes()
    for name in ("source", "made"):
        (tmp_path / name).unlink()
    assert joined(image("JPEG"), scanned, image("PNG", (50, 60)), image("TIFF", (70, 80), "1")) == [
        (1, 2), (3, 0.5), (0.5, 0.6), (0.7, 0.8)]


def test_a_jpeg_is_in_it_unchanged(joined, tmp_path):
    pages = [image("JPEG", (100, height)) for height in (10, 20)]
    joined(*pages)
    whole = (tmp_path / "target").read_bytes()
    assert all(page in whole for page in pages)


def test_the_height_of_a_jpeg_is_corrected(joined):
    good = image("JPEG")
    at = good.index(b"\xff\xc0") + 5
    assert joined(good[:at] + b"\x00\x00" + good[at + 2:], height=150) == [(1, 1.5)]


BAD = [b"", b"nonsense", image("PNG")[:60], b"%PDF-1.7\nnonsense", image("GIF")]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_a_damaged_page_is_left_out(joined, monkeypatch, bad, at_once):
    monkeypatch.setattr(documents, "PAGES_AT_ONCE", at_once)
    assert joined(image("JPEG"), bad, image("PNG", (50, 60))) == [(1, 2), (0.5, 0.6)]
    assert list(joined.left_out) == [1]
    assert joined.left_out[1]


def test_without_a_page_that_can_be_used(joined):
    with pytest.raises(Unconvertible):
        joined(*BAD)


def test_a_document_has_pages(joined, monkeypatch):
    monkeypatch.setattr(documents, "MAX_PAGES", 2)
    with pytest.raises(Unconvertible, match="must have 1 to 2 pages"):
        joined()
    with pytest.raises(Unconvertible, match="must have 1 to 2 pages"):
        joined(*[image("JPEG")] * 3)


def test_a_deleted_file_is_not_made_again(tmp_path):
    (tmp_path / "page").write_bytes(image("PNG"))
    with pytest.raises(FileNotFoundError):
        join([tmp_path / "page"], tmp_path / "target", 100, 200)
    assert not (tmp_path / "target").exists()
