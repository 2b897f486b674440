"""End-to-end tests of the commands as processes: their exit statuses, signals, closed pipes, and the demo twice."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import PATIENCE, program
from tests.ports import free_port

LISTEN = '[[listen]]\nendpoint = "tcp:0:interface=127.0.0.1"\n[admin]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
GATEWAY = (sys.executable, "-m", "wsdgateway")
DEMO = {"run": (*GATEWAY, "run", "--demo"), "twistd": ("twistd", "-n", "wsdgateway", "--demo")}
# Runs a command in a process in which the store can be opened, but not read.
UNREADABLE = """
import sys
from wsdgateway.app.storedstate import StoredState

async def load(self):
    raise ValueError("not a row")

StoredState.load = load
sys.argv = sys.argv[1:]
if sys.argv[0] == "twistd":
    from twisted.scripts.twistd import run
else:
    from wsdgateway.cli.main import run
run()
"""


def words(command):
    return [program("twistd") if command[0] == "twistd" else command[0], *command[1:]]


def ended(folder, *command):
    return subprocess.run(words(command), cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def start(tmp_path, until):
    """Starts a command, and returns its process when its log contains a text."""
    processes = []

    def run(command, text, folder=tmp_path):
        log = folder / f"{len(processes)}.log"
        process = subprocess.Popen(words(command), cwd=folder, stdout=log.open("wb"), stderr=subprocess.STDOUT)
        process.log = log
        processes.append(process)
        until(lambda: text in log.read_text() or process.poll() is not None)
        assert text in log.read_text(), log.read_text()
        return process

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(PATIENCE)
        assert "Traceback" not in process.log.read_text(), process.log.read_text()


@pytest.mark.parametrize("line", ["starting up.", "To scan a page"])  # the first one is before the reactor runs
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_with_status_0_after_a_signal(start, number, line, tmp_path):
    process = start(DEMO["run"], line)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    log = process.log.read_text()
    assert f"Received {number.name}, shutting down" in log and "Server Shut Down" in log
    assert not (tmp_path / "twistd.pid").exists()


def test_run_reloads_the_configuration(start, tmp_path, until):
    file = tmp_path / "gateway.toml"
    file.write_text(LISTEN)
    process = start((*GATEWAY, "run"), "AdminSite starting on")
    process.send_signal(signal.SIGHUP)
    until(lambda: "gateway.toml reloaded: 0 scanner(s) added" in process.log.read_text())
    file.write_text(LISTEN + "[cache]\nmax_age = 0\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: "The configuration was not reloaded: gateway.toml:6: [cache] max_age = 0: must be"
          in process.log.read_text())
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config", "none.toml"], "none.toml: cannot read the file"), ([], "--demo"), (["--nonsense"], "--nonsense"),
    (["--demo", "--config", "x"], "not allowed with"),
    (["--config", "nowhere.toml"], "nowhere.toml:2: [gateway] state: "),
    (["--config", "wrong.toml"], "wrong.toml:5: [admin] hots: unknown key")])
def test_a_mistake_ends_run_with_status_2_and_a_line(tmp_path, arguments, message):
    (tmp_path / "wrong.toml").write_text(f"{LISTEN}hots = []\n")
    (tmp_path / "nowhere.toml").write_text(f'[gateway]\nstate = "sqlite:nowhere/x"\n{LISTEN}')
    done = ended(tmp_path, *GATEWAY, "run", *arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert message in line
    assert not done.stdout


@pytest.mark.parametrize("command", ["run", "twistd"])
def test_the_demo_starts_twice_in_one_folder_and_after_it_was_killed(start, command):
    first, second = (start(DEMO[command], "To scan a page") for _ in range(2))
    assert first.poll() is None
    first.kill()
    first.wait(PATIENCE)
    third = start(DEMO[command], "To scan a page")
    for process in (second, third):
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.parametrize("command", [
    ("twistd", "-n", "wsdgateway", "--config", "g.toml"), ("wsdgateway", "run", "--config", "g.toml")])
def test_a_store_that_cannot_be_restored_ends_the_gateway_with_status_1(tmp_path, command):
    (tmp_path / "g.toml").write_text(f'[gateway]\nstate = "sqlite:s.sqlite"\n{LISTEN}')
    done = ended(tmp_path, sys.executable, "-c", UNREADABLE, *command)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if "#error" in line]
    assert "g.toml:2: [gateway] state = sqlite:s.sqlite: the gateway does not start" in line
    assert "ValueError: not a row" in line and "Move the file away" in line
    assert not (tmp_path / "twistd.pid").exists()


def test_a_port_that_is_taken_ends_run_with_status_1_and_names_the_program(start, tmp_path):
    port = free_port()
    (tmp_path / "gateway.toml").write_text(LISTEN.replace("tcp:0", f"tcp:{port}", 1))
    other = tmp_path / "other"
    other.mkdir()
    (other / "gateway.toml").write_text((tmp_path / "gateway.toml").read_text())
    first = start((*GATEWAY, "run"), "AdminSite starting on")
    second = ended(other, *GATEWAY, "run")
    assert second.returncode == 1 and "Traceback" not in second.stdout
    problem, end = (line for line in second.stdout.splitlines() if "#error]" in line)
    assert f"cannot listen at tcp:{port}:interface=127.0.0.1: " in problem and "Address already in use" in problem
    assert problem.endswith(f"(process {first.pid}))")
    assert f"The gateway does not start, because it cannot listen at tcp:{port}:" in end


def test_every_program_prints_the_version(tmp_path):
    done = [ended(tmp_path, *command, "--version") for command in (
        GATEWAY, ("twistd", "wsdgateway"), ("twistd", "wsdscanner"))]
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3
    assert len({one.stdout for one in done}) == 1
    assert done[0].stdout.startswith("wsdgateway ")


@pytest.mark.parametrize("arguments", [["check", "g.toml"], ["discover", "--address", "{}"],
                                       ["status", "{}", "--json"], ["status", "{}"], ["tail", "{}"]])
def test_a_closed_pipe_ends_a_command_quietly(start, tmp_path, arguments):
    (tmp_path / "g.toml").write_text(LISTEN)
    demo = start(DEMO["run"], "To scan a page")
    words = {line.split()[0]: line.split()[-1] for line in demo.log.read_text().splitlines() if "  http://" in line}
    url = words["Gateway"].rpartition("/demo")[0] if arguments[0] == "discover" else words["Admin"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*GATEWAY, *(argument.format(url) for argument in arguments)], stdout=writing, cwd=tmp_path,
                          stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    os.close(writing)
    assert done.returncode == 128 + signal.SIGPIPE
    assert not [line for line in done.stderr.splitlines() if not line.startswith("querying ")]


def test_an_interrupted_search_ends_with_status_130(start):
    process = start((*GATEWAY, "discover", "--address", f"127.0.0.1:{free_port()}", "--seconds", "600"), "querying")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
