"""Tests of `wsdgateway scan` against the virtual scanner, directly and through the gateway."""

import pytest
import pytest_twisted
from PIL import Image
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.loopback.clients import Ran, scanned
from tests.messages import envelope
from tests.scannedfiles import names_in, pages_of
from tests.waiting import until
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.outcomes import ATTENTION, BUSY, FAILED, NO_PAPER, UNREACHABLE
from wsdgateway.scan.documentparameters import DocumentParameters, write_scan_ticket
from wsdgateway.scan.jobs import write_create
from wsdgateway.soap.envelope import read

pytestmark = pytest.mark.usefixtures("cwd")


@pytest.fixture
def both(gateway, virtual):
    """Starts a virtual scanner; `urls` are its addresses, directly and through a gateway."""

    async def start(**settings):
        device = await virtual(**settings)
        service = await gateway(device.scan_url)
        table = service.scanner.bridge.table
        await until(lambda: table.listening)
        device.is_told_of_end = lambda: all(job.final for job in table.jobs())
        device.urls = device.scan_url, f"http://127.0.0.1:{service.port}/front-desk/scan"
        return device

    return start


async def hold(device):
    """Lets another client hold a job at the virtual scanner."""
    ticket = write_scan_ticket(DocumentParameters("jfif", "Platen", 1), job_name="x", user="x")
    device.device.operate("CreateScanJob", read(envelope("x", write_create(ticket))).body)


@pytest_twisted.ensureDeferred
async def test_a_page_from_the_platen(both, cwd):
    device = await both()
    for place, url in enumerate(device.urls):
        ran = await scanned(url, f"{place}.jpg", color="gray", resolution=100)
        assert (ran.status, ran.files) == (0, [f"{place}.jpg"])
        assert "page 1: " in ran.said
        with Image.open(f"{place}.jpg") as image:
            assert (image.mode, image.info["dpi"]) == ("L", (100, 100))
    assert names_in(cwd) == ["0.jpg", "1.jpg"]
    assert (cwd / "0.jpg").read_bytes() == (cwd / "1.jpg").read_bytes()
    assert device.soap.asked["RetrieveImage"] == 2
    assert "CancelJob" not in device.soap.asked


@pytest_twisted.ensureDeferred
async def test_the_feeder_into_one_pdf_and_into_numbered_files(both, cwd):
    device = await both(feeder_pages=3)
    for url in device.urls:
        assert (await scanned(url, "out.pdf", source="adf", resolution=75)).status == 0
        assert pages_of("out.pdf") == 3
        ran = await scanned(url, "out-%03d.png", source="adf", resolution=75)
        assert ran.files == ["out-001.png", "out-002.png", "out-003.png"]
        assert len({(cwd / name).read_bytes() for name in ran.files}) == 3
        for name in ran.files:
            (cwd / name).unlink()


@pytest_twisted.ensureDeferred
async def test_both_sides_of_every_sheet(both):
    device = await both(feeder_pages=2)
    for url in device.urls:
        ran = await scanned(url, "out.pdf", source="duplex", resolution=75, color="bw")
        assert ran.status == 0, ran.error
        assert pages_of("out.pdf") == 4
    ticket = device.device.jobs.finished()[-1].ticket
    assert ">png<" in ticket and "ADFDuplex" in ticket and "MediaBack" in ticket and "BlackAndWhite1" in ticket
    assert (await scanned(device.urls[0], source="duplex", resolution=75)).files == ["scan.pdf"]
    assert pages_of("scan.pdf") == 4


@pytest_twisted.ensureDeferred
async def test_an_empty_feeder_has_an_exit_status_of_its_own(both, cwd):
    device = await both(feeder_pages=0)
    for url in device.urls:
        ran = await scanned(url, "out.pdf", source="adf")
        assert (ran.status, str(ran.error)) == (NO_PAPER, "The feeder is empty")
    assert names_in(cwd) == []


