"""Tests of net.transport.localaddress: the gateway's addresses for scanners and clients."""

from ipaddress import ip_interface

import pytest

from wsdgateway.net.transport.localaddress import OpenPort, base_url, local_base, zoned


@pytest.mark.parametrize(("local", "listeners", "url"), [
    ("198.51.100.5", [("192.0.2.5", 1), ("198.51.100.5", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("192.0.2.5", 1), ("0.0.0.0", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("192.0.2.5", 1)], "http://192.0.2.5:1"), ("2001:db8::1", [("::", 1)], "http://[2001:db8::1]:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True), ("192.0.2.5", 2)], "https://198.51.100.5:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True), ("0.0.0.0", 2)], "http://198.51.100.5:2"),
    ("198.51.100.5", [("198.51.100.5", 1, True)], "https://198.51.100.5:1"),
    ("198.51.100.5", [("198.51.100.5", 1, True, True)], None), ("198.51.100.5", [], None),
    ("fe80::5%lan", [("::", 1)], "http://[fe80::5]:1"), ("2001:db8::1", [("0.0.0.0", 1), ("", 2)], None),
    ("2001:db8::1", [("0.0.0.0", 1), ("2001:db8::5", 2)], "http://[2001:db8::5]:2")])
def test_the_gateways_address_for_a_device(local, listeners, url):
    assert base_url(local, [OpenPort(*listener) for listener in listeners]) == url


ADDRESSES = tuple(map(ip_interface, ("192.0.2.5/24", "203.0.113.5/24", "fe80::5/64", "2001:db8::5/64")))


@pytest.mark.parametrize(("client", "listeners", "found"), [
    ("192.0.2.77", [("0.0.0.0", 80)], ("192.0.2.5", 80)), ("203.0.113.77", [("", 80)], ("203.0.113.5", 80)),
    ("10.0.0.1", [("::", 80)], ("192.0.2.5", 80)), ("fe80::77%lan", [("::", 80)], ("fe80::5", 80)),
    ("2001:db8::77", [("::", 80)], ("2001:db8::5", 80)), ("2001:db9::77", [("::", 80)], ("2001:db8::5", 80)),
    ("fe80::77", [("0.0.0.0", 80)], None), ("192.0.2.77", [("203.0.113.5", 1), ("192.0.2.5", 2)],
                                                        ("192.0.2.5", 2)),
    ("192.0.2.77", [("203.0.113.5", 1)], ("203.0.113.5", 1)), ("192.0.2.77", [("198.51.100.5", 1)], None),
    ("192.0.2.77", [], None)])
def test_the_gateways_address_for_a_client(client, listeners, found):
    open_ports = [OpenPort(*listener) for listener in listeners]
    assert local_base(ADDRESSES, client, open_ports) == (OpenPort(*found) if found else None)


PLAIN, SECURE, GUARDED = OpenPort("0.0.0.0", 1), OpenPort("0.0.0.0", 2, True), OpenPort("0.0.0.0", 3, True, True)


@pytest.mark.parametrize(("open_ports", "port"), [
    ([PLAIN, GUARDED, SECURE], 2), ([GUARDED, PLAIN], 1), ([PLAIN, GUARDED], 1), ([GUARDED], 3), ([PLAIN, SECURE], 2)])
def test_the_preference_among_plain_tls_and_mutual_tls_ports(open_ports, port):
    assert local_base(ADDRESSES, "192.0.2.77", open_ports).port == port


def test_a_zone_is_added_to_link_local_addresses():
    assert zoned("FE80::1", "eth1") == "FE80::1%eth1"
    assert zoned("fe80::1%x", "eth1") == "fe80::1%x"
    assert zoned("2001:db8::1", "eth1") == "2001:db8::1"
    assert zoned("192.0.2.1", "") == "192.0.2.1"
