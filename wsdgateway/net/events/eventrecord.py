"""Writes the events of one scanner to the shared server before they are answered, and what its subscribers were given.

`bridge.events.eventlog` collects what is to be written. One write runs at a time, and takes all that waits. An event
waits for its own write at most `APPEND_SECONDS`, and not at all while the server is silent: what could not be written
is kept, and written when the server answers again. Cursors are written within `CURSOR_SECONDS`.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.events.eventlog import EventID, EventLog, LoggedEvent, Past, Write
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.net.events.deliveryrecord import DeliveryRecord
from wsdgateway.soap.addressing import ANONYMOUS, EndpointReference
from wsdgateway.soap.envelope import CONTENT_TYPE
from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.sharedevents import ISharedEvents

APPEND_SECONDS = 0.25
CURSOR_SECONDS = 0.2
RETRY_SECONDS = 1.0
_NOBODY, _MADE = EndpointReference(ANONYMOUS), "urn:wsdgateway:made"  # in place of a subscriber and a MessageID


@attrs.define(eq=False)
class _Waiting:
    """An event that waits to be answered until everything up to `last` is written."""

    last: EventID
    event: LoggedEvent | None
    done: "Deferred[LoggedEvent | None]"
    timer: IDelayedCall


class EventRecord(DeliveryRecord):
    """The record of one ownership of a scanner, by its `token`. `past` is what former owners have left.

    `on_fenced` is called when the server refuses a write because it does not know the ownership any more. The owner
    may get the scanner back, or another gateway may own it. Meanwhile events are refused, unless this gateway
    `is_alone`::

        written ──add──► writing ──answered──► written, or writing the rest
                            │ no answer
                            ▼
                         silent ──RETRY_SECONDS──► writing
        writing ──fenced──► fenced
        any ──regained──► writing, with another token
        any ──close──► writing, except if fenced, then over; any ──abandon──► over
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, token: int, past: Past, shared: ISharedEvents,
                 on_fenced: Callable[[str], None], is_alone: Callable[[], bool] = lambda: False) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._token = token
        self.past = past
        self._shared = shared
        self._on_fenced = on_fenced
        self._is_alone = is_alone
        self._log = EventLog(token, past.cursors)
        self._waiting: deque[_Waiting] = deque()
        self._asked: list[Deferred[bool]] = []  # permits, until their write begins
        self._granting: list[Deferred[bool]] = []  # those in the write that runs
        self._skipped: dict[str, EventID] = {}
        self._timer: IDelayedCall | None = None
        self._is_fenced = self._is_over = False
        self._closing: Deferred[None] | None = None
        self.is_idle: Callable[[str], bool] = lambda subscription: False  # nothing waits for the subscription

    # Events.

    def append(self, data: bytes, content_type: bytes, receiver: str = "", *,
               once: bool = False) -> "Deferred[LoggedEvent | None]":
        """Appends an event; fires when it may be answered, in order, with None for an event that is not kept.

        `receiver` is as in `LoggedEvent`; `once`: it must not be delivered twice. Fails with `Fenced`.
        """
        return self._wait(self._log.add(data, content_type, receiver, once=once))

    def settled(self) -> "Deferred[LoggedEvent | None]":
        """Fires when everything that was appended may be answered. Fails with `Fenced`."""
        return self._wait(None)

    def made(self, event: Event) -> EventID | None:
        """Appends an event that the gateway made, and for which nothing waits."""
        logged = self._log.add(event.to(_NOBODY, _MADE), CONTENT_TYPE, made=True)
        self._write()
        return None if logged is None else logged.identifier

    def restarted(self) -> None:
        """Appends a mark: the scanner has restarted, or may have."""
        self._log.add(b"", b"")
        self._write()

    def _wait(self, event: LoggedEvent | None) -> "Deferred[LoggedEvent | None]":
        done: Deferred[LoggedEvent | None] = Deferred()
        last = self._log.last
        if self._is_over or self._is_refused():
            done.errback(self._not_owned())
        elif self._log.is_silent or self._log.is_safe(last):
            done.callback(event)
        else:
            timer = self._reactor.callLater(APPEND_SECONDS, self._late, last)
            self._waiting.append(_Waiting(last, event, done, timer))
        self._write()
        return done

    def _is_refused(self) -> bool:
        """True if the server refuses events, and this gateway does not go on without it."""
        return self._is_fenced and not self._is_alone()

    def _not_owned(self) -> Fenced:
        return Fenced(f"{self._scanner}: another gateway owns the scanner")

    def _late(self, last: EventID) -> None:
        self._release(lambda waiting: waiting.last <= last)

    def _release(self, is_due: "Callable[[_Waiting], bool]", failure: Failure | None = None) -> None:
        while self._waiting and is_due(self._waiting[0]):
            waiting = self._waiting.popleft()
            if waiting.timer.active():
                waiting.timer.cancel()
            waiting.done.callback(waiting.event if failure is None else failure)

    # Deliveries.

    def opened(self, subscription: str) -> None:
        self._log.opened(subscription)
        self._write_soon()

    def handed_over(self, former: str, heir: str) -> None:
        self._log.handed_over(former, heir)
        self._write_soon()

    def closed(self, subscription: str) -> None:
        self._skipped.pop(subscription, None)
        self._log.closed(subscription)
        self._write_soon()

    def given(self, subscription: str, event: Event) -> None:
        if event.logged is not None and not event.is_press:
            self._log.given(subscription, event.logged)
            self._write_soon()

    def skipped(self, subscription: str, event: Event) -> None:
        if event.logged is not None:
            self._skipped[subscription] = event.logged
            self._write_soon()

    def permit(self, subscription: str, event: Event) -> "Deferred[bool] | None":
        if event.logged is None or not event.is_press or not self._log.begins(subscription, event.logged):
            return None
        if self._is_over or self._is_fenced:
            return succeed(False)
        permit: Deferred[bool] = Deferred()
        self._asked.append(permit)
        self._write()
        return permit

    def regained(self, token: int) -> None:
        """Goes on with a new token, because the server had lost the ownership, and maybe more."""
        self._token = token
        self._is_fenced = False
        self._log.regained(token)
        self._refuse(None)
        self._write()

    # Writes.

    def _write_soon(self) -> None:
        if self._timer is None and not self._log.is_writing and not self._is_over:
            self._timer = self._reactor.callLater(CURSOR_SECONDS, self._due)

    def _skip(self) -> None:
        """Moves the cursors of subscriptions over events that they were not given; what they wait for comes first."""
        for subscription, event in list(self._skipped.items()):
            if self.is_idle(subscription):
                del self._skipped[subscription]
                self._log.given(subscription, event)

    def _due(self) -> None:
        self._timer = None
        self._skip()
        for subscription in self._log.lagging():
            if not self._waiting and self.is_idle(subscription):
                self._log.given(subscription, self._log.last)
        self._write()

    def _write(self) -> None:
        write = None if self._is_over or self._is_fenced else self._log.take()
        if write is None:
            return
        self._cancel_timer()
        self._granting, self._asked = self._asked, []
        writing = self._shared.write(self._scanner, self._token, write)
        writing.addCallbacks(lambda _: self._written(write), lambda failure: self._failed(failure, write))
        writing.addErrback(lambda failure: self.log.failure(
            "{scanner}: writing events to Redis failed", failure, scanner=self._scanner))

    def _written(self, write: Write) -> None:
        was_silent = self._log.is_silent
        if not self._log.written(write):
            return
        if was_silent:
            self.log.info("{scanner}: Redis takes events again", scanner=self._scanner)
        granted, self._granting = self._granting, []
        self._release(lambda waiting: self._log.is_safe(waiting.last))
        _answer(granted, is_permitted=True)
        if self._waiting or self._asked or self._closing is not None:
            self._write()
        elif not self._log.is_written:
            self._write_soon()
        self._look_closed()

    def _failed(self, failure: Failure, write: Write) -> None:
        was_silent = self._log.is_silent
        if not self._log.failed(write):
            return
        if self._is_over:
            return
        if failure.check(Fenced):
            self._fenced(failure)
            return
        if not was_silent:
            self.log.warn("{scanner}: events cannot be written to Redis: {error}; if this gateway fails now, another "
                          "one cannot deliver them", scanner=self._scanner, error=failure.getErrorMessage())
        self._refuse(None)
        if self._closing is not None:
            self._over(failure)
        elif self._timer is None and not self._is_over:
            self._timer = self._reactor.callLater(RETRY_SECONDS, self._due)
        if not failure.check(NotNow):
            self.log.failure("{scanner}: writing events to Redis failed", failure, scanner=self._scanner)

    def _fenced(self, failure: Failure) -> None:
        if self._closing is not None:
            self._over(failure)
            return
        self._is_fenced = True
        self._cancel_timer()
        self._refuse(failure if self._is_refused() else None)
        self._on_fenced(self._scanner)

    def _refuse(self, failure: Failure | None) -> None:
        """Releases all events, and grants no permits."""
        refused, self._granting, self._asked = [*self._granting, *self._asked], [], []
        self._release(lambda waiting: True, failure)
        _answer(refused, is_permitted=False)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # End.

    def close(self) -> Deferred[None]:
        """Ends the record after a last write, whether that succeeds or not."""
        if self._is_over:
            return succeed(None)
        if self._closing is None:
            self._closing = Deferred()
            self._cancel_timer()
            self._skip()
            self._write()
            self._look_closed()
        return self._closing

    def abandon(self) -> None:
        """Ends the record at once."""
        if not self._is_over:
            self._over(Failure(self._not_owned()))

    def _look_closed(self) -> None:
        if self._closing is not None and not self._is_over and not self._log.is_writing:
            self._over(None)

    def _over(self, failure: Failure | None) -> None:
        self._is_over = True
        self._cancel_timer()
        self._refuse(failure)
        if self._closing is not None and not self._closing.called:
            self._closing.callback(None)


def _answer(permits: "list[Deferred[bool]]", *, is_permitted: bool) -> None:
    for permit in permits:
        permit.callback(is_permitted)
