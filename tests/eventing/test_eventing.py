"""WS-Eventing: expiry in both forms, messages both ways."""

from datetime import UTC, datetime

import pytest

from tests.messages import envelope
from wsdgateway.eventing.expiry import LONGEST, read_expires, write_duration
from wsdgateway.eventing.messages import (
    ACTION_FILTER,
    Granted,
    read_granted,
    write_renew,
    write_subscribe,
    write_unsubscribe,
)
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import WSE

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
W = f"{{{WSE}}}"


@pytest.mark.parametrize(("text", "seconds"), [
    ("PT1H", 3600), (" PT30M ", 1800), ("P1D", 86400), ("P1Y", 365 * 86400), ("P1M", 30 * 86400), ("PT1.5S", 1.5),
    ("P1DT1H1M1S", 90061), ("-PT5S", -5), ("PT0S", 0), ("P99999999D", LONGEST),
    ("2026-11-22T11:00:00Z", 3600), ("2026-11-22T10:00:30.5Z", 30.5), ("2026-11-22T12:00:00+01:00", 3600),
    ("2026-11-22T09:59:00Z", -60), ("2026-11-22T10:01:00", 60),
    ("PT99999999999S", LONGEST), ("P9999Y", LONGEST), ("PT" + "9" * 4000 + "S", LONGEST), ("-PT99999999999S", -LONGEST),
    ("PT0.0000000001S", 1e-10), ("PT.5S", 0.5), ("PT1.S", 1), ("99999-01-01T00:00:00Z", LONGEST),
    ("9999-12-31T23:59:59-14:00", LONGEST), ("0000-01-01T00:00:00Z", -LONGEST), ("-0044-03-15T12:00:00Z", -LONGEST),
    ("2026-11-22T24:00:00Z", 14 * 3600), ("2026-11-22T10:00:30.123456789Z", 30.123456),
    ("99999-13-01T00:00:00Z", None), ("2026-11-22T25:00:00Z", None), ("PT" + "9" * 5000 + "S", None),
    ("PT٣S", None), ("P1.5D", None), ("+PT5S", None),
    ("P", None), ("PT", None), ("1H", None), ("", None), ("tomorrow", None), ("P1H", None), ("PTxS", None),
])
def test_expires(text, seconds):
    assert read_expires(text, NOW) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(3600, "PT3600S"), (0.2, "PT1S"), (59.6, "PT60S")])
def test_durations(seconds, text):
    assert write_duration(seconds) == text


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


@pytest.mark.parametrize(("told", "seconds"), [
    ("PT99999999999S", LONGEST), ("P9999Y", LONGEST), ("99999-01-01T00:00:00Z", LONGEST), ("-PT1H", -3600)])
def test_what_is_granted_for_ever_is_bounded(told, seconds):
    granted = read_granted(read(envelope("x", (
        f"<wse:SubscribeResponse><wse:Expires>{told}</wse:Expires></wse:SubscribeResponse>"))), NOW)
    assert granted.expires == seconds


def test_what_is_granted():
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
