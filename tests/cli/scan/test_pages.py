"""Tests of cli.scan.pages: pages are written whole, none is lost, and no file is replaced without a message."""

import io
import os

import pikepdf
import pytest
from PIL import Image

from tests.scannedfiles import names_in, pages_of
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.outcomes import FAILED, ScanError
from wsdgateway.cli.scan.pages import Pages
from wsdgateway.cli.scan.targets import read_target


def image(kind="JPEG", size=(100, 200), **more):
    file = io.BytesIO()
    Image.new("RGB", size, "white").save(file, kind, **more)
    return file.getvalue()


JPEG, PNG = image(), image("PNG")


pytestmark = pytest.mark.usefixtures("cwd")


class Scanned:
    """Writes pages, and records the names of the files and the messages."""

    def __init__(self, output, *images, format=None, whole=True, dots=None, half=b"", out=None):
        self.written, self.said = [], []
        self.out = out or io.BytesIO()
        with Pages(read_target(output, format), written=lambda path: self.written.append(str(path)),
                   say=self.said.append, out=self.out) as pages:
            self.pages, pages.dots = pages, dots
            for data in images:
                pages.begin()(memoryview(data))
                pages.end()
            if half:
                pages.begin()(memoryview(half))
            pages.finish(whole=whole)


def test_numbers_start_at_one_and_have_the_given_width(cwd):
    assert Scanned("p-%03d.jpg", JPEG, JPEG).written == ["p-001.jpg", "p-002.jpg"]
    assert Scanned("q%d.jpg", JPEG).written == ["q1.jpg"]
    assert names_in(cwd) == ["p-001.jpg", "p-002.jpg", "q1.jpg"]
    assert (cwd / "p-001.jpg").read_bytes() == JPEG
    mask = os.umask(0)
    os.umask(mask)
    assert (cwd / "p-001.jpg").stat().st_mode & 0o777 == 0o666 & ~mask


def test_pages_of_an_earlier_scan_are_not_mixed_with_new_ones(cwd):
    (cwd / "p-007.jpg").write_text("former")
    with pytest.raises(ScanError, match=r"p-007\.jpg exists already"):
        read_target("p-%03d.jpg", None)
    with Pages(read_target("q-%d.jpg", None), written=lambda _: None, say=lambda _: None) as pages:
        (cwd / "q-1.jpg").write_text("of somebody else, meanwhile")
        pages.begin()(memoryview(JPEG))
        pages.end()
    assert (cwd / "q-1.jpg").read_text() == "of somebody else, meanwhile"
    assert (cwd / "q-1-2.jpg").read_bytes() == JPEG


def test_further_pages_of_one_file_are_numbered(cwd):
    (cwd / "p-2.jpg").write_text("former")
    scanned = Scanned("p.jpg", JPEG, JPEG, JPEG)
    assert scanned.written == ["p.jpg", "p-3.jpg", "p-4.jpg"]
    assert (cwd / "p-2.jpg").read_text() == "former"


def test_a_named_file_is_replaced_with_a_message(cwd):
    for name, data in (("p.jpg", JPEG), ("p.pdf", JPEG)):
        (cwd / name).write_text("former")
        assert Scanned(name, data).said == [f"{name}: replaced an existing file"]
        assert (cwd / name).read_bytes() != b"former"


def test_a_default_name_replaces_no_file(cwd):
    assert [Scanned(None, JPEG).written for _ in range(3)] == [["scan.pdf"], ["scan-2.pdf"], ["scan-3.pdf"]]
    assert Scanned(None, JPEG, JPEG, format="jpeg").written == ["scan.jpg", "scan-2.jpg"]


def test_an_incomplete_page_leaves_no_file(cwd):
    Scanned("p.jpg", half=JPEG[:50])
    assert names_in(cwd) == []
    assert Scanned("p-%d.jpg", JPEG, half=JPEG[:50], whole=False).written == ["p-1.jpg"]
    assert names_in(cwd) == ["p-1.jpg"]


def test_the_complete_pages_of_a_broken_scan_make_a_pdf_that_replaces_no_file(cwd):
    (cwd / "p.pdf").write_text("former")
    assert Scanned("p.pdf", JPEG, PNG, half=JPEG[:50], whole=False).written == ["p-2.pdf"]
    assert (cwd / "p.pdf").read_text() == "former"
    assert pages_of("p-2.pdf") == 2
    Scanned("q.pdf", half=JPEG[:50], whole=False)
    assert names_in(cwd) == ["p-2.pdf", "p.pdf"]


