"""The problem of a scanner is the same in API, metrics, faults and log, from its beginning to its end.

Each test brings about one trouble of a scanner, and ends it.
"""

import json
import re

import pytest
import pytest_twisted

from tests.certificates import Certified
from tests.loopback.clients import get
from tests.loopback.gateways import PATH, sample
from tests.loopback.scanners import UUID, Metadata, Subscribed
from tests.messages import get_scanner_elements, job_request
from tests.peers import Device, ask
from tests.scannerstatuses import cleared_event, condition, condition_event, status_answer, summary_event
from tests.waiting import until
from wsdgateway.net.presence import monitor
from wsdgateway.scan.operations import GET_SCANNER_ELEMENTS
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import reason_of
from wsdgateway.tls.files import pin_of
from wsdgateway.tls.identity import CurrentIdentity, IdentityFiles

STATUS = get_scanner_elements("ScannerStatus")
OFF = {"events": "off"}
REFUSED = "does not accept connections"


async def described(service):
    """Returns the scanner's entry of /api/scanners."""
    [entry] = json.loads((await get(service.admin_port, b"/api/scanners"))[2])
    return entry


async def problem(service):
    return (await described(service))["problem"]


async def why(service, message=STATUS):
    """Returns the reason of the fault that a client gets."""
    return reason_of(read((await ask(service.port, PATH, message))[1]))


def told(said):
    return [line.removeprefix("front-desk: ") for line in said if line.startswith("front-desk: ") and "problem" in line]


def conditions(service):
    """Returns the conditions that the metrics show as active."""
    found = [line for line in service.metrics.render().decode().splitlines()
             if line.startswith("wsdgateway_scanner_condition{") and line.endswith(" 1.0")]
    return [line.partition('condition="')[2].partition('"')[0] for line in found]


@pytest.fixture
def idle(device):
    """A device that answers each request with an idle scanner's status."""
    device.handle = lambda asked: asked.answer(status_answer("Idle"))
    return device


@pytest_twisted.ensureDeferred
async def test_before_anything_was_tried(gateway, idle):
    service = await gateway(idle.url, scanner=OFF)
    entry = await described(service)
    assert {name: entry[name] for name in (
        "reachable", "reachable_since", "state", "conditions", "problem", "problem_since", "escl_url")} == {
            "reachable": None, "reachable_since": None, "state": None, "conditions": [], "problem": None,
            "problem_since": None, "escl_url": None}
    assert entry["client_url"] == f"http://127.0.0.1:{service.port}/front-desk/scan"
    assert "wsdgateway_scanner_up{" not in service.metrics.render().decode()
    assert sample(service, "wsdgateway_scanner_state", state="unknown") == 1.0


@pytest_twisted.ensureDeferred
async def test_the_client_url_is_the_advertised_one(gateway, idle):
    service = await gateway(idle.url, scanner=OFF, listen=[
        {"endpoint": "tcp:0:interface=127.0.0.1", "advertise": "http://scan.example.org:5357"}])
    assert (await described(service))["client_url"] == "http://scan.example.org:5357/front-desk/scan"


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_off(gateway, idle, said):
    await idle.listening.stopListening()
    service = await gateway(idle.url, scanner=OFF)
    for _ in range(5):  # the circuit opens after three
        assert REFUSED in await why(service)
        entry = await described(service)
        assert (entry["reachable"], entry["problem"]) == (False, REFUSED)
    assert sample(service, "wsdgateway_scanner_up") == 0.0
    assert told(said) == [f"problem: {REFUSED}"]
    since = entry["problem_since"]
    await idle.start(idle.port)
    while (await ask(service.port, PATH, STATUS))[0].status != 200:
        assert (await described(service))["problem_since"] == since
    entry = await described(service)
    assert (entry["reachable"], entry["problem"], entry["state"]) == (True, None, "Idle")
    assert entry["reachable_since"] >= since
    assert sample(service, "wsdgateway_scanner_up") == sample(service, "wsdgateway_scanner_state", state="Idle") == 1.0
    assert [line.partition(" after ")[0] for line in told(said)] == [f"problem: {REFUSED}", "the problem has ended"]


