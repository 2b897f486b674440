"""Tests of net.transport.interfaces: the interfaces of this host."""

from wsdgateway.net.transport.interfaces import read_interfaces


def test_loopback_is_an_interface():
    assert any(address.is_loopback for address in read_interfaces()["lo"].addresses)
