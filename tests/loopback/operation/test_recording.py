"""Records of exchanges: a log line for each and captures of its bytes, and the replay of a recorded scanner."""

import json
import uuid
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.loopback.gateways import LOOPBACK
from tests.loopback.scanners import Subscribed
from tests.messages import (
    SCAN,
    create_scan_job,
    created_job,
    envelope,
    get_job_elements,
    job_request,
    status_event,
    status_response,
)
from tests.peers import ask, connect, post
from tests.waiting import until
from wsdgateway.cli.capture import ExportError, export
from wsdgateway.exchangelog.folder import read_folder
from wsdgateway.http.layout import layout
from wsdgateway.replay.recording import read_recording
from wsdgateway.replay.service import ReplayedScanner
from wsdgateway.scan.jobs import read_created
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.namespaces import WSE

PATH = "/front-desk/scan"
CONFIGURED = {"path": "x.jsonl", "capture": "captures"}


pytestmark = pytest.mark.usefixtures("cwd")


def lines(path="x.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


async def logged(count, path="x.jsonl"):
    """Waits until there are so many lines, and returns them."""
    await until(lambda: len(lines(path)) >= count)
    return lines(path)


def captures():
    return read_folder(Path("captures"))


def everything():
    """Returns the bytes of all captures."""
    return b"".join(path.read_bytes() for path in Path("captures").iterdir())


def text_of(path):
    return Path(path).read_text()


def feeder_job():
    """Returns a CreateScanJob for all pages in the feeder, with a user's name."""
    return envelope(f"{SCAN}/CreateScanJob", (
        "<wscn:CreateScanJobRequest><wscn:ScanTicket><wscn:JobDescription><wscn:JobName>tax return</wscn:JobName>"
        "<wscn:JobOriginatingUserName>ann@example</wscn:JobOriginatingUserName></wscn:JobDescription>"
        "<wscn:DocumentParameters><wscn:ImagesToTransfer>0</wscn:ImagesToTransfer><wscn:InputSource>ADF"
        "</wscn:InputSource></wscn:DocumentParameters></wscn:ScanTicket></wscn:CreateScanJobRequest>"),
        message_id=f"urn:uuid:{uuid.uuid4()}")


@pytest.fixture
def recorded(gateway, device):
    """Starts a gateway that logs and captures, in front of a device with events."""
    async def start(**log):
        events = Subscribed(device)
        service = await gateway(device.url, exchange_log={**CONFIGURED, **log})
        await until(lambda: service.scanner.bridge.table.listening)
        service.events = events
        return service
    return start


@pytest_twisted.ensureDeferred
async def test_a_line_for_each_exchange(recorded, device):
    service = await recorded()
    events = service.events
    event = status_event("253", "Processing")
    await ask(service.port, events.path, event)
    await ask(service.port, PATH, get_job_elements("253"))
    await ask(service.port, PATH, b"no xml")
    await ask(service.port, "/nowhere", b"")
    subscribe, event_line, status, unread, nowhere = await logged(5)
    assert (subscribe["source"], subscribe["operation"], subscribe["client"]) == ("own", "Subscribe", None)
    assert (subscribe["scanner"], subscribe["status"]) == ("front-desk", 200)
    assert (event_line["source"], event_line["operation"]) == ("event", "JobStatusEvent")
    assert (event_line["job_id"], event_line["status"]) == ("253", 202)
    assert event_line["request_bytes"] == len(event) and event_line["client"].startswith("127.0.0.1:")
    assert (status["source"], status["operation"], status["job_id"], status["status"]) == (
        "local", "GetJobElements", "253", 200)
    assert status["action"] == f"{SCAN}/GetJobElements"
    assert status["message_id"] == "urn:uuid:00000000-0000-4000-8000-000000000001"
    assert status["response_bytes"] > 500 and 0 <= status["seconds"] < 5
    assert (unread["source"], unread["status"], unread["fault"]) == ("refused", 400, "InvalidArgs")
    assert (nowhere["source"], nowhere["status"], nowhere["scanner"]) == ("refused", 404, None)


@pytest_twisted.ensureDeferred
async def test_requests_that_are_not_http_are_logged(recorded):
    service = await recorded()
    client = await connect(service.port)
    client.send(b"nonsense\r\n\r\n")
    await client.end()
    line = (await logged(2))[-1]
    assert (line["source"], line["status"], line["operation"]) == ("refused", 400, "other")


@pytest_twisted.ensureDeferred
async def test_users_are_not_named_by_default(gateway, device):
    device.handle = lambda asked: asked.answer(created_job("7"))
    service = await gateway(device.url, scanner={"events": "off"}, exchange_log=CONFIGURED)
    await ask(service.port, PATH, feeder_job())
    line = (await logged(1))[0]
    assert "user" not in line and "job_name" not in line and line["job_id"] == "7"
    await service.stopService()
    written = everything() + text_of("x.jsonl").encode()
    assert b"CreateScanJob" in written and b"ann@example" not in written and b"tax return" not in written


@pytest_twisted.ensureDeferred
async def test_users_are_named_with_identify(gateway, device):
    device.handle = lambda asked: asked.answer(created_job("7"))
    service = await gateway(device.url, scanner={"events": "off"}, exchange_log={**CONFIGURED, "identify": True})
    await ask(service.port, PATH, feeder_job())
    line = (await logged(1))[0]
    assert (line["user"], line["job_name"]) == ("ann@example", "tax return")
    await service.stopService()
    assert b"ann@example" in everything()


@pytest_twisted.ensureDeferred
async def test_a_disconnected_client_has_no_status_in_the_log(recorded, device):
    service = await recorded()
    device.handle = None
    client = await connect(service.port)
    client.send(post(PATH, envelope(f"{SCAN}/GetScannerElements", "<wscn:GetScannerElementsRequest/>")))
    asked = await device.next()
    client.transport.abortConnection()
    await client.end()
    asked.answer(status_response("1"))
    line = (await logged(2))[-1]
    assert (line["operation"], line["status"], line["source"]) == ("GetScannerElements", None, "device")


@pytest_twisted.ensureDeferred
async def test_captures_contain_both_sides_as_they_were_on_the_wire(gateway, device):
    service = await gateway(device.url, scanner={"events": "off"}, exchange_log=CONFIGURED)
    body = get_job_elements("9")
    chunked = (b"POST %s HTTP/1.1\r\nHOST:   127.0.0.1\r\nContent-Type: application/soap+xml\r\nX-Odd:  1 \r\n"
               b"Transfer-Encoding: chunked\r\n\r\n" % PATH.encode())
    for at in range(0, len(body), 100):
        chunked += b"%x;note\r\n%s\r\n" % (len(body[at:at + 100]), body[at:at + 100])
    chunked += b"0\r\n\r\n"
    client = await connect(service.port)
    client.send(chunked + post(PATH, get_job_elements("10")))  # the next request is sent at the same time
    said = b"HTTP/1.1 200 Fine\r\ncontent-TYPE: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n"
    for job in ("9", "10"):
        answer = status_response(job)
        asked = await device.next()
        asked.write(said + b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer))
        await client.answer()
    client.transport.abortConnection()
    await client.end()
    await service.stopService()
    # Captures that begin in the same millisecond are not ordered by their names.
    first, second = sorted(captures(), key=lambda one: one.read("client", "request") != chunked)
    assert first.read("client", "request") == chunked
    assert second.read("client", "request") == post(PATH, get_job_elements("10"))
    assert first.read("device", "response").startswith(said)
    assert first.read("device", "request").startswith(b"POST /scan HTTP/1.1\r\nHost: 127.0.0.1:%d" % device.port)
    assert first.read("client", "response").startswith(b"HTTP/1.1 200 Fine\r\ncontent-TYPE")
    assert [line["capture"] for line in lines()] == [first.name, second.name]


