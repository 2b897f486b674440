"""Replays the events that former owners of a scanner have left, and delivers those that its subscribers were not given.

The job table learns from the events first, so that nothing older than announced is shown; after that it doubts them
all. An event that was too old to be delivered, or is not kept any more, counts as dropped.
"""

from twisted.logger import Logger

from wsdgateway.bridge.events.eventlog import EventID, LoggedEvent, Past, undelivered
from wsdgateway.bridge.events.intake import Notification, examine
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.events.eventsink import EventSink
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.scan.operations import SCAN_AVAILABLE


class Replay:
    """The events of one scanner that are replayed at a takeover: first `learn`, then `deliver` to the subscriptions."""

    log = Logger()

    def __init__(self, past: Past) -> None:
        self._past = past
        self._read: dict[EventID, Notification] = {}
        self._reached: list[tuple[EventID, str, set[Sink]]] = []  # events that gateways made: action, and sinks

    def learn(self, bridge: ScannerBridge, sink: EventSink, now: float) -> None:
        """Has the bridge learn from the events; `now` is in seconds."""
        unread = 0
        for event in self._past.events:
            if not event.data:
                bridge.rebooted()
                continue
            found = examine(event.data, event.content_type)
            if not isinstance(found, Notification):
                unread += 1
                if unread == 1:
                    self.log.warn("{scanner}: event {event} that another gateway has left cannot be read: {reason}",
                                  scanner=bridge.name, event=str(event.identifier), reason=found.reason)
                continue
            self._read[event.identifier] = found
            reached = bridge.notifications.replay(
                found, now, at=now - max(0.0, self._past.time - event.at),
                is_own=not event.receiver and not event.made, is_made=event.made)
            if reached is not None and found.envelope.action is not None:
                self._reached.append((event.identifier, found.envelope.action, reached))
            if event.receiver:
                sink.replayed(event.receiver, found.message_id)
        if unread > 1:
            self.log.warn("{scanner}: {count} more events that another gateway has left cannot be read",
                          scanner=bridge.name, count=unread - 1)
        bridge.notifications.taken_over(now)

    def deliver(self, subscribers: Subscribers) -> None:
        """Delivers what lies after the cursor of each subscription.

        Events that gateways made count as given to the subscriptions of that time, which do not get the same from the
        scanner.
        """
        for event, action, reached in self._reached:
            reached.update(subscribers.sinks(action, {
                one for one, cursor in self._past.cursors.items() if cursor.opened < event}))
        owed, dropped = undelivered(self._past, subscribers.identifiers(), lambda one, event: self._wants(
            subscribers, one, event))
        for one in owed:
            found = self._read[one.event.identifier]
            subscribers.deliver_late(found.envelope, found.status, one.event.identifier, one.subscriptions)
        if dropped:
            subscribers.notifier.counts.dropped(dropped)
            self.log.warn("{scanner}: {count} events were not delivered, since they are too old or were replaced by "
                          "newer ones before a gateway took over", scanner=subscribers.scanner, count=dropped)
        if owed:
            self.log.info("{scanner}: delivers {count} events that another gateway has received",
                          scanner=subscribers.scanner, count=len(owed))

    def _wants(self, subscribers: Subscribers, subscription: str, event: LoggedEvent) -> bool:
        found = self._read.get(event.identifier)
        if found is None or found.envelope.action is None:
            return False
        return found.event == SCAN_AVAILABLE if event.receiver else subscribers.is_for(
            subscription, found.envelope.action)
