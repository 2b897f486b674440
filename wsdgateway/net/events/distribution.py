"""Tells one scanner's events to those who listen: one event after the other, a slice at a time.

A scanner that sends more than is told, or more than its listeners can be sent, has the rest wait in a bounded queue
(`bridge.events.backlog`), so that neither other scanners nor clients that ask something wait for its events. The
next event is told when the deliveries of the one before have all begun.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.events.backlog import EventQueue
from wsdgateway.bridge.events.deliveryqueue import QueuedEvent
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.config.sections import Events
from wsdgateway.net.transport.logthrottle import LogThrottle
from wsdgateway.net.transport.timeslices import TimeSlices

A_STEP = 8  # listeners


class Recipient(Protocol):
    """A listener."""

    def post(self, queued: QueuedEvent) -> None:
        """One more to send."""


class Distribution:
    """The events of one scanner on their way. `events` bounds how many are told in a second.

    `listeners` gives those who want an event with an action. `when_begun` calls back, perhaps at once, when no delivery
    of this scanner waits to begin. `left_out` is told of how many events nobody is told.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, seconds: Callable[[], float], events: Events, slices: TimeSlices,
                 new_id: Callable[[], str], when_begun: Callable[[Callable[[], None]], None],
                 listeners: Callable[[str], Sequence[Recipient]], left_out: Callable[[int], None]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._seconds = seconds
        self._slices = slices
        self._new_id = new_id
        self._when_begun = when_begun
        self._left_out = left_out
        self.listeners = listeners
        self.queue = EventQueue(events.scanner_rate)
        self._throttle = LogThrottle()
        self._is_telling = False
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._idle: list[Deferred[None]] = []

    def adjust(self, events: Events) -> None:
        """Go by another section from now on."""
        self.queue.adjust(events.scanner_rate)

    def idle(self) -> Deferred[None]:
        """Fires when every event has been told."""
        idle: Deferred[None] = Deferred(self._idle.remove)
        self._idle.append(idle)
        self._go_on()
        return idle

    def publish(self, event: Event) -> None:
        """Tell everybody who wants this event, after those before it."""
        self._lose(self.queue.put(event, self._seconds()))
        self._go_on()

    def _lose(self, count: int) -> None:
        if not count:
            return
        self._left_out(count)
        if self._throttle.allows("events", self._seconds()):
            self.log.warn("{scanner}: it sends more events than are passed on ([events] scanner_rate), or than its "
                          "listeners can be told; some are left out, outdated states of jobs before all others (said "
                          "once a minute)", scanner=self._scanner)

    def _go_on(self) -> None:
        if self._is_telling or self._timer is not None or self._stopped:
            return
        wait = self.queue.wait(self._seconds())
        if wait is None:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)
            return
        if wait > 0.0:
            self._timer = self._reactor.callLater(wait, self._due)
            return
        event, lost = self.queue.take(self._seconds())
        self._lose(lost)
        self._is_telling = True
        self._slices.run(self._tell(event))

    def _due(self) -> None:
        self._timer = None
        self._go_on()

    def _tell(self, event: Event) -> Iterator[None]:
        try:
            for number, recipient in enumerate(self.listeners(event.action), 1):
                recipient.post(QueuedEvent(event, self._new_id()))
                if not number % A_STEP:
                    yield
        finally:
            if not self._stopped:
                self._when_begun(self._told)

    def _told(self) -> None:
        self._is_telling = False
        self._go_on()

    def stop(self) -> None:
        """Tell nothing more."""
        self._stopped = True
        self._left_out(self.queue.clear())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