@pytest_twisted.ensureDeferred
async def test_secrets_are_masked_by_default(recorded, device):
    service = await recorded()
    secret = service.events.path.rpartition("/")[2].encode()
    device.handle = lambda asked: asked.answer(created_job("7", token="t0ken"))
    await ask(service.port, PATH, create_scan_job(), headers=b"Authorization: Basic c2VjcmV0\r\n")
    _, answer = await ask(service.port, PATH, job_request("GetScannerElements"))
    assert b"t0ken" in answer
    await service.stopService()
    written = everything()
    assert b"CreateScanJob" in written and b"Subscribe" in written
    for hidden in (secret, b"t0ken", b"c2VjcmV0"):
        assert hidden not in written


@pytest_twisted.ensureDeferred
async def test_secrets_are_captured_with_secrets(gateway, device):
    device.handle = lambda asked: asked.answer(created_job("7", token="t0ken"))
    service = await gateway(device.url, scanner={"events": "off"}, exchange_log={**CONFIGURED, "secrets": True})
    await ask(service.port, PATH, create_scan_job())
    await service.stopService()
    assert b"t0ken" in captures()[0].read("client", "response")


@pytest.mark.parametrize("images", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_scan_is_recorded_and_replayed(virtual, gateway, running, images):
    """A scanner is recorded through a gateway, then replayed, and the replay is bridged by another gateway."""
    from twisted.internet import reactor

    scanner = await virtual(feeder_pages=2)
    service = await gateway(scanner.scan_url, exchange_log={**CONFIGURED, "images": images})
    await until(lambda: service.scanner.bridge.table.listening)
    pages = await scanned(service.port, PATH)
    assert len(pages) == 2
    await until(lambda: service.scanner.bridge.table.jobs()[-1].final)
    await service.stopService()
    await scanner.stopService()

    recording = read_recording(captures(), None)
    said = []
    replayed = ReplayedScanner(reactor, recording, endpoint=LOOPBACK, speed=1000.0, say=said.append)
    await running(replayed)
    await replayed.opened
    port = replayed.address[1]
    assert replayed.urls()["scan"] == f"http://127.0.0.1:{port}/WDP/SCAN"
    again = await scanned(port, "/WDP/SCAN")
    if images:
        assert again == pages
    else:
        assert [len(page) for page in again] == [len(page) for page in pages]
        assert all(page.startswith(b"\xff\xd8\xff") for page in again)

    behind = await gateway(replayed.urls()["scan"])
    await until(lambda: behind.scanner.bridge.table.listening)
    assert len(await scanned(behind.port, PATH)) == 2
    await until(lambda: behind.scanner.bridge.table.jobs() and behind.scanner.bridge.table.jobs()[-1].final)
    job = behind.scanner.bridge.table.jobs()[-1]
    assert (job.job_id, job.status.state) == ("2", "Completed")  # the recorded JobId had been replayed already
    assert [state for _, state in job.timeline][-1] == "Completed"
    assert any(line == "JobStatusEvent 2 (sent to 1 subscriber(s))" for line in said)


async def scanned(port, path):
    """Scans from the feeder and returns the pages."""
    _, answer = await ask(port, path, feeder_job())
    job = read_created(read(answer).body)
    pages = []
    while True:
        head, body = await ask(port, path, envelope(f"{SCAN}/RetrieveImage", (
            f"<wscn:RetrieveImageRequest><wscn:JobId>{job.job_id}</wscn:JobId><wscn:JobToken>{job.job_token}"
            "</wscn:JobToken></wscn:RetrieveImageRequest>"), message_id=f"urn:uuid:{uuid.uuid4()}"))
        if head.status != 200:
            assert fault_of(read(body)) == "ClientErrorNoImagesAvailable"
            return pages
        image = body.split(b"\r\n\r\n", 2)[2]
        pages.append(image[:image.rindex(b"\r\n--", 0, len(image) - 2)])


@pytest_twisted.ensureDeferred
async def test_a_capture_opens_in_other_tools(virtual, gateway, har_problems):
    scanner = await virtual(feeder_pages=1)
    service = await gateway(scanner.scan_url, exchange_log={**CONFIGURED, "images": True})
    await until(lambda: service.scanner.bridge.table.listening)
    await scanned(service.port, PATH)
    await ask(service.port, "/x?a=b&c=", b"", headers=b"Cookie: c=1\r\n")
    await service.stopService()
    await deferToThread(export, "captures", "out.har")
    har = json.loads(text_of("out.har"))
    assert har_problems(har) == []
    entries = har["log"]["entries"]
    assert {entry["_side"] for entry in entries} == {"client", "device", "event"}
    image = next(entry for entry in entries if entry["_operation"] == "RetrieveImage")
    assert image["response"]["content"]["encoding"] == "base64"
    assert image["request"]["postData"]["text"].startswith("<?xml")
    last = next(entry for entry in entries if entry["_scanner"] is None)
    assert last["request"]["queryString"] == [{"name": "a", "value": "b"}, {"name": "c", "value": ""}]
    assert last["request"]["url"].endswith("/x?a=b&c=") and last["response"]["status"] == 404
    with pytest.raises(ExportError, match="no captures"):
        export(".", "-")
    with pytest.raises(ExportError, match="cannot be written"):
        export("captures", "missing/out.har")


@pytest_twisted.ensureDeferred
async def test_a_missing_disk_does_not_stop_exchanges(recorded, cwd):
    (cwd / "file").write_text("")
    service = await recorded(path="file/x.jsonl", capture="file/captures")
    for _ in range(3):
        head, _ = await ask(service.port, PATH, b"no xml")
        assert head.status == 400
    await until(lambda: b'lines_total{outcome="dropped"} 4.0' in service.metrics.render())
    await until(lambda: b'wsdgateway_captures_total{outcome="dropped"} 4.0' in service.metrics.render())


@pytest_twisted.ensureDeferred
async def test_discovery_is_logged(gateway):
    service = await gateway(None, exchange_log=CONFIGURED)
    service.recording.discovery("Probe", "a/Probe", "urn:1", "192.0.2.7:3702", b"12345")
    line = (await logged(1))[0]
    assert (line["source"], line["operation"], line["request_bytes"], line["status"]) == ("discovery", "Probe", 5, None)
    assert line["client"] == "192.0.2.7:3702"


@pytest_twisted.ensureDeferred
async def test_a_subscription_end_is_an_event(recorded):
    service = await recorded()
    await ask(service.port, service.events.path, envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>"))
    await until(lambda: any(line["operation"] == "SubscriptionEnd" for line in lines()))
    await service.stopService()  # captures are written in a thread of their own
    captured = next(one for one in captures() if one.operation == "SubscriptionEnd")
    raw = captured.read("event", "request")
    assert layout(raw, request=True).end == len(raw)
