"""Tests of scan.quirks: the quirks that `lenient` tolerates, and the places of the others."""

import re
from importlib import import_module

import pytest

from wsdgateway.config.sections import ScannerConfig
from wsdgateway.scan import quirks
from wsdgateway.scan.quirks import LENIENT, STRICT, Quirks, images_for_all

PLACES = re.findall(r"`wsdgateway\.([\w.]+)`", quirks.__doc__)


@pytest.mark.parametrize(("lenient", "tolerated"), [(False, STRICT), (True, LENIENT)])
def test_lenient_switches_on_every_tolerance(lenient, tolerated):
    assert ScannerConfig("hall", lenient=lenient).quirks is tolerated
    assert tolerated == Quirks(loose_framing=lenient, unannounced_end=lenient)


@pytest.mark.parametrize("place", PLACES)
def test_the_places_in_the_list_exist(place):
    module, _, name = place.rpartition(".")
    assert hasattr(import_module(f"wsdgateway.{module}"), name)


@pytest.mark.parametrize(("manufacturer", "images"), [
    ("RICOH", 100), (" Ricoh Company, Ltd.", 100), ("Brother", 0), ("", 0), ("Ricohlike", 0)])
def test_the_number_for_all_pages(manufacturer, images):
    assert images_for_all(manufacturer) == images


def test_the_list_is_not_empty():
    assert len(PLACES) > 10
