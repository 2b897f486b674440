"""The writes of one scanner on their way to the server: those that come while others are under way are sent together.

So a burst of writes, such as the renewals after a takeover, takes a few round trips, and not one for each.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from wsdgateway.storage.coordination import NotNow
from wsdgateway.storage.redis.fencing import Command

MAX_WAITING = 10000  # commands


class Batches:
    """Sends commands in the order of the calls, with `send`. When one batch fails, so does everything that waits."""

    def __init__(self, send: Callable[[list[Command]], Deferred[Any]]) -> None:
        self._send = send
        self._commands: list[Command] = []
        self._results: list[Deferred[None]] = []
        self._is_sending = False

    def write(self, commands: list[Command]) -> Deferred[None]:
        """Sends the commands; fires when they have been executed.

        Fails as `send` does, and with `NotNow` if more than `MAX_WAITING` commands would wait behind others.
        """
        if self._commands and len(self._commands) + len(commands) > MAX_WAITING:
            return fail(NotNow(f"{MAX_WAITING} commands wait for an answer already"))
        result: Deferred[None] = Deferred()
        self._commands += commands
        self._results.append(result)
        if not self._is_sending:
            self._send_next()
        return result

    def end(self, error: Exception) -> None:
        """Fails what waits, and sends nothing of it."""
        self._commands, results, self._results = [], self._results, []
        for result in results:
            result.errback(error)

    def _send_next(self) -> None:
        commands, self._commands = self._commands, []
        results, self._results = self._results, []
        self._is_sending = True
        self._send(commands).addBoth(self._sent, results)

    def _sent(self, outcome: Any, results: list[Deferred[None]]) -> None:
        self._is_sending = False
        if isinstance(outcome, Failure):
            self._commands, waiting, self._results = [], self._results, []
            for result in (*results, *waiting):
                result.errback(outcome)
            return
        if self._results:
            self._send_next()
        for result in results:
            result.callback(None)
