"""Tests of replay.pages: generated pages in place of images that were left out."""

import pytest

from tests.replay.folders import IMAGE
from wsdgateway.exchangelog.images import LeftOut
from wsdgateway.replay.pages import make_page


@pytest.mark.parametrize("left_out", [
    IMAGE, LeftOut(10, "0" * 64), LeftOut(10**12 - 1, "0" * 64), LeftOut(100, "0" * 64, "BMP", 99999, 99999, 99999),
    LeftOut(100, "0" * 64, "PNG", 1, 1), LeftOut(100, "0" * 64, "TIFF", 10, 10, 1)])
def test_the_size_of_pages_is_limited(left_out):
    page = make_page(left_out, "image/jpeg")
    assert 0 < len(page) <= 1 << 27
    assert left_out.length > 10000 or len(page) >= min(left_out.length, 5000)
