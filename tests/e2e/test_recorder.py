"""Exchange log, captures, replay, tail and SIGHUP, with twistd as a process and real clients."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import program, skip_or_fail, wait_for_port
from tests.e2e.site import post
from tests.messages import get_job_elements
from tests.ports import free_port

PATH = "/front-desk/scan"
# Runs twistd, which gets SIGHUP just before the reactor runs, until the configuration has been reloaded.
SIGNALED = """\
import os, signal
from twisted.internet import reactor
from twisted.logger import formatEvent, globalLogPublisher
from twisted.scripts.twistd import run

begin = reactor.run

def signaled(*arguments, **more):
    os.kill(os.getpid(), signal.SIGHUP)
    begin(*arguments, **more)

def look(event):
    if " reloaded: " in formatEvent(event):
        reactor.callLater(0, reactor.stop)

globalLogPublisher.addObserver(look)
reactor.run = signaled
run()
"""


class Office:
    """A virtual scanner and a gateway that logs and captures everything."""

    def __init__(self, twistd, folder):
        self.folder, self._twistd = folder, twistd
        self.scanner, self.port, self.admin = free_port(), free_port(), free_port()
        (folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self.scanner}:interface=127.0.0.1"\npage_seconds = 0.1\nfeeder_pages = 2\n')

    def write(self, log='path = "x.jsonl"\ncapture = "captures"\nimages = true\n', more=""):
        (self.folder / "gateway.toml").write_text(
            f'[gateway]\nstate = "memory:"\n[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{self.scanner}/WDP/SCAN"\n{more}'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n[exchange_log]\n{log}')

    def start(self, *arguments):
        self.write(*arguments)
        self.device = self._twistd(self.scanner, "wsdscanner", "--config", "scanner.toml")
        self.gateway = self._twistd(self.port, "wsdgateway", "--config", "gateway.toml", admin=self.admin)
        return self

    def get(self, path):
        with urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=30) as answer:
            return answer.read().decode()

    @property
    def lines(self):
        path = self.folder / "x.jsonl"
        written = path.read_text().rpartition("\n")[0] if path.exists() else ""  # a line may be half written
        return [json.loads(line) for line in written.splitlines()]


@pytest.fixture
def office(twistd, tmp_path):
    return Office(twistd, tmp_path)


def test_scanimage_gets_the_same_pages_from_a_replay_as_from_the_scanner(office, scanimage, tmp_path, until):
    office.start()
    through = {"gateway": f"http://127.0.0.1:{office.port}{PATH}"}
    pages = ("--source", "ADF", "--batch=recorded%d.png", "--format=png")
    assert scanimage(through, "gateway", *pages).returncode in (0, 7)  # 7: no more paper
    until(lambda: any(line["operation"] == "JobEndStateEvent" for line in office.lines))
    for process in (office.gateway, office.device):
        process.terminate()
        process.wait(60)
    port = free_port()
    arguments = [program("wsdgateway"), "replay", "captures", "--speed", "5", "--endpoint",
                 f"tcp:{port}:interface=127.0.0.1"]
    replay = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for_port(port, replay)
        again = {"replay": f"http://127.0.0.1:{port}/WDP/SCAN"}
        assert scanimage(again, "replay", *pages[:2], "--batch=replayed%d.png", "--format=png").returncode in (0, 7)
        second = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert second.returncode == 2 and second.stderr.endswith("; give another one with --endpoint\n")
    finally:
        replay.send_signal(signal.SIGINT)
        said = replay.communicate(timeout=60)[0]
    assert replay.returncode == 0, said
    assert "RetrieveImage 1" in said and "Traceback" not in said
    recorded = sorted(path.name for path in tmp_path.glob("recorded*.png"))
    assert recorded == ["recorded1.png", "recorded2.png"]
    for name in recorded:
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("recorded", "replayed")).read_bytes()


def test_tail_shows_failed_exchanges_and_ends_cleanly(office, tmp_path, until):
    office.start()
    tail = subprocess.Popen([program("wsdgateway"), "tail", f"http://127.0.0.1:{office.admin}", "--failed"],
                            stdout=(tmp_path / "tail").open("w"), stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(post(office.port, PATH, b"no xml")[1]) and "InvalidArgs" in (tmp_path / "tail").read_text())
    finally:
        tail.send_signal(signal.SIGINT)
        assert tail.communicate(timeout=60)[1] == ""
    assert tail.returncode == 0
    assert "Subscribe" not in (tmp_path / "tail").read_text()


def test_sighup_before_the_reactor_runs_does_not_end_the_gateway(office, tmp_path):
    """The ports may be open by then."""
    office.write()
    done = subprocess.run([sys.executable, "-c", SIGNALED, "-n", "--pidfile=", "wsdgateway", "--config",
                           "gateway.toml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gateway.toml reloaded: 0 scanner(s) added" in done.stdout


def test_sighup_reads_the_configuration_again(office, until):
    office.start()
    office.write(more=f'[[scanner]]\nname = "copy-room"\nscan = "http://127.0.0.1:{office.scanner}/WDP/SCAN"\n')
    office.gateway.send_signal(signal.SIGHUP)
    until(lambda: "copy-room" in office.get("/api/scanners"))
    (office.folder / "gateway.toml").write_text("[nonsense]\n")
    office.gateway.send_signal(signal.SIGHUP)
    until(lambda: "was not reloaded" in office.gateway.log.read_text())
    assert "copy-room" in office.get("/api/scanners")
    assert post(office.port, PATH, get_job_elements("1"))[0] == 400  # the scanner does not know this job
    soft, hard = next(line for line in Path(f"/proc/{office.gateway.pid}/limits").read_text().splitlines()
                      if line.startswith("Max open files")).split()[3:5]
    assert soft == hard


@pytest.mark.netns
def test_a_full_disk_does_not_stop_exchanges(office, tmp_path, until):
    """The log is on a file system of 64 KiB; mounting it needs root."""
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True).returncode:
        skip_or_fail("needs root, to mount a small file system")
    try:
        (small / "filler").write_bytes(b"x" * 40000)
        office.start('path = "small/x.jsonl"\ncapture = "small/captures"\ncapture_size = 1024\n')
        dropped = ('lines_total{outcome="dropped"} 0.0', 'captures_total{outcome="dropped"} 0.0')

        def full():
            assert post(office.port, PATH, b"no xml" * 200)[0] == 400
            metrics = office.get("/metrics")
            return not any(counter in metrics for counter in dropped)

        until(full)
        (small / "filler").unlink()

        def over():
            assert post(office.port, PATH, b"no xml")[0] == 400
            with suppress(subprocess.TimeoutExpired):
                office.gateway.wait(0.2)
            return office.gateway.log.read_text().count("writing again") == 2

        until(over)
        office.gateway.terminate()
        office.gateway.wait(60)  # by then the last line is complete
        said = office.gateway.log.read_text()
        assert said.count("writing stopped") == 2  # for the log, and for the captures
        for line in (small / "x.jsonl").read_text().splitlines():
            assert json.loads(line)["scanner"] == "front-desk"
    finally:
        office.gateway.terminate()
        office.gateway.wait(60)
        subprocess.run(["umount", str(small)], check=True)
