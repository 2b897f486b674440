"""Scans through the eSCL service: pages and their types, jobs that wait, are canceled, or end otherwise."""

import io
import json

import pikepdf
import pytest
import pytest_twisted
from PIL import Image
from twisted.internet.defer import Deferred, fail, succeed

from tests.loopback.clients import request
from tests.loopback.escl.client import SANE_ESCL, Answered, Client, settings
from tests.loopback.gateways import PATH
from tests.loopback.scanners import HeldPage
from tests.messages import create_scan_job
from tests.peers import ask
from tests.waiting import until
from wsdgateway.conversion.kinds import Unconvertible
from wsdgateway.net.conversion import Converter
from wsdgateway.net.escl import documents, sending


def opened(answered):
    with Image.open(io.BytesIO(answered.body)) as image:
        return image.format, image.size


def requested(service, job):
    """Returns the engine's job with the path."""
    return service.scanner.escl.jobs.execution.get(job.rpartition("/")[2])


@pytest_twisted.ensureDeferred
async def test_a_page_from_the_platen(offered):
    service = await offered()
    one = service.escl_client
    job = await one.scan()
    [page], last = await one.pages(job)
    assert last == 404
    assert (page.headers["content-type"], opened(page)[0]) == ("image/jpeg", "JPEG")
    assert page.headers["content-location"] == f"{job}/1"
    info = await one.ask("GET", f"{job}/ScanImageInfo")
    assert (int(info.value("ActualWidth")), int(info.value("ActualHeight"))) == opened(page)[1]
    status = await one.get("ScannerStatus")
    assert (status.value("State"), status.value("JobState"), status.value("ImagesCompleted")) == (
        "Idle", "Completed", "1")
    assert status.value("JobUri") == job
    assert (await one.ask("DELETE", job)).status == 200
    await until(lambda: service.spool_files() == [])


@pytest.mark.parametrize(("source", "more", "pages"), [
    ("Feeder", "", 3), ("Feeder", "<scan:Duplex>true</scan:Duplex>", 6),
    ("Feeder", "<scan:NumberOfPages>2</scan:NumberOfPages>", 2)])
@pytest_twisted.ensureDeferred
async def test_pages_from_the_feeder(offered, source, more, pages):
    service = await offered()
    found, last = await service.escl_client.pages(await service.escl_client.scan(settings(source, more=more)))
    assert (len(found), last) == (pages, 404)
    assert len({page.body for page in found}) == pages
    assert [page.headers["content-location"].rpartition("/")[2] for page in found] == [
        str(number) for number in range(1, pages + 1)]
    await until(lambda: service.spool_files() == [])