@pytest_twisted.ensureDeferred
async def test_a_busy_scanner_is_asked_again_until_the_wait_ends(both, cwd):
    device = await both()
    await hold(device)
    for url in device.urls:
        asked = device.soap.asked["CreateScanJob"]
        ran = await scanned(url, "out.pdf", wait=5)
        assert (ran.status, ran.slept) == (BUSY, 5)
        assert device.soap.asked["CreateScanJob"] == asked + 6
        [line] = ran.said.splitlines()
        assert line == ("The scanner is busy: The service is temporarily blocked and cannot accept new job or document "
                        "requests; trying again for up to 5 s")
        assert (await scanned(url, "out.pdf", wait=0)).slept == 0
    assert names_in(cwd) == []


@pytest_twisted.ensureDeferred
async def test_an_unreachable_scanner_has_an_exit_status_of_its_own(both, gateway, cwd):
    device = await both()
    await device.stopService()
    for url in device.urls:
        assert (await scanned(url, "out.pdf", wait=1)).status == UNREACHABLE
    assert names_in(cwd) == []


@pytest_twisted.ensureDeferred
async def test_options_that_the_scanner_does_not_offer_create_no_job(both, cwd):
    device = await both()
    for more in ({"resolution": 123}, {"color": "RGB48"}, {"format": "tiff"}):
        ran = await scanned(device.urls[0], None, **more)
        assert ran.status == WRONG
    assert "CreateScanJob" not in device.soap.asked
    assert names_in(cwd) == []


@pytest_twisted.ensureDeferred
async def test_an_incomplete_image_leaves_the_complete_pages_and_no_job(both, cwd):
    device = await both()
    for place, url in enumerate(device.urls):
        def second(page, size, url=url):
            device.troubles.break_image = page == 1
        ran = Ran()
        device.device.feeder = 3
        ran.progress.kept = second
        await deferToThread(ran, url, f"{place}.pdf", source="adf", resolution=100)
        assert ran.status == FAILED
        assert "one complete page kept" in ran.said
        assert pages_of(f"{place}.pdf") == 1
        assert not device.device.jobs.active()
    assert device.soap.asked["CancelJob"] == 2
    assert names_in(cwd) == ["0.pdf", "1.pdf"]


@pytest_twisted.ensureDeferred
async def test_an_interrupted_scan_cancels_its_job_and_keeps_the_complete_pages(both, cwd):
    device = await both()
    for place, url in enumerate(device.urls):
        for output in (f"{place}.pdf", f"{place}-%d.jpg"):
            ran, received = Ran(), []
            device.device.feeder = 3

            def interrupt(size, received=received):
                received.append(size)
                if len(received) > 1 and size < received[-2]:  # the second page begins
                    raise KeyboardInterrupt

            ran.progress.received = interrupt
            await deferToThread(ran, url, output, source="adf", resolution=600)
            assert ran.status == 130
            assert "Interrupted: one complete page kept" in ran.said
            assert device.device.jobs.finished()[-1].status.state == "Canceled"
        assert pages_of(f"{place}.pdf") == 1
    assert names_in(cwd) == ["0-1.jpg", "0.pdf", "1-1.jpg", "1.pdf"]


@pytest_twisted.ensureDeferred
async def test_a_paper_jam_is_not_the_end_of_the_pages(both):
    from twisted.internet import reactor
    from twisted.internet.threads import blockingCallFromThread

    device = await both()
    for place, url in enumerate(device.urls):
        ran = Ran()
        ran.progress.kept = lambda page, size: blockingCallFromThread(reactor, device.device.jam)
        # The gateway may not have received the event yet; then the client asks again after a pause.
        ran.sleep = lambda _: blockingCallFromThread(reactor, lambda: ensureDeferred(until(device.is_told_of_end)))
        device.device.feeder = 3
        await deferToThread(ran, url, f"{place}.pdf", source="adf", resolution=75)
        assert (ran.status, pages_of(f"{place}.pdf")) == (ATTENTION, 1)
        assert str(ran.error).startswith("The scanner needs attention: paper jam.")
        device.device.jammed = False


