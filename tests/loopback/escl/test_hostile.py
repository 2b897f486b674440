"""Hostile clients and scanners of the eSCL service: settings, pixel bombs, endless images, many jobs, slow clients."""

import struct
import tracemalloc
import zlib

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred as deferred
from twisted.internet.defer import gatherResults

from tests.hostile import test_hostile_xml as hostile_xml
from tests.loopback.escl.client import Client, settings
from tests.waiting import until
from wsdgateway.bridge.scanjobs import jobsteps
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.scanjob import Reason
from wsdgateway.bridge.scanjobs.scanjobs import MAX_WAITING
from wsdgateway.net.scanjobs.pagewriter import MAX_PENDING
from wsdgateway.simulator import web


def jobs_of(service):
    return service.scanner.escl.jobs.execution.jobs


# Settings.

def made_for_escl(make):
    """The settings with what makes a SOAP message hostile."""
    def translated(message):
        return message.replace(b"soap:Envelope", b"scan:ScanSettings").replace(b"</soap:Body>", b"</pwg:Version>")

    body = settings().replace(b"scan:ScanSettings", b"soap:Envelope").replace(b"</pwg:Version>", b"</soap:Body>")
    return translated(make(hostile_xml.PROLOG + body.partition(b"?>")[2]))


CASES = {**hostile_xml.DOCUMENT_TYPES, **hostile_xml.ENCODINGS, **hostile_xml.FORMS}


@pytest.fixture(scope="module")
def bodies():
    return {name: made_for_escl(make) for name, make in CASES.items()}


@pytest_twisted.ensureDeferred
async def test_hostile_settings_are_refused_or_create_one_job(offered, bodies):
    service = await offered()
    one = service.escl_client
    for name, body in bodies.items():
        before = len(jobs_of(service))
        answered = await one.ask("POST", "/eSCL/ScanJobs", body)
        if answered.status == 201:
            assert name not in hostile_xml.DOCUMENT_TYPES, name
            assert (await one.ask("DELETE", answered.headers["location"])).status == 200
        else:
            assert answered.status in (400, 409, 413), name
            assert len(jobs_of(service)) == before, name
    pages, last = await one.pages(await one.scan())
    assert (len(pages), last) == (1, 404)


# Images.

def png(width, height):
    """An image that is small as a file, and has that size in pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(bytes(1 + width * 3)) for _ in range(20)) + deflate.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


BOMBS = {
    "many-pixels": png(60000, 60000), "one-line": png(2000000, 100),
    "jpeg": b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xf0\xff\xf0\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9",
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 100000, 100000, 1, 24, 0, 0, 0, 0, 0, 0),
    "tiff": b"II*\x00\x08\x00\x00\x00" + b"\xff" * 500,
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest_twisted.ensureDeferred
async def test_a_pixel_bomb_ends_its_job_only(offered, monkeypatch, bomb, said):
    service = await offered()
    one = service.escl_client
    with monkeypatch.context() as patch:
        patch.setattr(web, "draw_page", lambda *page: BOMBS[bomb])
        job = await one.scan(settings(media="application/pdf"))
        assert (await one.next(job)).status == 500
        status = await one.get("ScannerStatus")
        assert (status.value("State"), status.value("JobUri"), status.value("ImagesCompleted")) == ("Idle", job, "0")
    [line] = [line for line in said if "cannot be sent" in line]
    assert len(line) < 300
    pages, last = await one.pages(await one.scan(settings(media="application/pdf")))
    assert (len(pages), last) == (1, 404)
    await until(lambda: service.spool_files() == [])


@pytest_twisted.ensureDeferred
async def test_an_endless_image_ends_its_job_when_it_has_half_of_the_spool(offered, monkeypatch):
    service = await offered(escl={"spool_size": 1 << 20})
    one = service.escl_client
    with monkeypatch.context() as patch:
        patch.setattr(web, "draw_page", lambda *page: b"\xff\xd8" + bytes(50 << 20))
        job = await one.scan()
        connection = await one.send("GET", f"{job}/NextDocument")
        received = await connection.end()
    assert len(received) < 1 << 20
    assert not received.endswith(b"\r\n0\r\n\r\n")
    [ended] = jobs_of(service)
    assert ended.end.reason is Reason.TOO_LARGE
    await until(lambda: service.spool_files() == [])
    pages, _ = await one.pages(await one.scan())
    assert len(pages) == 1


# Many jobs, many clients, slow clients.

@pytest_twisted.ensureDeferred
async def test_a_flood_of_jobs_is_bounded(offered, monkeypatch):
    monkeypatch.setattr(jobsteps, "MAX_LISTED", 5)
    service = await offered(limits={"client_jobs": 1000, "client_requests": 100000.0})
    one = service.escl_client
    for _ in range(15):
        assert (await one.ask("DELETE", await one.scan())).status == 200
    assert len(jobs_of(service)) <= 5 + 1
    answered = await gatherResults([
        deferred(one.ask("POST", "/eSCL/ScanJobs", settings("Feeder"))) for _ in range(30)])
    accepted = [one for one in answered if one.status == 201]
    assert {one.status for one in answered} <= {201, 503}
    assert 0 < len(accepted) <= MAX_WAITING + 5  # some may have had their turn
    for job in accepted:
        assert (await one.ask("DELETE", job.headers["location"])).status == 200
    await until(lambda: service.spool_files() == [])
    pages, _ = await one.pages(await one.scan())
    assert len(pages) == 1


@pytest_twisted.ensureDeferred
async def test_two_clients_at_once_get_their_own_pages(offered):
    service = await offered()
    one, other = service.escl_client, Client(service.escl_client.port)
    wanted = settings("Feeder", resolution=100), settings("Feeder", "application/pdf", 100)
    first, second = await gatherResults([deferred(client.scan(body)) for client, body in zip((one, other), wanted,
                                                                                         strict=True)])
    (pages, _), (documents, _) = await gatherResults([deferred(one.pages(first)), deferred(other.pages(second))])
    assert [page.headers["content-type"] for page in pages] == ["image/jpeg"] * 3
    assert [page.headers["content-type"] for page in documents] == ["application/pdf"] * len(documents)
    assert all(page.headers["content-location"].startswith(first) for page in pages)
    assert all(page.headers["content-location"].startswith(second) for page in documents)


@pytest_twisted.ensureDeferred
async def test_a_slow_client_holds_neither_the_scanner_nor_memory(offered, monkeypatch):
    page = b"\xff\xd8" + bytes(4 << 20)
    monkeypatch.setattr(web, "draw_page", lambda *asked: page)
    service = await offered(scanner={"feeder_pages": 20})
    one = service.escl_client
    tracemalloc.start()
    try:
        job = await one.scan(settings("Feeder"))
        connection = await one.send("GET", f"{job}/NextDocument")
        await connection.until(lambda data: b"\r\n\r\n" in data)
        connection.transport.stopReading()
        [requested] = jobs_of(service)
        await until(lambda: requested.phase is Phase.OVER)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert service.device.device.jobs.active() == []
    assert (requested.state, requested.scanned, requested.fetched) == ("Processing", 20, 0)
    assert sum(page.size for page in requested.pages) == 20 * len(page)
    assert peak < 10 * MAX_PENDING  # of the virtual scanner, too
    other = Client(one.port)
    assert (await other.ask("DELETE", await other.scan())).status == 200
    assert (await one.ask("DELETE", job)).status == 200
