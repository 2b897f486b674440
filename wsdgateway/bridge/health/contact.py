"""Keeps whether a scanner can be reached, from the outcomes of the requests to it.

The outcome of the last request counts::

    untried ──answer──► reached ◄──answer── failed
       │                   │                  ▲
       └──────failure──────┴─────failure──────┘
"""

from wsdgateway.bridge.health.causes import Cause


class Contact:
    """The contact with one scanner; `cause` is that of the last failure, None after a complete answer."""

    def __init__(self) -> None:
        self.reachable: bool | None = None
        self.cause: Cause | None = None

    def answered(self) -> bool:
        """Record that an answer has begun. Returns True if this changes anything."""
        if self.reachable and (self.cause is None or self.cause.reached):
            return False
        self.reachable = True
        if self.cause is not None and not self.cause.reached:
            self.cause = None
        return True

    def completed(self) -> bool:
        """Record a complete answer. Returns True if this changes anything."""
        if self.reachable and self.cause is None:
            return False
        self.reachable, self.cause = True, None
        return True

    def failed(self, cause: Cause) -> bool:
        """Record that a request failed for this cause. Returns True if this changes anything."""
        reachable = self.reachable if cause.reached else False
        if (reachable, cause) == (self.reachable, self.cause):
            return False
        self.reachable, self.cause = reachable, cause
        return True

    def moved(self) -> None:
        """Record that the scanner has a new address, at which nothing has failed yet."""
        self.cause = None
        self.reachable = self.reachable or None
