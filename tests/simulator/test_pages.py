"""Tests of simulator.pages: the pages that the virtual scanner draws."""

from io import BytesIO

import pytest
from PIL import Image

from wsdgateway.simulator.pages import PageFormat, draw_page


@pytest.mark.parametrize(("color", "mode"), [("RGB24", "RGB"), ("Grayscale8", "L"), ("BlackAndWhite1", "1")])
@pytest.mark.parametrize("kind", ["jfif", "png"])
def test_pages_have_the_format_of_the_ticket(color, mode, kind):
    page = PageFormat(1000, 2000, 75, color, kind)
    image = Image.open(BytesIO(draw_page(page, 1, "Platen", "now")))
    assert image.size == page.size == (75, 150)
    assert image.mode == ("L" if (mode, kind) == ("1", "jfif") else mode)


def test_pages_are_the_same_for_the_same_arguments_and_differ_by_number():
    page = PageFormat(2000, 2000, 75)
    assert draw_page(page, 1, "ADF", "x") == draw_page(page, 1, "ADF", "x") != draw_page(page, 2, "ADF", "x")
