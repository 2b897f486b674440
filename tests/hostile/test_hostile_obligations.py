"""Headers with mustUnderstand that are not understood: the gateway refuses the messages that it answers itself.

SOAP 1.2 part 1, sections 2.2, 2.4 and 5.4.8.
"""

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import (
    DEVICE_PATH,
    DONE,
    EVENTS,
    FOREIGN_TO,
    MANAGER,
    RESOLVE,
    SCAN_PATH,
    LocalEndpoint,
)
from tests.messages import PROBE, SCAN, envelope, get_job_elements, job_request, manage, status_event, subscribe
from tests.wire import RESOLVE_1_1
from wsdgateway.net.clients.discoveryendpoint import STABLE
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA, WSA_2005_08, WSD, WSD_1_1, WSE, WXF
from wsdgateway.soap.obligations import MAX_NAMED

ID = "urn:uuid:00000000-0000-4000-8000-000000000001"
ROLE = f"{SOAP}/role"


OURS = {
    "probe": LocalEndpoint(DEVICE_PATH, PROBE),
    "resolve": LocalEndpoint(DEVICE_PATH, envelope(f"{WSD}/Resolve", RESOLVE)),
    "get": LocalEndpoint(DEVICE_PATH, envelope(f"{WXF}/Get")),
    "probe-all": LocalEndpoint("/", PROBE),
    "resolve-all": LocalEndpoint("/", envelope(f"{WSD}/Resolve", RESOLVE)),
    "probe-stable": LocalEndpoint(STABLE.decode(), PROBE),
    "resolve-1.1": LocalEndpoint("/", RESOLVE_1_1),
    "resolve-1.1-device": LocalEndpoint(DEVICE_PATH, RESOLVE_1_1),
    "get-status": LocalEndpoint(MANAGER, manage("GetStatus")),
    "event": LocalEndpoint(EVENTS, status_event("1", "Completed", 2, message_id=ID), 202),
}
# Messages that would change something if they were processed, and messages that are also refused for another reason.
OURS_TO_REFUSE = {
    **OURS,
    "subscribe": LocalEndpoint(SCAN_PATH, subscribe("http://127.0.0.1:9/x")),
    "subscribe-device": LocalEndpoint(DEVICE_PATH, subscribe("http://127.0.0.1:9/x")),
    "renew": LocalEndpoint(MANAGER, manage("Renew", expires="PT1S")),
    "unsubscribe": LocalEndpoint(MANAGER, manage("Unsubscribe")),
    "end": LocalEndpoint(EVENTS, envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>")),
    "unknown-action": LocalEndpoint(DEVICE_PATH, envelope("urn:x/y")),
    "no-action": LocalEndpoint(SCAN_PATH, envelope(None)),
    "unknown-at-root": LocalEndpoint("/", envelope("urn:x/y")),
    "no-action-at-root": LocalEndpoint("/", envelope(None)),
}


def header(attributes, name="Security", uri="urn:x:security"):
    """Returns a header with these attributes; it declares `soap` itself."""
    return f'<v:{name} xmlns:v="{uri}" xmlns:soap="{SOAP}" {attributes}>x</v:{name}>'


OBLIGES = {
    "1": header('soap:mustUnderstand="1"'),
    "true": header('soap:mustUnderstand="true"'),
    "blanks": header('soap:mustUnderstand=" true&#10;"'),
    "next": header(f'soap:mustUnderstand="1" soap:role="{ROLE}/next"'),
    "ultimate": header(f'soap:mustUnderstand="1" soap:role="{ROLE}/ultimateReceiver"'),
    "no-role": header('soap:mustUnderstand="1" soap:role=""'),
    "later": header("") + header('soap:mustUnderstand="0"') + header('soap:mustUnderstand="1"'),
    "relay": header('soap:mustUnderstand="1" soap:relay="true"'),
}
UNDERSTOOD = {
    "0": header('soap:mustUnderstand="0"'),
    "false": header('soap:mustUnderstand="false"'),
    "no-boolean": header('soap:mustUnderstand="perhaps"'),
    "unqualified": header('mustUnderstand="1"'),
    "soap-1.1": header('s:mustUnderstand="1" xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'),
    "none": header(f'soap:mustUnderstand="1" soap:role="{ROLE}/none"'),
    "another": header('soap:mustUnderstand="1" soap:role="urn:the-proxy-before-us"'),
    "nested": f'<v:a xmlns:v="urn:x">{header("soap:mustUnderstand=" + chr(34) + "1" + chr(34))}</v:a>',
    "reply-to": header('soap:mustUnderstand="1"', "ReplyTo", WSA),
    "2005": header('soap:mustUnderstand="1"', "From", WSA_2005_08),
    "sequence": header('soap:mustUnderstand="1"', "AppSequence", WSD),
    "sequence-1.1": header('soap:mustUnderstand="1"', "AppSequence", WSD_1_1),
}


@pytest.mark.parametrize("headers", OBLIGES.values(), ids=OBLIGES)
@pytest.mark.parametrize("place", OURS_TO_REFUSE.values(), ids=OURS_TO_REFUSE)
@pytest_twisted.ensureDeferred
async def test_headers_that_are_not_understood_are_refused(attacked, place, headers):
    outcome = await attacked.send(place.path, place.with_headers(headers))
    assert (outcome.status, outcome.code, outcome.reached) == (500, "MustUnderstand", ())
    answer = read(outcome.body)
    assert answer.relates_to == ("urn:uuid:r" if place.message is RESOLVE_1_1 else ID)
    assert answer.action == f"{WSA}/fault"
    value = answer.body.find(f"{{{SOAP}}}Code/{{{SOAP}}}Value")
    prefix, _, local = value.text.partition(":")
    assert (value.nsmap[prefix], local) == (SOAP, "MustUnderstand")
    assert answer.body.find(f"{{{SOAP}}}Code/{{{SOAP}}}Subcode") is None
    [named] = answer.header.iterchildren(f"{{{SOAP}}}NotUnderstood")
    prefix, _, local = named.get("qname").partition(":")
    assert (named.nsmap[prefix], local) == ("urn:x:security", "Security")
    assert b"without it" in outcome.body


@pytest.mark.parametrize("headers", UNDERSTOOD.values(), ids=UNDERSTOOD)
@pytest.mark.parametrize("place", OURS.values(), ids=OURS)
@pytest_twisted.ensureDeferred
async def test_optional_and_understood_headers_are_accepted(attacked, place, headers):
    outcome = await attacked.send(place.path, place.with_headers(headers))
    assert (outcome.status, outcome.code, outcome.reached) == (place.status, None, ())


@pytest_twisted.ensureDeferred
async def test_the_identifier_of_a_subscription_is_understood(attacked):
    obliged = manage("GetStatus", attacked.subscription.urn).replace(
        b"<wse:Identifier>", b'<wse:Identifier soap:mustUnderstand="1">'
    )
    outcome = await attacked.send(SCAN_PATH, obliged)
    assert (outcome.status, outcome.code) == (200, None)


@pytest.mark.parametrize(
    "message",
    [
        get_job_elements("1", headers=OBLIGES["1"], to=FOREIGN_TO),
        job_request("RetrieveImage", headers=OBLIGES["next"], to=FOREIGN_TO),
        envelope(f"{SCAN}/GetScannerElements", headers=OBLIGES["true"], to=FOREIGN_TO),
        envelope("urn:x/y", headers=OBLIGES["1"], to=FOREIGN_TO),
    ],
)
@pytest_twisted.ensureDeferred
async def test_headers_of_forwarded_messages_are_left_to_the_scanner(attacked, message):
    outcome = await attacked.send(SCAN_PATH, message)
    assert (outcome.status, outcome.body) == (200, DONE)
    assert [request.body for request in outcome.reached] == [message]


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ("".join(header('soap:mustUnderstand="1"', f"h{n}") for n in range(400)), MAX_NAMED),
        (header('soap:mustUnderstand="1"') * 400, 1),
        (header('soap:mustUnderstand="1"', "x" * 5000), 0),
        (header('soap:mustUnderstand="1"', "x", "urn:x?a&amp;b=" + "y" * 900), 1),
        (header('soap:mustUnderstand="1"', "x", "urn:" + "y" * 100000), 0),
        ('<plain soap:mustUnderstand="1"/>', 1),
        ('<prüfung soap:mustUnderstand="1" xmlns="urn:x"/>', 1),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_fault_names_a_bounded_number_of_headers(attacked, headers, named):
    outcome = await attacked.send("/", OURS["probe-all"].with_headers(headers))
    assert (outcome.status, outcome.code) == (500, "MustUnderstand")
    assert len(list(read(outcome.body).header.iterchildren(f"{{{SOAP}}}NotUnderstood"))) == named
    assert len(outcome.body) < 30000
