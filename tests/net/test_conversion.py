"""Tests of net.conversion: processes convert pages, end when they are not needed, and are killed when a request is."""

import os
import signal
from pathlib import Path

import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock

from tests.conversion.test_images import image
from tests.waiting import until
from wsdgateway.conversion.kinds import Unconvertible, kind_of
from wsdgateway.net import conversion
from wsdgateway.net.conversion import IDLE_SECONDS, MAX_SECONDS, Converter


class ThreadsAndClock(Clock):
    """The threads of the real reactor with another clock."""

    getThreadPool, callFromThread = reactor.getThreadPool, reactor.callFromThread


@pytest.fixture
def clock():
    return ThreadsAndClock()


@async_yield_fixture
async def converter(clock):
    converter = Converter(clock)
    yield converter
    await converter.stop()
    assert not workers()
    assert not clock.getDelayedCalls()


@pytest.fixture
def page(tmp_path):
    page = tmp_path / "page"
    page.write_bytes(image("PNG"))
    return page


@pytest.fixture
def target(tmp_path):
    target = tmp_path / "target"
    target.touch()
    return target


@pytest.fixture
def endless(tmp_path):
    """A page which is never read to its end."""
    path = tmp_path / "endless"
    os.mkfifo(path)
    return path


def workers():
    """The process ids of the processes that convert."""
    found = []
    for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in map(int, path.read_text().split()):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if conversion.MODULE.encode() in line:
                found.append(pid)
    return found


@ensureDeferred
async def test_a_page_is_converted_in_a_process_that_is_used_again(converter, page, target):
    await converter.convert(page, target, "image/jpeg", 100, 200)
    [worker] = workers()
    assert kind_of(target.read_bytes()[:8]) == "image/jpeg"
    await converter.join([page, page], target, 100, 200)
    assert workers() == [worker]
    assert kind_of(target.read_bytes()[:8]) == "application/pdf"


@ensureDeferred
async def test_the_process_ends_when_it_has_no_work(converter, clock, page, target):
    await converter.convert(page, target, "image/jpeg", 100, 200)
    clock.advance(IDLE_SECONDS - 1)
    await converter.convert(page, target, "image/jpeg", 100, 200)
    clock.advance(IDLE_SECONDS - 1)
    assert len(workers()) == 1
    clock.advance(1)
    await until(lambda: not workers())


@ensureDeferred
async def test_errors_reach_the_caller(converter, tmp_path, page, target):
    (tmp_path / "bad").write_bytes(b"nonsense")
    with pytest.raises(Unconvertible, match=r"^it is no JPEG, PNG, TIFF or BMP image$"):
        await converter.convert(tmp_path / "bad", target, "image/jpeg", 100, 200)
    with pytest.raises(FileNotFoundError):
        await converter.convert(page, tmp_path / "missing", "image/jpeg", 100, 200)
    with pytest.raises(Unconvertible):
        await converter.size_of(tmp_path / "bad")
    assert len(workers()) == 1


@ensureDeferred
async def test_the_size_of_a_jpeg_needs_no_process(converter, tmp_path, page):
    (tmp_path / "jpeg").write_bytes(image("JPEG"))
    assert await converter.size_of(tmp_path / "jpeg") == (100, 200, 300)
    assert workers() == []
    assert await converter.size_of(page) == (100, 200, 300)


@ensureDeferred
async def test_a_canceled_conversion_is_killed(converter, endless, page, target):
    converting = converter.convert(endless, target, "image/jpeg", 100, 200)
    await until(workers)
    converting.cancel()
    with pytest.raises(CancelledError):
        await converting
    await until(lambda: not workers())
    await converter.convert(page, target, "image/jpeg", 100, 200)


