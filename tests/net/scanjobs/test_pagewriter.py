"""Tests of net.scanjobs.pagewriter: bytes reach the file in order, and a slow disk slows the scanner down."""

import errno

import pytest
from twisted.internet.defer import Deferred

from wsdgateway.net.scanjobs import pagewriter
from wsdgateway.net.scanjobs.pagewriter import LOW, MAX_PENDING, PageWriter
from wsdgateway.storage.spool import Spool


class Producer:
    def __init__(self):
        self.calls = []

    def pauseProducing(self):
        self.calls.append("pause")

    def resumeProducing(self):
        self.calls.append("resume")


class Thread:
    """Runs what is handed to a thread when the test says so."""

    def __init__(self):
        self.jobs = []

    def defer(self, reactor, pool, function, *arguments):
        done = Deferred()
        self.jobs.append((done, function, arguments))
        return done

    def run(self):
        jobs, self.jobs = self.jobs, []
        for done, function, arguments in jobs:
            try:
                result = function(*arguments)
            except OSError:
                done.errback()
            else:
                done.callback(result)

    def getThreadPool(self):
        return None


@pytest.fixture
def thread(monkeypatch):
    made = Thread()
    monkeypatch.setattr(pagewriter, "deferToThreadPool", made.defer)
    return made


class Written:
    """A writer, its producer, and what it reports; `room` is the number of bytes that are admitted."""

    def __init__(self, thread, folder):
        self.spool = Spool(folder / "spool")
        self.spool.open()
        self.file = self.spool.create("a")
        self.room, self.grown, self.failed = 1 << 40, [], []
        self.writer = PageWriter(thread, self.file, admit=self.admit, on_failed=self.failed.append,
                                 on_written=lambda: self.grown.append(self.file.size))
        self.writer.response = self.producer = Producer()

    def admit(self, size):
        if size > self.room:
            return False
        self.room -= size
        return True

    def take(self, data):
        self.writer.take(memoryview(data))

    @property
    def content(self):
        reader = self.file.reader()
        try:
            return reader.read(0, 1 << 20)
        finally:
            reader.close()


@pytest.fixture
def written(thread, tmp_path):
    made = Written(thread, tmp_path)
    yield made
    made.spool.close()


def test_bytes_are_written_in_order_with_one_write_at_a_time(written, thread):
    for piece in (b"a", b"b", b"c"):
        written.take(piece)
    assert len(thread.jobs) == 1
    thread.run()
    assert (written.grown, written.writer.pending()) == ([1], 2)
    thread.run()
    assert (written.content, written.grown, written.writer.pending()) == (b"abc", [1, 3], 0)
    assert written.producer.calls == []


def test_a_slow_disk_pauses_the_scanner(written, thread):
    written.take(bytes(MAX_PENDING + 1))
    assert written.producer.calls == ["pause"]
    thread.run()
    assert written.producer.calls == ["pause", "resume"]
    assert LOW < MAX_PENDING


def test_bytes_without_room_are_held_until_there_is_some(written, thread):
    written.room = 3
    for piece in (b"abc", b"de", b"f"):
        written.take(piece)
    thread.run()
    assert (written.content, written.producer.calls) == (b"abc", ["pause"])
    written.room = 2
    written.writer.resume()
    thread.run()
    assert (written.content, written.producer.calls) == (b"abcde", ["pause"])
    written.room = 9
    written.writer.resume()
    thread.run()
    assert (written.content, written.producer.calls) == (b"abcdef", ["pause", "resume"])


def test_a_disk_error_is_reported_once(written, thread, monkeypatch):
    def full(data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(written.file, "write", full)
    written.take(b"a")
    written.take(b"b")
    thread.run()
    written.take(b"c")
    thread.run()
    assert written.failed == [f"{written.spool.folder}: No space left on device"]
    assert (written.grown, thread.jobs, written.writer.pending()) == ([], [], 0)


def test_idle_waits_for_the_disk_and_for_room(written, thread):
    idle = []
    written.room = 1
    written.take(b"a")
    written.take(b"b")
    written.writer.idle().addCallback(lambda _: idle.append(True))
    thread.run()
    assert idle == []
    written.room = 1
    written.writer.resume()
    thread.run()
    assert idle == [True]


def test_the_file_is_deleted_after_the_running_write(written, thread):
    written.room = 2
    for piece in (b"a", b"b", b"held"):
        written.take(piece)
    deleting = Deferred.fromCoroutine(written.writer.delete())
    assert written.file.path.exists()
    assert written.producer.calls == ["pause", "resume"]  # the rest is read and forgotten
    thread.run()
    thread.run()
    assert deleting.called
    assert not written.file.path.exists()
    written.take(b"more")
    assert (thread.jobs, written.grown) == ([], [])
