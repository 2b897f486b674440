"""The conversations of real eSCL clients with the gateway: platen, feeder, both sides, cancel, busy, empty feeder."""

import io

import pikepdf
import pytest
import pytest_twisted
from PIL import Image
from twisted.internet.defer import ensureDeferred

from tests.loopback.escl.clients.macos import MacOS
from tests.loopback.escl.clients.mopria import Mopria
from tests.loopback.escl.clients.naps2 import PAGE_PATIENCE, PATIENCE, Naps2
from tests.loopback.escl.clients.scanbridge import ScanBridge
from tests.loopback.escl.clients.session import BUSY, DUPLEX, EMPTY, ERROR, FEEDER, JAM, OFFLINE, PLATEN, Failed
from tests.loopback.escl.clients.swiftescl import SwiftEscl
from tests.loopback.escl.clients.windows import Windows
from tests.loopback.gateways import PATH, sample
from tests.messages import create_scan_job
from tests.peers import ask
from tests.waiting import until
from wsdgateway.bridge.frontends.escl.clients import ClientKind
from wsdgateway.net.escl import documents
from wsdgateway.net.escl.jobs import CREATE_SECONDS
from wsdgateway.net.escl.offer import ASK_SECONDS
from wsdgateway.net.escl.service import ENDPOINT_SECONDS

CLIENTS = (MacOS, Windows, Naps2, Mopria, SwiftEscl, ScanBridge)
DELETING = (MacOS, Windows, Naps2, Mopria, ScanBridge)
OTHER_HOST = "127.0.0.2"


@pytest.fixture
def opened():
    """Makes clients of a gateway, and closes their connections at the end: `opened(kind, service)`."""
    made = []

    def make(kind, service, **more):
        made.append(kind(service.escl_client.port, **more))
        return made[-1]

    yield make
    for one in made:
        pytest_twisted.blockon(ensureDeferred(one.close()))


def kind_and_size(page):
    """Returns the media type of a page by its contents, and its size in inches."""
    if page.body.startswith(b"%PDF"):
        with pikepdf.open(io.BytesIO(page.body)) as pdf:
            [sheet] = pdf.pages
            return "application/pdf", tuple(float(value) / 72 for value in list(sheet.MediaBox)[2:])
    with Image.open(io.BytesIO(page.body)) as image:
        return Image.MIME[image.format], tuple(side / 100 for side in image.size)


def scanners_jobs(service):
    return [job.status.state for job in service.scanner.bridge.table.jobs()]


@pytest.mark.parametrize(("source", "pages"), [(PLATEN, 1), (FEEDER, 3), (DUPLEX, 6)])
@pytest.mark.parametrize("kind", CLIENTS)
@pytest_twisted.ensureDeferred
async def test_every_page_arrives_once_and_the_scanner_is_idle_afterwards(offered, opened, kind, source, pages):
    service = await offered()
    one = opened(kind, service)
    await one.open()
    found = await one.scan(source)
    assert len({page.body for page in found}) == len(found) == pages
    for page in found:
        media, size = kind_and_size(page)
        assert page.headers["content-type"] == media
        assert size == pytest.approx((2, 3), abs=0.03)
    assert len({page.headers["content-location"] for page in found}) == pages
    status = await one.status()
    assert (status.value("State"), status.values("JobState")[0]) == ("Idle", "Completed")
    await until(lambda: set(scanners_jobs(service)) == {"Completed"})
    await until(lambda: service.spool_files() == [])


@pytest.mark.parametrize("kind", CLIENTS)
@pytest_twisted.ensureDeferred
async def test_one_scan_after_the_other(offered, opened, kind):
    service = await offered()
    one = opened(kind, service)
    await one.open()
    for source, pages in ((PLATEN, 1), (FEEDER, 3), (PLATEN, 1)):
        assert len(await one.scan(source)) == pages
        if source == FEEDER:
            service.clock.advance(5.1)  # for so long the feeder counts as empty


@pytest.mark.parametrize("kind", DELETING)
@pytest_twisted.ensureDeferred
async def test_a_cancel_in_the_middle_reaches_the_scanner_and_the_next_scan_works(offered, opened, kind):
    # So slow that the client's cancellation arrives before the second page, on a loaded machine, too.
    service = await offered(scanner={"feeder_pages": 200, "page_seconds": 2.0})
    one = opened(kind, service)
    assert len(await one.scan(FEEDER, cancel_after=1)) == 1
    await until(lambda: scanners_jobs(service) == ["Canceled"])
    assert service.device.device.feeder > 100
    status = await one.status()
    assert (status.value("State"), status.value("JobState"), status.value("JobStateReason")) == (
        "Idle", "Canceled", "JobCanceledByUser")
    await until(lambda: service.spool_files() == [])
    assert len(await one.scan(PLATEN)) == 1


@pytest_twisted.ensureDeferred
async def test_a_get_of_a_job_by_which_swiftescl_wants_to_cancel_it_changes_nothing(offered, opened):
    service = await offered(scanner={"feeder_pages": 200, "page_seconds": 0.1})
    one = opened(SwiftEscl, service)
    with pytest.raises(Failed) as failed:
        await one.scan(FEEDER, cancel_after=1)
    assert failed.value.status == 405
    with pytest.raises(Failed) as failed:
        await one.scan(PLATEN)
    assert failed.value.reason == BUSY
    assert scanners_jobs(service) == ["Processing"]
    service.scanner.escl.jobs.cancel(service.scanner.escl.jobs.get(one.job.rpartition("/")[2]))
    await until(lambda: scanners_jobs(service) == ["Canceled"])
    assert len(await one.scan(PLATEN)) == 1


