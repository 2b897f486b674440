"""Permissions and limits of clients: refused requests get a fault and do not reach the scanner."""

import json
from urllib.parse import urlsplit

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults

from tests.loopback.clients import Granted, found, probe, request
from tests.loopback.gateways import File
from tests.loopback.scanners import Subscribed
from tests.messages import (
    GET,
    SCAN,
    create_scan_job,
    created_job,
    envelope,
    fault,
    get_job_elements,
    get_scanner_elements,
    job_request,
    status_event,
    subscribe,
)
from tests.peers import ask
from tests.waiting import until
from wsdgateway.net.scanners.queue import MAX_OF_CLIENT
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of, reason_of

PATH = "/front-desk/scan"


async def count(service, reason):
    _, _, text = await request(service.admin_port, b"/metrics")
    return sum(float(line.rpartition(b" ")[2]) for line in text.splitlines()
               if line.startswith(b"wsdgateway_refused_total{") and f'reason="{reason}"'.encode() in line)


@pytest_twisted.ensureDeferred
async def test_a_refused_request_gets_a_fault_and_is_logged(gateway, device, said, tmp_path):
    log = tmp_path / "exchanges.jsonl"
    service = await gateway(device.url, scanner={"events": "off"}, allow=[
        {"operations": ["GetJobElements"]}, {"deny": True}], exchange_log={"path": str(log)})
    for message, operation in ((job_request("RetrieveImage"), "RetrieveImage"), (envelope(f"{SCAN}/Vendor"), "other"),
                               (subscribe("http://127.0.0.1:9/"), "Subscribe")):
        head, body = await ask(service.port, PATH, message)
        answer = read(body)
        assert (head.status, fault_of(answer)) == (403, "NotAllowed")
        assert f"is not allowed to use {operation} of front-desk" in reason_of(answer)
        assert answer.relates_to == read(message).message_id
        await ask(service.port, PATH, message)
    assert (await ask(service.port, "/front-desk", GET))[0].status == 403
    assert device.requests == []
    assert [line.partition(" refused: ")[0] for line in said if " refused: " in line] == [
        f"front-desk: {name} of client 127.0.0.1" for name in ("RetrieveImage", "other", "Subscribe", "Get")]
    assert await count(service, "rule") == 7
    reading = ask(service.port, PATH, get_job_elements())
    asked = await _next(device, reading)
    assert b"GetJobElements" in asked.request.body
    await service.stopService()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["fault"] for line in lines if line["status"] == 403] == ["NotAllowed"] * 7


async def _next(device, asking):
    running = ensureDeferred(asking)
    asked = await device.next()
    asked.answer(envelope("urn:x"))
    await running
    return asked


@pytest_twisted.ensureDeferred
async def test_clients_denied_probe_find_nothing(gateway, virtual):
    scanner = await virtual()
    service = await gateway(None, scanner={"device": scanner.device_url}, allow=[
        {"scanners": ["front-*"], "operations": ["Probe"], "deny": True}])
    await until(lambda: service.scanner.bridge.table.listening)
    assert await found(service, "/", probe()) == []
    head, body = await ask(service.port, "/front-desk", probe())
    assert (head.status, fault_of(read(body))) == (403, "NotAllowed")


@pytest_twisted.ensureDeferred
async def test_a_new_rule_ends_forbidden_subscriptions(running, sink, device, tmp_path):
    file = File(tmp_path / "g.toml", running)
    scanner = f'[[scanner]]\nname = "front-desk"\nscan = "{device.url}"\n'
    service = await file.start(scanner)
    scanner_side = Subscribed(device)
    await until(lambda: service.scanners[0].bridge.table.listening)
    listening = await sink()
    granted = Granted(*await ask(service.port, PATH, subscribe(listening.url, end_to=listening.url)))
    assert granted.manager
    await file.reload(scanner + "[[allow]]\ndeny = true\n")
    await until(lambda: "SubscriptionEnd" in listening.events)
    assert (await ask(service.port, PATH, GET))[0].status == 403
    # Rules do not apply to messages of the scanner itself.
    head, _ = await ask(service.port, urlsplit(scanner_side.notify_to).path, status_event())
    assert head.status == 202


@pytest_twisted.ensureDeferred
async def test_a_client_over_its_request_limit_gets_retry_after(gateway, device):
    service = await gateway(device.url, scanner={"events": "off"}, limits={"client_requests": 5, "unlimited": []})
    answers = [await ask(service.port, "/nowhere/events/x", b"") for _ in range(2)]
    assert {head.status for head, _ in answers} == {404}
    answers = [await ask(service.port, "/front-desk", envelope("urn:x")) for _ in range(12)]
    late = [head for head, _ in answers if head.status == 429]
    assert late
    assert (b"Retry-After", b"1") in late[0].headers
    assert {head.status for head, _ in answers} == {400, 429}
    assert await count(service, "rate") == len(late)


@pytest_twisted.ensureDeferred
async def test_this_host_is_not_limited_by_default(gateway, device):
    service = await gateway(device.url, scanner={"events": "off"}, limits={
        "client_requests": 1, "client_connections": 1, "client_jobs": 1})
    answers = [await ask(service.port, "/front-desk", envelope("urn:x")) for _ in range(20)]
    assert {head.status for head, _ in answers} == {400}


