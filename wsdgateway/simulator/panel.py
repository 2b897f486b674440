"""The panel of the virtual scanner: its button, and the destinations that clients have registered on it.

WS-Scan, ScanAvailableEvent, ScanIdentifier, DestinationToken.
"""

from collections.abc import Callable
from itertools import count

from lxml import etree

from wsdgateway.scan.operations import SCAN_AVAILABLE
from wsdgateway.scan.reading import text
from wsdgateway.simulator.events import Subscribers
from wsdgateway.simulator.faults import BAD_DESTINATION, BAD_IDENTIFIER
from wsdgateway.soap.faults import Refused
from wsdgateway.soap.parsing import escape

MAX_PRESSED = 100  # ScanIdentifiers that no CreateScanJob has used yet; the oldest become invalid


class Panel:
    """The panel. `wall` gives the seconds since 1970."""

    def __init__(self, subscribers: Subscribers, *, wall: Callable[[], float]) -> None:
        self._subscribers = subscribers
        self._wall = wall
        self._numbers = count(1)
        self._pressed: dict[str, None] = {}

    def press(self, context: str | None = None, source: str = "Platen") -> int:
        """Press the scan button, for that ClientContext or for every one, with that InputSource, "" for none.

        Returns the number of notified destinations.
        """
        chosen = f"<wscn:InputSource>{source}</wscn:InputSource>" if source else ""
        told = 0
        for subscription in list(self._subscribers.held.values()):
            for known in subscription.destinations:
                if SCAN_AVAILABLE in subscription.events and context in (None, known):
                    identifier = f"scan-{next(self._numbers)}-{int(self._wall() * 1000)}"
                    self._pressed[identifier] = None
                    if len(self._pressed) > MAX_PRESSED:
                        del self._pressed[next(iter(self._pressed))]
                    self._subscribers.notify(subscription, SCAN_AVAILABLE, (
                        f"<wscn:ScanAvailableEvent><wscn:ClientContext>{escape(known)}</wscn:ClientContext>"
                        f"<wscn:ScanIdentifier>{identifier}</wscn:ScanIdentifier>"
                        f"{chosen}</wscn:ScanAvailableEvent>"))
                    told += 1
        return told

    def check(self, body: etree._Element) -> None:
        """Check the destination and the ScanIdentifier that a CreateScanJob names. Raises `Refused`."""
        identifier, token = text(body, "ScanIdentifier"), text(body, "DestinationToken")
        if token is not None and not self._subscribers.has_token(token):
            raise Refused(BAD_DESTINATION)
        if identifier is not None and identifier not in self._pressed:
            raise Refused(BAD_IDENTIFIER)

    def use_up(self, body: etree._Element) -> None:
        """Use up the ScanIdentifier of a CreateScanJob, whose job has been created."""
        self._pressed.pop(text(body, "ScanIdentifier") or "", None)

    def forget(self) -> None:
        """Forget the scans that were started at the panel, as a reboot does."""
        self._pressed.clear()
