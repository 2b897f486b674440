"""Interprets a scanner's announcements: whether it has left, was away, has restarted, or has moved.

WS-Discovery 2005/04, section 4. A Bye counts until the next sign of the scanner; the scanner is asked soon after,
because anybody can send a Bye in its name. Times are in seconds on one monotonic clock.
"""

from enum import Enum

import attrs

from wsdgateway.bridge.discovery.sightings import News, Sighting

BYE_SECONDS = 2.0  # an answer this soon after a Bye may belong to a request made before it
AGAIN_SECONDS = 10.0


class Announcements:
    """The announcements of one scanner; `sighting` is the last one other than a Bye, None before the first one::

        (none) ──Bye──► left ──the scanner answers, BYE_SECONDS after the Bye; or announces itself──► (none)
    """

    def __init__(self) -> None:
        self._bye_at: float | None = None
        self._sighted_at = float("-inf")
        self.sighting: Sighting | None = None

    def has_left(self, answered_at: float) -> bool:
        """True if it has sent Bye and nothing since; its last answer was at `answered_at`."""
        return self._bye_at is not None and answered_at < self._bye_at + BYE_SECONDS

    def last_heard(self, answered_at: float) -> float:
        """Returns the time of its last answer or announcement; its last answer was at `answered_at`."""
        return max(answered_at, self._sighted_at)

    def sighted(self, sighting: Sighting, now: float) -> None:
        """Notes that the scanner has announced itself, or answered in discovery."""
        self._bye_at = None
        self.sighting, self._sighted_at = sighting, now

    def said_bye(self, now: float) -> float | None:
        """Handles a Bye in the scanner's name; returns the seconds until the scanner is asked whether it is present.

        Returns None if the Bye comes too soon after another one to count: repeated forged Byes must not keep the
        scanner away.
        """
        if self._bye_at is not None and now < self._bye_at + AGAIN_SECONDS:
            return None
        self._bye_at = now
        return BYE_SECONDS


class Doubt(Enum):
    """The degree to which news of a scanner makes the stored information about it unreliable."""

    NONE = "still holds"
    AWAY = "withheld until the scanner has been asked"
    RESTARTED = "withheld too, and jobs and subscriptions may be lost"


def doubt_of(news: News) -> Doubt:
    """Returns the doubt that follows from news. A scanner that has restarted was also away."""
    if news.started:
        return Doubt.RESTARTED
    return Doubt.AWAY if news.returned else Doubt.NONE


@attrs.frozen
class Pending:
    """News from announcements that is acted on once the scanner has been found."""

    started: bool = False
    described: bool = False

    def with_news(self, news: News) -> "Pending":
        """Returns this news combined with further news."""
        return Pending(self.started or news.started, self.described or news.described)


def has_moved(known: str, found: str, *, reachable: bool | None) -> bool:
    """True if a scan service that was found has moved: from its `known` address, or back to that from elsewhere.

    `reachable`: whether the scanner answered the last request; None before the first one. If it did not, it may have
    been elsewhere meanwhile, or have restarted.
    """
    return known != found or reachable is False
