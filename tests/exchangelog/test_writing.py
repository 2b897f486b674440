"""Log file and captures on a disk: rotation, budget, and a disk that is full or gone."""

import json
import os
import stat
import time
from itertools import count

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher

from wsdgateway.exchangelog import file as file_module
from wsdgateway.exchangelog.background import CALM_SECONDS, STOP_SECONDS, Background
from wsdgateway.exchangelog.captures import Captures
from wsdgateway.exchangelog.entry import Entry
from wsdgateway.exchangelog.file import FLUSH_SECONDS, LogFileWriter
from wsdgateway.exchangelog.folder import CaptureError, CaptureFolder, read_folder
from wsdgateway.exchangelog.log import KEPT, MAX_MESSAGE, MAX_MESSAGES, ExchangeLog
from wsdgateway.exchangelog.masking import Masks
from wsdgateway.exchangelog.tape import CLIENT, DEVICE, SPILL, Message

ENTRY = Entry(1795430051.123, "s", "192.0.2.7:1", "Get", "a", "m", None, "local", 200, None, 1, 2, 0.1)


class Pool:
    """A thread pool in this thread: at once, or when it is told to."""

    def __init__(self):
        self.held = None

    def callInThreadWithCallback(self, done, function, *args, **kwargs):
        def run():
            try:
                done(True, function(*args, **kwargs))
            except Exception:
                from twisted.python.failure import Failure
                done(False, Failure())
        run() if self.held is None else self.held.append(run)

    def release(self):
        while self.held:
            self.held.pop(0)()


class Reactor(MemoryReactorClock):
    def __init__(self):
        super().__init__()
        self.pool = Pool()

    def getThreadPool(self):
        return self.pool

    def callFromThread(self, function, *args, **kwargs):
        function(*args, **kwargs)


class Counts(dict):
    def __call__(self, outcome, count):
        self[outcome] = self.get(outcome, 0) + count


@pytest.fixture
def said():
    """What the log says."""
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def reactor():
    return Reactor()


def writer(reactor, path, counts=None, **settings):
    return LogFileWriter(reactor, path, **{
        "size": 1 << 20, "keep": 3, "count": Counts() if counts is None else counts, **settings})


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_written_soon_for_their_owner_and_group(reactor, tmp_path):
    path, counts = tmp_path / "new" / "x.jsonl", Counts()
    made = writer(reactor, path, counts)
    made.add(ENTRY)
    made.add(ENTRY._replace(job_id="2"))
    reactor.advance(FLUSH_SECONDS)
    assert [line["job_id"] for line in lines(path)] == [None, "2"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert counts == {"written": 2}


def test_it_is_rotated_by_size_and_so_many_stay(reactor, tmp_path):
    path = tmp_path / "x.jsonl"
    made = writer(reactor, path, size=1024, keep=2)
    for number in range(60):
        made.add(ENTRY._replace(job_id=str(number)))
        reactor.advance(FLUSH_SECONDS)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.jsonl", "x.jsonl.1", "x.jsonl.2"]
    last = [*lines(tmp_path / "x.jsonl.2"), *lines(tmp_path / "x.jsonl.1"), *lines(path)]
    assert [line["job_id"] for line in last] == [str(number) for number in range(60 - len(last), 60)]
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o640 for one in tmp_path.iterdir())


