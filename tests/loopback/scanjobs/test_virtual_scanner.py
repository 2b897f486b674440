"""Own scan jobs with the virtual scanner: pages, queue, cancel at every moment, trouble, and the job table."""

from io import BytesIO

import pytest
import pytest_twisted
from PIL import Image

from tests.loopback.gateways import PATH, sample
from tests.loopback.scanjobs.ordering import CLIENT, Ticket, feeder, platen
from tests.loopback.scanners import HeldPage
from tests.messages import get_job_elements
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.bridge.scanjobs.scanjob import Reason
from wsdgateway.net.scanjobs.execution import NotAdmitted
from wsdgateway.simulator.conditions import BUSY, COVER_OPEN
from wsdgateway.simulator.pages import PageFormat, draw_page


def sizes(pages):
    return [Image.open(BytesIO(page)).size for page in pages]


@pytest_twisted.ensureDeferred
async def test_a_page_from_the_platen(virtual_jobs):
    jobs = await virtual_jobs()
    job = jobs.submit(platen())
    assert job.state == "Pending"
    pages = await jobs.fetch_all(job)
    assert sizes(pages) == [(150, 150)]
    assert (job.state, job.end.reason) == ("Completed", Reason.FINISHED)
    assert [one.status.state for one in jobs.device.jobs.finished()] == ["Completed"]
    assert await jobs.store.own_jobs() == []


@pytest.mark.parametrize("source", ["ADF", "ADFDuplex"])
@pytest_twisted.ensureDeferred
async def test_all_pages_of_a_feeder(virtual_jobs, source):
    jobs = await virtual_jobs(feeder_pages=20)
    pages = await jobs.fetch_all(jobs.submit(feeder(source, size=(4000, 2000))))
    page = PageFormat(4000, 2000, 75)
    assert pages == [draw_page(page, number, source, "test")
                     for number in range(1, (40 if source == "ADFDuplex" else 20) + 1)]


@pytest_twisted.ensureDeferred
async def test_a_number_of_pages_of_a_feeder(virtual_jobs):
    jobs = await virtual_jobs(feeder_pages=5)
    job = jobs.submit(feeder(images=2))
    assert len(await jobs.fetch_all(job)) == 2
    assert job.state == "Completed"


@pytest_twisted.ensureDeferred
async def test_the_job_table_log_and_metrics_know_the_job(virtual_jobs):
    jobs = await virtual_jobs()
    job = jobs.submit(platen())
    pages = await jobs.fetch_all(job)
    await until(lambda: jobs.service.scanner.bridge.table.get(job.created.job_id).final)
    _, body = await ask(jobs.service.port, PATH, get_job_elements(job.created.job_id))
    assert b">Completed<" in body
    for operation in ("CreateScanJob", "RetrieveImage"):
        assert sample(jobs.service, "wsdgateway_device_requests_total", operation=operation, outcome="ok") == 1
    assert sample(jobs.service, "wsdgateway_image_bytes_total") == len(pages[0])
    kept = [one.entry for one in jobs.service.recording.log.since(0) if one.entry.source == "own"]
    entries = {entry.operation: entry for entry in kept}
    assert [entries[name].job_id for name in ("CreateScanJob", "RetrieveImage")] == [job.created.job_id] * 2
    assert (entries["RetrieveImage"].status, entries["CreateScanJob"].status) == (200, 200)
    assert entries["RetrieveImage"].response_bytes > len(pages[0])


@pytest.mark.parametrize("order", [platen, feeder])
@pytest_twisted.ensureDeferred
async def test_a_job_of_a_scanner_without_events_is_not_active_after_its_last_image(virtual_jobs, order):
    jobs = await virtual_jobs(events="silent", feeder_pages=2)
    job = jobs.submit(order())
    await jobs.fetch_all(job)
    await until(lambda: job.state == "Completed")
    known = jobs.service.scanner.bridge.table.get(job.created.job_id)
    assert known.closing or known.final
    assert sum(sample(jobs.service, "wsdgateway_jobs", state=state) for state in ("Pending", "Processing")) == 0


@pytest_twisted.ensureDeferred
async def test_jobs_are_served_one_after_the_other(virtual_jobs):
    jobs = await virtual_jobs(page_seconds=0.05)
    made = [jobs.submit(platen()) for _ in range(4)]
    assert [one.phase for one in made] == [Phase.CREATING, *[Phase.QUEUED] * 3]
    for job in made:
        assert len(await jobs.fetch_all(job)) == 1
    assert len(jobs.device.jobs.finished()) == 4


