"""Fixtures of the end-to-end tests: twistd as a process, and real clients from Debian."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.cluster.checker import check
from tests.cluster.lab import Lab
from tests.cluster.lab import until as polled
from tests.e2e.site import Listener, Site
from tests.redisserver import skip_without_redis

ROOT = Path(__file__).parent.parent.parent
USER, GROUP = "nobody", "nogroup"  # for tests in which an ordinary user runs the gateway
REQUIRED = os.environ.get("WSDGATEWAY_E2E") == "required"
PATIENCE = 60.0  # time limit in seconds for other processes; on a loaded machine one needs over 15 to start
DELIVERED_SECONDS = 10.0  # for deliveries that are on their way when a test ends


def pytest_collection_modifyitems(items):
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)


def program(name):
    """Returns the path of a program beside the running Python, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def skip_or_fail(why):
    """Skips the test with a reason, or fails it if WSDGATEWAY_E2E is `required`."""
    if REQUIRED:
        pytest.fail(why)
    pytest.skip(why)


def wait_for_port(port, process):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise AssertionError(f"nothing listens on {port}")


@pytest.fixture
def twistd(tmp_path):
    """Runs a twistd plugin until the test ends: `twistd(port, "wsdgateway", "--config", file)`.

    Returns when the plugin listens on the port, and on that of the admin site if it is given as `admin`.
    """
    processes = []

    def run(port, *arguments, admin=None):
        log = (tmp_path / f"{len(processes)}.log").open("wb")
        process = subprocess.Popen([program("twistd"), "-n", "--pidfile=", *arguments], cwd=tmp_path, stdout=log,
                                   stderr=subprocess.STDOUT)
        process.log = tmp_path / f"{len(processes)}.log"
        processes.append(process)
        for one in (port, admin):
            if one is not None:
                wait_for_port(one, process)
        return process

    yield run
    for process in reversed(processes):
        process.terminate()
        process.wait(60)
    for process in processes:
        assert "Traceback" not in process.log.read_text(), process.log.read_text()


# Hides root's home but for the folders before "--", and runs the command after it.
_OPEN_HOME = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
count=0
for folder in "$@"; do
    [ "$folder" = -- ] && break
    count=$((count + 1))
    mkdir "/mnt/$count"
    mount --rbind "$folder" "/mnt/$count"
done
mount -t tmpfs -o mode=755 tmpfs /root
count=0
while [ "$1" != -- ]; do
    count=$((count + 1))
    mkdir -p "$1"
    mount --rbind "/mnt/$count" "$1"
    shift
done
shift
exec "$@"
"""


def readable():
    """Returns a command prefix with which an ordinary user can read Python and the program.

    Python, its virtual environment and the clone may be in root's home, which nobody else can read.
    """
    home = Path("~root").expanduser()
    closed = [folder for folder in {sys.base_prefix, sys.prefix, str(ROOT)} if Path(folder).is_relative_to(home)]
    # A folder comes before those in it.
    return ["unshare", "--mount", "sh", "-c", _OPEN_HOME, "sh", *sorted(closed), "--"] if closed else []


@pytest.fixture
def folder():
    """A folder that belongs to an ordinary user and is accessible to them; this needs root."""
    if os.geteuid() != 0:
        skip_or_fail("needs root, to run as an ordinary user")
    with tempfile.TemporaryDirectory(prefix="wsdgateway-") as name:
        shutil.chown(name, USER, GROUP)
        yield Path(name)


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def site(twistd, tmp_path, until):
    made = Site(twistd, tmp_path)
    until(lambda: made.control()["subscriptions"] == 1)
    return made


@pytest.fixture
def scanimage(tmp_path):
    """Runs scanimage of sane-utils with sane-airscan: `scanimage({name: url}, name, *arguments)`."""
    if shutil.which("scanimage") is None or not list(Path("/usr/lib").glob("*/sane/libsane-airscan.so*")):
        skip_or_fail("needs scanimage with sane-airscan: apt install sane-utils sane-airscan")
    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "dll.conf").write_text("airscan\n")

    def run(scanners, name, *arguments):
        (folder / "airscan.conf").write_text(
            "[devices]\n" + "".join(f"{key} = {url}, WSD\n" for key, url in scanners.items())
            + "[options]\ndiscovery = disable\n")
        environment = {**os.environ, "SANE_CONFIG_DIR": str(folder), "SANE_DEBUG_AIRSCAN": "0"}
        listed = subprocess.run(["scanimage", "-f", "%d%n"], env=environment, capture_output=True, text=True,
                                timeout=60)
        device = next(line for line in listed.stdout.split() if line.endswith(f":{name}"))
        return subprocess.run(["scanimage", "-d", device, *arguments], env=environment, capture_output=True, text=True,
                              timeout=120, cwd=tmp_path)

    return run


@pytest.fixture
def until():
    """Polls a condition that depends on another process; real clients have no clock that a test could advance."""

    def wait(condition, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.02)  # leaves the processor to the other processes
        raise AssertionError("the condition was not met within the time limit")

    return wait


@pytest.fixture
def cluster(tmp_path):
    """Starts gateways on one Redis: `cluster(gateways=2, …)`. At the end the history must be as promised."""
    skip_without_redis()
    made = []

    def start(**more):
        made.append(Lab(tmp_path, **more))
        lab = made[0].start()
        polled(lambda: lab.owner)
        return lab

    yield start
    verdicts = [_verdict(lab) for lab in made]  # the end of everything at once is not judged
    logs = "".join(lab.end() for lab in made)
    assert "Traceback" not in logs, logs
    for verdict in verdicts:
        assert not verdict.violations, f"{verdict}\n{logs[-5000:]}"


def _verdict(lab):
    """The verdict once what was announced last has been delivered, or cannot have been on its way any more."""
    end = time.monotonic() + DELIVERED_SECONDS
    while (verdict := check(lab.history())).violations and time.monotonic() < end:
        time.sleep(0.1)  # leaves the processor to the gateways
    return verdict


@pytest.fixture
def two(cluster):
    """Two gateways: the laboratory, the owner of the scanner, the other one, and a client."""
    lab = cluster()
    owner = lab.owner
    [other] = lab.others(owner)
    polled(lambda: other.metric("wsdgateway_cluster_scanners", state="following") == 1)
    lab.address.holder = owner
    return lab, owner, other, lab.client()