@pytest.mark.parametrize(("data", "dots", "inches"), [
    (image(dpi=(100, 100)), 200, (1, 2)), (JPEG, 200, (0.5, 1)), (JPEG, None, (100 / 96, 200 / 96))])
def test_a_page_of_a_pdf_is_as_large_as_the_paper(data, dots, inches):
    Scanned("p.pdf", data, dots=dots)
    with pikepdf.open("p.pdf") as pdf:
        assert [float(value) / 72 for value in pdf.pages[0].MediaBox][2:] == pytest.approx(inches, abs=0.01)


def test_images_that_fit_into_no_pdf_are_kept_unchanged(cwd):
    with pytest.raises(ScanError, match="kept as images") as caught:
        Scanned("p.pdf", JPEG, b"\xff\xd8\xff and nothing more", b"?")
    assert caught.value.status == FAILED
    assert names_in(cwd) == ["p-001.jpg", "p-002.jpg", "p-003.image"]
    assert (cwd / "p-001.jpg").read_bytes() == JPEG


def test_a_pdf_that_was_interrupted_leaves_its_images(cwd, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("wsdgateway.cli.scan.pages.write_pdf", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Scanned("p.pdf", JPEG, JPEG)
    assert names_in(cwd) == ["p-001.jpg", "p-002.jpg"]


def test_an_image_of_another_kind_gets_a_name_of_its_own(cwd):
    (cwd / "p.jpg").write_text("former")
    scanned = Scanned("p.jpg", PNG)
    assert scanned.written == ["p.png"]
    assert scanned.pages.surprises == {"png"}
    assert (cwd / "p.jpg").read_text() == "former"


def test_without_hard_links_a_page_still_gets_its_name(cwd, monkeypatch):
    def link(*_):
        raise PermissionError

    monkeypatch.setattr("os.link", link)
    (cwd / "p-2.jpg").write_text("former")
    assert Scanned("p.jpg", JPEG, JPEG).written == ["p.jpg", "p-3.jpg"]


def test_pages_that_cannot_be_renamed_are_kept(cwd, monkeypatch):
    def replace(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", replace)
    with pytest.raises(ScanError, match=r"No space left.*the complete pages are in"):
        Scanned("p.jpg", JPEG)
    [kept] = cwd.glob(".p.jpg.*/*")
    assert kept.read_bytes() == JPEG


def test_the_standard_output_gets_a_pdf_of_every_complete_page(cwd):
    for whole in (True, False):
        scanned = Scanned("-", JPEG, PNG, whole=whole, half=JPEG[:50])
        scanned.out.seek(0)
        with pikepdf.open(scanned.out) as pdf:
            assert len(pdf.pages) == 2
        assert (scanned.written, names_in(cwd)) == ([], [])
    assert Scanned("-").out.getvalue() == b""


def test_the_standard_output_gets_one_image(cwd):
    scanned = Scanned("-", JPEG, format="jpeg")
    assert (scanned.out.getvalue(), scanned.written, names_in(cwd)) == (JPEG, [], [])


def test_a_second_image_is_refused_and_the_first_one_kept_in_a_file(cwd):
    out, written = io.BytesIO(), []
    with Pages(read_target("-", "jpeg"), written=written.append, say=written.append, out=out) as pages:
        pages.begin()(memoryview(JPEG))
        pages.end()
        with pytest.raises(ScanError, match="more than one page") as caught:
            pages.begin()(memoryview(JPEG))
        pages.finish(whole=False)
    assert (caught.value.status, out.getvalue(), [str(path) for path in written]) == (WRONG, b"", ["scan.jpg"])
    assert (cwd / "scan.jpg").read_bytes() == JPEG


def test_an_image_of_another_kind_does_not_go_to_the_standard_output(cwd):
    scanned = Scanned("-", JPEG, format="png")
    assert (scanned.out.getvalue(), scanned.written, scanned.pages.surprises) == (b"", ["scan.jpg"], {"jpeg"})


def test_pages_for_a_closed_standard_output_are_kept_in_a_file(cwd):
    class Closed(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(ScanError, match="Broken pipe; the pages are kept in a file"):
        Scanned("-", JPEG, out=Closed())
    assert names_in(cwd) == ["scan.pdf"]
