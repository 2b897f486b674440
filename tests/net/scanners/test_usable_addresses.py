"""Which of the addresses that a device gives are used."""

import pytest

from tests.wire import UUID
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.net.scanners.address import usable


@pytest.mark.parametrize(("via", "xaddrs", "usable_ones"), [
    ("eth1", ("http://198.51.100.20/x", "https://198.51.100.20/x", "http://[fe80::20]/x"),
     ["http://198.51.100.20/x", "https://198.51.100.20/x", "http://[fe80::20]/x"]),
    ("eth1", ("http://127.0.0.1:8357/", "http://[::1]/", "http://localhost/", "http://0.0.0.0/", "http://2130706433/",
              "http://[::ffff:127.0.0.1]/", "http://239.255.255.250/", "http://scanner.example/", "http://[x"), []),
    ("", ("http://scanner.example/",), ["http://scanner.example/"])])
def test_where_a_device_may_send_us(via, xaddrs, usable_ones):
    assert usable(Sighting(UUID, (), (), xaddrs, 1, None, via, 0.0)) == usable_ones
