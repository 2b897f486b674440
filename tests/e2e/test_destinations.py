"""Scans from the panel into a folder, by the programs themselves: a feeder of ten, kills, and a full disk."""

import re
import signal
import subprocess

import pytest

from tests.e2e.conftest import skip_or_fail
from tests.e2e.site import Site

DESTINATION = '[[destination]]\nname = "Scans"\nfolder = "files"\nfile = "scan-{number}"\nsource = "adf"\n'


def pages_of(path):
    return len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))


class Scans:
    """A gateway with a destination, and its folder."""

    def __init__(self, twistd, folder, until, more="", pages=10):
        self.folder = folder / "files"
        self.folder.mkdir(exist_ok=True)
        self.site = Site(twistd, folder, DESTINATION + more, job_timeout=60.0)
        self._until = until
        until(lambda: self.site.control()["subscriptions"] == 2)
        self.site.control(f"feeder?pages={pages}", "POST")

    @property
    def files(self):
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    @property
    def hidden(self):
        return [path.name for path in self.folder.iterdir() if path.name.startswith(".wsdgateway-")]

    def press(self):
        assert self.site.control("press", "POST")["result"] == 1

    def kept(self, pages):
        """Waits until so many pages are complete."""
        self._until(lambda: sum(name.endswith(".page.part") for name in self.hidden) >= pages)

    @property
    def log(self):
        return self.site.process.log.read_text()


def test_a_feeder_of_ten_and_three_presses(twistd, tmp_path, until):
    scans = Scans(twistd, tmp_path, until)
    scans.press()
    until(lambda: scans.files)
    assert (scans.files, pages_of(scans.folder / "scan-1.pdf")) == (["scan-1.pdf"], 10)
    assert (scans.folder / "scan-1.pdf").stat().st_mode & 0o777 == 0o640
    for number in (2, 3):
        scans.press()
        scans.press()
        until(lambda number=number: len(scans.files) == 2 * number - 1)
    assert scans.site.control()["asked"]["CreateScanJob"] == 5
    until(lambda: not scans.hidden)


def test_a_kill_between_pages_keeps_them_and_leaves_one_name_on_the_panel(twistd, tmp_path, until):
    scans = Scans(twistd, tmp_path, until, pages=200)  # more than are scanned before the kill
    scans.press()
    scans.kept(3)
    scans.site.end(signal.SIGKILL)
    assert (scans.files, len(scans.hidden) >= 4) == ([], True)
    scans.site.start()
    until(lambda: scans.files)
    assert scans.files == ["scan-1.pdf"]
    assert 3 <= pages_of(scans.folder / "scan-1.pdf") < 200
    until(lambda: not scans.hidden)
    until(lambda: "was interrupted" in scans.log)
    until(lambda: "Processing" not in scans.site.control()["jobs"].values())
    until(lambda: scans.site.control()["asked"].get("Renew") == 2)
    assert scans.site.control()["asked"]["Subscribe"] == 2
    assert scans.site.control()["subscriptions"] == 2
    scans.site.control("feeder?pages=2", "POST")
    scans.press()
    until(lambda: scans.files == ["scan-1.pdf", "scan-2.pdf"])


def test_a_full_disk_cancels_the_job_and_keeps_the_pages(twistd, tmp_path, until):
    folder = tmp_path / "files"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        skip_or_fail("needs root, to mount a small file system")
    try:
        scans = Scans(twistd, tmp_path, until, pages=500)
        scans.press()
        until(lambda: "has failed: the page could not be written" in scans.log)
        assert "No space left on device" in scans.log
        until(lambda: not scans.hidden)
        until(lambda: scans.site.control()["asked"].get("CancelJob") == 1)
        assert scans.files
        scans.site.end(signal.SIGTERM)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_leaves_one_name_on_the_panel(twistd, tmp_path, until, how):
    scans = Scans(twistd, tmp_path, until, pages=1)

    def shows(starts):
        if how == signal.SIGTERM or starts == 0:
            return "subscribed to the panel, for Scans" in scans.log
        return scans.site.control()["asked"].get("Renew") == 2 * starts

    for number in (1, 2, 3):
        until(lambda number=number: shows(number - 1))
        scans.press()
        until(lambda number=number: len(scans.files) == number)  # by then the store has the subscriptions
        scans.site.end(how)
        scans.site.start()
    until(lambda: shows(3))
    assert scans.site.control()["subscriptions"] == 2
