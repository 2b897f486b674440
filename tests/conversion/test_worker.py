"""Tests of conversion.worker: the process answers line by line, and ends when the gateway does."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.conversion.test_images import image


@pytest.fixture
def worker():
    with subprocess.Popen([sys.executable, "-P", "-m", "wsdgateway.conversion.worker"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as made:
        yield made
        made.kill()


def send(worker, name, *arguments):
    worker.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
    worker.stdin.flush()


def answer(worker):
    return json.loads(worker.stdout.readline())


def test_each_request_is_answered(worker, tmp_path):
    page = tmp_path / "page"
    page.write_bytes(image("PNG"))
    for path, answered in ((page, ["done", [100, 200, 300]]),
                           (tmp_path / "missing", ["failed", 2, "No such file or directory"])):
        send(worker, "size_of", str(path))
        assert answer(worker) == answered
    send(worker, "join", [str(page)] * 2, str(page), 100, 200)
    assert answer(worker) == ["done", []]
    send(worker, "size_of", str(page))
    assert answer(worker) == ["unconvertible", "it is no JPEG, PNG, TIFF or BMP image"]


def test_it_ends_in_the_middle_of_a_conversion_when_its_input_does(worker, tmp_path):
    os.mkfifo(tmp_path / "endless")
    send(worker, "size_of", str(tmp_path / "endless"))
    worker.stdin.close()
    assert worker.wait(60) == 0


def test_signals_for_the_whole_service_are_left_to_the_gateway(worker, tmp_path):
    send(worker, "size_of", str(tmp_path / "missing"))
    answer(worker)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        worker.send_signal(number)
    send(worker, "size_of", str(tmp_path / "missing"))
    assert answer(worker)[0] == "failed"
