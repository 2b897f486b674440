"""Sends events to clients: each has its own queue, connection and retry delay, so that none waits for another.

WS-Eventing 2004/08, section 3. `bridge.events.deliveryqueue` decides what to do after a failure.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsdgateway.bridge.cluster.lease import always
from wsdgateway.bridge.events.deliveryqueue import DeliveryQueue, GiveUp, QueuedEvent, Retry, is_refusal, is_success
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.config.sections import Events
from wsdgateway.net.events.deliveryrecord import NOT_RECORDED, DeliveryRecord
from wsdgateway.net.events.subscriptionend import SubscriptionEnds
from wsdgateway.net.transport.errors import describe_error
from wsdgateway.net.transport.logthrottle import LogThrottle


class Counts(Protocol):
    """Counters of deliveries."""

    def delivered(self) -> None:
        """Counts a successful delivery."""

    def retried(self) -> None:
        """Counts a failed delivery that will be tried again."""

    def dropped(self, count: int) -> None:
        """Counts events that will not be delivered."""


_NOT_PERMITTED = 0  # instead of an HTTP status
UNOWNED_SECONDS = 1.0  # between looks whether this gateway owns the scanner again

Send = Callable[[Sink, bytes], "Deferred[int]"]


class Notifier:
    """The deliveries of one scanner. `events`, the configuration's section, limits each subscriber's queue.

    `send` delivers a message; `on_give_up` is called with the identifier of a subscriber that has been unreachable for
    too long. `random` returns 0 to 1. Nothing is sent unless `holds` is true: else another gateway owns the scanner,
    and delivers its events. `record` records deliveries for other gateways.
    """

    log = Logger()

    def __init__(self, reactor: Any, *, scanner: str, seconds: Callable[[], float], events: Events, counts: Counts,
                 send: Send, on_give_up: Callable[[str], None], random: Callable[[], float],
                 holds: Callable[[], bool] = always, record: DeliveryRecord = NOT_RECORDED) -> None:
        self.reactor = reactor
        self.scanner = scanner
        self.seconds = seconds
        self.counts = counts
        self.send = send
        self.on_give_up = on_give_up
        self.events = events
        self.record = record
        self._random = random
        self.holds = holds
        self._recipients: dict[str, Recipient] = {}
        self.endings = SubscriptionEnds(reactor, scanner=scanner, send=send, settled=self.settled)
        self._idle: list[Deferred[None]] = []
        self._throttle = LogThrottle()

    def open(self, identifier: str, sink: Sink) -> None:
        """Starts to send events to a subscriber at that sink."""
        deliveries = DeliveryQueue(limit=self.events.client_queue, give_up_after=self.events.client_retry,
                                   random=self._random)
        self._recipients[identifier] = Recipient(self, identifier, sink, deliveries)
        self.record.opened(identifier)

    def hand_over(self, old: str, new: str) -> None:
        """Transfers the waiting events of a subscription to its successor, which has the same sink."""
        replaced = self._recipients.pop(new, None)
        if replaced is not None:
            self.counts.dropped(replaced.close())
        recipient = self._recipients.pop(old, None)
        if recipient is not None:
            recipient.identifier = new
            self._recipients[new] = recipient
            self.record.handed_over(old, new)

    def close(self, identifier: str) -> None:
        """Drops the waiting events of a subscription that has ended. The current delivery may still arrive."""
        recipient = self._recipients.pop(identifier, None)
        if recipient is not None:
            self.counts.dropped(recipient.close())
            self.record.closed(identifier)
            self.settled()

    def not_permitted(self, address: str) -> None:
        """Logs that a scan from the panel was not sent to that address; an outage may keep back many."""
        if self._throttle.allows(address, self.seconds()):
            self.log.warn("{scanner}: a scan that was started at the scanner was not sent to {address}, because "
                          "another gateway might send it again while Redis does not answer; start it again at the "
                          "scanner (logged at most once a minute)", scanner=self.scanner, address=address)

    def recipient(self, identifier: str) -> "Recipient | None":
        """Returns the recipient of a subscriber; None if it is gone.

        It stays valid when another subscription succeeds the subscriber's.
        """
        return self._recipients.get(identifier)

    def state(self, identifier: str) -> tuple[int, int]:
        """Returns the numbers of waiting events and of failed attempts since the last success, for a subscriber."""
        recipient = self._recipients.get(identifier)
        return (0, 0) if recipient is None else (len(recipient.deliveries), recipient.deliveries.failures)

    @property
    def _is_idle(self) -> bool:
        return not self.endings.untried and all(recipient.is_settled for recipient in self._recipients.values())

    def settled(self) -> None:
        """Checks for idleness after a recipient has sent everything, or has begun to pause after a failure."""
        if self._idle and self._is_idle:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)

    def idle(self) -> Deferred[None]:
        """Fires when everything has been sent, except to recipients that pause after a failure."""
        waiting: Deferred[None] = Deferred(self._idle.remove)
        self._idle.append(waiting)
        self.settled()
        return waiting

    def stop(self) -> None:
        """Stops all deliveries."""
        for identifier in list(self._recipients):
            self._recipients.pop(identifier).close()
        self.endings.stop()


class Recipient:
    """A subscriber: at most one delivery at a time, and a pause after each failure::

             post                    failed
    idle ──────────► sending ───────────────────► pausing
      ▲                │ ▲                          │
      └── delivered ───┘ └──── the pause is over ───┘

    any ──close──► closed; sending ──failed for too long──► closed, by `on_give_up`
    """

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
        """True if it is idle or pausing: nothing is being sent."""
        return not len(self.deliveries) or self._pause is not None

    def post(self, queued: QueuedEvent) -> None:
        """Queues an event."""
        if self._closed:
            return
        if not self.deliveries.put(queued):
            self._notifier.counts.dropped(1)
        if self._pause is None:
            self._next()

    def close(self) -> int:
        """Stops the deliveries; returns the number of dropped events."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._sending is not None:
            self._sending.cancel()
        return len(self.deliveries)

    def _next(self) -> None:
        self._pause = None
        notifier = self._notifier
        if not notifier.holds():
            self._pause = notifier.reactor.callLater(UNOWNED_SECONDS, self._next)
            notifier.settled()
            return
        queued = self.deliveries.take()
        if queued is None:
            notifier.settled()
            return
        permit = notifier.record.permit(self.identifier, queued.event)
        self._sending = sending = self._send(queued) if permit is None else permit.addCallback(
            lambda is_permitted: self._send(queued) if is_permitted else _NOT_PERMITTED)
        sending.addCallbacks(self._answered, self._unreachable, callbackArgs=(queued,), errbackArgs=(queued,))
        sending.addErrback(lambda failure: notifier.log.failure(
            "{scanner}: notifying {address} failed", failure, scanner=notifier.scanner,
            address=self._sink.reference.address))

    def _send(self, queued: QueuedEvent) -> "Deferred[int]":
        return self._notifier.send(self._sink, queued.event.to(self._sink.reference, queued.message_id))

    def _answered(self, status: int, queued: QueuedEvent) -> None:
        self._sending = None
        if self._closed:
            return
        if status == _NOT_PERMITTED:
            self.deliveries.delivered()
            self._notifier.counts.dropped(1)
            self._notifier.not_permitted(self._sink.reference.address)
            self._next()
        elif is_success(status):
            self.deliveries.delivered()
            self._notifier.counts.delivered()
            self._notifier.record.given(self.identifier, queued.event)
            self._next()
        else:
            self._failed(f"it answered {status}", queued, refused=is_refusal(status))

    def _unreachable(self, failure: Failure, queued: QueuedEvent) -> None:
        self._sending = None
        if not self._closed:
            self._failed(describe_error(failure.value), queued, refused=False)

    def _failed(self, why: str, queued: QueuedEvent, *, refused: bool) -> None:
        notifier = self._notifier
        decision = self.deliveries.failed(notifier.seconds(), refused=refused)
        if self.deliveries.failures == 1:
            notifier.log.warn("{scanner}: an event for {address} was not delivered: {why}; retrying",
                              scanner=notifier.scanner, address=self._sink.reference.address, why=why)
        if isinstance(decision, GiveUp):
            notifier.counts.dropped(decision.lost)
            notifier.on_give_up(self.identifier)
            return
        if isinstance(decision, Retry):
            notifier.counts.retried()
        else:
            notifier.counts.dropped(1)
            notifier.record.given(self.identifier, queued.event)
        self._pause = notifier.reactor.callLater(decision.after, self._next)
        notifier.settled()
