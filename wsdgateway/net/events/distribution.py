"""Distributes one scanner's events to its subscribers: one event after the other, in time slices.

If a scanner sends more events than are distributed, or than can be sent to its subscribers, the rest waits in a bounded
queue (`bridge.events.backlog`), so that its events delay neither other scanners nor clients' requests. The next event
follows when all deliveries of the previous one have begun.
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

A_STEP = 8  # recipients


class Recipient(Protocol):
    """A subscriber, by the identifier of its subscription."""

    identifier: str

    def post(self, queued: QueuedEvent) -> None:
        """Sends an event."""


class Distribution:
    """Distributes the events of one scanner. `events` limits the rate.

    `listeners` returns the recipients of an event. `when_begun` calls back, possibly at once, when
    no delivery of this scanner waits to begin. `left_out` is called with the number of dropped events::

        idle ──publish──► distributing, or waiting where the rate does not allow it yet
        distributing ──every recipient has it, all deliveries have begun──► distributing the next, waiting, or idle
        waiting ──the time has come──► distributing
        any ──stop──► stopped
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, seconds: Callable[[], float], events: Events, slices: TimeSlices,
                 new_id: Callable[[], str], when_begun: Callable[[Callable[[], None]], None],
                 listeners: Callable[[Event], Sequence[Recipient]], left_out: Callable[[int], None]) -> None:
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
        self._is_distributing = False
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._idle: list[Deferred[None]] = []

    def adjust(self, events: Events) -> None:
        """Applies a changed `[events]` section."""
        self.queue.adjust(events.scanner_rate)

    def idle(self) -> Deferred[None]:
        """Fires when every event has been passed to its recipients. Can be cancelled."""
        idle: Deferred[None] = Deferred(self._idle.remove)
        self._idle.append(idle)
        self._go_on()
        return idle

    @property
    def is_idle(self) -> bool:
        """True if every event has been passed to its recipients."""
        return not self._is_distributing and not len(self.queue)

    def publish(self, event: Event) -> None:
        """Queues an event for every recipient that wants it."""
        self._lose(self.queue.put(event, self._seconds()))
        self._go_on()

    def _lose(self, count: int) -> None:
        if not count:
            return
        self._left_out(count)
        if self._throttle.allows("events", self._seconds()):
            self.log.warn("{scanner}: the scanner sends more events than [events] scanner_rate allows or subscribers "
                          "accept; some are dropped, superseded job states first (logged at most once a minute)",
                          scanner=self._scanner)

    def _go_on(self) -> None:
        if self._is_distributing or self._timer is not None or self._stopped:
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
        self._is_distributing = True
        self._slices.run(self._distribute(event))

    def _due(self) -> None:
        self._timer = None
        self._go_on()

    def _distribute(self, event: Event) -> Iterator[None]:
        try:
            for number, recipient in enumerate(self.listeners(event), 1):
                recipient.post(QueuedEvent(event, self._new_id() if event.logged is None else
                                           event.logged.message_id(recipient.identifier)))
                if not number % A_STEP:
                    yield
        finally:
            if not self._stopped:
                self._when_begun(self._distributed)

    def _distributed(self) -> None:
        self._is_distributing = False
        self._go_on()

    def stop(self) -> None:
        """Stops the distribution."""
        self._stopped = True
        self._left_out(self.queue.clear())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