@pytest.mark.parametrize(("media", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG")])
@pytest_twisted.ensureDeferred
async def test_each_type_is_exactly_the_one_asked_for(offered, media, kind):
    service = await offered()
    [page], _ = await service.escl_client.pages(await service.escl_client.scan(settings(media=media)))
    assert (page.headers["content-type"], opened(page)[0]) == (media, kind)


@pytest_twisted.ensureDeferred
async def test_each_page_is_a_pdf_as_large_as_the_paper(offered):
    service = await offered()
    body = settings("Feeder", "application/pdf", 100)
    pages, last = await service.escl_client.pages(await service.escl_client.scan(body))
    assert (len(pages), last) == (3, 404)
    for page in pages:
        assert page.headers["content-type"] == "application/pdf"
        with pikepdf.open(io.BytesIO(page.body)) as pdf:
            [sheet] = pdf.pages
            assert [float(value) / 72 for value in sheet.MediaBox][2:] == pytest.approx((2, 3), abs=0.03)
    await until(lambda: service.spool_files() == [])


@pytest_twisted.ensureDeferred
async def test_minimal_settings(offered):
    service = await offered()
    body = (b'<ScanSettings xmlns="http://schemas.hp.com/imaging/escl/2011/05/03">'
            b'<n0:Version xmlns:n0="http://www.pwg.org/schemas/2010/12/sm">2.0</n0:Version></ScanSettings>')
    [page], _ = await service.escl_client.pages(await service.escl_client.scan(body))
    assert opened(page)[0] == "JPEG"


@pytest_twisted.ensureDeferred
async def test_a_page_that_was_not_sent_whole_is_sent_again(offered):
    service = await offered()
    one = service.escl_client
    job = await one.scan(settings("Feeder", resolution=600, size=(2400, 3300)))
    connection = await one.send("GET", f"{job}/NextDocument")
    connection.transport.stopReading()  # more than the buffers of both sides hold
    await until(lambda: requested(service, job).end is not None and requested(service, job).sending)
    assert not requested(service, job).pages[0].sent
    connection.transport.abortConnection()
    await until(lambda: not requested(service, job).sending)
    pages, last = await one.pages(job)
    assert (len(pages), last) == (3, 404)


@pytest_twisted.ensureDeferred
async def test_the_first_bytes_leave_while_the_page_still_arrives(offered):
    service = await offered()
    one = service.escl_client
    job = await one.scan(settings(resolution=600, size=(2400, 3300)))
    connection = await one.send("GET", f"{job}/NextDocument")
    await connection.until(lambda data: b"\r\n\r\n" in data)
    assert b"Transfer-Encoding: chunked" in connection.received or b"Content-Length" in connection.received
    head, body = await connection.answer()
    assert head.status == 200
    assert body.endswith(b"\xff\xd9")


@pytest_twisted.ensureDeferred
async def test_a_job_waits_for_its_turn(offered, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    service = await offered()
    one = service.escl_client
    first, second = await one.scan(settings("Feeder")), await one.scan()
    status = await one.get("ScannerStatus")
    assert status.values("JobUri") == [second, first]
    assert status.values("JobState") == ["Pending", "Processing"]
    assert status.value("State") == "Processing"
    held.send()
    waiting = one.pages(second)
    pages, _ = await one.pages(first)
    assert len(pages) == 3
    assert [len((await waiting)[0])] == [1]


@pytest_twisted.ensureDeferred
async def test_the_queue_is_bounded(offered):
    service = await offered(scanner={"page_seconds": 30.0})
    one = service.escl_client
    for _ in range(11):
        await one.scan()
    answered = await one.ask("POST", "/eSCL/ScanJobs", settings())
    assert answered.status == 503
    assert int(answered.headers["retry-after"]) > 0


@pytest_twisted.ensureDeferred
async def test_the_size_of_a_page_is_that_of_the_last_one_fetched(offered, monkeypatch):
    sizing, asked, size = [], [], documents.Documents.size

    def size_of(converter, source):
        sizing.append(Deferred())
        return sizing[-1]

    def asked_for(*arguments):
        asked.append(arguments)
        return size(*arguments)

    monkeypatch.setattr(Converter, "size_of", size_of)
    monkeypatch.setattr(documents.Documents, "size", asked_for)
    service = await offered(scanner={"feeder_pages": 2})
    one = service.escl_client
    job = await one.scan(settings("Feeder"))
    for number, found in ((1, (10, 20, 30)), (2, (40, 50, 60))):
        assert (await one.next(job)).status == 200
        asking = await one.send("GET", f"{job}/ScanImageInfo")
        await until(lambda: len(sizing) == len(asked) == number)  # noqa: B023
        sizing[-1].callback(found)
        info = Answered(*await asking.answer())
        assert (info.status, info.value("ActualHeight")) == (200, str(found[1]))


@pytest_twisted.ensureDeferred
async def test_a_size_that_is_not_found_out_is_not_that_of_an_earlier_page(offered, monkeypatch):
    found = [succeed((10, 20, 30)), fail(Unconvertible("damaged")), Deferred()]
    monkeypatch.setattr(Converter, "size_of", lambda converter, source: found.pop(0))
    monkeypatch.setattr(documents, "SIZE_SECONDS", 0.05)
    service = await offered(scanner={"feeder_pages": 3})
    one = service.escl_client
    job = await one.scan(settings("Feeder"))
    name = job.rpartition("/")[2]
    for status in (200, 404, 404):
        assert (await one.next(job)).status == 200
        await until(lambda: not service.scanner.escl.jobs.get(name).turns.locked)
        assert (await one.ask("GET", f"{job}/ScanImageInfo")).status == status


@pytest_twisted.ensureDeferred
async def test_a_page_that_is_not_ready_is_refused_after_a_while(offered, monkeypatch):
    class Impatient:
        hold = 0.05

    monkeypatch.setattr(documents, "client_kind", lambda headers: Impatient)
    service = await offered(scanner={"page_seconds": 30.0})
    one = service.escl_client
    job = await one.scan()
    answered = await one.next(job)
    assert (answered.status, answered.headers["retry-after"]) == (503, "1")
    assert (await one.ask("GET", f"{job}/ScanImageInfo")).status == 404


@pytest_twisted.ensureDeferred
async def test_a_deleted_job_is_canceled_at_the_scanner(offered):
    service = await offered(scanner={"page_seconds": 30.0})
    one = service.escl_client
    job = await one.scan()
    waiting = await one.send("GET", f"{job}/NextDocument")
    assert (await one.ask("DELETE", job)).status == 200
    head, body = await waiting.answer()
    assert (head.status, body) == (410, b"")
    await until(lambda: [known.status.state for known in service.scanner.bridge.table.jobs()] == ["Canceled"])
    status = await one.get("ScannerStatus")
    assert (status.value("State"), status.value("JobState"), status.value("JobStateReason")) == (
        "Idle", "Canceled", "JobCanceledByUser")
    assert (await one.next(job)).status == 410
    await until(lambda: service.spool_files() == [])


@pytest.mark.parametrize("media", ["image/jpeg", "image/png"])
@pytest_twisted.ensureDeferred
async def test_a_page_that_is_being_sent_ends_at_once_when_its_job_is_deleted(offered, media):
    service = await offered()
    one = service.escl_client
    job = await one.scan(settings("Feeder", media, resolution=600, size=(2400, 3300)))
    connection = await one.send("GET", f"{job}/NextDocument")
    await connection.until(lambda data: b"\r\n\r\n" in data)
    connection.transport.stopReading()  # more than the buffers of both sides hold
    await until(lambda: requested(service, job).end is not None and requested(service, job).sending)
    assert (await one.ask("DELETE", job)).status == 200
    await until(lambda: not requested(service, job).sending)
    await until(lambda: service.spool_files() == [])
    status = await one.get("ScannerStatus")
    assert (status.value("JobState"), status.value("ImagesCompleted"), status.value("ImagesToTransfer")) == (
        "Canceled", "0", "0")
    connection.transport.startReading()
    with pytest.raises(EOFError):
        await connection.answer()


@pytest_twisted.ensureDeferred
async def test_a_client_that_reads_nothing_more_is_given_up(offered, monkeypatch):
    monkeypatch.setattr(sending, "STALL_SECONDS", 0.1)
    service = await offered()
    one = service.escl_client
    job = await one.scan(settings("Feeder", resolution=600, size=(2400, 3300)))
    connection = await one.send("GET", f"{job}/NextDocument")
    connection.transport.stopReading()
    await until(lambda: requested(service, job).sending)
    await until(lambda: not requested(service, job).sending)
    assert requested(service, job).fetched == 0
    monkeypatch.undo()  # a client that reads is given time, also on a loaded machine
    pages, last = await one.pages(job)
    assert (len(pages), last) == (3, 404)


@pytest_twisted.ensureDeferred
async def test_an_empty_feeder(offered):
    service = await offered(scanner={"feeder_pages": 0, "refill": False})
    one = service.escl_client
    answered = await one.ask("POST", "/eSCL/ScanJobs", settings("Feeder"))
    assert (answered.status, answered.reason) == (409, "Conflict")
    assert (await one.get("ScannerStatus")).values("JobState") == []
    service.device.device.feeder = 2
    pages, last = await one.pages(await one.scan(settings("Feeder")))
    assert (len(pages), last) == (2, 404)


@pytest_twisted.ensureDeferred
async def test_a_jam_in_the_middle(offered):
    service = await offered(scanner={"jam_after": 1, "page_seconds": 0.0})
    one = service.escl_client
    pages, last = await one.pages(await one.scan(settings("Feeder")))
    assert (len(pages), last) == (1, 409)
    # An event from before the jam may arrive after the answer that tells of it.
    await until(lambda: service.scanner.bridge.reported.state == "Stopped")
    status = await one.get("ScannerStatus")
    assert (status.value("State"), status.value("AdfState"), status.value("JobState"),
            status.value("JobStateReason")) == ("Stopped", "ScannerAdfJam", "Aborted", "AbortedBySystem")


@pytest_twisted.ensureDeferred
async def test_a_busy_scanner(offered):
    service = await offered(scanner={"page_seconds": 30.0})
    head, _ = await ask(service.port, PATH, create_scan_job())
    assert head.status == 200
    answered = await service.escl_client.ask("POST", "/eSCL/ScanJobs", settings())
    assert answered.status == 503
    status = await service.escl_client.get("ScannerStatus")
    assert (status.value("State"), status.values("JobState")) == ("Idle", [])


@pytest_twisted.ensureDeferred
async def test_a_client_sees_its_own_jobs_only(offered):
    service = await offered()
    one = service.escl_client
    await one.pages(await one.scan())
    for job in service.scanner.escl.jobs.execution.jobs:
        object.__setattr__(job.order, "client", "192.0.2.9")
    status = await one.get("ScannerStatus")
    assert status.values("JobUri") == []


@pytest_twisted.ensureDeferred
async def test_sanes_escl_reads_until_the_end(offered):
    service = await offered()
    one = Client(service.escl_client.port, headers=SANE_ESCL)
    pages, last = await one.pages(await one.scan(settings("Feeder", version="2.0")))
    assert (len(pages), last) == (3, 404)
    assert (await one.get("ScannerStatus")).value("State") == "Idle"


@pytest_twisted.ensureDeferred
async def test_pages_are_deleted_and_jobs_canceled_when_the_gateway_stops(offered):
    service = await offered(scanner={"page_seconds": 30.0})
    one = service.escl_client
    job = await one.scan()
    waiting = await one.send("GET", f"{job}/NextDocument")
    await until(lambda: service.scanner.escl.jobs.get(job.rpartition("/")[2]).turns.locked)
    stopping = service.stopService()
    head, _ = await waiting.answer()
    assert head.status == 410
    await stopping
    assert service.spool_files() == []
    assert [known.status.state for known in service.device.device.jobs.finished()] == ["Canceled"]


@pytest_twisted.ensureDeferred
async def test_a_job_deleted_while_its_page_is_converted_leaves_no_file(offered, monkeypatch):
    canceled = []
    monkeypatch.setattr(Converter, "convert", lambda self, *page: Deferred(canceled.append))
    service = await offered()
    one = service.escl_client
    job = await one.scan(settings(media="application/pdf"))
    waiting = await one.send("GET", f"{job}/NextDocument")
    await until(lambda: len(service.spool_files()) == 2)
    assert (await one.ask("DELETE", job)).status == 200
    head, body = await waiting.answer()
    assert (head.status, body) == (410, b"")
    await until(lambda: service.spool_files() == [])
    assert len(canceled) == 1


@pytest_twisted.ensureDeferred
async def test_a_converted_page_counts_in_the_spool_and_goes_with_its_job(offered):
    service = await offered()
    one = service.escl_client
    job = await one.scan(settings(media="application/pdf"))
    connection = await one.send("GET", f"{job}/NextDocument")
    await connection.answer()
    [page] = requested(service, job).pages
    assert page.taken == sum(path.stat().st_size for path in service.spool_folder.glob("*.page"))
    await until(lambda: page.sent)
    execution = service.scanner.escl.jobs.execution
    execution.cancel(requested(service, job))  # as when its client never asks again
    await until(lambda: service.spool_files() == [])


@pytest_twisted.ensureDeferred
async def test_the_admin_site_lists_the_jobs_whose_pages_wait(offered):
    service = await offered()

    async def spools():
        status, _, body = await request(service.admin_port, b"/api/spools")
        assert status == 200
        return json.loads(body)

    assert await spools() == []
    one = service.escl_client
    job = await one.scan(settings("Feeder"))
    await until(lambda: requested(service, job).end)
    [found] = await spools()
    assert found == {"scanner": "front-desk", "client": "127.0.0.1", "name": found["name"],
                     "job_id": requested(service, job).created.job_id, "state": "scanned", "pages": 3, "waiting": 3,
                     "bytes": service.escl.room.unfetched}
    assert job.rpartition("/")[2] not in json.dumps(found)
    _, _, page = await request(service.admin_port, b"/")
    assert b"waiting for the client" in page
    await one.pages(job)
    assert await spools() == []
