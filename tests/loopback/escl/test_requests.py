"""The eSCL service's answers: capabilities, status, refusals, and their records."""

import io
import json

import pytest
import pytest_twisted
from PIL import Image
from twisted.internet.defer import Deferred

from tests.loopback.clients import request, scanned
from tests.loopback.escl.client import AIRSCAN, SANE_ESCL, Client, client, section, settings
from tests.loopback.gateways import sample
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.bridge.frontends.escl.status import SILENT_SECONDS
from wsdgateway.cli.errors import WRONG
from wsdgateway.escl.scannercapabilities import ScannerCapabilities
from wsdgateway.net.escl.service import CONFIRM_SECONDS
from wsdgateway.net.presence.statuscheck import GIVEN_UP_SECONDS
from wsdgateway.simulator.conditions import COVER_OPEN


@pytest_twisted.ensureDeferred
async def test_capabilities_and_status_at_both_roots(offered):
    service = await offered()
    own, below = service.escl_client, Client(service.port, "/front-desk/eSCL")
    for one in (own, below):
        answered = await one.get("ScannerCapabilities")
        assert (answered.status, answered.headers["content-type"]) == (200, "text/xml")
        found = ScannerCapabilities.read(answered.body)
        assert found.platen is not None
        assert found.adf.simplex is not None
        assert {"image/jpeg", "application/pdf"} <= set(found.platen.profiles[0].formats)
        status = await one.get("ScannerStatus")
        assert (status.status, status.value("State"), status.value("AdfState")) == (200, "Idle", "ScannerAdfLoaded")
    assert sample(service, "wsdgateway_escl_requests_total", resource="ScannerStatus", status="200") == 2
    assert sample(service, "wsdgateway_requests_total", operation="GetScannerElements", source="local") >= 4


@pytest_twisted.ensureDeferred
async def test_the_capabilities_name_the_page_of_the_scanner(offered):
    service = await offered()
    for one in (service.escl_client, Client(service.port, "/front-desk/eSCL")):
        answered = await one.get("ScannerCapabilities")
        assert answered.value("AdminURI") == f"http://127.0.0.1:{service.port}/front-desk"
    _, _, body = await request(service.port, b"/front-desk", headers=b"Accept: text/html\r\n")
    assert b"front-desk" in body


@pytest_twisted.ensureDeferred
async def test_without_escl_its_paths_are_like_any_other(bridged):
    service = await bridged()
    assert service.escl is None
    assert service.escl_ports.listeners == []
    for path in (b"/front-desk/eSCL/ScannerStatus", b"/front-desk/other/ScannerStatus"):
        status, _, body = await request(service.port, path)
        assert (status, bool(body)) == (404, True)


@pytest_twisted.ensureDeferred
async def test_a_job_is_accepted_before_the_least_patient_client_leaves(offered, monkeypatch):
    service = await offered()
    await service.escl_client.get("ScannerCapabilities")
    read, change, waits = service.scanner.escl.offers.read, service.scanner.escl.jobs.change, []

    async def slow_read(client):
        service.clock.advance(10)
        service.device.troubles.silent = True
        return await read(client)

    async def noted_change(one, seconds):
        waits.append(seconds)
        return await change(one, seconds)

    monkeypatch.setattr(service.scanner.escl.offers, "read", slow_read)
    monkeypatch.setattr(service.scanner.escl.jobs, "change", noted_change)
    await service.escl_client.scan()
    assert all(seconds <= 0 for seconds in waits)


@pytest_twisted.ensureDeferred
async def test_paths_may_have_more_slashes_and_head_has_no_body(offered):
    service = await offered()
    one = service.escl_client
    for path in ("//eSCL/ScannerStatus", "/eSCL/ScannerStatus/"):
        assert (await one.ask("GET", path)).status == 200
    answered = await one.ask("POST", "//eSCL/ScanJobs", settings())
    assert answered.headers["location"].startswith("/eSCL/ScanJobs/")
    connection = await one.send("HEAD", "/eSCL/ScannerStatus")
    await connection.end()
    assert connection.received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert connection.received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 404), ("GET", "/front-desk/scan", 404), ("GET", "/eSCL", 404), ("GET", "/eSCLx/ScannerStatus", 404),
    ("GET", "/eSCL/Nothing", 404), ("POST", "/eSCL/ScannerStatus", 405), ("GET", "/eSCL/ScanJobs", 405),
    ("PUT", "/eSCL/ScanJobs", 405), ("GET", "/eSCL/ScanJobs/unknown/NextDocument", 404),
    ("GET", "/eSCL/ScanJobs/unknown/ScanImageInfo", 404), ("DELETE", "/eSCL/ScanJobs/unknown", 404),
    ("DELETE", "/eSCL/ScanJobs/../../etc", 404), ("HEAD", "/eSCL/ScanJobs/x/NextDocument", 405)])
