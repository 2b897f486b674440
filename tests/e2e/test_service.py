"""The gateway as a service of systemd, with a stand-in for systemd: the variables that it sets, and its socket."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.e2e.conftest import GROUP, PATIENCE, USER, program, readable
from tests.e2e.subnets import GATEWAY, namespaces, need
from tests.ports import free_port

# Runs the gateway, and hangs its reactor when SIGUSR2 arrives.
HANGING = """
import signal, sys, time
from twisted.internet import reactor
from twisted.scripts.twistd import run

def hang_for_the_test():
    print("hangs", file=sys.__stdout__, flush=True)
    while True:
        time.sleep(1)

reactor.callWhenRunning(signal.signal, signal.SIGUSR2, lambda *_: reactor.callFromThread(hang_for_the_test))
run()
"""


class Systemd:
    """Listens at a notify socket as systemd does, and starts the gateway with the variables of a unit."""

    def __init__(self, folder):
        self.folder, self.told = folder, []
        self.state, self.runtime, self.log = folder / "state", folder / "run", folder / "service.log"
        for one in (self.state, self.runtime):
            one.mkdir()
        self.process = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self):
        while (datagram := self._socket.recv(4096)) != b"end":
            self.told.append(dict(line.split("=", 1) for line in datagram.decode().splitlines()))

    @property
    def environment(self):
        return {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "RUNTIME_DIRECTORY": str(self.runtime),
                "STATE_DIRECTORY": str(self.state)}

    def start(self, *command, watchdog=None):
        more = {} if watchdog is None else {"WATCHDOG_USEC": str(int(watchdog * 1e6))}
        command = command or (program("twistd"),)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--nodaemon", "--pidfile=", "wsdgateway", "--config", "gateway.toml"], cwd=self.folder,
                stdout=log, stderr=subprocess.STDOUT, env={**self.environment, **more})
        return self.process

    def reload(self):
        return subprocess.run([program("wsdgateway"), "reload"], env=self.environment, cwd=self.folder,
                              capture_output=True, text=True, timeout=PATIENCE)

    def has(self, name):
        """The messages with that field."""
        return [one for one in self.told if name in one]

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", str(self.folder / "notify"))
        self._reading.join(PATIENCE)
        self._socket.close()


@pytest.fixture
def systemd(tmp_path):
    made = Systemd(tmp_path)
    yield made
    made.end()


@pytest.fixture
def ports():
    return {"listen": free_port(), "escl": free_port(), "admin": free_port()}


def configuration(ports, more=""):
    return (f'[[listen]]\nendpoint = "tcp:{ports["listen"]}:interface=127.0.0.1"\n'
            f'[admin]\nendpoint = "tcp:{ports["admin"]}:interface=127.0.0.1"\n'
            f'[escl]\nports = "{ports["escl"]}-{ports["escl"]}"\n'
            f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:9/scan"\n{more}')


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def states(systemd):
    """Returns which of both states each message so far has told."""
    return [name for one in list(systemd.told) for name in one if name in ("READY", "RELOADING")]


def test_ready_reloading_and_stopping(systemd, ports, until):
    """With a minimal configuration in a folder that is not its own, as for a service's user."""
    file = systemd.folder / "gateway.toml"
    file.write_text(configuration(ports))
    systemd.start(watchdog=1.0)
    [ready] = until(lambda: systemd.has("READY"))
    assert all(is_open(port) for port in ports.values())
    assert ready["STATUS"] == "0 of 1 scanners reachable"
    assert (systemd.state / "gateway.sqlite").exists() and (systemd.state / "spool").is_dir()
    assert not (systemd.folder / "gateway.sqlite").exists()
    pings = len(systemd.has("WATCHDOG"))
    until(lambda: len(systemd.has("WATCHDOG")) > pings + 1)

    done = systemd.reload()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("gateway.toml reloaded: 0 scanner(s) added, ")
    # The thread that reads what is told may be later than the command.
    until(lambda: states(systemd) == ["READY", "RELOADING", "READY"])
    assert int(systemd.has("RELOADING")[0]["MONOTONIC_USEC"]) > 0

    file.write_text(configuration(ports, "timeuot = 5\n"))
    done = systemd.reload()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gateway.toml:10: [[scanner]] front-desk timeuot: unknown key; did you mean timeout?\n"
    until(lambda: states(systemd) == ["READY", "RELOADING", "READY", "RELOADING", "READY"])
    assert all(is_open(port) for port in ports.values())

    systemd.process.send_signal(signal.SIGTERM)
    systemd.process.wait(PATIENCE)
    [stopping] = until(lambda: systemd.has("STOPPING"))
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) == 35_000_000
    assert not (systemd.runtime / "control.sock").exists()
    assert systemd.reload().returncode == 2
    assert "Traceback" not in systemd.log.read_text()


