"""Tests of eventing.messages: the messages of a subscriber."""

import pytest

from tests.eventing.requests import NOW
from tests.messages import envelope
from wsdgateway.eventing.expiry import LONGEST
from wsdgateway.eventing.filters import ACTION_FILTER
from wsdgateway.eventing.messages import Granted, read_granted, write_renew, write_subscribe, write_unsubscribe
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

W = f"{{{WSE}}}"


def test_subscribe_has_the_filter_of_dpws():
    message = read(write_subscribe(to="http://d/scan", message_id="urn:uuid:1", notify_to="http://g/e?a&b",
                                   actions=("http://x/A", "http://x/B"), expires=60))
    assert message.action == f"{WSE}/Subscribe"
    assert message.body.find(f"{W}Filter").get("Dialect") == ACTION_FILTER
    assert message.body.findtext(f"{W}Filter") == "http://x/A http://x/B"
    assert message.body.findtext(f"{W}Expires") == "PT60S"
    assert message.body.find(f"{W}Delivery").get("Mode").endswith("/DeliveryModes/Push")
    assert message.body.findtext(f"{W}Delivery/{W}NotifyTo/*") == "http://g/e?a&b"
    assert message.body.findtext(f"{W}EndTo/*") == "http://g/e?a&b"


def test_a_manager_gets_its_reference_parameters_back():
    manager = EndpointReference("http://d/sub", ("<x:id xmlns:x='u:x'>5</x:id>",))
    for message in (write_renew(manager=manager, message_id="urn:uuid:1", expires=60),
                    write_unsubscribe(manager=manager, message_id="urn:uuid:1")):
        envelope_ = read(message)
        assert envelope_.to == "http://d/sub"
        assert envelope_.header.findtext("{u:x}id") == "5"


@pytest.mark.parametrize(("expires", "seconds"), [
    ("PT99999999999S", LONGEST), ("P9999Y", LONGEST), ("99999-01-01T00:00:00Z", LONGEST), ("-PT1H", -3600)])
def test_a_granted_lifetime_is_limited(expires, seconds):
    granted = read_granted(read(envelope("x", (
        f"<wse:SubscribeResponse><wse:Expires>{expires}</wse:Expires></wse:SubscribeResponse>"))), NOW)
    assert granted.expires == seconds


def test_the_contents_of_a_grant():
    data = envelope(f"{WSE}/SubscribeResponse", (
        "<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address> http://d/m </wsa:Address>"
        "<wsa:ReferenceParameters><wse:Identifier>urn:uuid:9</wse:Identifier></wsa:ReferenceParameters></wse:SubscriptionManager>"
        "<wse:Expires>\n2026-11-22T10:10:00Z </wse:Expires></wse:SubscribeResponse>"))
    granted = read_granted(read(data), NOW)
    assert granted.manager.address == "http://d/m"
    assert "urn:uuid:9" in granted.manager.headers
    assert granted.expires == 600
    assert read_granted(read(envelope("x", "<wse:RenewResponse/>")), NOW) == Granted(None, None)
    assert read_granted(read(envelope("x", "<wse:Other/>")), NOW) is None
    assert read_granted(read(envelope("x")), NOW) is None
