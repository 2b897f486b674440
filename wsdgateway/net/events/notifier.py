"""Sends events to clients: a queue, a connection and a pause for each, so that nobody waits for anybody else.

WS-Eventing 2004/08, section 3. What to do after a failure `bridge.events.deliveryqueue` decides.
"""

import random
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.events.deliveryqueue import DeliveryQueue, GiveUp, QueuedEvent, Retry
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.config.sections import Events
from wsdgateway.net.events.subscriptionend import SubscriptionEnds

# Said by what stands before a sink that is not there at the moment, or too busy; anything else is about the event.
_AWAY = frozenset((404, 408, 429, 502, 503, 504))


class Counts(Protocol):
    """What is counted of deliveries."""

    def delivered(self) -> None:
        """One has arrived."""

    def retried(self) -> None:
        """One has not, and is tried again."""

    def dropped(self, count: int) -> None:
        """So many never will."""


Send = Callable[[Sink, bytes], "Deferred[int]"]


class Notifier:
    """The deliveries of one scanner. `events`, the configuration's section, bounds each subscriber's queue.

    `send` delivers a message; `on_give_up` is called with the identifier of a subscriber that none has reached so long.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, seconds: Callable[[], float], events: Events, counts: Counts,
                 send: Send, on_give_up: Callable[[str], None],
                 random: Callable[[], float] = random.random) -> None:
        self.reactor = reactor
        self.scanner = scanner
        self.seconds = seconds
        self.counts = counts
        self.send = send
        self.on_give_up = on_give_up
        self.events = events
        self._random = random
        self._recipients: dict[str, Recipient] = {}
        self.endings = SubscriptionEnds(reactor, scanner=scanner, send=send, settled=self.settled)
        self._idle: list[Deferred[None]] = []

    def open(self, identifier: str, sink: Sink) -> None:
        """From now on events can be sent to this subscriber."""
        deliveries = DeliveryQueue(limit=self.events.client_queue, give_up_after=self.events.client_retry,
                                   random=self._random)
        self._recipients[identifier] = Recipient(self, identifier, sink, deliveries)

    def hand_over(self, old: str, new: str) -> None:
        """What waits for a subscriber is its next subscription's; both have the same sink."""
        replaced = self._recipients.pop(new, None)
        if replaced is not None:
            self.counts.dropped(replaced.close())
        recipient = self._recipients.pop(old, None)
        if recipient is not None:
            recipient.identifier = new
            self._recipients[new] = recipient

    def close(self, identifier: str) -> None:
        """The subscription is over: what still waits is not sent. What is on its way arrives, or does not."""
        recipient = self._recipients.pop(identifier, None)
        if recipient is not None:
            self.counts.dropped(recipient.close())
            self.settled()

    def recipient(self, identifier: str) -> "Recipient | None":
        """The recipient for a subscriber, also once another subscription has taken its place; None if it is gone."""
        return self._recipients.get(identifier)

    def state(self, identifier: str) -> tuple[int, int]:
        """How many events wait for a subscriber, and how many tries have failed since the last success."""
        recipient = self._recipients.get(identifier)
        return (0, 0) if recipient is None else (len(recipient.deliveries), recipient.deliveries.failures)

    # The end.

    @property
    def _is_idle(self) -> bool:
        return not self.endings.untried and all(recipient.is_settled for recipient in self._recipients.values())

    def settled(self) -> None:
        """Somebody has nothing to be sent any more, or failed and must wait."""
        if self._idle and self._is_idle:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)

    def idle(self) -> Deferred[None]:
        """Fires when everything has been sent that can be without a pause."""
        waiting: Deferred[None] = Deferred(self._idle.remove)
        self._idle.append(waiting)
        self.settled()
        return waiting

    def stop(self) -> None:
        """Send nothing more."""
        for identifier in list(self._recipients):
            self._recipients.pop(identifier).close()
        self.endings.stop()


class Recipient:
    """One subscriber: at most one delivery at a time, and a pause after a failure."""

    __slots__ = ("_closed", "_notifier", "_pause", "_sending", "_sink", "deliveries", "identifier")

    def __init__(self, notifier: Notifier, identifier: str, sink: Sink, deliveries: DeliveryQueue) -> None:
        self._notifier = notifier
        self.identifier = identifier
        self._sink = sink
        self._pause: IDelayedCall | None = None
        self._sending: Deferred[int] | None = None
        self._closed = False
        self.deliveries = deliveries

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way."""
        return not len(self.deliveries) or self._pause is not None

    def post(self, queued: QueuedEvent) -> None:
        """One more to send, after those before it."""
        if self._closed:
            return
        if not self.deliveries.put(queued):
            self._notifier.counts.dropped(1)
        if self._pause is None:
            self._next()

    def close(self) -> int:
        """Send nothing more; how many were waiting."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._sending is not None:
            self._sending.cancel()
        return len(self.deliveries)

    def _next(self) -> None:
        self._pause = None
        queued = self.deliveries.take()
        if queued is None:
            self._notifier.settled()
            return
        notifier = self._notifier
        self._sending = sending = notifier.send(
            self._sink, queued.event.to(self._sink.reference, queued.message_id))
        sending.addCallbacks(self._answered, self._unreachable)
        sending.addErrback(lambda failure: notifier.log.failure(
            "{scanner}: while notifying {address}", failure, scanner=notifier.scanner,
            address=self._sink.reference.address))

    def _answered(self, status: int) -> None:
        self._sending = None
        if self._closed:
            return
        if status < 300:
            self.deliveries.delivered()
            self._notifier.counts.delivered()
            self._next()
        else:
            self._failed(f"it answered {status}", refused=status not in _AWAY)

    def _unreachable(self, failure: Failure) -> None:
        self._sending = None
        if not self._closed:
            self._failed(_why(failure.value), refused=False)

    def _failed(self, why: str, *, refused: bool) -> None:
        notifier = self._notifier
        decision = self.deliveries.failed(notifier.seconds(), refused=refused)
        if self.deliveries.failures == 1:
            notifier.log.warn("{scanner}: an event for {address} did not arrive: {why}; it will be tried again",
                              scanner=notifier.scanner, address=self._sink.reference.address, why=why)
        if isinstance(decision, GiveUp):
            notifier.counts.dropped(decision.lost)
            notifier.on_give_up(self.identifier)
            return
        if isinstance(decision, Retry):
            notifier.counts.retried()
        else:
            notifier.counts.dropped(1)
        self._pause = notifier.reactor.callLater(decision.after, self._next)
        notifier.settled()


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
