"""The log of the gateway as a process: level and format, on standard output, in a file, and after a reload."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime

import pytest

from tests.e2e.conftest import PATIENCE, program, wait_for_port
from tests.ports import free_port

# Runs twistd with a gateway whose first reload fails by a mistake in the program.
BROKEN = """\
import sys
from twisted.scripts.twistd import run
from wsdgateway.app import reconfiguration

def compare(old, new):
    reconfiguration.compare = good
    raise ZeroDivisionError("line one\\nline two")

good, reconfiguration.compare = reconfiguration.compare, compare
sys.argv[0] = "twistd"
run()
"""


class Process:
    """A gateway as a process, without a scanner. `said` is its output, or the content of its log file."""

    def __init__(self, folder, *options, start=None):
        self.folder, self.port, self.admin = folder, free_port(), free_port()
        self._options, self._start = options, start or (program("twistd"),)
        self.log = folder / "output.log"

    def write(self, more="", **keys):
        settings = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
        (self.folder / "gateway.toml").write_text(
            f'[gateway]\nstate = "memory:"\n{settings}'
            f'[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            f'[admin]\nendpoint = "tcp:{self.admin}:interface=127.0.0.1"\n{more}')

    def start(self):
        with (self.folder / "output.log").open("wb") as output:
            self.process = subprocess.Popen(
                [*self._start, "-n", "--pidfile=", *self._options, "wsdgateway", "--config", "gateway.toml"],
                cwd=self.folder, stdout=output, stderr=subprocess.STDOUT)
        for port in (self.port, self.admin):
            wait_for_port(port, self.process)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)

    @property
    def said(self):
        return self.log.read_text()

    def objects(self):
        return [json.loads(line) for line in self.said.splitlines()]


@pytest.fixture
def gateway(tmp_path):
    """Makes a process that ends with the test: `gateway(*options of twistd)`."""
    made = []

    def make(*options, **more):
        made.append(Process(tmp_path, *options, **more))
        return made[-1]

    yield make
    for one in made:
        if hasattr(one, "process"):
            one.end()


def test_every_line_is_json_also_a_traceback(gateway, until):
    one = gateway(start=(sys.executable, "-c", BROKEN))
    one.write(log_format="json")
    one.start()
    until(lambda: "Admin site" in one.said)
    one.reload()
    until(lambda: "ZeroDivisionError" in one.said)
    one.write("[nonsense]\n", log_format="json")
    one.reload()
    until(lambda: "unknown section" in one.said)
    one.end()
    lines = one.objects()
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert all(datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 0 for line in lines)
    [failed] = [line for line in lines if "traceback" in line]
    assert (failed["level"], failed["message"]) == ("critical", "Reloading the configuration failed")
    assert "ZeroDivisionError: line one\nline two" in failed["traceback"]
    [refused] = [line for line in lines if line["level"] == "error"]
    assert refused["problem"].startswith("gateway.toml:8: [nonsense]: unknown section")


def test_nothing_is_written_at_a_clean_start_with_level_error(gateway):
    one = gateway()
    one.write(log_level="error")
    one.start()
    one.end()
    assert one.said == ""


def test_a_file_has_the_format_and_standard_output_nothing(gateway, tmp_path, until):
    one = gateway("-l", "gateway.log")
    one.write(log_format="json")
    one.start()
    output, one.log = one.log, tmp_path / "gateway.log"
    until(lambda: "Admin site" in one.said)
    os.kill(one.process.pid, signal.SIGUSR1)  # twistd rotates its log
    until(lambda: (tmp_path / "gateway.log.1").exists())
    one.end()
    assert one.objects()[-1]["message"] == "Server Shut Down."
    one.log = tmp_path / "gateway.log.1"
    assert any("Admin site" in line["message"] for line in one.objects())
    assert output.read_text() == ""


def test_a_reload_changes_level_and_format(gateway, until):
    one = gateway()
    one.write(log_level="error")
    one.start()
    one.write(log_level="info", log_format="json")
    one.reload()
    until(lambda: "gateway.toml reloaded" in one.said)
    [line] = one.objects()
    assert (line["level"], line["file"]) == ("info", "gateway.toml")
    one.write(log_level="info", log_format="text")
    one.reload()
    until(lambda: one.said.count("reloaded") == 2)
    assert "#info] gateway.toml reloaded" in one.said.splitlines()[1]


@pytest.mark.parametrize(("key", "value", "wanted"), [
    ("log_level", "loud", '"debug", "info", "warn" or "error"'), ("log_format", "yaml", '"text" or "json"')])
def test_a_wrong_value_ends_the_start_with_one_line(gateway, tmp_path, key, value, wanted):
    one = gateway()
    one.write(**{key: value})
    done = subprocess.run([program("twistd"), "-n", "--pidfile=", "wsdgateway", "--config", "gateway.toml"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stdout + done.stderr == f'gateway.toml:3: [gateway] {key} = "{value}": must be {wanted}\n'


def test_a_logger_that_is_given_to_twistd_replaces_the_log(gateway):
    one = gateway("--logger", "twisted.logger.LogPublisher", "-l", "gateway.log")  # passes events on to nobody
    one.write(log_format="json")
    one.start()
    one.end()
    assert one.said == "" and not (one.folder / "gateway.log").exists()
