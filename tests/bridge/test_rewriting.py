"""Tests of bridge.rewriting: the addresses in forwarded requests are replaced, and nothing else changes."""

import pytest
from lxml import etree

from tests.messages import envelope, fault
from wsdgateway.bridge.rewriting import names_gateway, relate_reply, rewrite_request
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSA

DEVICE = "http://198.51.100.20:80/WDP/SCAN"
HOSTS = frozenset(("192.0.2.5:5357", "scan.example.org:5357"))


def forward(data):
    return rewrite_request(read(data), data, scanner="front-desk", hosts=HOSTS, device=DEVICE)


@pytest.mark.parametrize(("address", "ours"), [
    ("http://192.0.2.5:5357/front-desk/scan", True), ("http://other/front-desk/scan", True),
    ("http://other/front-desk", True), ("http://192.0.2.5:5357/anything", True),
    ("http://SCAN.example.org:5357/", True),
    ("http://other/front-desks/scan", False), ("urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", False),
    (ANONYMOUS, False), ("http://other/front-desk/other", False),
    ("http://other/front-desk/subscriptions/5", True), ("http://192.0.2.5:5357/" + "x" * 3000, False),
    ("http://[broken", False), ("", False),
])
def test_the_gateways_own_addresses(address, ours):
    assert names_gateway(address, "front-desk", HOSTS) is ours


def test_to_is_replaced_by_the_devices_address():
    assert read(forward(envelope("a", to="\n http://192.0.2.5:5357/front-desk/scan "))).to == DEVICE


@pytest.mark.parametrize("to", ["urn:uuid:4509a320-00a0-008f-00b6-002507510eca",
                                "uuid:4509A320-00a0-008f-00b6-002507510eca"])
def test_the_stand_ins_uuid_in_to_is_replaced_by_the_devices_spelling(to):
    data = envelope("a", to=to)
    written = rewrite_request(read(data), data, scanner="front-desk", hosts=HOSTS, device=DEVICE, endpoints=(
        "urn:uuid:4509a320-00a0-008f-00b6-002507510eca", "uuid:37F86D35-E6AC-4241-964F-1D9AE46FB366"))
    assert read(written).to == "uuid:37F86D35-E6AC-4241-964F-1D9AE46FB366"
    written = rewrite_request(read(data), data, scanner="front-desk", hosts=HOSTS, device=DEVICE, endpoints=(
        "urn:uuid:4509a320-00a0-008f-00b6-002507510eca", None))
    assert read(written).to == DEVICE


@pytest.mark.parametrize("to", ["urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", "http://elsewhere/x", None])
def test_a_request_without_the_gateways_addresses_stays_byte_for_byte(to):
    reply_to = f"<wsa:ReplyTo><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
    data = envelope("a", "<wscn:X/>", to=to, headers=reply_to,
                    prolog="<?xml version='1.0' encoding='ASCII' ?><!-- odd  -->")
    assert forward(data) is data


def test_markup_inside_an_address_is_removed():
    message = read(forward(envelope("a", to="http://192.0.2.5:5357/front-desk<x xmlns=''/>/scan", headers=(
        "<wsa:ReplyTo><wsa:Address>http://192.0.2.77/<x xmlns=''/>reply</wsa:Address>"
        "<wsa:Address>http://192.0.2.78/</wsa:Address></wsa:ReplyTo>"))))
    assert message.to == DEVICE
    reply_to = message.header.find(f"{{{WSA}}}ReplyTo")
    assert ["".join(address.itertext()) for address in reply_to.iter(f"{{{WSA}}}Address")] == [ANONYMOUS]


@pytest.mark.parametrize("reply", [
    "<wsa:{0}><wsa:Address>http://192.0.2.77/reply</wsa:Address></wsa:{0}>",
    "<wsa:{0}>urn:uuid:bare</wsa:{0}>", "<wsa:{0}/>",
    "<wsa:{0}><wsa:Address>urn:x</wsa:Address>"
    "<wsa:ReferenceParameters><q xmlns='u:q'/></wsa:ReferenceParameters></wsa:{0}>",
])
@pytest.mark.parametrize("name", ["ReplyTo", "FaultTo"])
def test_reply_addresses_become_anonymous(reply, name):
    message = read(forward(envelope("a", headers=reply.format(name))))
    element = message.header.find(f"{{{WSA}}}{name}")
    assert element.findtext(f"{{{WSA}}}Address") == ANONYMOUS
    assert not (element.text or "").strip()
    assert (element.find(".//{u:q}q") is not None) is ("ReferenceParameters" in reply)


def test_everything_else_is_unchanged():
    odd = ("<v:security xmlns:v='u:v' soap:mustUnderstand='1' v:a='b'><v:x>wscn:JobStatus</v:x></v:security>"
           "<wsa:From><wsa:Address>urn:me</wsa:Address></wsa:From>")
    body = ("<wscn:X xmlns:un='u:used-in-text-only' a='1'><!-- c --><?pi x?><wscn:Name>un:Vendor</wscn:Name>"
            "<v xmlns='u:default'> two  spaces </v><e></e><![CDATA[<&>]]>ä</wscn:X>")
    data = envelope("a", body, headers=odd)
    expected = etree.fromstring(data.replace(b"http://gateway.test:5357/front-desk/scan", DEVICE.encode()))
    assert etree.tostring(etree.fromstring(forward(data)), method="c14n") == etree.tostring(expected, method="c14n")
    assert b"xmlns:un=" in forward(data)
    assert b"<![CDATA[<&>]]>" in forward(data)


def test_the_encoding_is_kept():
    data = envelope("a", "<wscn:X>ä</wscn:X>", prolog="<?xml version='1.0' encoding='ISO-8859-1'?>").decode()
    out = forward(data.encode("latin-1"))
    assert "ISO-8859-1" in out.decode("latin-1")
    assert etree.fromstring(out).findtext(".//{*}X") == "ä"


def test_relates_to_of_an_answer_is_replaced():
    assert read(relate_reply(fault("wscn:X", relates_to="urn:uuid:1"), "urn:uuid:2")).relates_to == "urn:uuid:2"
    assert relate_reply(b"not found", "urn:uuid:2") == b"not found"
    plain = envelope("a")
    assert relate_reply(plain, "urn:uuid:2") == plain
