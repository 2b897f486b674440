"""Tells systemd how the gateway is: ready, reloading, stopping, a line of status, and that the reactor runs.

sd_notify(3). The gateway is ready when every listener is open, and stays so. While a listener waits for its address,
the time that systemd allows for the start is extended, since the other listeners serve clients meanwhile. The pings of
the watchdog are timed by the reactor, so that a hung reactor is noticed; `faulthandler` then writes to the journal
where it hangs, since systemd ends the process by SIGABRT.
"""

import faulthandler
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from wsdgateway.net.transport.notifysocket import NotifySocket, Supervisor, status

STATUS_SECONDS = 5.0  # between two looks at the state, and so at least between two changes of STATUS
PATIENCE = 30.0  # seconds by which each look extends the time for the start, while a listener waits
PINGS = 3  # in the time of the watchdog


def _microseconds(seconds: float) -> int:
    return int(seconds * 1e6)


class Supervision:
    """Tells systemd the state of the gateway. `environment` has its variables; they are removed at `start`.

    `problems` returns why the gateway is not ready, `waits` whether every listener was tried, so that it waits for
    addresses; `describe` returns the line of status when it is ready.
    """

    log = Logger()

    def __init__(self, reactor: Any, environment: MutableMapping[str, str],
                 problems: Callable[[], list[str]], waits: Callable[[], bool], describe: Callable[[], str]) -> None:
        self._reactor = reactor
        self._environment = environment
        self._problems = problems
        self._waits = waits
        self._describe = describe
        self._socket = NotifySocket(None)
        self._calls: list[LoopingCall] = []
        self._is_ready = self._is_stopping = False
        self._told = ""

    def start(self) -> None:
        """Begin to ping, and to report the state."""
        supervisor = Supervisor.take_from(self._environment, os.getpid())
        if supervisor.address is None:
            return
        self._socket = NotifySocket(supervisor.address)
        self._repeat(self._look, STATUS_SECONDS)
        if supervisor.watchdog is not None:
            faulthandler.enable(sys.__stderr__ or 2)  # twistd replaces sys.stderr
            self._repeat(lambda: self._socket.send(WATCHDOG=1), supervisor.watchdog / PINGS)

    def _repeat(self, call: Callable[[], None], seconds: float) -> None:
        repeating = LoopingCall(call)
        repeating.clock = self._reactor
        self._calls.append(repeating)
        running: Deferred[Any] = repeating.start(seconds)
        running.addErrback(lambda failure: self.log.failure("Telling systemd the state failed", failure))

    def _look(self) -> None:
        self.changed()
        if self._is_stopping:
            return
        if not self._is_ready and self._waits():
            self._socket.send(EXTEND_TIMEOUT_USEC=_microseconds(PATIENCE))
        self._tell(self._text())

    def _text(self) -> str:
        problems = self._problems()
        return self._describe() if not problems else f"Not ready: {'; '.join(problems)}"

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._socket.send(**status(text))

    def changed(self) -> None:
        """Report that the gateway is ready, once it is; call it after each attempt to open a listener."""
        if not self._socket.is_open or self._is_ready or self._is_stopping:
            return
        if self._problems():
            if self._waits():
                self._tell(self._text())
        else:
            self._is_ready = True
            self._told = self._describe()
            self._socket.send(READY=1, **status(self._told))

    def reloading(self) -> None:
        """Report the begin of a reload; `reloaded` must follow."""
        if self._is_ready and not self._is_stopping:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._socket.send(RELOADING=1, MONOTONIC_USEC=now, **status("Reloading the configuration"))

    def reloaded(self) -> None:
        """Report the end of a reload, whatever its result."""
        if self._is_ready and not self._is_stopping:
            self._told = self._text()
            self._socket.send(READY=1, **status(self._told))

    def stopping(self, seconds: float) -> None:
        """Report that the gateway stops, which may take so many seconds."""
        if not self._is_stopping:
            self._is_stopping = True
            self._socket.send(STOPPING=1, EXTEND_TIMEOUT_USEC=_microseconds(seconds),
                              **status("Stopping: running requests are finished"))

    def stop(self) -> None:
        """End the pings, when everything else has ended."""
        for one in self._calls:
            if one.running:
                one.stop()
        self._calls.clear()
        self._socket.close()