@pytest.mark.parametrize(("kind", "reason"), [(MacOS, BUSY), (Windows, BUSY), (Naps2, ERROR), (Mopria, BUSY),
                                              (SwiftEscl, BUSY), (ScanBridge, BUSY)])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_scans_for_a_wsd_client_is_busy(offered, opened, kind, reason):
    service = await offered(scanner={"page_seconds": 30.0})
    head, _ = await ask(service.port, PATH, create_scan_job())
    assert head.status == 200
    one = opened(kind, service)
    with pytest.raises(Failed) as failed:
        await one.scan(PLATEN)
    assert (failed.value.reason, failed.value.status) == (reason, 503)
    assert (await one.status()).values("JobState") == []


@pytest.mark.parametrize("kind", CLIENTS)
@pytest_twisted.ensureDeferred
async def test_a_scan_waits_while_another_host_scans(offered, opened, kind):
    service = await offered(scanner={"page_seconds": 0.1})
    one, other = opened(kind, service), opened(Naps2, service, source=OTHER_HOST)
    first = ensureDeferred(other.scan(FEEDER))
    await until(lambda: sample(service, "wsdgateway_escl_requests_total", resource="ScanJobs", status="201"))
    assert len(await one.scan(PLATEN)) == 1
    assert len(await first) == 3


@pytest.mark.parametrize(("kind", "reason"), [(MacOS, ERROR), (Windows, JAM), (Naps2, ERROR), (Mopria, ERROR),
                                              (SwiftEscl, ERROR), (ScanBridge, ERROR)])
@pytest_twisted.ensureDeferred
async def test_an_empty_feeder_is_a_conflict_and_shown_as_empty_until_it_may_have_been_filled(
        offered, opened, kind, reason):
    service = await offered(scanner={"feeder_pages": 0, "refill": False})
    one = opened(kind, service)
    with pytest.raises(Failed) as failed:
        await one.scan(FEEDER)
    assert (failed.value.reason, failed.value.status) == (reason, 409)
    if kind not in (SwiftEscl, ScanBridge):  # which do not look at AdfState
        with pytest.raises(Failed) as failed:
            await one.scan(FEEDER)
        assert failed.value.reason == EMPTY
    assert len(await one.scan(PLATEN)) == 1
    service.device.device.feeder = 2
    service.clock.advance(5.1)
    await one.status()  # has the scanner's status confirmed
    await until(lambda: not service.scanner.bridge.reported.conditions)
    assert len(await one.scan(FEEDER)) == 2


@pytest_twisted.ensureDeferred
async def test_naps2_tells_its_user_that_the_scanner_is_offline(offered, opened):
    service = await offered()
    one = opened(Naps2, service)
    await one.open()
    await service.device.stopService()
    service.clock.advance(301)
    await one.open()
    await until(lambda: service.scanner.health.reachable is False)
    with pytest.raises(Failed) as failed:
        await one.scan(PLATEN)
    assert failed.value.reason == OFFLINE


@pytest.mark.parametrize("kind", [*DELETING, SwiftEscl])
@pytest_twisted.ensureDeferred
async def test_a_page_that_takes_long_is_asked_for_again(offered, opened, monkeypatch, kind):
    class Impatient:
        hold = 0.02

    monkeypatch.setattr(documents, "client_kind", lambda headers: Impatient)
    service = await offered(scanner={"page_seconds": 0.2})
    one = opened(kind, service)
    assert len(await one.scan(FEEDER)) == 3
    assert sample(service, "wsdgateway_escl_requests_total", resource="NextDocument", status="503")


@pytest_twisted.ensureDeferred
async def test_naps2_asks_again_for_a_page_whose_connection_was_lost(offered, opened):
    service = await offered()
    one = opened(Naps2, service)
    await one.open()
    one.job = await one.create(FEEDER, size=(2400, 3300), dots=600)
    asking = await one.session.start("GET", f"{one.job}/NextDocument")
    asking.transport.stopReading()
    job = service.scanner.escl.jobs.get(one.job.rpartition("/")[2]).job
    await until(lambda: job.end is not None and job.sending)
    assert dict(zip((status := await one.status()).values("JobUri"), status.values("JobState"), strict=True)) == {
        one.job: "Processing"}  # or it would not ask again
    asking.transport.abortConnection()
    pages = []
    while (page := await one.next_page()) is not None:
        pages.append(page)
    assert [page.headers["content-location"] for page in pages] == [f"{one.job}/{number}" for number in (1, 2, 3)]


def test_answers_come_before_the_least_patient_client_leaves():
    assert max(CREATE_SECONDS, ASK_SECONDS + ENDPOINT_SECONDS) < PATIENCE
    assert ClientKind.OTHER.hold < PAGE_PATIENCE


@pytest_twisted.ensureDeferred
async def test_naps2_gets_black_and_white_as_png(offered, opened):
    service = await offered()
    [page] = await opened(Naps2, service, color="BlackAndWhite1").scan(PLATEN)
    assert kind_and_size(page)[0] == page.headers["content-type"] == "image/png"