def test_a_store_at_the_former_place_is_used_with_a_warning(systemd, ports, until):
    (systemd.folder / "gateway.toml").write_text(configuration(ports))
    (systemd.folder / "gateway.sqlite").touch()
    systemd.start()
    until(lambda: systemd.has("READY"))
    assert f"the store {systemd.folder}/gateway.sqlite is used, because it exists" in systemd.log.read_text()
    assert not (systemd.state / "gateway.sqlite").exists()


def test_a_minimal_configuration_of_root_works_for_the_user_of_a_service(folder, ports, until):
    """As the manual sets the service up: only the folders that systemd makes belong to the user."""
    etc = folder / "etc"
    etc.mkdir()
    (etc / "gateway.toml").write_text(configuration(ports))
    systemd = Systemd(etc)
    try:
        (etc / "notify").chmod(0o666)
        for one in (systemd.state, systemd.runtime):
            shutil.chown(one, USER, GROUP)
        systemd.start(*readable(), "setpriv", "--reuid", USER, "--regid", GROUP, "--clear-groups", program("twistd"))
        until(lambda: systemd.has("READY") or systemd.process.poll() is not None)
        log = systemd.log.read_text()
        assert systemd.has("READY"), log
        assert "cannot" not in log and "#warn] the" not in log
        assert (systemd.state / "gateway.sqlite").owner() == (systemd.state / "spool").owner() == USER
        systemd.process.terminate()
        systemd.process.wait(PATIENCE)
    finally:
        systemd.end()


@pytest.mark.parametrize("which", ["listen", "escl", "admin"])
def test_a_port_that_is_taken_ends_the_start_with_its_number_and_the_program(systemd, ports, which):
    (systemd.folder / "gateway.toml").write_text(configuration(ports))
    with socket.create_server(("127.0.0.1", ports[which])):
        assert systemd.start().wait(PATIENCE) == 1
    log = systemd.log.read_text()
    [problem] = [line for line in log.splitlines() if "#error]" in line and "cannot listen at" in line][:1]
    assert f":{ports[which]}: [Errno 98] Address already in use (used by " in problem
    assert f"(process {os.getpid()}))" in problem
    assert f"The gateway does not start, because it cannot listen at tcp:{ports[which]}:interface=127.0.0.1" in log
    assert "Traceback" not in log
    assert not systemd.has("READY")


def test_a_reactor_that_hangs_sends_no_pings_and_the_log_shows_where(systemd, ports, until):
    (systemd.folder / "gateway.toml").write_text(configuration(ports))
    systemd.start(sys.executable, "-c", HANGING, watchdog=0.6)
    until(lambda: systemd.has("READY") and systemd.has("WATCHDOG"))
    systemd.process.send_signal(signal.SIGUSR2)
    until(lambda: "hangs\n" in systemd.log.read_text())
    pings = -1

    def have_ended():  # none arrives while a process starts and ends, which takes longer than two pings
        nonlocal pings
        before, pings = pings, len(systemd.has("WATCHDOG"))
        subprocess.run([sys.executable, "-c", "import twisted.internet.reactor"], check=True, timeout=PATIENCE)
        return before == pings

    until(have_ended)
    systemd.process.send_signal(signal.SIGABRT)  # as systemd does when WatchdogSec has passed
    assert systemd.process.wait(PATIENCE) == -signal.SIGABRT
    log = systemd.log.read_text()
    assert "Fatal Python error: Aborted" in log and "in hang_for_the_test" in log


@pytest.mark.netns
def test_an_address_that_is_absent_is_waited_for(systemd, until):
    need("iproute2 curl", "ip", "curl")
    with namespaces(systemd.folder) as network:
        (systemd.folder / "gateway.toml").write_text(
            '[[listen]]\nendpoint = "tcp:5357:interface=192.0.2.99"\n[[listen]]\nendpoint = "tcp:5358"\n')
        gateway = network.start(GATEWAY, program("twistd"), "-n", "--pidfile=", "wsdgateway", "--config",
                                "gateway.toml", log="wsdgateway", env=systemd.environment)
        until(lambda: len(systemd.has("EXTEND_TIMEOUT_USEC")) >= 2)
        assert not systemd.has("READY")
        problem = "tcp:5357:interface=192.0.2.99: Couldn't listen on 192.0.2.99:5357: [Errno 99] "
        assert problem in systemd.has("STATUS")[-1]["STATUS"]
        answer = network.curl(GATEWAY, "http://127.0.0.1:8357/readyz", "-i")
        assert answer.startswith("HTTP/1.1 503 ") and problem in answer
        assert network.curl(GATEWAY, "http://127.0.0.1:5358/")  # other listeners serve clients meanwhile
        network.run(GATEWAY, "ip", "address", "add", "192.0.2.99/24", "dev", "lan")
        until(lambda: systemd.has("READY"))
        assert network.curl(GATEWAY, "http://127.0.0.1:8357/readyz") == "ready\n"
        assert gateway.log.read_text().count("cannot listen at") == 1
