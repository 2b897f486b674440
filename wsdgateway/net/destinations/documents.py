"""Runs the processes that make documents of several pages, a few at a time."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from wsdgateway.net.destinations.document import Assembled, read_answer, request

MAX_AT_ONCE = 2  # processes
LIMIT_SECONDS = 600.0  # after which a process is ended
MAX_OUTPUT = 1 << 20  # bytes
_MODULE = "wsdgateway.net.destinations.document"


class NotMade(Exception):
    """A document could not be made; the text says why."""


class _Worker(ProcessProtocol):
    """One process. `done` fires with its answer."""

    def __init__(self, reactor: Any, asked: bytes) -> None:
        self._asked = asked
        self._output = bytearray()
        self._errors = bytearray()
        self._timer: IDelayedCall = reactor.callLater(LIMIT_SECONDS, self.end)
        self.done: Deferred[Assembled] = Deferred(lambda _: self.end())

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(self._asked)
        transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        if len(self._output) < MAX_OUTPUT:
            self._output += data

    def errReceived(self, data: bytes) -> None:
        if len(self._errors) < MAX_OUTPUT:
            self._errors += data

    def processEnded(self, reason: Failure) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self.done.called:
            return
        if not reason.check(ProcessDone):
            said = bytes(self._errors).decode("utf-8", "replace").strip().rpartition("\n")[2]
            self.done.errback(NotMade(said or reason.getErrorMessage()))
            return
        try:
            self.done.callback(read_answer(bytes(self._output)))
        except OSError:
            self.done.errback(Failure())
        except ValueError:
            self.done.errback(NotMade("the process that makes documents gave no answer"))

    def end(self) -> None:
        """End the process."""
        if self._timer.active():
            self._timer.cancel()
        transport: Any = self.transport
        try:
            transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass


class Documents:
    """Makes documents; all scanners share it."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._turns = DeferredSemaphore(MAX_AT_ONCE)

    def assemble(self, pages: Sequence[Path], target: Path, dots: int, lines: int) -> Deferred[Assembled]:
        """Write a document with these images to a file that exists; `document.assemble` explains the arguments.

        Fails with `NotMade` or `OSError`. Cancelling it ends the process.
        """
        return self._turns.run(self._run, request(pages, target, dots, lines))

    def _run(self, asked: bytes) -> Deferred[Assembled]:
        worker = _Worker(self._reactor, asked)
        self._reactor.spawnProcess(worker, sys.executable, [sys.executable, "-P", "-m", _MODULE],
                                   env=_environment())
        return worker.done


def _environment() -> dict[str, str]:
    """The environment of the process, whose modules are those of this one, and never those in the working directory."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
