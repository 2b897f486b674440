"""Determines whether a scanner is reachable, from its answers and its announcements.

WS-Discovery 2005/04, section 4. `bridge.discovery.announcements` decides how long a Bye counts; this module checks the
scanner soon after one.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.discovery.announcements import Announcements
from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.net.scanners.client import DeviceClient


class Reachability:
    """The reachability of one scanner. `check` checks that the scanner still answers."""

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], device: DeviceClient,
                 check: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._device = device
        self._check = check
        self._announcements = Announcements()
        self._asking: IDelayedCall | None = None

    @property
    def sighting(self) -> Sighting | None:
        """The scanner's last announcement or answer in discovery; None before that."""
        return self._announcements.sighting

    @property
    def reachable(self) -> bool | None:
        """True if the scanner answered the last request and has not said Bye since; None before the first request."""
        return False if self.has_left else self._device.reachable

    @property
    def has_left(self) -> bool:
        """True if the scanner has said Bye, and nothing since."""
        return self._announcements.has_left(self._device.last_received)

    def silent_for(self) -> float:
        """The seconds since the scanner has answered or announced anything."""
        return self._seconds() - self._announcements.last_heard(self._device.last_received)

    def sighted(self, sighting: Sighting) -> None:
        """Record an announcement or a discovery answer of the scanner."""
        self._announcements.sighted(sighting, self._seconds())

    def said_bye(self) -> bool:
        """Record a Bye in the scanner's name. False if it comes too soon after another one to count."""
        pause = self._announcements.said_bye(self._seconds())
        if pause is None:
            return False
        if self._asking is None or not self._asking.active():
            self._asking = self._reactor.callLater(pause, self._check)
        return True

    def stop(self) -> None:
        """Stop checking."""
        if self._asking is not None and self._asking.active():
            self._asking.cancel()
