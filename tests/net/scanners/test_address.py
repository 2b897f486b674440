"""Where a device is reached that gives addresses which lead nowhere."""

import pytest

from wsdgateway.net.scanners.address import reachable


@pytest.mark.parametrize(("given", "url"), [
    ("http://198.51.100.20:5357/m?x=1", "http://198.51.100.20:5357/m?x=1"),
    ("http://10.0.0.9:5357/m", "http://198.51.100.20:5357/m"), ("http://printer.local/m", "http://198.51.100.20/m"),
    ("urn:uuid:5", "http://198.51.100.20:80/scan"), ("", "http://198.51.100.20:80/scan")])
def test_a_devices_addresses_are_reached_where_it_is_known(given, url):
    assert reachable(given, "http://198.51.100.20:80/scan") == url
