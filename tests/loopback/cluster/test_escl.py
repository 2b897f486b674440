"""eSCL clients that reach a gateway which does not own the scanner."""

import pytest_twisted
from twisted.internet import defer

from tests.loopback.cluster.gateways import SCANNER
from tests.loopback.escl.client import Client, section, settings
from tests.waiting import until
from wsdgateway.bridge.cluster.values import Registration

ROOT = f"/{SCANNER}/eSCL"


@pytest_twisted.ensureDeferred
async def test_a_page_is_scanned_through_another_gateway(pair, virtual, tmp_path):
    device = await virtual()
    owner, front = await pair(device.scan_url, cluster={"escl": True}, escl=section(tmp_path),
                              front={})
    await until(lambda: owner.scanner.bridge.table.listening)
    client = Client(front.port, ROOT)
    capabilities = await client.get("ScannerCapabilities")
    assert (capabilities.status, capabilities.headers["content-type"]) == (200, "text/xml")
    assert f"http://127.0.0.1:{front.port}/{SCANNER}" in capabilities.body.decode()
    assert (await client.get("ScannerStatus")).value("State") == "Idle"
    job = await client.ask("POST", f"{ROOT}/ScanJobs", settings())
    assert (job.status, job.headers["location"].startswith(f"{ROOT}/ScanJobs/")) == (201, True)
    path = job.headers["location"].removeprefix(f"{ROOT}/")
    page = await client.get(f"{path}/NextDocument")
    assert (page.status, page.body[:3]) == (200, b"\xff\xd8\xff")
    assert (await client.get(f"{path}/NextDocument")).status == 404
    assert (await client.get("nowhere")).status == 404
    assert [(one.operation, one.status, one.protocol, one.via) for one in front.entries()] == [
        (operation, status, "escl", "owner") for operation, status in (
            ("GetScannerElements", 200), ("GetScannerElements", 200), ("CreateScanJob", 201), ("RetrieveImage", 200),
            ("RetrieveImage", 404), ("other", 404))]
    assert front.sample("wsdgateway_escl_requests_total", resource="NextDocument", status="200") == 1
    assert owner.sample("wsdgateway_escl_requests_total") == 0


@pytest_twisted.ensureDeferred
async def test_nobody_owns_the_scanner(clustered, device, monkeypatch):
    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.05)
    front = await clustered("front", device.url, cluster={"escl": True})
    client = Client(front.port, ROOT)
    status = await client.get("ScannerStatus")
    assert (status.status, status.headers["retry-after"], status.body) == (503, "5", b"")
    [line] = front.entries()
    assert (line.operation, line.protocol, line.source) == ("GetScannerElements", "escl", "refused")
    assert front.sample("wsdgateway_escl_requests_total", resource="ScannerStatus", status="503") == 1


@pytest_twisted.ensureDeferred
async def test_a_page_that_may_be_lost_is_an_error(clustered, device):
    front = await clustered("front", device.url, cluster={"escl": True})
    front.owners.owner = Registration("id", "other", f"http://127.0.0.1:{device.port}", "")
    fetching = defer.Deferred.fromCoroutine(Client(front.port, ROOT).get("ScanJobs/1/NextDocument"))
    (await device.next()).abort()
    page = await fetching
    assert (page.status, page.body) == (500, b"")  # after 503, a client would ask again, and get the next page
    assert len(device.requests) == 1


@pytest_twisted.ensureDeferred
async def test_the_owner_is_told_when_a_client_leaves_before_its_job_exists(clustered, device):
    front = await clustered("front", device.url, cluster={"escl": True})
    front.owners.owner = Registration("id", "other", f"http://127.0.0.1:{device.port}", "")
    connection = await Client(front.port, ROOT).send("POST", f"{ROOT}/ScanJobs", settings())
    asked = await device.next()
    connection.transport.abortConnection()
    await connection.end()
    await device.until_lost(asked)
    await until(lambda: front.entries())
    assert [(one.operation, one.status) for one in front.entries()] == [("CreateScanJob", None)]
