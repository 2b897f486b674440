"""Contradictory SOAP and WS-Addressing: missing, duplicate, misplaced and inconsistent parts.

SOAP 1.2 part 1, section 5.1; WS-Addressing 2004/08, sections 3 and 4.1.
"""

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import DEVICE_PATH, EVENTS, MANAGER, RESOLVE, SCAN_PATH, LocalEndpoint
from tests.messages import (
    PROBE,
    SCAN,
    create_scan_job,
    envelope,
    get_job_elements,
    job_request,
    manage,
    status_event,
    subscribe,
)
from tests.wire import RESOLVE_1_1
from wsdgateway.soap.envelope import read
from wsdgateway.soap.namespaces import SOAP, WSA, WSD, WSE

PLACES = {
    "probe": LocalEndpoint(DEVICE_PATH, PROBE),
    "probe-all": LocalEndpoint("/", PROBE),
    "get-status": LocalEndpoint(MANAGER, manage("GetStatus")),
    "subscribe": LocalEndpoint(SCAN_PATH, subscribe("http://127.0.0.1:9/x")),
    "event": LocalEndpoint(EVENTS, status_event("1", "Completed", 2), 202),
    "create": LocalEndpoint(SCAN_PATH, create_scan_job()),
    "status": LocalEndpoint(SCAN_PATH, get_job_elements("1")),
    "unknown": LocalEndpoint(SCAN_PATH, envelope("urn:x/y")),
}
DOUBLED = {
    "action": "<wsa:Action>urn:other</wsa:Action>",
    "action-empty": "<wsa:Action/>",
    "action-same": f"<wsa:Action>{SCAN}/GetJobElements</wsa:Action>",
    "message-id": "<wsa:MessageID>urn:uuid:2</wsa:MessageID>",
    "message-id-empty": "<wsa:MessageID/>",
    "to": "<wsa:To>http://192.0.2.9/</wsa:To>",
    "to-flood": "<wsa:To>x</wsa:To>" * 10000,
    "by-other-prefix": f'<w:Action xmlns:w="{WSA}">urn:other</w:Action>',
    "by-default": f'<Action xmlns="{WSA}">urn:other</Action>',
}


@pytest.mark.parametrize("headers", DOUBLED.values(), ids=DOUBLED)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest_twisted.ensureDeferred
async def test_duplicate_headers(attacked, place, headers):
    outcome = await attacked.send(place.path, place.with_headers(headers))
    assert (outcome.status, outcome.code, outcome.reached) == (400, "InvalidMessageInformationHeader", ())
    assert (read(outcome.body).relates_to is None) is ("MessageID" in headers)


@pytest.mark.parametrize("path", ["/", DEVICE_PATH])
@pytest.mark.parametrize("name", ["Action", "MessageID", "To"])
@pytest_twisted.ensureDeferred
async def test_duplicate_headers_of_ws_addressing_2005(attacked, path, name):
    message = RESOLVE_1_1.replace(b"<s:Header>", f"<s:Header><a:{name}>x</a:{name}>".encode())
    outcome = await attacked.send(path, message)
    assert (outcome.status, outcome.code) == (400, "InvalidMessageInformationHeader")


HEADER, BODY = b"<soap:Header>", b"<soap:Body>"


def swapped(message):
    """Returns the message with its Header after its Body."""
    before, _, rest = message.partition(HEADER)
    header, _, rest = rest.partition(b"</soap:Header>")
    body, _, end = rest.partition(b"</soap:Body>")
    return before + body + b"</soap:Body>" + HEADER + header + b"</soap:Header>" + end


STRUCTURES = {
    "two-bodies": lambda m: m.replace(b"</soap:Envelope>", b"<soap:Body><a/></soap:Body></soap:Envelope>"),
    "empty-body-first": lambda m: m.replace(BODY, b"<soap:Body/>" + BODY),
    "two-headers": lambda m: m.replace(BODY, b"<soap:Header><a/></soap:Header>" + BODY),
    "empty-header-first": lambda m: m.replace(HEADER, b"<soap:Header/>" + HEADER),
    "header-after-body": swapped,
    "header-at-the-end": lambda m: m.replace(b"</soap:Envelope>", b"<soap:Header/></soap:Envelope>"),
    "no-body": lambda m: m[: m.index(BODY)] + b"</soap:Envelope>",
    "body-in-header": lambda m: (
        m[: m.index(b"</soap:Header>")]
        + m[m.index(BODY) :].replace(b"</soap:Envelope>", b"</soap:Header></soap:Envelope>")
    ),
    "body-of-1.1": lambda m: m.replace(b"soap:Body", b"o:Body").replace(
        b"<soap:Envelope ", b'<soap:Envelope xmlns:o="http://schemas.xmlsoap.org/soap/envelope/" '
    ),
    "soap-1.1": lambda m: m.replace(SOAP.encode(), b"http://schemas.xmlsoap.org/soap/envelope/"),
    "soap-9": lambda m: m.replace(SOAP.encode(), b"http://www.w3.org/2099/01/soap-envelope"),
    "no-namespace": lambda m: m.replace(SOAP.encode(), b"urn:none"),
    "lower-case": lambda m: m.replace(b"soap:Envelope", b"soap:envelope"),
    "wrapped": lambda m: b"<x>" + m.partition(b"?>")[2] + b"</x>",
    "envelope-in-envelope": lambda m: (
        f'<s:Envelope xmlns:s="{SOAP}">'.encode() + m.partition(b"?>")[2] + b"</s:Envelope>"
    ),
}


