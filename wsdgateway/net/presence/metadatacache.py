"""Caches the description of a scanner: reads it once for all callers that wait, and again when it may have changed.

`bridge.discovery.knowledge` decides whether a cached description and an arriving answer are valid, and has a diagram of
the states.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.discovery.backoff import Backoff
from wsdgateway.bridge.discovery.knowledge import Inquiry, Knowledge
from wsdgateway.net.transport.errors import DeviceError

LONGEST_PAUSE = 60.0  # seconds

Value = TypeVar("Value")


class MetadataCache(Generic[Value]):
    """Caches the description of one scanner.

    `read` requests it, or fails with a `DeviceError`; `last` is the last known one.

    If `is_eager`, the scanner is asked in advance, and again until it answers, unless the description is known and the
    scanner `is_here`. `on_change` is called after each valid answer or failure.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, read: Callable[[], Coroutine[Any, Any, Value]], is_eager: bool,
                 is_here: Callable[[], bool], on_change: Callable[[], None]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._read = read
        self.is_eager = is_eager
        self._is_here = is_here
        self._on_change = on_change
        self._knowledge: Knowledge[Value] = Knowledge()
        self.last: Value | None = None
        self._waiting: list[Deferred[Value]] = []
        self._backoff = Backoff(LONGEST_PAUSE)
        self._timer: IDelayedCall | None = None
        self._stopped = False

    @property
    def value(self) -> Value | None:
        """The description; None if it has not been read, or if the scanner may have restarted since."""
        return self._knowledge.value

    def get(self, *, afresh: bool = False) -> Deferred[Value]:
        """The cached description, or one read `afresh`.

        The scanner is asked once, however many callers wait or give up.
        """
        value = self._knowledge.value
        if value is not None and self._knowledge.is_certain and not afresh:
            return succeed(value)
        waiting: Deferred[Value] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self._knowledge.is_asking:
            self._ask()
        return waiting

    def forget(self) -> None:
        """Forget the description, since the scanner may have restarted with another one."""
        self._knowledge.forget()
        self.refresh_now()

    def doubt(self) -> None:
        """Mark the description as uncertain, since the scanner was unreachable: read it again before it is used."""
        self._knowledge.doubt()

    def moved(self) -> None:
        """Read the description at the scanner's new address; an answer from the former one no longer counts."""
        if self._knowledge.is_asking and not self._stopped:
            self._ask()
        else:
            self.check()

    def check(self) -> None:
        """Check that the scanner is still reachable, and its description unchanged."""
        if not self._stopped:
            self.get(afresh=True).addErrback(self._log_unexpected)

    def refresh(self) -> None:
        """Read the description until the scanner answers, if it is needed in advance. Does nothing during a pause."""
        if not self.is_eager or self._stopped or (self._timer is not None and self._timer.active()):
            return
        if self._knowledge.value is None or not self._is_here():
            self.get(afresh=True).addCallbacks(self._refreshed, self._not_refreshed)

    def refresh_now(self) -> None:
        """Read the description at once, without the pause after failures, since the scanner answers or may do so."""
        self._backoff.reset()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.refresh()

    def stop(self) -> None:
        """Stop reading."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _refreshed(self, _: Value) -> None:
        self._backoff.reset()

    def _not_refreshed(self, failure: Failure) -> None:
        self._log_unexpected(failure)
        if not self._stopped and (self._timer is None or not self._timer.active()):
            answered = isinstance(failure.value, DeviceError) and failure.value.sent
            self._timer = self._reactor.callLater(self._backoff.next(answered=answered), self.refresh)

    def _log_unexpected(self, failure: Failure) -> None:
        """Log a failure that is not the device's."""
        if not failure.check(DeviceError, CancelledError):
            self.log.failure("{scanner}: reading its description failed", failure, scanner=self._scanner)

    def _ask(self) -> None:
        question = self._knowledge.ask()
        Deferred.fromCoroutine(self._read()).addBoth(self._answered, question)

    def _answered(self, answer: Value | Failure, question: Inquiry) -> None:
        if isinstance(answer, Failure):
            verdict = self._knowledge.failed(question)
        else:
            verdict = self._knowledge.answered(question, answer)
        if verdict == "superseded":
            if isinstance(answer, Failure):
                self._log_unexpected(answer)
            return
        if verdict == "current" and not isinstance(answer, Failure):
            self.last = answer
        waiting, self._waiting[:] = list(self._waiting), []
        for one in waiting:
            one.callback(answer)  # a failure is passed to the waiting caller, too
        if verdict == "outdated":
            self.refresh()
        self._on_change()