@pytest_twisted.ensureDeferred
async def test_a_silent_scanner(gateway, device, said):
    service = await gateway(device.url, scanner={**OFF, "timeout": 1.0})
    device.handle = lambda asked: None
    assert "it does not answer (no complete answer within 1 s)" in await why(service)
    entry = await described(service)
    assert (entry["reachable"], entry["problem"]) == (False, "does not answer")
    device.handle = lambda asked: asked.answer(status_answer("Idle"))
    assert (await ask(service.port, PATH, STATUS))[0].status == 200
    assert await problem(service) is None
    assert len(told(said)) == 2


@pytest_twisted.ensureDeferred
async def test_a_cause_that_changes_is_logged(gateway, device, said):
    service = await gateway(device.url, scanner={**OFF, "timeout": 0.2})
    device.handle = lambda asked: None
    await why(service)
    await device.stop()
    await why(service)
    first, second = told(said)
    assert first == "problem: does not answer"
    assert re.fullmatch(rf"the problem is now: {REFUSED} \(before, for \d+ s: does not answer\)", second)


@pytest_twisted.ensureDeferred
async def test_a_name_that_cannot_be_resolved(gateway):
    service = await gateway("http://nothing.invalid:80/scan", scanner=OFF)
    words = "its name cannot be resolved (nothing.invalid)"
    assert words in await why(service)
    entry = await described(service)
    assert (entry["reachable"], entry["problem"]) == (False, words)


@pytest_twisted.ensureDeferred
async def test_a_name_that_cannot_be_resolved_is_noticed_by_the_subscribe(gateway, said):
    service = await gateway("http://nothing.invalid:80/scan")
    await until(lambda: service.scanner.health.problem is not None)
    assert await problem(service) == "its name cannot be resolved (nothing.invalid)"
    assert [line for line in said if "Subscribe failed" in line] == []


@pytest.mark.parametrize("by", ["scan", "device"])
@pytest.mark.parametrize(("trust", "words"), [
    ("pin", "certificate does not match the pin"),
    ("ca", "certificate is not from the configured authority, or has expired")])
@pytest_twisted.ensureDeferred
async def test_a_certificate_that_is_not_trusted(gateway, started, tmp_path, said, by, trust, words):
    right, other = Certified(tmp_path, "scanner", "127.0.0.1"), Certified(tmp_path, "other", ca=True)
    identity = CurrentIdentity(IdentityFiles(right.pem, right.key))
    scanner = await started(Device(), 0, identity)
    how = {"pin": {"pin": pin_of(other.certificate)}, "ca": {"ca": str(other.pem)}}[trust]
    service = await gateway(None, scanner={by: scanner.url, **OFF, **how})
    if by == "device":
        await until(lambda: service.scanner.health.problem is not None)
    assert words in await why(service)
    entry = await described(service)
    assert (entry["reachable"], entry["problem"]) == (False, words)
    key = f"; its key is {pin_of(right.certificate)}; if the scanner has a new key, set this as its pin"
    assert told(said) == [f"problem: {words}{key if trust == 'pin' else ''}"]
    assert sum("its key is" in line for line in said) == (trust == "pin")


@pytest.mark.parametrize(("answer", "words"), [
    ((b"<html><p></html>", b"200 OK", b"text/html"), "is not a scanner: its answer is not SOAP"),
    ((b"Not here", b"404 Not Found", b"text/plain"), "is not a scanner: it answered 404")])
@pytest_twisted.ensureDeferred
async def test_a_web_server_is_not_a_scanner(gateway, device, answer, words):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: asked.answer(*answer)
    head, body = await ask(service.port, PATH, STATUS)
    assert (b"%d " % head.status + head.reason, body) == answer[1::-1]  # passed on as it is
    entry = await described(service)
    assert (entry["reachable"], entry["problem"]) == (True, words)
    device.handle = lambda asked: asked.answer(status_answer("Idle"))
    await ask(service.port, PATH, STATUS)
    assert await problem(service) is None