def test_it_is_rotated_by_day_over_a_restart_too(reactor, tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    made = writer(reactor, path)
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    tomorrow = time.time() + 86400
    monkeypatch.setattr(file_module.time, "time", lambda: tomorrow)
    made.add(ENTRY._replace(job_id="next day"))
    reactor.advance(FLUSH_SECONDS)
    assert len(lines(tmp_path / "x.jsonl.1")) == 1 and lines(path)[0]["job_id"] == "next day"
    os.utime(path, (0, 86400 * 100))
    again = writer(reactor, path)
    made.stop()
    again.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    assert len(lines(tmp_path / "x.jsonl.2")) == 1 and len(lines(path)) == 1


def test_a_file_that_was_moved_is_left_alone_after_a_word(reactor, tmp_path):
    path = tmp_path / "x.jsonl"
    made = writer(reactor, path)
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    path.rename(tmp_path / "moved")
    made.reopen()
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    assert len(lines(tmp_path / "moved")) == 1 and len(lines(path)) == 1


def test_a_full_disk_is_said_once_counted_and_leaves_no_half_line(reactor, tmp_path, said, monkeypatch):
    path, counts = tmp_path / "x.jsonl", Counts()
    made = writer(reactor, path, counts)
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    full = [True]
    before = file_module.RotatingFile.write

    class Full:
        """A file on a disk that takes ten bytes more."""

        def __init__(self, file):
            self.file, self.room = file, 10

        def write(self, data):
            if not full[0]:
                return self.file.write(data)
            if not self.room:
                raise OSError(28, "No space left on device")
            taken, self.room = self.room, 0
            return self.file.write(bytes(data[:taken]))

        def __getattr__(self, name):
            return getattr(self.file, name)

    def write(self, data):
        if not isinstance(self._file, Full):
            self._file = Full(self._file)
        before(self, data)

    monkeypatch.setattr(file_module.RotatingFile, "write", write)
    for _ in range(3):
        made.add(ENTRY)
        reactor.advance(FLUSH_SECONDS)
    assert counts == {"written": 1, "dropped": 3}
    assert len(lines(path)) == 1
    full[0] = False
    for _ in range(2):
        made.add(ENTRY)
        reactor.advance(CALM_SECONDS)
    assert counts == {"written": 3, "dropped": 3} and len(lines(path)) == 3
    spoken = [event["log_format"] for event in said]
    assert sum("nothing more is written" in text for text in spoken) == 1
    assert sum("written again" in text for text in spoken) == 1


def test_a_folder_that_is_none(reactor, tmp_path, said):
    (tmp_path / "file").write_text("")
    counts = Counts()
    made = writer(reactor, tmp_path / "file" / "x.jsonl", counts)
    for _ in range(3):
        made.add(ENTRY)
        reactor.advance(FLUSH_SECONDS)
    assert counts == {"dropped": 3}
    assert sum("nothing more is written" in event["log_format"] for event in said) == 1


def test_a_slow_disk_drops_what_is_too_much(reactor):
    reactor.pool.held = []
    counts, done = Counts(), []
    background = Background(reactor, "x", counts, most=100)
    assert all(background.put(lambda: done.append(1), 40, 1) for _ in range(2))
    assert not background.put(lambda: done.append(1), 40, 1)
    idle = background.stop()
    assert not idle.called
    reactor.pool.release()
    assert idle.called and len(done) == 2 and counts == {"written": 2, "dropped": 1}


def test_a_stop_does_not_wait_for_ever(reactor):
    reactor.pool.held = []
    counts = Counts()
    background = Background(reactor, "x", counts)
    for _ in range(5):
        background.put(lambda: None, 1, 1)
    stopped = background.stop()
    reactor.advance(STOP_SECONDS)
    assert not stopped.called and counts == {"dropped": 4}  # the first is in the thread
    reactor.pool.release()
    assert stopped.called and counts == {"dropped": 4, "written": 1}


def test_one_that_fails_takes_no_other_with_it(reactor):
    reactor.pool.held = []
    counts, done = Counts(), []
    background = Background(reactor, "x", counts)

    def fail():
        raise OSError(28, "No space left on device")

    for job in (lambda: None, lambda: done.append(1), fail, lambda: done.append(2)):
        background.put(job, 1, 1)
    reactor.pool.release()
    assert done == [1, 2] and counts == {"written": 3, "dropped": 1}


# Captures.


def captures(reactor, folder, counts=None, **settings):
    return Captures(reactor, folder, **{
        "masks": Masks(), "images": False, "budget": 1 << 20,
        "count": Counts() if counts is None else counts, "numbers": count(1), "is_first": True, **settings})


def capture(made, number=0, body=b"x" * 1000):
    tape = made.begin()
    tape.request(CLIENT, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    tape.response(CLIENT, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    return tape.end(1795430051.123 + number, 0.0124, "front-desk", "GetJobElements")


def test_a_capture_is_found_again(reactor, tmp_path):
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


def test_the_budget_is_kept_and_the_oldest_go_first(reactor, tmp_path):
    made = captures(reactor, tmp_path, budget=5000)
    names = [capture(made, number) for number in range(10)]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5000
    assert [one.name for one in read_folder(tmp_path)] == names[-4:]
    again = captures(reactor, tmp_path, budget=5000)
    name = capture(again, 20)
    assert [one.name for one in read_folder(tmp_path)] == [*names[-3:], name]


def test_what_an_earlier_run_left_half_is_removed(reactor, tmp_path):
    folder = CaptureFolder(tmp_path, 1 << 20)
    folder.append("1.client.response.http", b"half", begins=True)
    (tmp_path / "film.part").write_bytes(b"somebody's")
    (tmp_path / "x.part").mkdir()
    capture(captures(reactor, tmp_path))
    assert {path.name for path in tmp_path.iterdir() if path.name.endswith(".part")} == {"film.part", "x.part"}


def test_an_image_that_the_disk_did_not_take_is_not_kept_at_all(reactor, tmp_path):
    counts = Counts()
    reactor.pool.held = []
    made = captures(reactor, tmp_path, counts, images=True)
    made._background._most = 3 * SPILL
    tape = made.begin()
    tape.request(CLIENT, b"POST / HTTP/1.1\r\nHost: h\r\n\r\n")
    tape.response(CLIENT, b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n")
    for _ in range(8):
        tape.response(CLIENT, b"i" * SPILL)
    tape.end(0.0, 0.1, "s", "RetrieveImage")
    reactor.pool.release()
    assert counts == {"dropped": 1} and not list(tmp_path.iterdir())


def test_an_image_goes_to_disk_as_it_passes(reactor, tmp_path):
    made = captures(reactor, tmp_path, images=True)
    tape = made.begin()
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + b"i" * SPILL * 4
    for at in range(0, len(raw), 10000):
        tape.response(DEVICE, raw[at:at + 10000])
    assert len(list(tmp_path.glob(".*.part"))) == 1
    tape.end(0.0, 0.1, "s", "RetrieveImage")
    found, = read_folder(tmp_path)
    assert found.read("device", "response") == raw


@pytest.mark.parametrize("names", [[], ["readme.txt"], ["20261399T999999.000Z-000001-s-Get-1ms.client.request.http"]])
def test_a_folder_without_captures_says_so(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(CaptureError, match="no captures"):
        read_folder(tmp_path)
    with pytest.raises(CaptureError, match="name a folder"):
        read_folder(tmp_path / "missing")


def test_messages_appear_together(tmp_path):
    folder = CaptureFolder(tmp_path, 1 << 20)
    (tmp_path / "n.client.response.http").mkdir()
    with pytest.raises(OSError):
        folder.finish("1", "n", [Message(CLIENT, True, b"a"), Message(CLIENT, False, b"b")])
    assert [path.name for path in tmp_path.iterdir()] == ["n.client.response.http"]


# The last exchanges, in memory.


def test_the_last_exchanges_are_kept_and_no_more():
    log = ExchangeLog()
    for _ in range(KEPT + 10):
        log.add(ENTRY, b"request", b"response")
    assert len(log.since(0)) == KEPT and log.since(log.last) == [] and log.last == KEPT + 10
    assert [one.number for one in log.since(log.last - 2)] == [log.last - 1, log.last]
    assert log.get(5) is None and log.get(log.last).request == b"request"


def test_large_messages_are_cut_and_all_of_them_bounded():
    log = ExchangeLog()
    for _ in range(500):
        log.add(ENTRY, b"r" * MAX_MESSAGE * 2, b"a" * MAX_MESSAGE * 2)
    held = [log.get(number) for number in range(1, 501)]
    assert 0 < sum(len(one.request) + len(one.response) for one in held) <= MAX_MESSAGES
    assert len(held[-1].request) == MAX_MESSAGE and held[0].request == b""


def test_a_stop_waits_for_the_disk(reactor, tmp_path):
    reactor.pool.held = []
    made = writer(reactor, tmp_path / "x.jsonl")
    made.add(ENTRY)
    stopped = made.stop()
    assert isinstance(stopped, Deferred) and not stopped.called
    reactor.pool.release()
    assert stopped.called and len(lines(tmp_path / "x.jsonl")) == 1