@pytest_twisted.ensureDeferred
async def test_other_requests_are_refused_without_a_body(offered, method, path, status):
    service = await offered()
    assert (await service.escl_client.ask(method, path)).status == status


@pytest_twisted.ensureDeferred
async def test_the_size_of_a_page_is_told_without_a_job(offered):
    service = await offered()
    for method in ("PUT", "POST"):
        answered = await service.escl_client.ask(method, "/eSCL/ScanBufferInfo", settings())
        assert [answered.value(name) for name in ("ImageWidth", "ImageHeight", "BytesPerLine", "XResolution")] == [
            "150", "225", "450", "75"]
    assert (await service.escl_client.ask("PUT", "/eSCL/ScanBufferInfo", settings(resolution=77))).status == 409
    assert (await service.escl_client.ask("PUT", "/eSCL/ScanBufferInfo", b"<a/>")).status == 400
    assert (await service.escl_client.ask("GET", "/eSCL/ScanBufferInfo")).status == 405
    assert service.scanner.bridge.table.jobs() == []
    assert sample(service, "wsdgateway_escl_requests_total", resource="other", status="200") == 2


@pytest_twisted.ensureDeferred
async def test_the_icon(offered):
    service = await offered()
    named = (await service.escl_client.get("ScannerCapabilities")).value("IconURI")
    assert named == f"http://127.0.0.1:{service.escl_client.port}/eSCL/icon.png"
    answered = await service.escl_client.get("icon.png")
    assert answered.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answered.body)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (128, 128))


@pytest.mark.parametrize(("body", "status"), [
    (b"", 400), (b"<a/>", 400), (b"nonsense", 400), (b"x" * 65537, 413), (b" " * (1 << 21), 413),
    (settings().replace(b"<?xml", b"<!DOCTYPE a><?xml"), 400), (settings("Camera"), 409),
    (settings(resolution=77), 409), (settings(media="image/webp"), 409)])
@pytest_twisted.ensureDeferred
async def test_bad_settings_are_refused_without_a_body(offered, body, status):
    service = await offered()
    assert (await service.escl_client.ask("POST", "/eSCL/ScanJobs", body)).status == status
    assert (await Client(service.port, "/front-desk/eSCL").ask("POST", "/front-desk/eSCL/ScanJobs", body)
            ).status == status
    assert service.scanner.bridge.table.jobs() == []


@pytest_twisted.ensureDeferred
async def test_web_pages_are_refused(offered):
    service = await offered(gateway={"state": "memory:", "name": "Scans"})
    one = service.escl_client
    assert (await one.get("ScannerStatus", b"Origin: http://evil.example\r\n")).status == 403
    assert (await one.get("ScannerStatus", b"Sec-Fetch-Site: cross-site\r\n")).status == 403
    assert (await Client(one.port, host=b"evil.example").get("ScannerStatus")).status == 403
    assert (await Client(one.port, host=b"scans.local.:8400").get("ScannerStatus")).status == 200


@pytest_twisted.ensureDeferred
async def test_rules_count_requests_as_operations_of_ws_scan(offered):
    service = await offered(allow=[{"operations": ["GetScannerElements"]}, {"deny": True}])
    one = service.escl_client
    assert (await one.get("ScannerCapabilities")).status == 200
    assert (await one.get("ScannerStatus")).status == 200
    assert (await one.ask("POST", "/eSCL/ScanJobs", settings())).status == 403
    assert (await one.ask("GET", "/eSCL/ScanJobs/x/NextDocument")).status == 403
    assert sample(service, "wsdgateway_refused_total", reason="rule") == 2


@pytest_twisted.ensureDeferred
async def test_too_many_requests_are_refused_without_a_body(offered):
    service = await offered(limits={"client_requests": 1, "unlimited": []})
    found = [(await service.escl_client.get("ScannerStatus")) for _ in range(3)]
    assert found[-1].status == 429
    assert found[-1].headers["retry-after"] == "1"


