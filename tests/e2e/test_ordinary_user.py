"""Gateway started by root and run by an ordinary user (`twistd --uid`). These tests need root."""

import os
import pwd
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.certificates import Certified
from tests.e2e.conftest import GROUP, USER, program, readable, skip_or_fail
from tests.e2e.site import post
from tests.e2e.subnets import GATEWAY, Network, missing
from tests.messages import get_job_elements
from tests.ports import free_port

PATH = "/front-desk/scan"
LOW = range(1023, 600, -1)


def low_port():
    """Returns a free port below 1024."""
    for port in LOW:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port below 1024 is free")


class Daemon:
    """A gateway that twistd runs in the background, and its virtual scanner."""

    def __init__(self, folder, twistd):
        self.folder = folder
        self.scanner, self.port, self.admin = free_port(), low_port(), free_port()
        (folder / "scanner.toml").write_text(
            f'[scanner]\nendpoint = "tcp:{self.scanner}:interface=127.0.0.1"\npage_seconds = 0.1\n')
        twistd(self.scanner, "wsdscanner", "--config", str(folder / "scanner.toml"))
        self.write()

    def write(self, more="", state="sqlite:gateway.sqlite"):
        (self.folder / "gateway.toml").write_text(
            f'[gateway]\nstate = "{state}"\n[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{self.scanner}/WDP/SCAN"\n'
            f'[exchange_log]\npath = "log/x.jsonl"\ncapture = "log/captures"\n'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n{more}')

    def start(self, *options, user=(USER, GROUP)):
        """Starts twistd and returns its output and status, which is 0 as soon as its child runs."""
        return subprocess.run(
            [*readable(), program("twistd"), "--uid", user[0], "--gid", user[1], "--pidfile=gateway.pid",
             "--logfile=gateway.log", *options, "wsdgateway", "--config", "gateway.toml"],
            cwd=self.folder, capture_output=True, text=True, timeout=60)

    @property
    def pid(self):
        return int((self.folder / "gateway.pid").read_text())

    @property
    def said(self):
        path = self.folder / "gateway.log"
        return path.read_text() if path.exists() else ""

    def files(self):
        """Returns owner and mode of the files that the gateway has created, by name."""
        made = [path for path in self.folder.rglob("*") if path.suffix != ".toml" and path.suffix != ".pid"]
        return {path.name: (path.owner(), path.stat().st_mode & 0o777) for path in made}


@pytest.fixture
def daemon(folder, twistd, until):
    made = Daemon(folder, twistd)
    yield made
    if (folder / "gateway.pid").exists():
        with suppress(ProcessLookupError):
            os.kill(made.pid, signal.SIGTERM)
        until(lambda: not (folder / "gateway.pid").exists())
    assert "Traceback" not in made.said


def test_a_page_is_scanned_through_a_privileged_port_and_all_files_belong_to_the_user(daemon, folder, until, tmp_path):
    done = daemon.start()
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: "subscribed to its events" in daemon.said)
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    uid = str(pwd.getpwnam(USER).pw_uid)
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
    assert "CapPrm:\t0000000000000000" in status
    scan = subprocess.run(
        [program("wsdgateway"), "scan", f"http://127.0.0.1:{daemon.port}{PATH}", "-o", "page.jpg"], cwd=tmp_path,
        capture_output=True, text=True, timeout=60)
    assert scan.returncode == 0, scan.stderr
    assert (tmp_path / "page.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    os.kill(daemon.pid, signal.SIGTERM)
    until(lambda: not (folder / "gateway.pid").exists())
    files = daemon.files()
    assert {owner for owner, _ in files.values()} == {USER}, files
    assert files["gateway.sqlite"] == (USER, 0o600)
    assert any("RetrieveImage" in name for name in files)
    assert not any(mode & 0o007 for _, mode in files.values()), files
    with closing(sqlite3.connect(folder / "gateway.sqlite")) as store:
        assert store.execute("SELECT state FROM finished_job").fetchall() == [("Completed",)]
    for _ in range(2):  # its files from the first run are usable in the next ones
        assert daemon.start().returncode == 0
        until(lambda: post(daemon.port, PATH, get_job_elements("1"))[0])
        os.kill(daemon.pid, signal.SIGTERM)
        until(lambda: not (folder / "gateway.pid").exists())


def test_its_log_is_rotated_by_the_user(daemon, folder, until):
    assert daemon.start().returncode == 0
    until(lambda: "subscribed to its events" in daemon.said)
    os.kill(daemon.pid, signal.SIGUSR1)
    until(lambda: (folder / "gateway.log.1").exists())
    daemon.write("[nonsense]\n")
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "was not reloaded" in daemon.said)