@pytest_twisted.ensureDeferred
async def test_a_web_server_is_recognized_although_no_client_asks(gateway, device, said):
    device.handle = lambda asked: asked.answer(b"Not here", b"404 Not Found", b"text/plain")
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.misfit is not None)
    assert await problem(service) == "is not a scanner: it answered 404"
    asked = len([one for one in device.requests if b"GetScannerElements" in one.request.body])
    await until(lambda: len(device.requests) > asked + 4)
    assert len([one for one in device.requests if b"GetScannerElements" in one.request.body]) == asked == 1
    assert [line for line in said if "refused Subscribe" in line] == [
        "front-desk: the scanner refused Subscribe: 404"]


@pytest_twisted.ensureDeferred
async def test_a_scanner_may_refuse_subscribe_like_a_web_server(gateway, device):
    def answer(asked):
        if b"GetScannerElements" in asked.request.body:
            asked.answer(status_answer("Idle"))
        else:
            asked.answer(b"No", b"501 Not Implemented", b"text/plain")

    device.handle = answer
    service = await gateway(device.url)
    await until(lambda: service.scanner.health.state == "Idle")
    assert await problem(service) == "refuses the gateway's subscription to its events (501)"


@pytest_twisted.ensureDeferred
async def test_a_device_without_a_scan_service(gateway, device):
    metadata = Metadata(device)
    take = metadata.take

    class Without:
        def __init__(self, asked):
            self.request, self._asked = asked.request, asked

        def answer(self, body, *more):
            self._asked.answer(body.replace(b"ScannerServiceType", b"PrinterServiceType"), *more)

    device.handle = lambda asked: take(Without(asked))
    service = await gateway(None, scanner={"device": device.url, **OFF})
    await until(lambda: service.scanner.health.problem is not None)
    words = "is not a scanner: its metadata contains no scan service"
    assert words in await why(service)
    entry = await described(service)
    assert (entry["reachable"], entry["problem"]) == (True, words)


@pytest_twisted.ensureDeferred
async def test_something_that_does_not_speak_http(gateway, device):
    service = await gateway(device.url, scanner=OFF)
    device.handle = lambda asked: (asked.write(b"220 ftp ready\r\n"), asked.close())
    assert "its answer is not HTTP" in await why(service)
    assert await problem(service) == "does not answer with HTTP"
    device.handle = lambda asked: asked.answer(status_answer("Idle"))
    await ask(service.port, PATH, STATUS)
    assert await problem(service) is None


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_never_found(finding, monkeypatch, said):
    monkeypatch.setattr(monitor, "SEARCH_SECONDS", 0.05)
    service = await finding(device_interfaces=["lo"])
    await until(lambda: service.scanner.health.problem is not None)
    entry = await described(service)
    words = f"not found by WS-Discovery ({UUID})"
    assert (entry["reachable"], entry["problem"]) == (False, words)
    assert sample(service, "wsdgateway_scanner_up") == 0.0
    assert words in await why(service)
    assert told(said) == [f"problem: {words}"]


# What the scanner itself reports.