@pytest_twisted.ensureDeferred
async def test_the_queue_and_the_quota_are_bounded(virtual_jobs):
    jobs = await virtual_jobs(page_seconds=5.0, sections={"limits": {"client_jobs": 3}})
    made = [jobs.submit(platen()) for _ in range(3)]
    with pytest.raises(NotAdmitted, match="the client has 3 jobs") as refused:
        jobs.submit(platen())
    assert refused.value.limit == "jobs"
    made += [jobs.submit(platen(client=f"192.0.2.{number}")) for number in range(20, 28)]
    with pytest.raises(NotAdmitted, match="10 jobs wait"):
        jobs.submit(platen(client="192.0.2.99"))
    await until(lambda: made[0].phase is Phase.RETRIEVING)
    for job in made:
        jobs.execution.cancel(job)
    await until(lambda: all(one.phase is Phase.OVER for one in made))
    jobs.submit(platen())


@pytest_twisted.ensureDeferred
async def test_a_waiting_job_that_is_canceled_sends_nothing(virtual_jobs):
    jobs = await virtual_jobs(page_seconds=0.2)
    first, second = jobs.submit(platen()), jobs.submit(platen())
    jobs.execution.cancel(second)
    assert (second.state, second.phase) == ("Canceled", Phase.OVER)
    await jobs.fetch_all(first)
    assert sample(jobs.service, "wsdgateway_device_requests_total", operation="CreateScanJob") == 1
    assert sample(jobs.service, "wsdgateway_device_requests_total", operation="CancelJob") == 0


@pytest.mark.parametrize("phase", [Phase.CREATING, Phase.RECORDING, Phase.RETRIEVING])
@pytest_twisted.ensureDeferred
async def test_a_cancel_reaches_the_scanner_at_once(virtual_jobs, phase):
    jobs = await virtual_jobs(page_seconds=20.0, request_seconds=0.05)
    job = jobs.submit(platen())
    await until(lambda: job.phase is phase)
    jobs.execution.cancel(job)
    assert job.state == "Canceled"
    await jobs.over(job)
    assert [one.status.state for one in jobs.device.jobs.finished()] == ["Canceled"]
    assert sample(jobs.service, "wsdgateway_device_requests_total", operation="CancelJob", outcome="ok") == 1
    await until(lambda: jobs.files == [])  # pages are deleted in a thread
    assert await jobs.store.own_jobs() == []
    assert await jobs.fetch(job) is None


@pytest_twisted.ensureDeferred
async def test_after_the_device_has_finished_no_cancel_is_sent(virtual_jobs):
    jobs = await virtual_jobs()
    job = jobs.submit(feeder())
    await jobs.over(job)
    assert job.state == "Processing"  # the client has no page yet
    jobs.execution.cancel(job)
    assert job.state == "Canceled"
    await until(lambda: not jobs.files)
    assert sample(jobs.service, "wsdgateway_device_requests_total", operation="CancelJob") == 0


@pytest_twisted.ensureDeferred
async def test_an_empty_feeder(virtual_jobs):
    jobs = await virtual_jobs(feeder_pages=0)
    job = jobs.submit(feeder())
    assert await jobs.fetch_all(job) == []
    assert (job.state, job.end.reason) == ("Aborted", Reason.FEEDER_EMPTY)


@pytest.mark.parametrize("fault", ["ClientErrorNoImagesAvailable", "ClientErrorJobIdNotFound", "OperationFailed"])
@pytest_twisted.ensureDeferred
async def test_a_jam_after_two_pages_keeps_these(virtual_jobs, fault):
    jobs = await virtual_jobs(feeder_pages=5, jam_after=2, aborted_fault=fault)
    job = jobs.submit(feeder())
    assert len(await jobs.fetch_all(job)) == 2
    assert (job.state, job.end.reason, job.end.fault) == ("Aborted", Reason.STOPPED_AT_DEVICE, fault)
    assert sample(jobs.service, "wsdgateway_device_requests_total", operation="CancelJob") == 0


