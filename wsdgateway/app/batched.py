"""Runs one call for several callers that come at the same time."""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred


class Batched:
    """Each call waits for a run of `function` that begins after it; callers who wait for the same run share it."""

    def __init__(self, function: Callable[[], Awaitable[None]]) -> None:
        self._function = function
        self._waiting: list[Deferred[None]] = []
        self._is_running = False

    async def __call__(self) -> None:
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if not self._is_running:
            running = Deferred.fromCoroutine(self._run())
            running.addErrback(lambda failure: None)  # the callers have it
        await done

    async def _run(self) -> None:
        self._is_running = True
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                try:
                    await self._function()
                except Exception as error:
                    for done in waiting:
                        done.errback(error)
                else:
                    for done in waiting:
                        done.callback(None)
        finally:
            self._is_running = False
