"""Tests of bridge.frontends.escl.bufferinfo: the settings as they would be used, and the size of a page."""

import pytest

from tests.bridge.frontends.escl.offers import DEFAULT, FULL
from wsdgateway.bridge.frontends.escl.bufferinfo import buffer_info_of
from wsdgateway.bridge.frontends.escl.tickets import ticket_of
from wsdgateway.escl.scanbufferinfo import ScanBufferInfo
from wsdgateway.escl.scansettings import ScanRegion, ScanSettings

A4 = ScanRegion(0, 0, 2480, 3508)


def info(**asked):
    settings = ScanSettings(**asked)
    found = buffer_info_of(settings, ticket_of(settings, FULL, DEFAULT, client="192.0.2.7"))
    assert ScanBufferInfo.read(found.write()) == found
    return found


@pytest.mark.parametrize(("color", "media", "line"), [
    ("RGB24", "image/jpeg", 7440), ("Grayscale8", "application/pdf", 2480), ("BlackAndWhite1", "image/tiff", 310),
    ("BlackAndWhite1", "image/jpeg", 2480)])
def test_the_size_of_an_a4_page(color, media, line):
    found = info(region=A4, x_resolution=300, y_resolution=300, color_mode=color, format=media)
    assert (found.width, found.height, found.bytes_per_line) == (2480, 3508, line)
    assert (found.settings.region, found.settings.format, found.settings.color_mode) == (A4, media, color)


def test_what_the_client_has_left_open():
    settings = info(version="2.0").settings
    assert settings.version == "2.0"
    assert None not in (settings.format, settings.x_resolution, settings.y_resolution, settings.color_mode)
    assert (settings.source, settings.duplex, settings.region.x) == ("Platen", None, 0)


def test_both_sides_and_a_region_that_is_too_large():
    settings = info(source="Feeder", duplex=True, pages=3, region=ScanRegion(10, 0, 9000, 9000)).settings
    assert (settings.source, settings.duplex, settings.pages) == ("Feeder", True, 3)
    assert settings.region.width < 9000 and settings.region.height < 9000
