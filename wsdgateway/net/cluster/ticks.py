"""The times at which a gateway sends its ticks to the shared server: one at a time, and not too often."""

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from wsdgateway.net.transport.tasks import Tasks

SHORTEST_PAUSE = 0.05  # seconds between two ticks


class Ticks:
    """The ticks of one gateway, from `start` to `stop`. `send` sends one; it says when the next is due, by `at`.

    All times are in seconds of the boot clock, `boot_time`. The ticks run as `tasks`. `on_end` is called after each.
    """

    def __init__(self, reactor: IReactorTime, tasks: Tasks, boot_time: Callable[[], float],
                 send: Callable[[float], Awaitable[None]], on_end: Callable[[], None]) -> None:
        self._reactor, self._tasks, self._boot_time = reactor, tasks, boot_time
        self._send, self._on_end = send, on_end
        self._timer: IDelayedCall | None = None
        self._is_running = self._is_sending = False
        self._sent = float("-inf")

    def start(self) -> None:
        """Send ticks when they are due from now on."""
        self._is_running = True

    def stop(self) -> None:
        """Begin no more ticks."""
        self._is_running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def at(self, at: float) -> None:
        """Send the next tick at that time, unless one is sent earlier."""
        if not self._is_running:
            return
        after = max(0.0, at - self._boot_time())
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._reactor.seconds() + after:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(after, lambda: self._tasks.run(self._tick()))

    def soon(self) -> None:
        """Send a tick as soon as that is allowed."""
        self.at(self._sent + SHORTEST_PAUSE)

    async def now(self) -> None:
        """Send a tick, after the one that is under way, and wait for its answer."""
        if self._is_sending:
            await self._tasks.idle()
        await self._tick()

    async def _tick(self) -> None:
        if self._is_sending:  # the one that runs sees to the next
            return
        self._is_sending = True
        self._sent = self._boot_time()
        try:
            await self._send(self._sent)
        finally:
            self._is_sending = False
        self._on_end()
