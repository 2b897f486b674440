"""A process with a time limit, in a session and process group of its own.

Twisted's `spawnProcess` cannot begin a session, without which the children of a command survive its end by a signal,
and it reports a program that does not exist as an exit status.
"""

import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from zope.interface import implementer

KILL_SECONDS = 5.0  # after SIGTERM
_PIECE = 65536  # bytes
_LAST_PIECES = 16  # that are read after the end of the process; its own children may go on writing
# The command gets nothing of the gateway's environment, which may hold secrets.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@attrs.frozen
class Ended:
    """The end of a process: its exit status, negative for a signal, and whether its time was over."""

    status: int
    timed_out: bool


@implementer(IReadDescriptor)
class _Readable:
    """A descriptor that the reactor watches; `read` is called when it can be read."""

    def __init__(self, descriptor: int, read: Callable[[], Any]) -> None:
        self._descriptor = descriptor
        self._read = read

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def doRead(self) -> None:
        """Read; the reactor takes any other result for an error."""
        self._read()

    def logPrefix(self) -> str:
        """Return the name in Twisted's messages."""
        return "command"

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing; the process closes its descriptors."""


async def run_process(reactor: Any, arguments: Sequence[str], seconds: float, output: Callable[[str, bytes], None],
                      started: Callable[["Process"], None]) -> Ended:
    """Run a program to its end, for so many seconds at most; `output` gets what it writes, by the name of the stream.

    Raises `OSError` if it cannot be started. `started` is called with the running process.
    """
    popen = await deferToThreadPool(reactor, reactor.getThreadPool(), _start, arguments)
    process = Process(reactor, popen, seconds, output)
    started(process)
    return await process.ended


def _start(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", env=ENVIRONMENT,
        start_new_session=True, close_fds=True, bufsize=0)


class Process:
    """A running process; `ended` fires with its `Ended`."""

    def __init__(self, reactor: Any, popen: "subprocess.Popen[bytes]", seconds: float,
                 output: Callable[[str, bytes], None]) -> None:
        self._reactor = reactor
        self._popen = popen
        self._output = output
        self._timed_out = self._is_ending = False
        self._readers: dict[str, _Readable] = {}
        self._files: dict[str, IO[bytes]] = {}
        self.ended: Deferred[Ended] = Deferred()
        for stream, file in (("stdout", popen.stdout), ("stderr", popen.stderr)):
            assert file is not None
            flags = fcntl.fcntl(file, fcntl.F_GETFL)
            fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_NONBLOCK)
            self._files[stream] = file
            self._readers[stream] = _Readable(file.fileno(), partial(self._read, stream))
            reactor.addReader(self._readers[stream])
        self._pidfd = os.pidfd_open(popen.pid)
        self._exit = _Readable(self._pidfd, self._exited)
        reactor.addReader(self._exit)
        self._timer: IDelayedCall | None = reactor.callLater(seconds, self._time_out)

    def _read(self, stream: str) -> bool:
        """Pass on one piece of a stream; returns False if there is none now."""
        try:
            data = os.read(self._files[stream].fileno(), _PIECE)
        except BlockingIOError:
            return False
        if data:
            self._output(stream, data)
        else:
            self._close(stream)
        return bool(data)

    def _close(self, stream: str) -> None:
        self._reactor.removeReader(self._readers.pop(stream))
        self._files.pop(stream).close()

    def _time_out(self) -> None:
        self._timer, self._timed_out = None, True
        self.terminate()

    def terminate(self) -> None:
        """End the process and its children by SIGTERM, and after `KILL_SECONDS` by SIGKILL."""
        if self._is_ending or self.ended.called:
            return
        self._is_ending = True
        if self._timer is not None:
            self._timer.cancel()
        self._signal(signal.SIGTERM)
        self._timer = self._reactor.callLater(KILL_SECONDS, self._kill)

    def _kill(self) -> None:
        self._timer = None
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _exited(self) -> None:
        self._reactor.removeReader(self._exit)
        del self._exit
        os.close(self._pidfd)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_ending:
            # Its children that have ignored SIGTERM. The number of the group is its own until it is waited for.
            self._signal(signal.SIGKILL)
        for stream in list(self._files):
            for _ in range(_LAST_PIECES):
                if not self._read(stream):
                    break
            if stream in self._files:
                self._close(stream)
        self.ended.callback(Ended(self._popen.wait(), self._timed_out))
