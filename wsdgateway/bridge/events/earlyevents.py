"""Keeps events for clients whose Subscribe has not been answered yet.

WS-Scan, ScanAvailableEvent. The scanner shows a client's name as soon as it holds the subscription, so a person may
select it before the gateway has stored the subscription and answered.
"""

from wsdgateway.bridge.events.fanout import Event

MAX_EARLY = 64


class EarlyEvents:
    """Events by the identifier of the subscription that is being set up, at most `MAX_EARLY`.

    Further events are dropped, because the earlier ones are for people who have waited longer.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[Event]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def add(self, identifier: str, event: Event) -> None:
        """Keeps an event, unless there are too many."""
        if len(self) < MAX_EARLY:
            self._kept.setdefault(identifier, []).append(event)

    def take(self, identifier: str) -> list[Event]:
        """Removes and returns a subscription's events, oldest first."""
        return self._kept.pop(identifier, [])
