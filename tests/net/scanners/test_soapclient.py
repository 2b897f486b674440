"""Tests of the gateway's own requests: they declare the prefixes that they use, and say where answers go."""

import re
from datetime import UTC, datetime

import pytest

from tests.messages import envelope
from wsdgateway.bridge.events.upstream import ALL_EVENTS
from wsdgateway.discovery.writing import write_probe
from wsdgateway.eventing.messages import read_granted, write_renew, write_subscribe, write_unsubscribe
from wsdgateway.metadata.messages import write_get
from wsdgateway.net.discovery.client import DEVICE
from wsdgateway.scan.destinations import read_destinations
from wsdgateway.scan.scannerelements import write_description_request
from wsdgateway.soap.addressing import ANONYMOUS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA, WSE

MINE = {"to": "http://192.0.2.20/scan", "message_id": "urn:uuid:1"}
# As many prefixes as a Kyocera declares in its messages, and one that is used only in text.
MANY = " ".join(f'xmlns:km{number}="http://makers.example/ws/setting/number_{number}"' for number in range(46))
GRANT = envelope(f"{WSE}/SubscribeResponse", (
    f"<wse:SubscribeResponse {MANY}><wse:SubscriptionManager><wsa:Address>http://192.0.2.20/m</wsa:Address>"
    "<wsa:ReferenceProperties><km7:Kind>km8:events</km7:Kind></wsa:ReferenceProperties><wsa:ReferenceParameters>"
    "<wse:Identifier>urn:uuid:2</wse:Identifier></wsa:ReferenceParameters></wse:SubscriptionManager>"
    "<wse:Expires>PT1H</wse:Expires></wse:SubscribeResponse>"))
NAMES = envelope(f"{WSE}/Subscribe", (
    f"<wse:Subscribe {MANY}><wscn:ScanDestinations><wscn:ScanDestination><wscn:ClientDisplayName>Office"
    "</wscn:ClientDisplayName><wscn:ClientContext>Scan</wscn:ClientContext><km9:Icon/></wscn:ScanDestination>"
    "</wscn:ScanDestinations></wse:Subscribe>"))
MANAGER = read_granted(read(GRANT), datetime(2026, 11, 22, tzinfo=UTC)).manager
SUBSCRIBE = {"notify_to": "http://192.0.2.5:5357/s/events/x", "expires": 3600.0, **MINE}

REQUESTS = {
    "Get": (write_get(**MINE), set()),
    "GetScannerElements": (write_description_request(**MINE), {"wscn"}),
    "Probe": (write_probe(DEVICE, message_id="urn:uuid:1", directed=True), {"wsd", "wsdp"}),
    "Subscribe": (write_subscribe(actions=ALL_EVENTS, **SUBSCRIBE), {"wse"}),
    "Subscribe with names": (write_subscribe(actions=("urn:a",), extension=read_destinations(read(NAMES).body).xml,
                                             **SUBSCRIBE), {"wse", "wscn", "km9"}),
    "Renew": (write_renew(manager=MANAGER, message_id="urn:uuid:1", expires=60.0), {"wse", "km7", "km8"}),
    "Unsubscribe": (write_unsubscribe(manager=MANAGER, message_id="urn:uuid:1"), {"wse", "km7", "km8"}),
}


def prefixes(message):
    """Returns the prefixes declared in a message, and the declared ones that it never uses."""
    text = message.decode()
    declared = set(re.findall(r'\sxmlns:([\w.-]+)="', text))
    rest = re.sub(r'\sxmlns(:[\w.-]+)?="[^"]*"', "", text)
    return declared, {prefix for prefix in declared if not re.search(rf"[<\s\"'>/]{re.escape(prefix)}:\w", rest)}


@pytest.mark.parametrize(("message", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_declares_the_prefixes_it_uses_and_an_anonymous_reply_to(message, expected):
    assert prefixes(message) == ({"soap", "wsa", *expected}, set())
    assert f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}"'.encode() in message
    asked = read(message)
    assert asked.header.findtext(f"{{{WSA}}}ReplyTo/{{{WSA}}}Address") == ANONYMOUS
    assert asked.message_id == "urn:uuid:1"


def test_reference_parameters_are_echoed_with_their_namespaces():
    header = read(REQUESTS["Renew"][0]).header
    kind = header.find("{http://makers.example/ws/setting/number_7}Kind")
    assert (kind.text, kind.nsmap["km8"]) == ("km8:events", "http://makers.example/ws/setting/number_8")
    assert header.findtext(f"{{{WSE}}}Identifier") == "urn:uuid:2"


def test_multicast_messages_have_no_reply_to():
    assert b"ReplyTo" not in write_probe(DEVICE, message_id="urn:uuid:1")