@pytest.mark.parametrize("end", ["fault", "cancel", "forgotten", "unknown", "event", "lost"])
@pytest_twisted.ensureDeferred
async def test_the_concurrent_jobs_of_a_client_are_limited(gateway, device, end):
    created = iter(range(1, 100))

    def handle(asked):
        name = read(asked.request.body).action.rpartition("/")[2]
        if name == "CreateScanJob":
            asked.answer(created_job(str(next(created))))
        elif name == "RetrieveImage":
            asked.answer(fault("wscn:ClientErrorNoImagesAvailable"), b"400 Bad Request")
        elif end in ("forgotten", "unknown"):
            asked.answer(fault("wscn:ClientErrorJobIdNotFound"), b"400 Bad Request")
        else:
            asked.answer(envelope(f"{SCAN}/CancelJobResponse"))

    device.handle = handle
    service = await gateway(device.url, scanner={"events": "off"}, limits={"client_jobs": 2, "unlimited": []})

    async def create(number):
        head, body = await ask(service.port, PATH, create_scan_job(f"urn:uuid:create-{number}"))
        return head.status, fault_of(read(body))

    if end == "event":  # the first event of a job does not identify it among jobs that are created at the same time
        together = [await create(number) for number in range(5)]
    else:
        together = await gatherResults([Deferred.fromCoroutine(create(number)) for number in range(5)])
    assert sorted(together) == [(200, None)] * 2 + [(500, "ServerErrorTemporaryError")] * 3
    assert await count(service, "jobs") == 3
    if end == "fault":
        await ask(service.port, PATH, job_request("RetrieveImage", "1"))
    elif end in ("cancel", "forgotten"):
        await ask(service.port, PATH, job_request("CancelJob", "1"))
    elif end == "unknown":
        await ask(service.port, PATH, get_job_elements("1"))
    elif end == "event":
        service.scanner.bridge.table.announced(JobStatus("1", "Completed"), 0.0)
        await ask(service.port, PATH, get_scanner_elements("ScannerStatus"))  # any answer of the scanner will do
    assert (await create(9))[0] == (500 if end == "lost" else 200)
    assert (await create(10))[0] == 500


@pytest_twisted.ensureDeferred
async def test_an_unknown_action_does_not_bypass_a_rule(gateway, device):
    service = await gateway(device.url, scanner={"events": "off"}, allow=[
        {"operations": ["CreateScanJob"], "deny": True}])
    disguised = create_scan_job().replace(b"/CreateScanJob<", b"/Vendor<")
    assert b"/Vendor<" in disguised
    head, body = await ask(service.port, PATH, disguised)
    assert (head.status, fault_of(read(body))) == (403, "NotAllowed")
    assert device.requests == []


NEWER = "http://www.w3.org/2005/08/addressing"
TWO = b"<wscn:CancelJobRequest xmlns:wscn='http://schemas.microsoft.com/windows/2006/08/wdp/scan'/></soap:Body>"


@pytest.mark.parametrize("edit", [
    lambda raw: raw.replace(b"</soap:Body>", TWO), lambda raw: raw.replace(b"<soap:Header>", (
        f'<soap:Header><n:Action xmlns:n="{NEWER}">{SCAN}/CancelJob</n:Action>').encode())])
@pytest_twisted.ensureDeferred
async def test_ambiguous_messages_are_not_forwarded(gateway, device, edit):
    service = await gateway(device.url, scanner={"events": "off"}, allow=[{"operations": ["CancelJob"], "deny": True}])
    raw = job_request("ValidateScanTicket")
    assert edit(raw) != raw
    head, body = await ask(service.port, PATH, edit(raw))
    assert (head.status, fault_of(read(body))) == (400, "InvalidArgs")
    assert device.requests == []


@pytest.mark.parametrize(("given", "sent"), [
    (b'application/soap+xml; action="x/CancelJob"; charset=utf-8', b"application/soap+xml; charset=utf-8"),
    (b'application/soap+xml;act;action="x"ion=http://evil/CancelJob', b"application/soap+xml"),
    (b"application/soap+xml;action*=utf-8''x; charset=\"utf-16\"", b"application/soap+xml; charset=utf-16"),
    (b"application/soap+xml; action='a;b'", b"application/soap+xml"),
    (b"application/soap+xml; action;" + b" " * 15000 + b"x", b"application/soap+xml")])
@pytest_twisted.ensureDeferred
async def test_the_http_action_is_not_forwarded(gateway, device, given, sent):
    service = await gateway(device.url, scanner={"events": "off"})
    device.handle = lambda asked: asked.answer(envelope("urn:x"))
    await ask(service.port, PATH, job_request("ValidateScanTicket"), headers=b'SOAPAction: "x/CancelJob"\r\n',
              content_type=given)
    fields = dict(device.requests[0].request.headers)
    assert fields[b"Content-Type"] == sent
    assert b"SOAPAction" not in fields


@pytest_twisted.ensureDeferred
async def test_one_client_cannot_fill_the_queue(gateway, device):
    service = await gateway(device.url, scanner={"events": "off", "max_connections": 1}, limits={"unlimited": []})
    running = [Deferred.fromCoroutine(ask(service.port, PATH, job_request("ValidateScanTicket")))
               for _ in range(MAX_OF_CLIENT + 5)]
    await until(lambda: sum(one.called for one in running) == 4)  # one is at the scanner, a hundred wait
    refused = [await one for one in running if one.called]
    assert all("of this client" in reason_of(read(body)) for _, body in refused)
    canceling = Deferred.fromCoroutine(ask(service.port, PATH, job_request("CancelJob", "7")))
    await until(lambda: any(b"CancelJob" in asked.request.body for asked in device.requests))
    assert not canceling.called
    device.handle = lambda asked: asked.answer(envelope("urn:x"))
    for asked in device.requests[:]:
        asked.answer(envelope("urn:x"))
    await gatherResults([canceling, *(one for one in running if not one.called)])
