"""Scans that are started at the panel of the virtual scanner, and the files that they become."""

import re
import stat

import pytest
import pytest_twisted
from PIL import Image

from tests.loopback.destinations.conftest import pages_of
from tests.loopback.gateways import sample
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.bridge.destinations.presses import MAX_WAITING

PDF = re.compile(r"front-desk-\d{8}-\d{6}-1\.pdf")


def events(made):
    return sample(made.service, "wsdgateway_events_total", event="ScanAvailableEvent")


def requests(made, name):
    return made.scanner.soap.asked[name]


@pytest_twisted.ensureDeferred
async def test_a_press_becomes_a_pdf(panel):
    made = await panel()
    made.press()
    await made.ended()
    [name] = made.files
    assert PDF.fullmatch(name)
    assert pages_of(made.folder / name) == 1
    assert stat.S_IMODE((made.folder / name).stat().st_mode) == 0o640
    assert (made.counted("ok"), made.counted("failed")) == (1, 0)
    [job] = made.service.scanner.bridge.table.jobs()
    assert job.status.state == "Completed"
    assert [(file.name, file.pages) for file in made.shared.last["Scans"]] == [(name, 1)]


@pytest_twisted.ensureDeferred
async def test_three_presses_are_three_scans_in_their_order(panel):
    made = await panel({"file": "{number}-{job}"}, page_seconds=0.05)
    for _ in range(3):
        made.press()
    await made.ended(3)
    assert made.files == ["1-1.pdf", "1-2.pdf", "1-3.pdf"]
    assert requests(made, "CreateScanJob") == 3


@pytest_twisted.ensureDeferred
async def test_a_feeder_of_ten(panel):
    made = await panel({"source": "adf"}, feeder_pages=10)
    made.press()
    await made.ended()
    [name] = made.files
    assert pages_of(made.folder / name) == 10
    assert requests(made, "CreateScanJob") == 1
    assert requests(made, "RetrieveImage") == 10 or requests(made, "RetrieveImage") == 11
    assert requests(made, "CancelJob") == 0


@pytest.mark.parametrize(("format", "extension", "kind"), [
    ("jpeg", "jpg", "JPEG"), ("png", "png", "PNG"), ("tiff", "tif", "TIFF")])
@pytest_twisted.ensureDeferred
async def test_a_file_for_each_page(panel, format, extension, kind):
    made = await panel({"source": "adf", "format": format, "file": "page-{number}"}, feeder_pages=3)
    made.press()
    await made.ended(3)
    assert made.files == [f"page-{number}.{extension}" for number in (1, 2, 3)]
    for name in made.files:
        with Image.open(made.folder / name) as image:
            assert image.format == kind
    made.press()
    await made.ended(6)
    assert made.files == sorted(f"page-{number}{more}.{extension}" for number in (1, 2, 3) for more in ("", "-2"))


@pytest.mark.parametrize(("settings", "pressed", "source"), [
    ({}, "Platen", "Platen"), ({}, "ADF", "ADF"), ({}, "ADFDuplex", "ADFDuplex"), ({}, "", "ADF"),
    ({"source": "platen"}, "ADF", "Platen"), ({"source": "adf"}, "Platen", "ADF"),
    ({"source": "duplex"}, "Platen", "ADFDuplex"),
])
@pytest_twisted.ensureDeferred
async def test_the_source_of_the_pages(panel, settings, pressed, source):
    made = await panel(settings)
    made.press(source=pressed)
    await made.ended()
    assert made.ticket.findtext(".//{*}InputSource") == source


@pytest_twisted.ensureDeferred
async def test_an_empty_feeder_that_nobody_named_leaves_the_platen(panel):
    made = await panel(feeder_pages=0)
    made.press(source="")
    await made.ended()
    assert made.ticket.findtext(".//{*}InputSource") == "Platen"
    assert (made.counted("ok"), made.counted("failed")) == (1, 0)


@pytest.mark.parametrize(("settings", "dots", "color"), [
    ({}, "150", "RGB24"), ({"resolution": 160, "color": "gray"}, "150", "Grayscale8"),
    ({"resolution": 9600, "color": "bw"}, "600", "BlackAndWhite1")])
@pytest_twisted.ensureDeferred
async def test_resolution_and_color(panel, settings, dots, color):
    made = await panel(settings)
    made.press()
    await made.ended()
    assert made.counted("ok") == 1
    assert made.ticket.findtext(".//{*}Resolution/{*}Width") == dots
    assert made.ticket.findtext(".//{*}ColorProcessing") == color


@pytest_twisted.ensureDeferred
async def test_an_event_that_comes_twice_is_one_scan(panel):
    made = await panel()
    notify = made.scanner.device.subscribers.notify

    def twice(*event):
        notify(*event)
        notify(*event)

    made.scanner.device.subscribers.notify = twice
    made.press()
    await made.ended()
    await until(lambda: events(made) == 2)
    made.scanner.device.subscribers.notify = notify
    made.press()
    await made.ended(2)
    assert events(made) == 3
    assert len(made.files) == requests(made, "CreateScanJob") == 2


@pytest_twisted.ensureDeferred
async def test_too_many_presses_are_refused(panel):
    made = await panel({"format": "jpeg"}, page_seconds=30.0)
    for _ in range(MAX_WAITING + 3):
        made.press()
    await until(lambda: made.counted("failed") == 2)
    assert len(made.service.scanner.destinations.scans.presses) == MAX_WAITING
    await made.service.stopService()
    assert (made.counted("ok"), made.counted("failed")) == (0, MAX_WAITING + 3)
    assert (made.files, made.hidden) == ([], [])
    assert requests(made, "CancelJob") == 1


@pytest_twisted.ensureDeferred
async def test_two_destinations(panel):
    made = await panel({"name": "Mail", "file": "mail"}, {"name": "Archive", "file": "archive", "format": "jpeg"})
    assert requests(made, "Subscribe") == 2
    made.press(1)
    await until(lambda: made.counted("ok", "Archive") == 1)
    made.press(0)
    await until(lambda: made.counted("ok", "Mail") == 1 and not made.hidden)
    assert made.files == ["archive.jpg", "mail.pdf"]


@pytest_twisted.ensureDeferred
async def test_with_escl_one_engine_serves_both(panel):
    port = free_port()
    made = await panel(sections={"escl": {"announce": False, "ports": f"{port}-{port}", "interface": "127.0.0.1",
                                          "spool": "spool"}})
    made.press()
    await made.ended()
    assert made.counted("ok") == 1
    scanner = made.service.scanner
    assert scanner.escl.jobs.execution is scanner.escl.jobs.execution
    assert [job.order.client for job in scanner.own_jobs.execution.jobs] == [""]
    assert scanner.escl.jobs.of("", "/eSCL") == ()


@pytest_twisted.ensureDeferred
async def test_the_requests_of_a_scan_are_the_gateways_own(panel):
    made = await panel()
    made.press()
    await made.ended()
    logged = [(one.entry.operation, one.entry.source) for one in made.service.recording.log.since(0)]
    for operation in ("GetScannerElements", "ValidateScanTicket", "CreateScanJob", "RetrieveImage"):
        assert (operation, "own") in logged
    assert ("ScanAvailableEvent", "event") in logged
