"""Tests of net.scanners.address with devices that give unreachable addresses."""

import pytest

from tests.wire import UUID
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.net.scanners.address import reachable, usable


@pytest.mark.parametrize(("given", "url"), [
    ("http://198.51.100.20:5357/m?x=1", "http://198.51.100.20:5357/m?x=1"),
    ("http://10.0.0.9:5357/m", "http://198.51.100.20:5357/m"), ("http://printer.local/m", "http://198.51.100.20/m"),
    ("urn:uuid:5", "http://198.51.100.20:80/scan"), ("", "http://198.51.100.20:80/scan")])
def test_addresses_that_a_device_gives_are_reached_at_its_known_host(given, url):
    assert reachable(given, "http://198.51.100.20:80/scan") == url


@pytest.mark.parametrize(("via", "xaddrs", "usable_ones"), [
    ("eth1", ("http://198.51.100.20/x", "https://198.51.100.20/x", "http://[fe80::20]/x"),
     ["http://198.51.100.20/x", "https://198.51.100.20/x", "http://[fe80::20]/x"]),
    ("eth1", ("http://127.0.0.1:8357/", "http://[::1]/", "http://localhost/", "http://0.0.0.0/", "http://2130706433/",
              "http://[::ffff:127.0.0.1]/", "http://239.255.255.250/", "http://scanner.example/", "http://[x"), []),
    ("", ("http://scanner.example/",), ["http://scanner.example/"])])
def test_which_announced_addresses_are_usable(via, xaddrs, usable_ones):
    assert usable(Sighting(UUID, (), (), xaddrs, 1, None, via, 0.0)) == usable_ones