@pytest_twisted.ensureDeferred
async def test_a_busy_scanner_refuses_a_job_at_once(virtual_jobs):
    jobs = await virtual_jobs()
    jobs.device.begin(BUSY)
    job = jobs.submit(platen())
    await jobs.over(job)
    assert (job.end.reason, job.end.fault) == (Reason.BUSY, "ServerErrorNotAcceptingJobs")


@pytest_twisted.ensureDeferred
async def test_a_job_waits_while_the_scanner_is_stopped(virtual_jobs, monkeypatch):
    held = HeldPage(monkeypatch, 1)
    jobs = await virtual_jobs(stopped_jobs="wait", feeder_pages=2)
    job = jobs.submit(feeder())
    await until(lambda: job.phase is Phase.RETRIEVING and held.waiting)
    jobs.device.begin(COVER_OPEN)
    held.send()
    await until(lambda: job.phase is Phase.PAUSED)
    jobs.device.clear()
    assert len(await jobs.fetch_all(job)) == 2


@pytest_twisted.ensureDeferred
async def test_a_job_that_is_canceled_at_the_panel(virtual_jobs, monkeypatch):
    held = HeldPage(monkeypatch, 2)
    jobs = await virtual_jobs(feeder_pages=5)
    job = jobs.submit(feeder())
    await until(lambda: job.scanned == 1 and held.waiting)
    jobs.device.cancel_jobs()
    held.send()
    await jobs.over(job)
    assert job.end.reason is Reason.CANCELED_AT_DEVICE


@pytest_twisted.ensureDeferred
async def test_another_format_is_tried(virtual_jobs):
    jobs = await virtual_jobs()
    job = jobs.submit(platen(tickets=(Ticket(format="jbig"), Ticket(format="png"))))
    pages = await jobs.fetch_all(job)
    assert (job.ticket, pages[0][:4]) == (1, b"\x89PNG")


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_does_not_hold_the_scanner(virtual_jobs):
    jobs = await virtual_jobs(feeder_pages=20)
    job = jobs.submit(feeder())
    await jobs.over(job)
    await until(lambda: len(jobs.files) == 20)  # the page that did not come is deleted in a thread
    assert (job.scanned, job.state) == (20, "Processing")
    assert jobs.device.jobs.active() == []
    assert jobs.room.unfetched == jobs.room.used > 0
    other = jobs.submit(platen())
    assert len(await jobs.fetch_all(other)) == 1
    assert len(await jobs.fetch_all(job)) == 20


@pytest_twisted.ensureDeferred
async def test_a_full_spool_waits_for_the_reader(virtual_jobs):
    jobs = await virtual_jobs(limit=20000, feeder_pages=20)
    job = jobs.submit(feeder())
    await until(lambda: job.phase is Phase.FULL or job.held)
    assert 0 < job.scanned < 20
    assert len(await jobs.fetch_all(job)) == 20
    assert job.state == "Completed"


@pytest_twisted.ensureDeferred
async def test_a_page_larger_than_the_spool(virtual_jobs, said):
    jobs = await virtual_jobs(limit=1000)
    for _ in range(2):
        job = jobs.submit(feeder())
        await jobs.over(job)
        assert job.end.reason is Reason.TOO_LARGE
        await until(lambda: jobs.files == [])  # pages are deleted in a thread
    assert jobs.device.jobs.active() == []
    [line] = [line for line in said if "more than" in line]
    assert line == (
        f"front-desk: a job of {CLIENT} was canceled, because one page has more than 1000 bytes, which is all that the "
        "spool holds of one client. Scan with a lower resolution, or give a larger [escl] spool_size (1000) (logged at "
        "most once a minute)")


@pytest_twisted.ensureDeferred
async def test_a_client_that_vanishes(virtual_jobs):
    jobs = await virtual_jobs(page_seconds=20.0)
    job = jobs.submit(platen(client_seconds=0.3))
    await jobs.over(job)
    assert job.end.reason is Reason.CLIENT_GONE
    assert [one.status.state for one in jobs.device.jobs.finished()] == ["Canceled"]


@pytest_twisted.ensureDeferred
async def test_stopping_leaves_nothing_at_the_scanner(virtual_jobs):
    jobs = await virtual_jobs(page_seconds=20.0)
    job = jobs.submit(platen())
    await until(lambda: job.phase is Phase.RETRIEVING)
    await jobs.execution.stop()
    assert jobs.device.jobs.active() == []
    assert jobs.files == []
