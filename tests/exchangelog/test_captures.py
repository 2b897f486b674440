"""Tests of exchangelog.captures: the disk budget of captures, and images written while they are transferred."""

import stat
from itertools import count

import pytest

from tests.exchangelog.disks import Counts
from wsdgateway.exchangelog.captures import Captures
from wsdgateway.exchangelog.folder import CaptureFolder, read_folder
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.exchangelog.tape import CLIENT, DEVICE, SPILL


def captures(reactor, folder, counts=None, **settings):
    return Captures(reactor, folder, **{
        "masks": Masks(), "images": False, "budget": 1 << 20,
        "count": Counts() if counts is None else counts, "numbers": count(1), "is_first": True, **settings})


def capture(made, number=0, body=b"x" * 1000):
    tape = made.begin()
    tape.request(CLIENT, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    tape.response(CLIENT, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    return tape.end(1795430051.123 + number, 0.0124, "front-desk", "GetJobElements")


def test_a_capture_can_be_read_back(reactor, tmp_path):
    made = captures(reactor, tmp_path / "new")
    name = capture(made)
    assert name == "20261123T103411.123Z-000001-front-desk-GetJobElements-12ms"
    found, = read_folder(tmp_path / "new")
    assert (found.name, found.scanner, found.operation, found.side) == (name, "front-desk", "GetJobElements", "client")
    assert found.time == pytest.approx(1795430051.123)
    assert found.seconds == pytest.approx(0.012)
    assert found.read("client", "request").endswith(b"x" * 1000)
    assert found.read("device", "request") is None
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in (tmp_path / "new").iterdir())


def test_the_oldest_captures_are_removed_to_keep_the_budget(reactor, tmp_path):
    made = captures(reactor, tmp_path, budget=5000)
    names = [capture(made, number) for number in range(10)]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5000
    assert [one.name for one in read_folder(tmp_path)] == names[-4:]
    again = captures(reactor, tmp_path, budget=5000)
    name = capture(again, 20)
    assert [one.name for one in read_folder(tmp_path)] == [*names[-3:], name]


def test_incomplete_captures_of_an_earlier_run_are_removed(reactor, tmp_path):
    folder = CaptureFolder(tmp_path, 1 << 20)
    folder.append("1.client.response.http", b"half", begins=True)
    (tmp_path / "film.part").write_bytes(b"somebody's")
    (tmp_path / "x.part").mkdir()
    capture(captures(reactor, tmp_path))
    assert {path.name for path in tmp_path.iterdir() if path.name.endswith(".part")} == {"film.part", "x.part"}


def test_an_image_that_could_not_be_written_in_full_is_removed(reactor, tmp_path):
    counts = Counts()
    reactor.pool.held = []
    made = captures(reactor, tmp_path, counts, images=True, most=3 * SPILL)
    tape = made.begin()
    tape.request(CLIENT, b"POST / HTTP/1.1\r\nHost: h\r\n\r\n")
    tape.response(CLIENT, b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n")
    for _ in range(8):
        tape.response(CLIENT, b"i" * SPILL)
    tape.end(0.0, 0.1, "s", "RetrieveImage")
    reactor.pool.release()
    assert counts == {"dropped": 1} and not list(tmp_path.iterdir())


def test_an_image_is_written_to_disk_while_it_is_transferred(reactor, tmp_path):
    made = captures(reactor, tmp_path, images=True)
    tape = made.begin()
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + b"i" * SPILL * 4
    for at in range(0, len(raw), 10000):
        tape.response(DEVICE, raw[at:at + 10000])
    assert len(list(tmp_path.glob(".*.part"))) == 1
    tape.end(0.0, 0.1, "s", "RetrieveImage")
    found, = read_folder(tmp_path)
    assert found.read("device", "response") == raw
