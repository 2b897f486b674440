"""Tests of discovery.xaddrs: host names in XAddrs are replaced by the sender's address."""

import pytest

from wsdgateway.discovery.messages import Message, Probe, TargetService
from wsdgateway.discovery.versions import WS_2005_04
from wsdgateway.discovery.xaddrs import at_sender, placed

HERE = "198.51.100.20"


@pytest.mark.parametrize(("xaddr", "sender", "placed_at"), [
    ("http://Acme-0001:8018/wsd", HERE, "http://198.51.100.20:8018/wsd"),
    ("http://acme.local/wsd?x=1", HERE, "http://198.51.100.20/wsd?x=1"),
    ("HTTPS://acme:443/wsd", HERE, "https://198.51.100.20:443/wsd"),
    ("http://localhost:8357/", HERE, "http://198.51.100.20:8357/"),
    ("http://2130706433/", HERE, "http://198.51.100.20/"), ("http://198.51.100.021/", HERE, "http://198.51.100.20/"),
    ("http://0.0.0.0:80/x", HERE, "http://198.51.100.20:80/x"), ("http://[::]/x", HERE, "http://198.51.100.20/x"),
    ("http://:80/x", HERE, "http://198.51.100.20:80/x"), ("http://u:p@acme/x", HERE, "http://198.51.100.20/x"),
    ("http://acme:80/x", "fe80::20", "http://[fe80::20]:80/x"),
    ("http://203.0.113.9:80/x", HERE, "http://203.0.113.9:80/x"), ("http://[fe80::1]/x", HERE, "http://[fe80::1]/x"),
    ("http://[fe80::1%eth0]/x", HERE, "http://[fe80::1%eth0]/x"), ("http://127.0.0.1/x", HERE, "http://127.0.0.1/x"),
    ("urn:uuid:5", HERE, "urn:uuid:5"), ("ftp://acme/x", HERE, "ftp://acme/x"), ("http://[x", HERE, "http://[x"),
    ("http://acme:99999/x", HERE, "http://acme:99999/x"), ("acme/x", HERE, "acme/x")])
def test_names_are_replaced_by_the_senders_address(xaddr, sender, placed_at):
    assert at_sender((xaddr,), sender) == (placed_at,)


def test_addresses_keep_their_order_without_duplicates():
    xaddrs = ("http://acme/x", "http://198.51.100.20/x", "http://[fe80::20]/x", "http://acme.local/x")
    assert at_sender(xaddrs, HERE) == ("http://198.51.100.20/x", "http://[fe80::20]/x")


def test_a_configured_name_is_kept():
    xaddrs = ("https://Scanner.example:5358/x", "http://other.example/x")
    assert at_sender(xaddrs, HERE, "scanner.EXAMPLE") == ("https://Scanner.example:5358/x", "http://198.51.100.20/x")


def test_messages_without_addresses_are_unchanged():
    question = Message(WS_2005_04, "Probe", "m", None, None, Probe())
    assert placed(question, HERE) is question
    services = (TargetService("a", xaddrs=("http://acme/x",)), TargetService("b"))
    message = Message(WS_2005_04, "ProbeMatches", "m", None, None, services)
    assert [one.xaddrs for one in placed(message, HERE).content] == [("http://198.51.100.20/x",), ()]
    assert placed(message, "") is message
