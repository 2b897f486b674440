"""Tells whether a scanner is there, from its answers and its announcements.

WS-Discovery 2005/04, section 4. A Bye counts until the scanner says something; it is asked soon after, since anybody
can say Bye in its name.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from wsdgateway.bridge.discovery.sightings import Sighting
from wsdgateway.net.scanners.client import DeviceClient

BYE_SECONDS = 2.0  # what answers so soon after a Bye was asked before it
AGAIN_SECONDS = 10.0


class Reachability:
    """The reachability of one scanner. `check` asks the scanner whether it is there. Its announcements::

        (none) ──Bye──► left ──the scanner answers, BYE_SECONDS after the Bye; or announces itself──► (none)
    """

    def __init__(self, reactor: Any, *, seconds: Callable[[], float], device: DeviceClient,
                 check: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._device = device
        self._check = check
        self._bye_at: float | None = None
        self._asking: IDelayedCall | None = None
        self._sighted_at = float("-inf")
        self.sighting: Sighting | None = None

    @property
    def reachable(self) -> bool | None:
        """Whether the scanner answered when it was last asked, and has not said Bye since; None before that."""
        has_left = self._bye_at is not None and self._device.last_received < self._bye_at + BYE_SECONDS
        return False if has_left else self._device.reachable

    def silent_for(self) -> float:
        """The seconds since the scanner has answered or announced anything."""
        return self._seconds() - max(self._device.last_received, self._sighted_at)

    def sighted(self, sighting: Sighting) -> None:
        """Take note that the scanner has announced itself, or answered in discovery."""
        self._bye_at = None
        self.sighting, self._sighted_at = sighting, self._seconds()

    def said_bye(self) -> bool:
        """Take a Bye in the scanner's name. False if it comes too soon after another one to count."""
        now = self._seconds()
        if self._bye_at is not None and now < self._bye_at + AGAIN_SECONDS:
            return False  # nobody keeps it away by saying so again and again
        self._bye_at = now
        if self._asking is None or not self._asking.active():
            self._asking = self._reactor.callLater(BYE_SECONDS, self._check)
        return True

    def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None and self._asking.active():
            self._asking.cancel()
