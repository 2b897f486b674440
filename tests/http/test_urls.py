"""Tests of http.urls: the parts of a URL that a request needs."""

from ipaddress import ip_address

import pytest

from wsdgateway.http.urls import address_of, ip_of


@pytest.mark.parametrize(("url", "parts"), [
    ("http://198.51.100.20:80/WDP/SCAN", ("198.51.100.20", 80, b"198.51.100.20:80", b"/WDP/SCAN")),
    ("http://scanner/", ("scanner", 80, b"scanner", b"/")), ("http://x:8018?a=b", ("x", 8018, b"x:8018", b"/?a=b")),
    ("http://[2001:db8::1]:5357/a", ("2001:db8::1", 5357, b"[2001:db8::1]:5357", b"/a")),
    ("https://scanner/a", ("scanner", 443, b"scanner", b"/a")),
    # characters that are not permitted in a request line
    ("http://x/a b%20/\xe4?c d", ("x", 80, b"x", b"/a%20b%20/%C3%A4?c%20d"))])
def test_addresses(url, parts):
    address = address_of(url)
    assert (address.host, address.port, address.authority, address.target) == parts
    assert address.secure is url.startswith("https:")


@pytest.mark.parametrize("url", ["ftp://x/", "urn:x", "http://", "", "http://x:port/", "http://x y/"])
def test_invalid_addresses(url):
    with pytest.raises(ValueError, match=r"not an http or https URL|port|not a host"):
        address_of(url)


@pytest.mark.parametrize(("host", "address"), [
    ("192.0.2.5", "192.0.2.5"), ("fe80::1%eth0", "fe80::1"), ("FE80::1", "fe80::1"), ("scanner", None), ("", None),
    ("192.0.2", None)])
def test_hosts_that_are_ip_addresses(host, address):
    assert ip_of(host) == (None if address is None else ip_address(address))
