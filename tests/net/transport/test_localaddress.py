"""Where a device reaches the gateway."""

import pytest

from wsdgateway.net.transport.localaddress import OpenPort, base_url


@pytest.mark.parametrize(("local", "listeners", "url"), [
    ("198.51.100.5", [("192.0.2.5", 1), ("198.51.100.5", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("192.0.2.5", 1), ("0.0.0.0", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("192.0.2.5", 1)], "http://192.0.2.5:1"), ("2001:db8::1", [("::", 1)], "http://[2001:db8::1]:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True), ("192.0.2.5", 2)], "https://198.51.100.5:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True), ("0.0.0.0", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("198.51.100.5", 1, True)], "https://198.51.100.5:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True, True)], None), ("198.51.100.5", [], None)])
def test_where_a_device_reaches_us(local, listeners, url):
    assert base_url(local, [OpenPort(*listener) for listener in listeners]) == url