@pytest.mark.parametrize("made", STRUCTURES.values(), ids=STRUCTURES)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest_twisted.ensureDeferred
async def test_missing_duplicate_or_misplaced_parts(attacked, place, made):
    outcome = await attacked.send(place.path, made(place.message))
    assert (outcome.status, outcome.code, outcome.reached) == (400, "InvalidArgs", ())


CONTRADICTIONS = {
    "cancel-in-status": envelope(
        f"{SCAN}/GetJobElements", "<wscn:CancelJobRequest><wscn:JobId>1</wscn:JobId></wscn:CancelJobRequest>"
    ),
    "create-in-elements": create_scan_job().replace(b"/CreateScanJob<", b"/GetScannerElements<"),
    "status-in-cancel": get_job_elements("1").replace(b"/GetJobElements<", b"/CancelJob<"),
    "image-in-status": job_request("RetrieveImage").replace(b"scan/RetrieveImage<", b"scan/GetJobElements<"),
    "history-in-active": envelope(f"{SCAN}/GetActiveJobs", "<wscn:GetJobHistoryRequest/>"),
    "bare-name": envelope(f"{SCAN}/GetActiveJobs", "<wscn:CancelJob><wscn:JobId>1</wscn:JobId></wscn:CancelJob>"),
    "2006-01": create_scan_job()
    .replace(b"/CreateScanJob<", b"/GetScannerElements<")
    .replace(b'2006/08/wdp/scan"', b'2006/01/wdp/scan"'),
}


@pytest.mark.parametrize("message", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
@pytest.mark.parametrize("path", [SCAN_PATH, MANAGER])
@pytest_twisted.ensureDeferred
async def test_an_action_that_contradicts_the_body_does_not_reach_the_scanner(attacked, path, message):
    outcome = await attacked.send(path, message)
    assert (outcome.status, outcome.code, outcome.reached) == (400, "InvalidArgs", ())


@pytest.mark.parametrize(
    ("path", "message", "code"),
    [
        (SCAN_PATH, envelope(f"{WSE}/Subscribe", "<wse:Unsubscribe/>"), "InvalidMessage"),
        (MANAGER, envelope(f"{WSE}/Renew", "<wse:Unsubscribe/>"), "InvalidMessage"),
        (DEVICE_PATH, envelope(f"{WSD}/Probe", RESOLVE), "InvalidArgs"),
        ("/", envelope(f"{WSD}/Resolve", f'<wsd:Probe xmlns:wsd="{WSD}"/>'), "InvalidArgs"),
        (DEVICE_PATH, get_job_elements("1"), "ActionNotSupported"),
        ("/", get_job_elements("1"), "ActionNotSupported"),
        (EVENTS, PROBE, "ActionNotSupported"),
        (DEVICE_PATH, envelope(" "), "MessageInformationHeaderRequired"),
        (SCAN_PATH, envelope("<x/>"), "MessageInformationHeaderRequired"),
        (DEVICE_PATH, envelope("x" * 100000), "ActionNotSupported"),
        ("/", envelope("\u202e" * 1000), "ActionNotSupported"),
        (
            SCAN_PATH,
            f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(),
            "MessageInformationHeaderRequired",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_messages_at_the_wrong_address(attacked, path, message, code):
    outcome = await attacked.send(path, message)
    assert (outcome.status, outcome.code, outcome.reached) == (400, code, ())
    assert len(outcome.body) < 3000


@pytest.mark.parametrize(
    "headers",
    [
        "<wsa:RelatesTo>urn:a</wsa:RelatesTo><wsa:RelatesTo>urn:b</wsa:RelatesTo>",
        "<wsa:ReplyTo/><wsa:ReplyTo/>",
        "<wsa:FaultTo/>",
        "<wsa:ReplyTo><wsa:Address>http://192.0.2.66/</wsa:Address></wsa:ReplyTo>",
        "<wsa:ReplyTo>urn:bare</wsa:ReplyTo>",
        "<wsa:FaultTo><wsa:Address>file:///etc/passwd</wsa:Address></wsa:FaultTo>",
        "<wsa:From/><wsa:Nonsense/>",
    ],
)
@pytest_twisted.ensureDeferred
async def test_tolerable_headers_are_answered_on_the_connection(attacked, headers):
    for place in (PLACES["probe"], PLACES["get-status"], PLACES["status"]):
        outcome = await attacked.send(place.path, place.with_headers(headers))
        assert (outcome.status, outcome.code, outcome.reached) == (200, None, ())


@pytest.mark.parametrize(
    "message_id", ["x" * 500000, "&lt;/wsa:RelatesTo&gt;", "\u202e", "urn:uuid:<!-- -->1", "&#13;&#10;Set: x"]
)
@pytest_twisted.ensureDeferred
async def test_the_answer_relates_to_any_message_id(attacked, message_id):
    message = get_job_elements("1", message_id=message_id)
    outcome = await attacked.send(SCAN_PATH, message)
    assert (outcome.status, outcome.code) == (200, None)
    assert read(outcome.body).relates_to == read(message).message_id