@pytest.mark.parametrize("cache", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_jam_in_a_passing_answer(gateway, device, said, cache):
    service = await gateway(device.url, scanner={**OFF, "cache": cache})
    jam = condition("MediaJam", id="7")
    device.handle = lambda asked: asked.answer(status_answer("Stopped", "AttentionRequired", conditions=[
        jam, condition("VendorThing", id="8", severity="Informational")]))
    await ask(service.port, PATH, STATUS)
    entry = await described(service)
    assert (entry["reachable"], entry["state"], entry["problem"]) == (True, "Stopped", "paper jam")
    assert entry["conditions"] == ["MediaJam", "VendorThing", "AttentionRequired"]
    assert sorted(conditions(service)) == ["AttentionRequired", "MediaJam", "other"]
    assert sample(service, "wsdgateway_scanner_state", state="Stopped") == 1.0
    assert sample(service, "wsdgateway_scanner_up") == 1.0
    device.handle = lambda asked: asked.answer(status_answer("Idle", conditions=[
        condition("InputTrayEmpty", id="9", severity="Warning")]))
    service.clock.advance(60.0)
    await ask(service.port, PATH, STATUS)
    entry = await described(service)
    assert (entry["state"], entry["conditions"], entry["problem"]) == ("Idle", ["InputTrayEmpty"], None)
    assert [line.partition(" after ")[0] for line in told(said)] == ["problem: paper jam", "the problem has ended"]


@pytest_twisted.ensureDeferred
async def test_a_jam_told_by_events(subscribed, device_with_events, said):
    service = await subscribed()
    await ask(service.port, device_with_events.path, condition_event("MediaJam", id="7"))
    await ask(service.port, device_with_events.path, summary_event("Stopped", "MediaJam"))
    await until(lambda: service.scanner.health.state == "Stopped")
    entry = await described(service)
    assert (entry["state"], entry["conditions"], entry["problem"]) == ("Stopped", ["MediaJam"], "paper jam")
    await ask(service.port, device_with_events.path, cleared_event("7"))
    await ask(service.port, device_with_events.path, summary_event("Idle", message_id="urn:uuid:2"))
    await until(lambda: service.scanner.health.state == "Idle")
    entry = await described(service)
    assert (entry["conditions"], entry["problem"]) == ([], None)
    assert [line.partition(" after ")[0] for line in told(said)] == ["problem: paper jam", "the problem has ended"]
    assert GET_SCANNER_ELEMENTS.name not in device_with_events.actions  # nothing was asked


@pytest_twisted.ensureDeferred
async def test_an_event_that_contradicts_a_new_answer_has_the_scanner_asked(subscribed, device_with_events):
    service = await subscribed()
    answers = [status_answer("Stopped", "MediaJam"), status_answer("Idle")]
    before = device_with_events.device.handle
    device_with_events.device.handle = lambda asked: (
        asked.answer(answers.pop(0)) if b"GetScannerElementsRequest" in asked.request.body else before(asked))
    await ask(service.port, PATH, STATUS)
    assert service.scanner.health.state == "Stopped"
    await ask(service.port, device_with_events.path, summary_event("Processing"))
    await until(lambda: service.scanner.health.state == "Idle")
    assert answers == []


@pytest_twisted.ensureDeferred
async def test_the_gateway_subscribes_to_the_events_about_the_status(subscribed, device_with_events):
    await subscribed()
    wanted = device_with_events.device.requests[0].request.body
    for event in (b"Summary", b"Condition", b"ConditionCleared"):
        assert b"/ScannerStatus%sEvent" % event in wanted


@pytest_twisted.ensureDeferred
async def test_an_active_condition_is_confirmed_by_the_usual_check(gateway, device):
    service = await gateway(device.url, scanner=OFF, events={"check": 1.0})
    answers = [status_answer("Stopped", "MediaJam", conditions=[condition("MediaJam")])] * 2 + [status_answer("Idle")]
    device.handle = lambda asked: asked.answer(answers.pop(0))
    await ask(service.port, PATH, STATUS)
    assert await problem(service) == "paper jam"
    await until(lambda: service.scanner.health.problem is None)  # asked twice, once in a second
    own = [one.entry for one in service.recording.log.since(0) if one.entry.source == "own"]
    assert [entry.operation for entry in own] == ["GetScannerElements"] * 2
    assert len(device.requests) == 3


@pytest_twisted.ensureDeferred
async def test_that_a_scanner_is_back_is_noticed_although_nobody_asks(gateway, idle):
    service = await gateway(idle.url, scanner=OFF, events={"check": 1.0})
    await idle.stop()
    assert REFUSED in await why(service)
    await idle.start(idle.port)
    await until(lambda: service.scanner.health.problem is None)
    assert (await described(service))["state"] == "Idle"


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_active_conditions_is_not_asked(gateway, idle):
    service = await gateway(idle.url, scanner=OFF, events={"check": 1.0})
    await ask(service.port, PATH, STATUS)
    checks = []
    service.scanner.watch.look = lambda: checks.append(len(idle.requests))
    await until(lambda: len(checks) >= 2)
    assert checks == [1, 1]


@pytest_twisted.ensureDeferred
async def test_that_a_scanner_is_off_is_noticed_while_its_health_is_read(gateway, idle, said):
    service = await gateway(idle.url, scanner=OFF, events={"check": 0.2})
    await ask(service.port, PATH, STATUS)
    assert await problem(service) is None
    await idle.stop()
    await until(lambda: sample(service, "wsdgateway_scanner_up") == 0.0)
    assert await problem(service) == REFUSED
    assert told(said) == [f"problem: {REFUSED}"]


# Subscriptions.

@pytest_twisted.ensureDeferred
async def test_a_refused_subscription(gateway, device_with_events, said):
    device_with_events.refuse = "wse:EventSourceUnableToProcess"
    service = await gateway(device_with_events.device.url)
    await until(lambda: service.scanner.health.problem is not None)
    words = "refuses the gateway's subscription to its events (EventSourceUnableToProcess)"
    entry = await described(service)
    assert (entry["problem"], entry["reachable"], entry["subscription"]) == (words, True, "waiting")


@pytest_twisted.ensureDeferred
async def test_a_refused_subscription_is_logged_once(gateway, device_with_events, said):
    device_with_events.refuse = "wse:EventSourceUnableToProcess"
    service = await gateway(device_with_events.device.url)
    await until(lambda: device_with_events.actions.count("Subscribe") >= 4)
    assert [line for line in said if "refused Subscribe" in line] == [
        "front-desk: the scanner refused Subscribe: EventSourceUnableToProcess"]
    assert told(said) == [f"problem: {await problem(service)}"]


@pytest_twisted.ensureDeferred
async def test_a_web_server_that_refuses_the_subscription_is_not_a_scanner(gateway, device):
    device.handle = lambda asked: asked.answer(b"No POST here", b"501 Not Implemented", b"text/plain")
    service = await gateway(device.url)
    await until(lambda: "is not a scanner: it answered 501" in str(service.scanner.health.problem))
    assert (await described(service))["reachable"] is True


@pytest_twisted.ensureDeferred
async def test_a_scanner_without_events_is_one_although_it_answers_subscribe_with_404(gateway, device):
    device.handle = lambda asked: (asked.answer(b"", b"404 Not Found", b"text/plain") if b"/Subscribe<" in
                                   asked.request.body else asked.answer(status_answer("Idle")))
    service = await gateway(device.url)
    await until(lambda: service.scanner.health.state == "Idle")
    assert await problem(service) == "refuses the gateway's subscription to its events (404)"


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_has_no_events_is_polled_and_has_no_problem(gateway, device_with_events):
    device_with_events.refuse = "wsa:ActionNotSupported"
    service = await gateway(device_with_events.device.url)
    await until(lambda: service.scanner.subscriptions.own.state == "waiting")
    assert await problem(service) is None


@pytest_twisted.ensureDeferred
async def test_a_scanner_whose_events_were_switched_off_has_no_problem(gateway, device_with_events):
    service = await gateway(device_with_events.device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    device_with_events.refuse = "wsa:ActionNotSupported"
    service.scanner.subscriptions.own.ended()
    await until(lambda: service.scanner.subscriptions.own.state == "waiting" and
                device_with_events.actions.count("Subscribe") == 2)
    await until(lambda: service.scanner.health.problem is None)


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_off_is_not_subscribed(gateway, device):
    events = Subscribed(device)
    service = await gateway(device.url)
    await until(lambda: service.scanner.bridge.table.listening)
    assert (await described(service))["subscription"] == "subscribed"
    assert sample(service, "wsdgateway_subscriptions", side="device") == 1.0
    await device.stop()
    await why(service, job_request("CancelJob"))
    await until(lambda: service.scanner.health.reachable is False)
    entry = await described(service)
    assert (entry["subscription"], entry["problem"]) == ("unconfirmed", REFUSED)
    [own] = json.loads((await get(service.admin_port, b"/api/subscriptions"))[2])
    assert own["state"] == "unconfirmed"
    assert sample(service, "wsdgateway_subscriptions", side="device") == 0.0
    assert events.actions.count("Subscribe") == 1
