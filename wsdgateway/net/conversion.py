"""Converts pages in processes of their own, a few at a time; `wsdgateway.conversion` contains what these do.

Pillow and img2pdf keep Python's lock for most of a conversion, 0.6 s for a JPEG image of 105 MB, so in a thread they
would stop all clients. A damaged page that crashes a library, or takes too much memory, ends only its process.

A process is started when there is a page to convert, and kept for the next page until none came for `IDLE_SECONDS`. It
is a new Python interpreter (`subprocess`), because a forked copy of this process would share its locks, sockets and
memory. A conversion whose process has ended is tried once more in a new one. `ProcessPoolExecutor` has no way to end a
single conversion. A thread of the reactor's pool waits for the answer.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool

from wsdgateway.bridge.frontends.escl.jpeg import MAX_HEADER, NotJpeg, find_frame
from wsdgateway.conversion.kinds import Unconvertible

MAX_AT_ONCE = 2  # conversions, each in a process
MAX_WAITING = 100  # conversions that wait for one of these processes
MAX_SECONDS = 300.0  # of a conversion, after which its process is killed
SECONDS_PER_PAGE = 5.0  # in addition, of a document that is joined
IDLE_SECONDS = 30.0  # after which a process without work ends
STOP_SECONDS = 5.0  # for a process to end by itself
MODULE = "wsdgateway.conversion.worker"


class _Ended(Unconvertible):
    """The process has ended before its answer: a damaged page has crashed it, or another process has killed it."""


class _Worker:
    """A process that converts pages. `ask` blocks, and is called in threads; `kill` makes it fail."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self.killed = False
        self.timer: IDelayedCall | None = None

    def ask(self, request: bytes) -> Any:
        """The result of a request. Raises `Unconvertible` or `OSError`."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(request + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self.end()
            raise _Ended(f"its conversion ended with {_how(process.returncode)}")
        outcome, *values = json.loads(line)
        if outcome == "unconvertible":
            raise Unconvertible(values[0])
        if outcome == "failed":
            raise OSError(*values)
        return values[0]

    def _started(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self.killed:
                raise Unconvertible("its conversion was canceled")
            if self._process is None:
                # The modules are those of this process, and never those in the working directory.
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                               "MALLOC_ARENA_MAX": "1"}
                try:
                    self._process = subprocess.Popen(
                        [sys.executable, "-P", "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL, env=environment)
                except OSError as error:
                    raise OSError(error.errno, f"no process can be started for it ({sys.executable}: {error.strerror})"
                                  ) from None
            return self._process

    def kill(self) -> None:
        """End the process, at once."""
        with self._lock:
            self.killed = True
            if self._process is not None:
                self._process.kill()

    def end(self) -> None:
        """Let the process end, and wait for that; blocks."""
        with self._lock:
            self.killed = True
            process = self._process
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


class Converter:
    """Converts pages. Its processes end by themselves, and with `stop`."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._turns = DeferredSemaphore(MAX_AT_ONCE)
        self._idle: list[_Worker] = []
        self._running: set[_Worker] = set()
        self._ending: set[Deferred[None]] = set()
        self._stopped = False

    def convert(self, source: Path, target: Path, media: str, dots: int, height: int) -> Deferred[None]:
        """Write the page in one file to another one, which must exist, in that media type.

        `dots` is the resolution per inch, `height` the number of lines if the image does not say it. Fails with
        `Unconvertible` or `OSError`. May be cancelled; the file is incomplete then, and after a failure.
        """
        return self._call(MAX_SECONDS, "convert", str(source), str(target), media, dots, height)

    def join(self, sources: Sequence[Path], target: Path, dots: int, height: int) -> Deferred[dict[int, str]]:
        """Write pages, which may be images or PDFs, in that order to one PDF in a file that must exist; as `convert`.

        The result has the positions of the pages that are left out, each with the reason. Up to twice the bytes of the
        pages are on the disk of the target meanwhile, in addition to the result.
        """
        return self._call(MAX_SECONDS + SECONDS_PER_PAGE * len(sources), "join", list(map(str, sources)), str(target),
                          dots, height).addCallback(dict)

    def size_of(self, source: Path) -> Deferred[tuple[int, int, int]]:
        """The width and height in pixels, and the bytes in a line, of an image. Fails with `Unconvertible`."""
        return Deferred.fromCoroutine(self._size_of(source))

    async def _size_of(self, source: Path) -> tuple[int, int, int]:
        size = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _size_of_jpeg, source)
        return size or tuple(await self._call(MAX_SECONDS, "size_of", str(source)))

    def _call(self, seconds: float, name: str, *arguments: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._called(json.dumps([name, arguments]).encode("utf-8"), seconds))

    async def _called(self, request: bytes, seconds: float) -> Any:
        if len(self._turns.waiting) >= MAX_WAITING:
            raise Unconvertible(f"{MAX_WAITING} conversions wait already; ask again later")
        await self._turns.acquire()
        try:
            try:
                return await self._run(self._idle.pop() if self._idle else _Worker(), request, seconds)
            except _Ended:  # it may have been killed from outside, such as for its memory, or while it was idle
                return await self._run(_Worker(), request, seconds)
        finally:
            self._turns.release()

    async def _run(self, worker: _Worker, request: bytes, seconds: float) -> Any:
        if self._stopped:
            raise Unconvertible("the gateway is stopping")
        if worker.timer is not None:
            worker.timer.cancel()
            worker.timer = None
        self._running.add(worker)
        limit = self._reactor.callLater(seconds, worker.kill)
        try:
            return await self._in_thread(worker.ask, request)
        except CancelledError:
            worker.kill()
            self._end(worker)
            raise
        except Unconvertible:
            if not limit.active():
                raise Unconvertible(f"its conversion took longer than {seconds:g} s") from None
            raise
        finally:
            if limit.active():
                limit.cancel()
            self._running.discard(worker)
            if not worker.killed:
                self._keep(worker)

    def _keep(self, worker: _Worker) -> None:
        if self._stopped:
            self._end(worker)
            return
        self._idle.append(worker)
        worker.timer = self._reactor.callLater(IDLE_SECONDS, self._idled, worker)

    def _idled(self, worker: _Worker) -> None:
        worker.timer = None
        self._idle.remove(worker)
        self._end(worker)

    def _end(self, worker: _Worker) -> None:
        ending = self._in_thread(worker.end)
        self._ending.add(ending)
        ending.addBoth(lambda _: self._ending.discard(ending))

    def _in_thread(self, work: Any, *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *arguments)

    async def stop(self) -> None:
        """Kill the conversions that are running, and end all processes."""
        self._stopped = True
        for worker in self._running:
            worker.kill()
        workers, self._idle = [*self._idle, *self._running], []
        for worker in workers:
            if worker.timer is not None:
                worker.timer.cancel()
                worker.timer = None
            self._end(worker)
        while self._ending:
            await next(iter(self._ending))


def _size_of_jpeg(source: Path) -> tuple[int, int, int] | None:
    """The size of a JPEG image by its header; None for another image. A process is not needed for that."""
    try:
        with source.open("rb") as file:
            frame = find_frame(file.read(MAX_HEADER + 16))
    except (NotJpeg, OSError):
        return None
    return None if frame is None or not frame.is_height_known else (
        frame.width, frame.height, frame.width * frame.components)
