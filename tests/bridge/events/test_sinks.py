"""Tests of bridge.events.sinks: the addresses to which clients may have events sent."""

from ipaddress import ip_address, ip_network

import attrs
import pytest

from wsdgateway.bridge.events.sinks import (
    MAX_CLIENT_LOOKUPS,
    MAX_LOOKUPS,
    BadSink,
    Lookups,
    Sink,
    admit,
    is_listener,
    literal,
    parse_sink,
    refuse_listener,
    still_admits,
)
from wsdgateway.soap.addressing import EndpointReference


@pytest.mark.parametrize(("url", "parts"), [
    ("http://192.0.2.7/e", ("http", "192.0.2.7", 80, "192.0.2.7", "/e")),
    ("https://h:8443?x=1", ("https", "h", 8443, "h:8443", "/?x=1")),
    ("https://h/a", ("https", "h", 443, "h", "/a")),
    ("http://[2001:db8::1]:5357/e", ("http", "2001:db8::1", 5357, "[2001:db8::1]:5357", "/e"))])
def test_the_parts_of_a_sink(url, parts):
    assert attrs.astuple(parse_sink(url)) == parts


@pytest.mark.parametrize("url", [
    "ftp://h/", "file:///etc/passwd", "urn:uuid:5", "http://", "http:///x", "http://h:0/", "http://h:99999/",
    "http://[bad/", "http://u:p@h/", "http://h/a b", "http://h/\r\nX: 1", "http://h/é", "h", "",
    "http://h:5[::1]/", "http://h/" + "x" * 2048, "javascript:alert(1)", "http://h/\x00"])
def test_addresses_that_are_no_sinks(url):
    with pytest.raises(BadSink):
        parse_sink(url)


def admitted(url, found=None, client="192.0.2.7", networks=(), own=()):
    address = parse_sink(url)
    return admit(found or [address.host], address, client=client, networks=[ip_network(n) for n in networks],
                 is_own=lambda ip, port: (str(ip), port) in own)


@pytest.mark.parametrize(("url", "more", "ip"), [
    ("http://192.0.2.7/e", {}, "192.0.2.7"),
    ("http://name/e", {"found": ["198.51.100.1", "192.0.2.7"]}, "192.0.2.7"),
    ("http://192.0.2.7/e", {"client": "::ffff:192.0.2.7"}, "192.0.2.7"),
    ("http://[::ffff:192.0.2.7]/e", {}, "192.0.2.7"),
    ("http://[fe80::1]/e", {"client": "fe80::1%eth0"}, "fe80::1%eth0"),
    ("http://[2001:DB8::1]/e", {"client": "2001:db8::1"}, "2001:db8::1"),
    ("http://198.51.100.9/e", {"networks": ["198.51.100.0/24"]}, "198.51.100.9"),
    ("http://name/e", {"found": ["203.0.113.1", "198.51.100.9"], "networks": ["198.51.100.0/24"]}, "198.51.100.9"),
    ("http://192.0.2.7:5357/e", {"own": [("192.0.2.7", 5358)]}, "192.0.2.7")])
def test_permitted_sinks(url, more, ip):
    assert admitted(url, **more) == ip


@pytest.mark.parametrize(("url", "more"), [
    ("http://192.0.2.8/e", {}), ("http://name/e", {"found": ["203.0.113.1"]}),
    ("http://127.0.0.1/e", {}), ("http://0.0.0.0/e", {"networks": ["0.0.0.0/0"]}),
    ("http://224.0.0.1/e", {"networks": ["0.0.0.0/0"]}), ("http://255.255.255.255/e", {"networks": ["0.0.0.0/0"]}),
    ("http://192.0.2.7:5357/e", {"own": [("192.0.2.7", 5357)]}),
    ("http://name:5357/e", {"found": ["192.0.2.7"], "own": [("192.0.2.7", 5357)]}),
    ("http://[::1]/e", {"networks": ["127.0.0.0/8"]}), ("http://[::]/e", {"networks": ["::/0"]})])
def test_forbidden_sinks(url, more):
    with pytest.raises(BadSink):
        admitted(url, **more)


def test_names_are_no_ip_addresses():
    assert literal("name") is None
    assert literal("1.2.3") is None


@pytest.mark.parametrize(("address", "port", "listeners", "local", "expected"), [
    ("192.0.2.5", 80, [("192.0.2.5", 80)], False, True), ("192.0.2.5", 81, [("192.0.2.5", 80)], True, False),
    ("192.0.2.6", 80, [("192.0.2.5", 80)], True, False), ("192.0.2.6", 80, [("0.0.0.0", 80)], True, True),
    ("192.0.2.6", 80, [("0.0.0.0", 80)], False, False), ("192.0.2.6", 80, [("", 80)], True, True),
    ("2001:db8::1", 80, [("::", 80)], True, True), ("192.0.2.5", 80, [("scanner", 80)], True, False),
    ("192.0.2.5", 80, [("::ffff:192.0.2.5", 80)], False, True), ("192.0.2.5", 80, [], True, False)])
def test_the_gateways_own_addresses(address, port, listeners, local, expected):
    assert is_listener(ip_address(address), port, listeners=listeners, is_local=lambda ip: local) is expected


@pytest.mark.parametrize(("url", "is_refused"), [
    ("http://gateway:5357/", True), ("http://GATEWAY:5357/", True), ("http://gateway:5358/", False),
    ("http://gateway/", False), ("http://192.0.2.5/", True), ("http://[::]:5357/", False)])
def test_the_name_of_a_listener_is_no_sink(url, is_refused):
    listeners = [("gateway", 5357), ("192.0.2.5", 80)]
    if is_refused:
        with pytest.raises(BadSink, match="is an address of this gateway; send another one"):
            refuse_listener(parse_sink(url), listeners)
    else:
        refuse_listener(parse_sink(url), listeners)


def test_concurrent_lookups_of_one_client_are_limited():
    lookups = Lookups()
    for _ in range(MAX_CLIENT_LOOKUPS):
        lookups.check("name", "192.0.2.7")
        lookups.begun("192.0.2.7")
    with pytest.raises(BadSink, match="send an IP address instead of name"):
        lookups.check("name", "192.0.2.7")
    lookups.check("name", "192.0.2.8")
    lookups.ended("192.0.2.7")
    lookups.check("name", "192.0.2.7")


def test_concurrent_lookups_of_all_clients_are_limited():
    lookups = Lookups()
    for number in range(MAX_LOOKUPS):
        lookups.check("name", str(number))
        lookups.begun(str(number))
    with pytest.raises(BadSink):
        lookups.check("name", "another")
    assert len(lookups) == MAX_LOOKUPS
    for number in range(MAX_LOOKUPS):
        lookups.ended(str(number))
    lookups.check("name", "another")
    assert len(lookups) == 0


SINK = Sink(EndpointReference("http://name:5357/e"), "198.51.100.9")


@pytest.mark.parametrize(("networks", "is_own", "admits"), [
    (["198.51.100.0/24"], False, True), ([], False, False), (["198.51.100.0/24"], True, False),
    (["198.51.100.0/24"], OSError("no descriptor is left"), True)])
def test_a_stored_sink_is_checked_again(networks, is_own, admits):
    def answer(ip, port):
        if isinstance(is_own, OSError):
            raise is_own
        return is_own

    assert still_admits(SINK, client="192.0.2.7", networks=[ip_network(n) for n in networks],
                        is_own=answer) is admits
