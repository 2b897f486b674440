"""The reloads of the configuration, one at a time, and the result of the last one for those who asked for it."""

from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

MAX_PROBLEMS = 100  # mistakes in the text of a result; the log has all


@attrs.frozen
class ReloadResult:
    """The result of a reload: its mistakes, or else a summary and warnings, one per line.

    `is_mistaken` is true if the file has mistakes, and false for a gateway that cannot reload at all.
    """

    problems: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    is_mistaken: bool = True

    @property
    def status(self) -> int:
        """The HTTP status that says it: 200, 422 for mistakes in the file, or 409."""
        if not self.problems:
            return 200
        return 422 if self.is_mistaken else 409

    @property
    def text(self) -> str:
        """The lines as one text."""
        more = len(self.problems) - MAX_PROBLEMS
        rest = [f"and {more} more; the log of the gateway has all"] if more > 0 else []
        return "".join(f"{line}\n" for line in (*self.problems[:MAX_PROBLEMS], *rest, *self.lines))


def cannot(why: str) -> ReloadResult:
    """The result of an attempt that read nothing."""
    return ReloadResult((why,), is_mistaken=False)


class Reloads:
    """Runs `reload`, which must call `succeeded` or `refuse`, and remembers the result.

    `begun` and `ended` are called around each. `origin` describes an unexpected failure in one line. `running` fires
    when the reload in progress has ended; it is None between two.
    """

    log = Logger()

    def __init__(self, reload: Callable[[], Coroutine[Deferred[Any], Any, None]], origin: Callable[[Failure], str],
                 begun: Callable[[], None], ended: Callable[[], None], refused: Callable[[], None]) -> None:
        self._reload = reload
        self._origin = origin
        self._begun = begun
        self._ended = ended
        self._refused = refused
        self._result = cannot("nothing has been reloaded yet")
        self.running: Deferred[None] | None = None
        self.warning: str | None = None

    def start(self) -> None:
        """Begin a reload, unless one is in progress."""
        if self.running is None:
            self._begun()
            self.running = Deferred.fromCoroutine(self._reload())
            self.running.addErrback(self._failed)
            self.running.addBoth(self._end)

    def _failed(self, failure: Failure) -> None:
        self.refuse([self._origin(failure)])
        self.log.failure("Reloading the configuration failed", failure)

    def _end(self, _: object) -> None:
        self.running = None
        self._ended()

    def succeeded(self, summary: str, warnings: list[str]) -> None:
        """Record that the configuration was read and is in use."""
        self._result = ReloadResult(lines=(summary, *(f"warning: {line}" for line in warnings)))
        self.warning = None

    def refuse(self, problems: list[str]) -> None:
        """Record that the configuration was not accepted, and why."""
        self._refused()
        self._result = ReloadResult(tuple(problems))
        others = f" (and {len(problems) - 1} more in the log)" if len(problems) > 1 else ""
        self.warning = ("The reload failed, and the former configuration stays in use. Correct the file, and reload "
                        f"again: {problems[0]}{others}")

    async def report(self, start: Callable[[], None]) -> ReloadResult:
        """Call `start`, once a reload in progress has ended, and return the result of the reload that it begins."""
        while self.running is not None:
            await _end_of(self.running)
        self._result = cannot("the gateway is starting or stopping, and has reloaded nothing; try again")
        start()
        if self.running is not None:
            await _end_of(self.running)
        return self._result


def _end_of(running: Deferred[None]) -> Deferred[None]:
    """A Deferred of its own for each of several that wait."""
    end: Deferred[None] = Deferred()

    def tell(result: Any) -> Any:
        if not end.called:
            end.callback(None)
        return result

    running.addBoth(tell)
    return end
