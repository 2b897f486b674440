"""Recovery at a start from scans that a crash has interrupted."""

import errno
import uuid

import pytest
import pytest_twisted
from PIL import Image

from tests.loopback.destinations.conftest import pages_of
from tests.waiting import until
from wsdgateway.net.destinations.folder import Record, ScanFolder


def left_by_a_crash(folder, *, format="pdf", pages=2, leave=True):
    """Writes what a scan has left that was killed while its last page arrived."""
    folder.mkdir(exist_ok=True)
    scan = ScanFolder(folder, str(uuid.uuid4()))
    scan.begin(Record("front-desk", "Scans", format, "{scanner}-{job}", {"scanner": "front-desk", "job": "7"}, 75, 0))
    for number in range(1, pages + 1):
        file = scan.new_page(number)
        Image.new("RGB", (10, 10)).save(file.path, "JPEG")
        file.close()
        scan.keep(file.path, number)
    scan.new_page(pages + 1).write(b"half")
    if leave:
        scan.leave()
    return scan


@pytest.mark.parametrize(("format", "files"), [
    ("pdf", ["front-desk-7.pdf"]), ("png", ["front-desk-7-2.png", "front-desk-7.png"])])
@pytest_twisted.ensureDeferred
async def test_complete_pages_are_kept(panel, tmp_path, format, files):
    left_by_a_crash(tmp_path / "files", format=format)
    made = await panel()
    await until(lambda: not made.hidden and made.counted("failed"))
    assert made.files == files
    if format == "pdf":
        assert pages_of(made.folder / files[0]) == 2
    await until(lambda: made.counted("failed"))
    assert (made.counted("ok"), made.counted("failed")) == (len(files), 1)


@pytest_twisted.ensureDeferred
async def test_without_a_complete_page_nothing_is_left(panel, tmp_path):
    left_by_a_crash(tmp_path / "files", pages=0)
    made = await panel()
    await until(lambda: not made.hidden)
    assert made.files == []


@pytest_twisted.ensureDeferred
async def test_a_scan_that_another_gateway_runs_is_left_alone(panel, tmp_path):
    running = left_by_a_crash(tmp_path / "files", leave=False)
    made = await panel()
    await made.service.destinations.idle()
    assert (made.files, len(made.hidden)) == ([], 4)
    running.end()


@pytest_twisted.ensureDeferred
async def test_pages_without_a_record_are_deleted(panel, tmp_path):
    scan = left_by_a_crash(tmp_path / "files")
    [record] = [path for path in (tmp_path / "files").iterdir() if path.name.count("-") == 5]
    record.unlink()
    assert scan is not None
    made = await panel()
    await until(lambda: not made.hidden)
    assert made.files == []


@pytest_twisted.ensureDeferred
async def test_a_scan_that_cannot_be_finished_does_not_stop_the_others(panel, tmp_path, monkeypatch, caught):
    for _ in range(2):
        left_by_a_crash(tmp_path / "files")
    failures, real = [OSError(errno.EIO, "Input/output error")], ScanFolder.take_over

    def take_over(folder):
        if failures:
            raise failures.pop()
        return real(folder)

    monkeypatch.setattr(ScanFolder, "take_over", take_over)
    made = await panel()
    await until(lambda: made.files == ["front-desk-7.pdf"])
    assert any("a scan that was interrupted cannot be finished: Input/output error" in line
               for line in caught.all_warnings())