@pytest_twisted.ensureDeferred
async def test_too_many_jobs_are_refused_for_the_moment(offered):
    service = await offered(scanner={"page_seconds": 30.0}, limits={"client_jobs": 1, "unlimited": []})
    await service.escl_client.scan()
    answered = await service.escl_client.ask("POST", "/eSCL/ScanJobs", settings())
    assert (answered.status, answered.reason) == (503, "Service Unavailable")
    assert "retry-after" in answered.headers
    assert sample(service, "wsdgateway_refused_total", reason="jobs") == 1


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_was_never_reached(gateway, tmp_path):
    service = await gateway(f"http://127.0.0.1:{free_port()}/scan", escl=section(tmp_path))
    await until(lambda: service.escl_ports.listeners[0].port is not None and service.scanner.health.reachable is False)
    one = client(service)
    status = await one.get("ScannerStatus")
    assert (status.status, status.value("State")) == (200, "Down")
    for answered in (await one.get("ScannerCapabilities"), await one.ask("POST", "/eSCL/ScanJobs", settings())):
        assert answered.status == 503
        assert "retry-after" in answered.headers


@pytest_twisted.ensureDeferred
async def test_capabilities_that_were_read_once_are_given_while_the_scanner_is_away(offered):
    service = await offered()
    known = await service.escl_client.get("ScannerCapabilities")
    await service.device.stopService()
    service.clock.advance(301)
    again = await service.escl_client.get("ScannerCapabilities")
    assert again.body == known.body
    await until(lambda: service.scanner.health.reachable is False)
    assert (await service.escl_client.get("ScannerStatus")).value("State") == "Down"
    assert (await service.escl_client.ask("POST", "/eSCL/ScanJobs", settings())).status == 503


@pytest_twisted.ensureDeferred
async def test_the_state_is_confirmed_with_the_scanner_at_most_once_in_five_seconds(offered):
    service = await offered(scanner={"events": "jobs"})
    one = service.escl_client
    await one.get("ScannerStatus")
    await until(lambda: service.scanner.bridge.reported.state == "Idle")

    def asked():
        return sample(service, "wsdgateway_device_requests_total", operation="GetScannerElements")

    before = asked()
    for _ in range(5):
        await one.get("ScannerStatus")
    assert asked() == before
    service.device.device.jam()
    service.clock.advance(5.1)
    await one.get("ScannerStatus")
    await until(lambda: asked() == before + 1)
    await until(lambda: "MediaJam" in service.scanner.bridge.reported.conditions)
    status = await one.get("ScannerStatus")
    assert (status.value("State"), status.value("AdfState")) == ("Stopped", "ScannerAdfJam")


@pytest.mark.parametrize(("headers", "state"), [
    (AIRSCAN, "ScannerAdfDoorOpen"), (SANE_ESCL, "ScannerAdfDoorOpen"),
    (b"User-Agent: okhttp/4\r\n", "ScannerAdfHatchOpen")])
@pytest_twisted.ensureDeferred
async def test_an_open_cover_is_told_in_the_words_of_the_client(offered, headers, state):
    service = await offered()
    service.device.device.begin(COVER_OPEN)
    await until(lambda: "CoverOpen" in service.scanner.bridge.reported.conditions)
    status = await client(service, headers=headers).get("ScannerStatus")
    assert (status.value("State"), status.value("AdfState")) == ("Stopped", state)


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_falls_silent_is_down_within_ten_seconds(offered):
    service = await offered(limits={"stop_timeout": 0.1})
    one = service.escl_client

    async def state():
        return (await one.get("ScannerStatus")).value("State")

    await state()
    await until(lambda: service.scanner.bridge.reported.state == "Idle")
    service.device.troubles.silent = True
    service.clock.advance(CONFIRM_SECONDS)
    assert await state() == "Idle"
    service.clock.advance(SILENT_SECONDS / 2)
    assert await state() == "Idle"
    service.clock.advance(SILENT_SECONDS / 2)
    assert await state() == "Down"
    assert CONFIRM_SECONDS + SILENT_SECONDS < 10
    service.device.troubles.silent = False
    assert (await one.get("ScannerCapabilities")).status == 200
    service.clock.advance(301)
    assert (await one.get("ScannerCapabilities")).status == 200
    assert await state() == "Idle"


