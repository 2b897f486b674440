"""Tests of eventing.source: requests to the event source, its answers, and SubscriptionEnd."""

import pytest

from tests.eventing.requests import NOW, SINK, asked
from tests.messages import envelope, manage, subscribe
from wsdgateway.eventing.expiry import read_expires, write_expires
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.eventing.messages import PUSH
from wsdgateway.eventing.source import (
    DELIVERY_FAILURE,
    Lifetime,
    identifier_of,
    read_renew,
    write_lifetime_response,
    write_subscribe_response,
    write_subscription_end,
    write_unsubscribe_response,
)
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import Refused, fault_of, write_fault
from wsdgateway.soap.namespaces import SOAP, WSA, WSCN, WSDP, WSE

W, A = f"{{{WSE}}}", f"{{{WSA}}}"


@pytest.mark.parametrize(("message", "code"), [
    (subscribe(SINK, mode=f"{WSE}/DeliveryModes/Pull"), "DeliveryModeRequestedUnavailable"),
    (subscribe(SINK, events=["JobStatusEvent"], dialect="http://www.w3.org/TR/1999/REC-xpath-19991116"),
     "FilteringRequestedUnavailable"),
    (subscribe(SINK, events=["urn:unknown"]), "FilterActionNotSupported"),
    (subscribe(SINK, events=[]), "FilterActionNotSupported"),
    (subscribe(SINK, events=["JobEvent"], dialect=None), "FilterActionNotSupported"),
    (subscribe(SINK, expires="PT0S"), "InvalidExpirationTime"),
    (subscribe(SINK, expires="-PT5M"), "InvalidExpirationTime"),
    (subscribe(SINK, expires="2026-11-22T09:59:59Z"), "InvalidExpirationTime"),
    (subscribe(SINK, expires="tomorrow"), "UnsupportedExpirationType"),
    (envelope(f"{WSE}/Subscribe", "<wse:Subscribe/>"), "InvalidMessage"),
    (envelope(f"{WSE}/Subscribe", "<wse:Subscribe><wse:Delivery/></wse:Subscribe>"), "InvalidMessage"),
    (envelope(f"{WSE}/Subscribe", "<wse:Renew/>"), "InvalidMessage"),
    (envelope(f"{WSE}/Subscribe"), "InvalidMessage"),
    (subscribe(""), "InvalidMessage"),
    (subscribe(SINK).replace(b"<wse:Delivery>", b"<wse:EndTo/><wse:Delivery>"), "InvalidMessage"),
])
def test_refused_subscribe_requests(message, code):
    with pytest.raises(Refused) as caught:
        asked(message)
    fault = caught.value.fault
    assert (fault.code, fault.status, fault.subcode.partition(":")[2]) == ("Sender", 400, code)
    written = read(write_fault(fault, relates_to="urn:uuid:1", message_id="urn:uuid:2"))
    assert fault_of(written) == code
    assert written.action == f"{WSA}/fault"
    if "Requested" in code:
        [detail] = written.body.find(f"{{{SOAP}}}Detail")
        assert detail.text in (PUSH, f"{WSDP}/Action")


def test_the_references_of_a_subscribe():
    message = subscribe(SINK, end_to="http://192.0.2.7/end", mode=PUSH,
                        parameters='<a xmlns="urn:a"/><b x="1"><c/></b>')
    request = asked(message)
    assert request.notify_to.address == SINK
    assert request.end_to.address == "http://192.0.2.7/end"
    assert len(request.notify_to.parameters) == 2
    answer = read(envelope("urn:x", headers=request.notify_to.headers).replace(b"<soap:Header>",
                                                                             b'<soap:Header xmlns="urn:other">'))
    assert answer.header.find("{urn:a}a") is not None
    assert answer.header.find("b/c") is not None  # it has no namespace, even inside another default namespace
    assert asked(subscribe(SINK)).end_to is None
    assert asked(subscribe(SINK)).filter == ActionFilter()


