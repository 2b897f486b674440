"""Tests of cli.scan.targets: the files and formats for each output name."""

from pathlib import Path

import pytest

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.outcomes import ScanError
from wsdgateway.cli.scan.targets import Target, read_target

pytestmark = pytest.mark.usefixtures("cwd")


@pytest.mark.parametrize(("output", "wanted", "target"), [
    ("a.pdf", None, Target(Path("a.pdf"), "pdf", "pdf")), ("a.JPEG", None, Target(Path("a.JPEG"), "jpeg", "jpeg")),
    ("a.pdf", "png", Target(Path("a.pdf"), "pdf", "png")), ("a", "jpg", Target(Path("a"), "jpeg", "jpeg")),
    ("a.jpg", "exif", Target(Path("a.jpg"), "jpeg", "jpeg", "exif")),
    ("a-%03d.tif", None, Target(Path("a-%03d.tif"), "tiff", "tiff", None, True)),
    (None, None, Target(Path("scan.pdf"), "pdf", "pdf", named=False)),
    (None, "png", Target(Path("scan.png"), "png", "png", named=False)),
    ("-", None, Target(Path("scan.pdf"), "pdf", "pdf", named=False, stdout=True)),
    ("-", "exif", Target(Path("scan.jpg"), "jpeg", "jpeg", "exif", named=False, stdout=True))])
def test_the_name_determines_the_format(output, wanted, target):
    assert read_target(output, wanted) == target


@pytest.mark.parametrize(("output", "wanted", "said"), [
    ("a", None, "ends in"), ("a.doc", None, "ends in"), ("a.png", "jpeg", "fits --format jpeg"),
    ("a.jpg", "pdf", "fits --format pdf"), ("a-%d.pdf", None, "holds all pages"), ("a-%s.jpg", None, "one field"),
    ("a-%d-%d.jpg", None, "one field"), ("a-%3d.jpg", None, "one field"), ("a-%d%%.jpg", None, "one field"),
    ("a-%.jpg", None, "one field"), ("none/a.pdf", None, "an existing folder"), ("a.pdf", "xps", "--format xps"),
    ("folder.pdf", None, "not a folder")])
def test_a_wrong_name_is_an_error_before_the_scan(cwd, output, wanted, said):
    (cwd / "folder.pdf").mkdir()
    with pytest.raises(ScanError, match=said) as caught:
        read_target(output, wanted)
    assert caught.value.status == WRONG


def test_both_sides_of_a_sheet_do_not_fit_into_an_image_on_the_standard_output():
    with pytest.raises(ScanError, match="must be a PDF for --source duplex"):
        read_target("-", "jpeg", "duplex")
    assert read_target("-", None, "duplex").stdout