@ensureDeferred
async def test_a_canceled_conversion_does_not_begin(converter, endless, page, target):
    running = [converter.convert(endless, target, "image/jpeg", 100, 200) for _ in range(conversion.MAX_AT_ONCE)]
    waiting = converter.convert(page, target, "image/jpeg", 100, 200)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    for one in running:
        one.cancel()
        with pytest.raises(CancelledError):
            await one


@ensureDeferred
async def test_a_conversion_that_takes_too_long_is_killed(converter, clock, endless, target):
    converting = converter.convert(endless, target, "image/jpeg", 100, 200)
    await until(workers)
    clock.advance(MAX_SECONDS)
    with pytest.raises(Unconvertible, match="took longer than 300 s"):
        await converting


@ensureDeferred
async def test_a_process_that_crashes_is_replaced(converter, endless, page, target):
    """Once for each conversion: a page that crashes every process is refused."""
    converting = converter.convert(endless, target, "image/jpeg", 100, 200)
    await until(workers)
    [first] = workers()
    os.kill(first, signal.SIGKILL)
    await until(lambda: set(workers()) - {first})
    [second] = set(workers()) - {first}
    os.kill(second, signal.SIGKILL)
    with pytest.raises(Unconvertible, match="ended with signal 9"):
        await converting
    await converter.convert(page, target, "image/jpeg", 100, 200)


@ensureDeferred
async def test_processes_that_were_killed_while_they_were_idle_do_no_harm(converter, page, target, tmp_path):
    other = tmp_path / "other"
    other.touch()
    await gatherResults([converter.convert(page, one, "image/jpeg", 100, 200) for one in (target, other)])
    idle = workers()
    for one in idle:
        os.kill(one, signal.SIGKILL)
    await converter.convert(page, target, "image/jpeg", 100, 200)
    assert kind_of(target.read_bytes()[:8]) == "image/jpeg"
    assert set(workers()) - set(idle)


@ensureDeferred
async def test_a_page_that_needs_too_much_memory_is_refused(converter, tmp_path, target):
    page = tmp_path / "page"
    with page.open("wb") as file:
        file.write(image("JPEG"))
        file.truncate(500 << 20)
    with pytest.raises(Unconvertible, match="needs more memory than a conversion may use; scan with a lower"):
        await converter.convert(page, target, "application/pdf", 100, 200)


@ensureDeferred
async def test_no_more_than_the_limit_wait(converter, endless, target, monkeypatch):
    monkeypatch.setattr(conversion, "MAX_WAITING", 1)
    running = [converter.convert(endless, target, "image/jpeg", 100, 200) for _ in range(conversion.MAX_AT_ONCE + 1)]
    with pytest.raises(Unconvertible, match="1 conversions wait already"):
        await converter.convert(endless, target, "image/jpeg", 100, 200)
    for one in running:
        one.cancel()
        one.addErrback(lambda failure: failure.trap(CancelledError) and None)


@ensureDeferred
async def test_a_stop_ends_what_is_running(clock, endless, page, target):
    converter = Converter(clock)
    running = converter.convert(endless, target, "image/jpeg", 100, 200)
    await until(workers)
    await converter.stop()
    assert not workers()
    with pytest.raises(Unconvertible):
        await running
    with pytest.raises(Unconvertible, match="the gateway is stopping"):
        await converter.convert(page, target, "image/jpeg", 100, 200)


@ensureDeferred
async def test_a_python_that_cannot_be_run_is_named(converter, page, target, monkeypatch):
    monkeypatch.setattr(conversion.sys, "executable", "/nowhere/python")
    with pytest.raises(OSError, match=r"no process can be started for it \(/nowhere/python: No such file"):
        await converter.convert(page, target, "image/jpeg", 100, 200)


@ensureDeferred
async def test_a_failure_of_one_conversion_leaves_the_others(converter, endless, page, target):
    running: Deferred[None] = converter.convert(endless, target, "image/jpeg", 100, 200)
    await converter.convert(page, target, "image/jpeg", 100, 200)
    running.cancel()
    with pytest.raises(CancelledError):
        await running
