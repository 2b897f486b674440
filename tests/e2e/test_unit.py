"""The systemd unit: the verdict of systemd-analyze, and the gateway's work in that sandbox."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import Certified
from tests.conversion.test_images import image
from tests.e2e import sandbox
from tests.e2e.conftest import USER, program, skip_or_fail
from tests.e2e.subnets import CLIENTS, GATEWAY, Network, missing
from wsdgateway.conversion.worker import MAX_MEMORY
from wsdgateway.net.commands.process import KILL_SECONDS

COMMANDS = """
import json
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from wsdgateway.net.commands import process
from wsdgateway.storage.uploads import UploadFolder

process.KILL_SECONDS = 0.2
LIMIT = 3600.0
output = []

def said(_, data):
    output.append(data)
    for call in reactor.getDelayedCalls():  # the command's time is over as soon as it has said something
        if call.getTime() > reactor.seconds() + LIMIT / 2:
            call.reset(0)

async def run():
    script = "trap '' TERM; echo $(id -u); while :; do sleep 60; done"
    ended = await process.run_process(reactor, ["/bin/sh", "-c", script], LIMIT, said, lambda _: None)
    UploadFolder(Path("uploads").absolute()).open()
    print(json.dumps([ended.status, ended.timed_out, b"".join(output).decode()]))
    reactor.stop()

Deferred.fromCoroutine(run()).addErrback(lambda failure: (failure.printTraceback(), reactor.stop()))
reactor.run()
"""
UNIT = Path(__file__).parents[2] / "config" / "wsdgateway.service"
MOST = 12  # tenths of systemd-analyze's exposure level, from 0 (nothing is exposed) to 10
UUID = "4509a320-00a0-008f-00b6-002507510eca"
ATTEMPTS = """
import ctypes, json, os, socket
from pathlib import Path
from OpenSSL import SSL

def failed(attempt):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        return getattr(error, "strerror", str(error))

tls = SSL.Context(SSL.TLS_METHOD)
print(json.dumps({
    "packets": failed(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "namespace": ctypes.CDLL(None).unshare(0x10000000),
    "configuration": failed(lambda: Path("/etc/wsdgateway.try").touch()),
    "devices": sorted(os.listdir("/dev")),
    "home": os.listdir("/home"),
    "kernel": Path("/proc/sys").exists(),
    "state": failed(lambda: Path("try").touch()),
    "scratch": failed(lambda: Path("/tmp/try").touch()),
    "callbacks": failed(lambda: tls.set_verify(SSL.VERIFY_PEER, lambda *_: True)),
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]}))
"""


def analyze(*arguments):
    if shutil.which("systemd-analyze") is None:
        skip_or_fail("needs systemd-analyze: apt install systemd")
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_systemd_accepts_the_unit(tmp_path):
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub("/opt/wsdgateway/bin/[a-z]+", "/bin/true", UNIT.read_text()))  # the executables must exist
    done = analyze("verify", "--man=no", copy)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_exposure_level_is_low():
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST}", UNIT)
    assert done.returncode == 0, done.stdout


def test_the_stop_timeout_exceeds_the_gateways():
    [seconds] = sandbox.read_unit(UNIT)["TimeoutStopSec"]
    # limits.stop_timeout, the additional time of a stop, and that of commands, which are ended last
    assert int(seconds) > 10 + 15 + KILL_SECONDS


@pytest.fixture
def within(folder):
    """Returns the command that runs another one in the sandbox, with a folder of the service's own."""
    analyze("--version")
    if why := missing():
        skip_or_fail(why)
    if not os.stat(sys.prefix).st_mode & 0o001:
        skip_or_fail(f"needs a Python that other users can run: chmod 755 {sys.prefix}")
    return ["unshare", "--mount", "--ipc", sys.executable, sandbox.__file__, str(UNIT), USER, str(folder), "--"]