@pytest_twisted.ensureDeferred
async def test_the_end_of_silence_is_seen_although_the_last_question_is_never_answered(offered):
    service = await offered()
    one = service.escl_client

    async def state():
        return (await one.get("ScannerStatus")).value("State")

    async def becomes(expected):
        for _ in range(100):
            if await state() == expected:
                return True
        return False

    await state()
    await until(lambda: service.scanner.bridge.reported.state == "Idle")
    service.device.troubles.silent = True
    service.clock.advance(CONFIRM_SECONDS)
    await state()
    service.clock.advance(GIVEN_UP_SECONDS - 0.5)
    assert await state() == "Down"
    service.device.troubles.silent = False
    assert await state() == "Down"
    service.clock.advance(0.5)
    assert await becomes("Idle")
    assert service.scanner.health.reachable is True


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_begins_an_image_is_not_down(offered):
    service = await offered(scanner={"page_seconds": 30.0})
    one = service.escl_client
    await one.scan()
    await until(lambda: service.scanner.device.is_scanning)
    service.device.troubles.silent = True
    service.clock.advance(CONFIRM_SECONDS)
    await one.get("ScannerStatus")
    service.clock.advance(SILENT_SECONDS + 1)
    assert (await one.get("ScannerStatus")).value("State") == "Processing"


@pytest_twisted.ensureDeferred
async def test_requests_are_in_the_exchange_log(offered, tmp_path):
    service = await offered(exchange_log={"path": str(tmp_path / "log.jsonl")})
    one = service.escl_client
    await one.get("ScannerStatus")
    await one.pages(await one.scan())
    await one.get("Nothing")
    await until(lambda: (tmp_path / "log.jsonl").exists()
                and (tmp_path / "log.jsonl").read_text().count('"protocol"') >= 5)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    found = [line for line in lines if line.get("protocol") == "escl"]
    assert [(line["operation"], line["status"], line["action"]) for line in found] == [
        ("GetScannerElements", 200, None), ("CreateScanJob", 201, None), ("RetrieveImage", 200, None),
        ("RetrieveImage", 404, None), ("other", 404, None)]
    assert found[2]["job_id"] == found[1]["job_id"] is not None
    assert found[2]["response_bytes"] > 1000


@pytest_twisted.ensureDeferred
async def test_the_api_has_the_address(offered):
    service = await offered()
    assert service.escl_ports.url("nobody") is None
    [one] = json.loads((await request(service.admin_port, b"/api/scanners"))[2])
    assert one["escl_url"] == f"http://127.0.0.1:{service.escl_client.port}/eSCL"


@pytest_twisted.ensureDeferred
async def test_sanes_escl_is_served_alike(offered):
    service = await offered()
    one = Client(service.escl_client.port, headers=SANE_ESCL)
    pages, last = await one.pages(await one.scan(settings(version="2.0")))
    assert (len(pages), last) == (1, 404)


@pytest.mark.usefixtures("cwd")
@pytest_twisted.ensureDeferred
async def test_wsdgateway_scan_names_the_root_at_a_port(offered):
    service = await offered()
    base = f"http://127.0.0.1:{service.escl_client.port}"
    for url in (base, f"{base}/", f"{base}/eSCL/ScannerCapabilities"):
        ran = await scanned(url)
        assert ran.status == WRONG
        assert ran.error.line().endswith(f"no scanner answers here, but an eSCL scanner is at {base}/eSCL")


@pytest_twisted.ensureDeferred
async def test_no_job_is_created_for_a_client_that_has_left(offered, monkeypatch):
    service = await offered()
    reading = Deferred()
    offers = service.scanner.escl.offers
    offer = await offers.read("127.0.0.1")
    asked = []
    monkeypatch.setattr(offers, "read", lambda client: asked.append(client) or reading)
    connection = await service.escl_client.send("POST", "/eSCL/ScanJobs", settings())
    await until(lambda: asked)
    connection.transport.abortConnection()
    await until(lambda: not service.server.connections)
    reading.callback(offer)
    assert service.scanner.escl.jobs.execution.jobs == []


@pytest.mark.logs_failure
@pytest.mark.parametrize("path", ["ScannerStatus", "ScannerCapabilities"])
@pytest_twisted.ensureDeferred
async def test_an_error_of_the_gateway_is_500_and_the_next_request_is_answered(offered, monkeypatch, path):
    service = await offered()
    monkeypatch.setattr(service.scanner.monitor, "locate", lambda: None)
    monkeypatch.setattr(service.scanner.bridge, "device", None)
    with monkeypatch.context() as broken:
        broken.setattr(service.scanner.monitor, "locate", lambda: 1 / 0)
        answered = await service.escl_client.get(path)
        assert (answered.status, answered.body) == (500, b"")
    assert (await service.escl_client.get("ScannerStatus")).status == 200
    assert sample(service, "wsdgateway_escl_requests_total", resource=path, status="500") == 1
