"""The events of one scanner that its former owner has left, and whether the scanner has restarted since then.

`net.events.replaying` replays the events. Whether the scanner has restarted is known when it renews the subscription of
the former owner, or refuses to.
"""

from collections.abc import Callable

from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.net.events.eventsink import EventSink
from wsdgateway.net.events.replaying import Replay
from wsdgateway.net.events.subscribers import Subscribers


class Takeover:
    """The takeover of one scanner from its former owner, of which `record` has the events: `begin`, then `deliver`."""

    def __init__(self, record: EventRecord, bridge: ScannerBridge, sink: EventSink,
                 seconds: Callable[[], float]) -> None:
        self._record = record
        self._bridge = bridge
        self._sink = sink
        self._seconds = seconds
        self._replay: Replay | None = None
        self._is_resuming = False

    def begin(self) -> None:
        """Learn from the events. The scanner is asked before any job is shown."""
        self._bridge.synthesis.makes_missing_ends = True
        if not self._record.past.is_first:
            self._replay = Replay(self._record.past)
            self._replay.learn(self._bridge, self._sink, self._seconds())
            self._is_resuming = True

    def deliver(self, subscribers: Subscribers) -> None:
        """Deliver to the restored subscribers what they were not given."""
        replay, self._replay = self._replay, None
        if replay is not None:
            replay.deliver(subscribers)

    def resumed(self, is_resumed: bool | None) -> bool:
        """Record whether the scanner has renewed the former owner's subscription; None if that is not known yet.

        Returns False if it has not, so that it may have restarted.
        """
        if not self._is_resuming or is_resumed is None:
            return True
        self._is_resuming = False
        if is_resumed:
            self._bridge.notifications.resumed()
        return is_resumed

    def rebooted(self) -> None:
        """Record for the next owner that the scanner has restarted, or may have."""
        self._is_resuming = False
        self._record.restarted()
