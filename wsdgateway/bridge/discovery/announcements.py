"""Decides what a scanner's announcements mean: whether it has left, was away, has started again, or has moved.

WS-Discovery 2005/04, section 4. A Bye counts until the scanner says something; it is asked soon after, since anybody
can say Bye in its name. Times are in seconds on one monotonic clock.
"""

from enum import Enum

import attrs

from wsdgateway.bridge.discovery.sightings import News, Sighting

BYE_SECONDS = 2.0  # what answers so soon after a Bye was asked before it
AGAIN_SECONDS = 10.0


class Announcements:
    """The announcements of one scanner; `sighting` is the last one but for Byes, None before that::

        (none) ──Bye──► left ──the scanner answers, BYE_SECONDS after the Bye; or announces itself──► (none)
    """

    def __init__(self) -> None:
        self._bye_at: float | None = None
        self._sighted_at = float("-inf")
        self.sighting: Sighting | None = None

    def has_left(self, answered_at: float) -> bool:
        """Whether it has said Bye and nothing since; it answered last at `answered_at`."""
        return self._bye_at is not None and answered_at < self._bye_at + BYE_SECONDS

    def last_heard(self, answered_at: float) -> float:
        """When it last answered or announced anything; it answered last at `answered_at`."""
        return max(answered_at, self._sighted_at)

    def sighted(self, sighting: Sighting, now: float) -> None:
        """Take note that the scanner has announced itself, or answered in discovery."""
        self._bye_at = None
        self.sighting, self._sighted_at = sighting, now

    def said_bye(self, now: float) -> float | None:
        """Take a Bye in the scanner's name: the seconds until it is asked whether it is there.

        None if the Bye comes too soon after another one to count: nobody keeps the scanner away by saying so again and
        again.
        """
        if self._bye_at is not None and now < self._bye_at + AGAIN_SECONDS:
            return None
        self._bye_at = now
        return BYE_SECONDS


class Doubt(Enum):
    """The doubt that news of a scanner casts on what is kept of it."""

    NONE = "it still holds"
    AWAY = "it is shown to nobody until the scanner has been asked"
    RESTARTED = "so is it, and jobs and subscriptions may be gone"


def doubt_of(news: News) -> Doubt:
    """The doubt that follows from news. A scanner that has started again was away, too."""
    if news.started:
        return Doubt.RESTARTED
    return Doubt.AWAY if news.returned else Doubt.NONE


@attrs.frozen
class Pending:
    """News of announcements that are acted on once the scanner has been found."""

    started: bool = False
    described: bool = False

    def with_news(self, news: News) -> "Pending":
        """These news and further ones."""
        return Pending(self.started or news.started, self.described or news.described)


def has_moved(known: str, found: str, *, reachable: bool | None) -> bool:
    """Whether a scan service that is found has moved: from its `known` address, or back there from somewhere else.

    `reachable`: whether the scanner answered when it was last asked; None before that. One that did not may have been
    somewhere else meanwhile, or have started again.
    """
    return known != found or reachable is False