@pytest.mark.parametrize(("text", "lifetime"), [
    (None, Lifetime()), ("", Lifetime()), ("PT1H", Lifetime(3600.0)), (" PT0.5S ", Lifetime(0.5)),
    ("2026-11-22T11:00:00Z", Lifetime(3600.0, True)), ("2026-11-22T12:00:00+01:00", Lifetime(3600.0, True)),
    ("2026-11-22T10:00:01.5", Lifetime(1.5, True))])
def test_the_requested_lifetime(text, lifetime):
    assert asked(subscribe(SINK, expires=text)).lifetime == lifetime
    assert read_renew(read(manage("Renew", expires=text)), NOW) == lifetime


@pytest.mark.parametrize("seconds", [0.0004, 0.001, 0.5, 1.0, 59.9999, 3600.0, 86400.25, 3e8])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_written_lifetime_is_never_longer_than_the_granted_one(seconds, absolute):
    text = write_expires(seconds, absolute, NOW)
    assert ("P" not in text) is absolute
    read_back = read_expires(text, NOW)
    assert read_back <= max(seconds, 0.001)
    assert read_back > seconds - 0.002


def test_answers():
    message = read(write_subscribe_response(
        manager="http://gw:1/x/subscriptions/5", identifier="urn:uuid:5", expires=60.0, absolute=False, now=NOW,
        relates_to="urn:uuid:1", message_id="urn:uuid:2", extension=f'<w:D xmlns:w="{WSCN}"/>'))
    assert (message.action, message.relates_to, message.message_id) == (
        f"{WSE}/SubscribeResponse", "urn:uuid:1", "urn:uuid:2")
    manager = message.body.find(f"{W}SubscriptionManager")
    assert manager.findtext(f"{A}Address") == "http://gw:1/x/subscriptions/5"
    assert manager.findtext(f"{A}ReferenceParameters/{W}Identifier") == "urn:uuid:5"
    assert message.body.findtext(f"{W}Expires") == "PT60S"
    assert message.body.find(f"{{{WSCN}}}D") is not None
    for name in ("Renew", "GetStatus"):
        message = read(write_lifetime_response(name, expires=60.0, absolute=True, now=NOW, relates_to="urn:uuid:1",
                                            message_id="urn:uuid:2"))
        assert message.action == f"{WSE}/{name}Response"
        assert message.body.tag == f"{W}{name}Response"
        assert message.body.findtext(f"{W}Expires") == "2026-11-22T10:01:00Z"
    message = read(write_unsubscribe_response(relates_to="urn:uuid:1", message_id="urn:uuid:2"))
    assert (message.action, message.body, message.relates_to) == (f"{WSE}/UnsubscribeResponse", None, "urn:uuid:1")


def test_the_end_of_a_subscription():
    message = read(write_subscription_end(
        to=EndpointReference("http://s/end", ('<i xmlns="urn:i">7</i>',)), manager="http://gw/m",
        identifier="urn:uuid:5", status=DELIVERY_FAILURE, reason="gone & away", message_id="urn:uuid:2"))
    assert (message.action, message.to) == (f"{WSE}/SubscriptionEnd", "http://s/end")
    assert message.header.findtext("{urn:i}i") == "7"
    assert message.body.findtext(f"{W}SubscriptionManager/{A}Address") == "http://gw/m"
    assert message.body.findtext(f"{W}Status") == f"{WSE}/DeliveryFailure"
    assert message.body.findtext(f"{W}Reason") == "gone & away"


@pytest.mark.parametrize(("message", "identifier"), [
    (manage("Renew", " urn:uuid:5\n"), "urn:uuid:5"), (manage("Renew", "urn:uuid:5", inside=True), "urn:uuid:5"),
    (manage("Renew"), None), (manage("Renew", "x" * 257), None)])
def test_the_identifier_in_header_and_body(message, identifier):
    assert identifier_of(read(message)) == identifier
