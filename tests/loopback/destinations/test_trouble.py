"""Scans from the panel that break off: what is kept, what is logged and counted, and what the scanner is told."""

import errno
import os

import pytest_twisted

from tests.loopback.destinations.conftest import pages_of
from tests.loopback.scanners import HeldPage
from tests.waiting import until
from wsdgateway.bridge.scanjobs.phases import Phase
from wsdgateway.net.destinations import folder as files
from wsdgateway.simulator.conditions import MEDIA_JAM
from wsdgateway.storage.spool import SpoolFile

FEEDER = {"source": "adf", "file": "scan"}


def state(made):
    jobs = made.scanner.device.jobs
    return [job.status.state for job in (*jobs.finished(), *jobs.active())]


def asked(made, name):
    return made.scanner.soap.asked.get(name, 0)


def kept(made):
    """The number of pages that are complete and wait for the end of the scan."""
    return sum(name.endswith(".page.part") for name in made.hidden)


async def failed(made, count=1):
    await until(lambda: made.counted("failed") == count and not made.hidden)
    await until(lambda: all(job.phase is Phase.OVER for job in made.service.scanner.own_jobs.execution.jobs))


@pytest_twisted.ensureDeferred
async def test_a_jam_after_two_pages(panel, caught, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    made = await panel(FEEDER, feeder_pages=5)
    made.press()
    await until(lambda: held.waiting)
    made.scanner.device.begin(MEDIA_JAM)
    # Its event may arrive after the answer for the third page, and then the cause is not known yet.
    await until(lambda: "MediaJam" in made.service.scanner.bridge.reported.conditions)
    held.send()
    await failed(made)
    assert made.files == ["scan.pdf"]
    assert pages_of(made.folder / "scan.pdf") == 2
    assert (made.counted("ok"), asked(made, "CancelJob")) == (1, 0)
    assert caught.warnings() == [
        "front-desk: the scan to Scans has failed: paper jam; its 2 complete page(s) are kept"]
    made.scanner.device.clear()
    made.press()
    await until(lambda: made.counted("ok") == 2)


@pytest_twisted.ensureDeferred
async def test_an_empty_feeder(panel, caught):
    made = await panel(FEEDER, feeder_pages=0)
    made.press()
    await failed(made)
    assert (made.files, asked(made, "RetrieveImage"), asked(made, "CancelJob")) == ([], 0, 0)
    [line] = caught.warnings()
    assert line.startswith("front-desk: the scan to Scans has failed: the feeder is empty: ")
    assert line.endswith("; there is no complete page")


@pytest_twisted.ensureDeferred
async def test_a_job_that_is_canceled_at_the_panel(panel, caught, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    made = await panel({**FEEDER, "format": "jpeg", "file": "page-{number}"}, feeder_pages=5)
    made.press()
    await until(lambda: len(made.files) == 2 and held.waiting)
    made.scanner.device.cancel_jobs()
    held.send()
    await failed(made)
    assert made.files == ["page-1.jpg", "page-2.jpg"]
    assert asked(made, "CancelJob") == 0
    assert caught.warnings()[-1] == ("front-desk: the scan to Scans has failed: the scan was canceled at the scanner; "
                                     "its 2 complete page(s) are kept")


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_lost_after_page_two(panel, caught, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    made = await panel(FEEDER, feeder_pages=5)
    made.press()
    await until(lambda: kept(made) == 2 and held.waiting)
    made.scanner.troubles.break_image = True
    held.send()
    await failed(made)
    assert pages_of(made.folder / "scan.pdf") == 2
    assert "it closed the connection before the end of its answer" in caught.warnings()[-1]
    assert state(made) == ["Aborted"]


class Full:
    """Replaces the writing of pages: the disk is full from the third page on."""

    def __init__(self, monkeypatch, page):
        self.pages, self.first = set(), page
        self.write = SpoolFile.write
        monkeypatch.setattr(SpoolFile, "write", lambda file, data: self.take(file, data))

    def take(self, file, data):
        self.pages.add(file.path)
        if len(self.pages) >= self.first:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.write(file, data)


@pytest_twisted.ensureDeferred
async def test_a_full_disk_cancels_the_job_at_once(panel, monkeypatch, caught):
    Full(monkeypatch, 3)
    made = await panel(FEEDER, feeder_pages=5)
    made.press()
    await failed(made)
    assert pages_of(made.folder / "scan.pdf") == 2
    assert (asked(made, "CancelJob"), state(made)) == (1, ["Canceled"])
    [line] = caught.warnings()
    assert line == ("front-desk: the scan to Scans has failed: the page could not be written: "
                    f"{made.folder}: No space left on device; its 2 complete page(s) are kept")


@pytest_twisted.ensureDeferred
async def test_a_disk_without_room_for_the_pdf_keeps_the_pages(panel, monkeypatch):
    def full(self, number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.ScanFolder, "new_output", full)
    made = await panel(FEEDER, feeder_pages=3)
    made.press()
    await made.ended(3)
    assert made.files == ["scan-2.jpg", "scan-3.jpg", "scan.jpg"]


@pytest_twisted.ensureDeferred
async def test_a_folder_that_is_gone_before_the_press(panel, caught):
    made = await panel()
    made.folder.rename(made.folder.with_name("away"))
    made.press()
    await until(lambda: made.counted("failed") == 1)
    assert asked(made, "CreateScanJob") == 0
    [line] = caught.warnings()
    assert line.startswith("front-desk: the scan to Scans that was started at the panel is not carried out: ")
    assert line.endswith(f"not carried out: {made.folder}: No such file or directory")
    made.folder.with_name("away").rename(made.folder)
    made.press()
    await made.ended(2)
    assert len(made.files) == 1


@pytest_twisted.ensureDeferred
async def test_a_folder_that_goes_during_the_scan(panel, caught, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    made = await panel(FEEDER, feeder_pages=5)
    made.press()
    await until(lambda: kept(made) == 2 and held.waiting)
    away = made.folder.with_name("away")
    made.folder.rename(away)
    held.send()
    await until(lambda: made.counted("failed") == 1)
    assert "No such file or directory" in caught.warnings()[-1]
    assert asked(made, "CancelJob") == 1
    assert sum(path.name.endswith(".page.part") for path in away.iterdir()) >= 2
    away.rename(made.folder)
    made.scanner.device.feeder = 1
    made.press()  # the next scan finishes the former one, too
    await until(lambda: made.counted("ok") == 2 and not made.hidden)
    assert made.files == ["scan-2.pdf", "scan.pdf"]
    assert sorted(pages_of(made.folder / name) for name in made.files)[0] == 1


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_cannot_be_reached_any_more(panel, caught, monkeypatch):
    # If it stops between two pages, the next one is asked for again after each of these, for 39 s in all.
    monkeypatch.setattr("wsdgateway.bridge.scanjobs.scanjobs.PAUSES", (0.05, 0.05))
    held = HeldPage(monkeypatch, 3)
    made = await panel(FEEDER, feeder_pages=5)
    made.press()
    await until(lambda: kept(made) == 2 and held.waiting)
    await made.scanner.stopService()
    await until(lambda: made.counted("failed") == 1 and not made.hidden)
    assert pages_of(made.folder / "scan.pdf") >= 2
    assert "complete page(s) are kept" in caught.warnings()[-1]


@pytest_twisted.ensureDeferred
async def test_pages_at_a_stop_are_kept(panel, monkeypatch):
    held = HeldPage(monkeypatch, 3)
    made = await panel(FEEDER, feeder_pages=50)
    made.press()
    made.press()
    await until(lambda: kept(made) == 2 and held.waiting)
    await made.service.stopService()
    assert made.hidden == []
    assert made.files == ["scan.pdf"]
    assert pages_of(made.folder / "scan.pdf") >= 2
    assert made.registered == []