def test_a_log_that_cannot_be_rotated_causes_a_warning(daemon, folder, until):
    (folder / "roots").mkdir(mode=0o755)
    assert daemon.start("--logfile=roots/gateway.log").returncode == 0
    log = folder / "roots" / "gateway.log"
    until(lambda: "subscribed to its events" in log.read_text())
    assert f"--logfile roots/gateway.log: {USER} cannot write to this folder" in log.read_text()


def test_a_configuration_that_the_user_may_not_read_changes_nothing(daemon, folder, until):
    assert daemon.start().returncode == 0
    until(lambda: "subscribed to its events" in daemon.said)
    daemon.write('[cache]\nmax_age = 7.0\n')
    (folder / "gateway.toml").chmod(0o600)
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "gateway.toml: cannot read the file: Permission denied" in daemon.said)
    assert post(daemon.port, PATH, get_job_elements("1"))[0] == 400  # the scanner does not know this job
    (folder / "gateway.toml").chmod(0o644)
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "changed sections: [cache]" in daemon.said)


def test_files_that_the_user_cannot_read_are_an_error_at_the_start(daemon, folder):
    made = Certified(folder, "gateway")
    made.key.chmod(0o600)
    daemon.write('certificate = "gateway.pem"\nkey = "gateway.key"\n')
    done = daemon.start("-n")
    assert done.returncode == 1
    assert done.stderr == (
        f'gateway.toml:14: [admin] key = "gateway.key": must be a file that can be read ({folder}/gateway.key: '
        f'Permission denied to {USER})\n')
    (folder / "gateway.toml").chmod(0o600)
    done = daemon.start("-n")
    assert done.returncode == 1
    assert done.stderr == f"gateway.toml: cannot read the file: Permission denied to {USER}\n"


def test_a_state_folder_of_root_causes_a_warning_and_scanning_continues(daemon, folder, until):
    (folder / "roots").mkdir(mode=0o755)
    where = folder / "roots" / "gateway.sqlite"
    daemon.write(state="sqlite:roots/gateway.sqlite")
    assert daemon.start().returncode == 0
    until(lambda: "subscribed to its events" in daemon.said)
    assert f"{where}: the store cannot be used: " in daemon.said and f"writable for the user {USER}" in daemon.said
    assert list((folder / "roots").iterdir()) == []
    # The file alone does not suffice: SQLite creates another one beside it.
    where.touch()
    os.chown(where, pwd.getpwnam(USER).pw_uid, -1)
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "changed sections: none" in daemon.said)
    assert "the store is in use again" not in daemon.said
    os.chown(folder / "roots", pwd.getpwnam(USER).pw_uid, -1)
    until(lambda: "the store is in use again" in daemon.said, 40.0)


def test_a_store_of_root_causes_a_warning_and_is_used_after_chown(daemon, folder, until):
    (folder / "gateway.sqlite").touch(0o600)
    assert daemon.start().returncode == 0
    until(lambda: "subscribed to its events" in daemon.said)
    assert "gateway.sqlite: the store cannot be used: " in daemon.said and "Permission denied" in daemon.said
    assert (folder / "gateway.sqlite").stat().st_size == 0
    os.chown(folder / "gateway.sqlite", pwd.getpwnam(USER).pw_uid, -1)
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: "the store is in use again" in daemon.said)


def test_an_unknown_user_is_one_line_of_error(daemon):
    done = daemon.start("-n", user=("64321", "64321"))
    assert done.returncode == 1
    assert done.stderr == ("twistd: --uid 64321: there is no such user; give one of /etc/passwd, or create one: "
                           "adduser --system --group --no-create-home wsdgateway\n")


@pytest.mark.netns
def test_discovery_needs_no_privileges(folder, until):
    """Joining a multicast group and binding to an interface need no privileges."""
    if why := missing():
        skip_or_fail(why)
    network = Network(folder, ipv4=True)
    try:
        network.build()
        uuid = "4509a320-00a0-008f-00b6-002507510eca"
        network.scanner(uuid=uuid)
        (folder / "gateway.toml").write_text(
            '[[listen]]\nendpoint = "tcp6:357"\n'
            '[discovery]\ndevice_interfaces = ["vlan"]\nclient_interfaces = ["lan"]\n'
            f'search = 2.0\n[[scanner]]\nname = "front-desk"\nuuid = "urn:uuid:{uuid}"\n')
        gateway = network.start(
            GATEWAY, *readable(), program("twistd"), "-n", "--pidfile=", "--uid", USER, "--gid", GROUP, "wsdgateway",
            "--config", "gateway.toml", log="wsdgateway")
        until(lambda: "subscribed to its events" in gateway.log.read_text())
        until(lambda: '"announced": true' in network.curl(GATEWAY, "http://127.0.0.1:8357/api/scanners"))
    finally:
        logs = network.close()
    assert not [log for log in logs if "Traceback" in log]
