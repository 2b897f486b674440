"""Tests of exchangelog.file: rotation of the log file, and a full or missing disk."""

import json
import os
import stat
import time

from twisted.internet.defer import Deferred

from tests.exchangelog.disks import Counts
from tests.exchangelog.entries import ENTRY, entry
from wsdgateway.exchangelog import file as file_module
from wsdgateway.exchangelog.background import CALM_SECONDS
from wsdgateway.exchangelog.file import FLUSH_SECONDS, LogFileWriter


def writer(reactor, path, counts=None, **settings):
    return LogFileWriter(reactor, path, **{
        "size": 1 << 20, "keep": 3, "count": Counts() if counts is None else counts, **settings})


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_written_soon_and_readable_for_owner_and_group(reactor, tmp_path):
    path, counts = tmp_path / "new" / "x.jsonl", Counts()
    made = writer(reactor, path, counts)
    made.add(ENTRY)
    made.add(entry(job_id="2"))
    reactor.advance(FLUSH_SECONDS)
    assert [line["job_id"] for line in lines(path)] == ["253", "2"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert counts == {"written": 2}


def test_the_file_is_rotated_by_size_and_the_number_of_files_is_limited(reactor, tmp_path):
    path = tmp_path / "x.jsonl"
    made = writer(reactor, path, size=1024, keep=2)
    for number in range(60):
        made.add(entry(job_id=str(number)))
        reactor.advance(FLUSH_SECONDS)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.jsonl", "x.jsonl.1", "x.jsonl.2"]
    last = [*lines(tmp_path / "x.jsonl.2"), *lines(tmp_path / "x.jsonl.1"), *lines(path)]
    assert [line["job_id"] for line in last] == [str(number) for number in range(60 - len(last), 60)]
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o640 for one in tmp_path.iterdir())


def test_the_file_is_rotated_by_day_even_after_a_restart(reactor, tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    made = writer(reactor, path)
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    tomorrow = time.time() + 86400
    monkeypatch.setattr(file_module.time, "time", lambda: tomorrow)
    made.add(entry(job_id="next day"))
    reactor.advance(FLUSH_SECONDS)
    assert len(lines(tmp_path / "x.jsonl.1")) == 1 and lines(path)[0]["job_id"] == "next day"
    os.utime(path, (0, 86400 * 100))
    again = writer(reactor, path)
    made.stop()
    again.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    assert len(lines(tmp_path / "x.jsonl.2")) == 1 and len(lines(path)) == 1


def test_after_reopen_a_moved_file_is_left_alone(reactor, tmp_path):
    path = tmp_path / "x.jsonl"
    made = writer(reactor, path)
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    path.rename(tmp_path / "moved")
    made.reopen()
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    assert len(lines(tmp_path / "moved")) == 1 and len(lines(path)) == 1


def test_a_full_disk_is_logged_once_and_counted_and_leaves_no_incomplete_line(reactor, tmp_path, said, monkeypatch):
    path, counts = tmp_path / "x.jsonl", Counts()
    made = writer(reactor, path, counts)
    made.add(ENTRY)
    reactor.advance(FLUSH_SECONDS)
    full = [True]
    before = file_module.RotatingFile.write

    class Full:
        """A file on a disk with room for ten more bytes."""

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
    assert sum("writing stopped" in line for line in said) == 1
    assert sum("writing again" in line for line in said) == 1


def test_a_file_in_place_of_the_folder_is_logged_once(reactor, tmp_path, said):
    (tmp_path / "file").write_text("")
    counts = Counts()
    made = writer(reactor, tmp_path / "file" / "x.jsonl", counts)
    for _ in range(3):
        made.add(ENTRY)
        reactor.advance(FLUSH_SECONDS)
    assert counts == {"dropped": 3}
    assert sum("writing stopped" in line for line in said) == 1


def test_a_stop_waits_for_the_disk(reactor, tmp_path):
    reactor.pool.held = []
    made = writer(reactor, tmp_path / "x.jsonl")
    made.add(ENTRY)
    stopped = made.stop()
    assert isinstance(stopped, Deferred) and not stopped.called
    reactor.pool.release()
    assert stopped.called and len(lines(tmp_path / "x.jsonl")) == 1