@pytest.mark.netns
def test_the_sandbox_is_effective(within):
    done = subprocess.run([*within, sys.executable, "-c", ATTEMPTS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "packets": "Address family not supported by protocol", "namespace": -1,
        "configuration": "Read-only file system", "devices": sorted(sandbox.DEVICES), "home": [], "kernel": False,
        "state": None, "scratch": None, "callbacks": None, "capabilities": ["0000000000000000"] * 5}


@pytest.mark.netns
def test_pages_are_converted_in_the_sandbox(within, folder):
    """The process that converts pages has a limit on its memory there, too."""
    page, made, joined = folder / "page", folder / "made", folder / "joined"
    page.write_bytes(image("PNG"))
    for path in (page, made, joined):
        path.touch()
        shutil.chown(path, USER)
    requests = [("convert", [str(page), str(made), "image/jpeg", 100, 200], None),
                ("join", [[str(page), str(made)], str(joined), 100, 200], [])]
    worker = subprocess.Popen([*within, sys.executable, "-P", "-m", "wsdgateway.conversion.worker"], text=True,
                              env={**os.environ, "PYTHONPATH": os.getcwd()}, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with worker:
        for *request, result in requests:
            worker.stdin.write(json.dumps(request) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
            if answer != json.dumps(["done", result]) + "\n":
                worker.kill()  # its standard error has an end only then
                pytest.fail(answer + worker.stderr.read())
        [limit] = [line for line in Path(f"/proc/{child(worker.pid)}/limits").read_text().splitlines()
                   if line.startswith("Max address space")]
        worker.stdin.close()
        assert worker.wait(30) == 0
    assert limit.split()[3] == str(MAX_MEMORY)
    assert made.read_bytes().startswith(b"\xff\xd8")
    assert joined.read_bytes().startswith(b"%PDF")


def child(pid):
    """The last process of a chain of processes that begins with this one."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        [pid] = children
    return pid


@pytest.mark.netns
def test_the_gateway_works_in_the_sandbox(within, folder, until):
    """Covers discovery on two interfaces, a page, TLS, the store, the exchange log, captures, SIGHUP and a stop."""
    made = Certified(folder, "gateway")
    shutil.chown(made.key, USER)
    network = Network(folder, ipv4=True)
    try:
        network.build()
        network.scanner(uuid=UUID)
        (folder / "gateway.toml").write_text(
            '[[listen]]\nendpoint = "tcp6:5357"\n'
            '[[listen]]\nendpoint = "tcp6:5358"\ncertificate = "gateway.pem"\nkey = "gateway.key"\n'
            '[discovery]\ndevice_interfaces = ["vlan"]\nclient_interfaces = ["lan"]\nsearch = 2.0\n'
            '[exchange_log]\npath = "x.jsonl"\ncapture = "captures"\n'
            f'[[scanner]]\nname = "front-desk"\nuuid = "urn:uuid:{UUID}"\n')
        gateway = network.start(GATEWAY, *within, program("twistd"), "--nodaemon", "--pidfile=", "wsdgateway",
                                "--config", "gateway.toml", log="wsdgateway")
        until(lambda: '"announced": true' in network.curl(GATEWAY, "http://127.0.0.1:8357/api/scanners"))
        until(lambda: "subscribed to its events" in gateway.log.read_text())
        network.run(CLIENTS, program("wsdgateway"), "scan", "http://192.0.2.5:5357/front-desk/scan", "-o", "page.jpg")
        assert (folder / "page.jpg").read_bytes().startswith(b"\xff\xd8\xff")
        assert "405 Method" in network.curl(CLIENTS, "https://192.0.2.5:5358/front-desk", "-k", "-i")
        assert "<title>" in network.curl(GATEWAY, "http://127.0.0.1:8357/")
        network.run(GATEWAY, "kill", "-HUP", str(gateway.pid))
        until(lambda: " reloaded: " in gateway.log.read_text())
        network.end(gateway)
        assert "Server Shut Down" in gateway.log.read_text()
        assert "Traceback" not in gateway.log.read_text()
    finally:
        network.close()
    written = [path for path in folder.rglob("*") if path.name.startswith("x.jsonl") or path.suffix == ".http"]
    assert any("RetrieveImage" in path.name for path in written)
    written.append(folder / "gateway.sqlite")
    assert {(path.owner(), path.stat().st_mode & 0o037) for path in written} == {(USER, 0)}


@pytest.mark.netns
def test_commands_and_the_upload_queue_work_in_the_sandbox(within, folder):
    done = subprocess.run([*within, sys.executable, "-c", COMMANDS], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(UNIT.parents[1])}, cwd=folder)
    assert done.stderr == ""
    status, timed_out, said = json.loads(done.stdout)
    assert (status, timed_out) == (-9, True) and said.strip().isdecimal()
    assert (folder / "uploads" / "failed").is_dir()
