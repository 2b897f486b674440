"""Tests of scan.destinations: names on the panel in requests, as clients write them."""

import pytest

from tests.messages import subscribe
from wsdgateway.scan.destinations import read_destinations
from wsdgateway.soap.envelope import read


@pytest.mark.parametrize("name", ["ClientDisplayName", "ClientDisplayString"])
@pytest.mark.parametrize("year", [b"2006/08", b"2006/01"])
def test_the_display_name_has_two_spellings_and_the_namespace_two_years(name, year):
    message = read(subscribe("http://192.0.2.7/", destinations=[(" Scan\n", "Anna")]).replace(
        b"ClientDisplayName", name.encode()).replace(b"2006/08", year))
    found = read_destinations(message.body)
    assert found.listed == (("Scan", "Anna"),)
    assert f"{name}>Anna<" in found.xml and year.decode() in found.xml


def test_a_subscribe_without_names():
    assert read_destinations(read(subscribe("http://192.0.2.7/")).body) is None
