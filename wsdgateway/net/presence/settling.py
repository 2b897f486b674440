"""The wait until it is known where a scan service is, or why it cannot be found."""

from collections.abc import Callable

from twisted.internet.defer import Deferred


class Settling:
    """The waits until `is_settled` returns True; `look` must be called when it may have become true."""

    def __init__(self, is_settled: Callable[[], bool]) -> None:
        self._is_settled = is_settled
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """Fires when it is settled, or given up; may be cancelled."""
        settled: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(settled)
        self.look()
        return settled

    def look(self) -> None:
        """End the wait if it is settled."""
        if self._waiting and self._is_settled():
            self.give_up()

    def give_up(self) -> None:
        """End the wait, because the scanner stops."""
        waiting, self._waiting[:] = list(self._waiting), []
        for settled in waiting:
            settled.callback(None)
