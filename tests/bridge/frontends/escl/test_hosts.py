"""Tests of bridge.frontends.escl.hosts: requests that a web page has sent are refused."""

import pytest

from wsdgateway.bridge.frontends.escl.hosts import host_name, is_foreign, own_url

NAMES = frozenset(("print-server-1", "print-server-1.local", "scan.example.org"))


@pytest.mark.parametrize("host", [
    b"192.0.2.5", b"192.0.2.5:8400", b"[2001:db8::5]:8400", b"[fe80::1%25eth0]:8400", b"fe80::1", b"localhost:8400",
    b"LOCALHOST", b"print-server-1", b"Print-Server-1.local.", b"print-server-1.local.:8400", b"scan.example.org", b"",
    b"."])
def test_the_gateways_own_hosts(host):
    assert not is_foreign([], host, NAMES)


@pytest.mark.parametrize("host", [
    b"evil.example", b"evil.example:8400", b"192.0.2.5.evil.example", b"print-server-1.evil.example", b"localhost.evil",
    b"\xff", b"[evil]"])
def test_foreign_hosts(host):
    assert is_foreign([], host, NAMES)


@pytest.mark.parametrize(("headers", "foreign"), [
    ([(b"Origin", b"http://evil.example")], True), ([(b"origin", b"null")], True), ([(b"ORIGIN", b"")], True),
    ([(b"Sec-Fetch-Site", b"cross-site")], True), ([(b"Sec-Fetch-Site", b"Cross-Site ")], True),
    ([(b"Sec-Fetch-Site", b"none")], False), ([(b"User-Agent", b"AirScanScanner/1")], False)])
def test_fields_of_browsers(headers, foreign):
    assert is_foreign(headers, b"192.0.2.5", NAMES) is foreign


def test_the_name_in_an_authority():
    assert [host_name(one) for one in (b"A.Local.:80", b"[::1]:80", b"fe80::1%eth0", b"a")] == [
        "a.local", "::1", "fe80::1", "a"]


@pytest.mark.parametrize(("host", "url"), [
    (b"192.0.2.5:8400", "https://192.0.2.5:8400"), (b"print-server-1.local.", "https://print-server-1.local.:8401"),
    (b"[2001:db8::5]", "https://[2001:db8::5]:8401"), (b"[2001:db8::5]:1", "https://[2001:db8::5]:1"),
    (b"", None), (b"a/b", None), (b"fe80::1", None), (b"a b", None), (b"a:80:1", None)])
def test_the_url_at_which_a_client_has_reached_the_gateway(host, url):
    assert own_url(host, 8401, secure=True) == url


def test_a_local_socket_has_no_port():
    assert own_url(b"localhost", 0, secure=False) == "http://localhost"
