"""The interface of the shared server for what a takeover needs: the last events, cursors, and intents of CreateScanJob.

`storage.redis` implements it. Each method is one command, with the deadline of `storage.coordination`. Writes carry the
token of the ownership and fail with `Fenced` if that has ended, and all methods fail with `NotNow` if the server cannot
serve. A write may then have been made, and may be repeated.
"""

from twisted.internet.defer import Deferred
from zope.interface import Interface

from wsdgateway.bridge.cluster.intents import Record
from wsdgateway.bridge.events.eventlog import Past, Write


class ISharedEvents(Interface):
    """The events of scanners."""

    def past(scanner: str) -> Deferred[Past]:
        """Returns the events and cursors that former owners have left."""

    def write(scanner: str, token: int, write: Write) -> Deferred[None]:
        """Appends events that are newer than those which are there, and sets and deletes cursors."""


class IIntents(Interface):
    """What owners have written about CreateScanJobs, by `bridge.cluster.intents.intent_key`, for `KEPT_SECONDS`."""

    def intend(scanner: str, token: int, key: str) -> Deferred[Record | None]:
        """Writes the intent to send a request, unless another owner has written about it, or there is a reply.

        Returns the record that is there already, else None. The record of another owner is also returned in the grace
        of a new era, in which nothing is written.
        """

    def conclude(scanner: str, token: int, key: str, record: Record | None) -> Deferred[None]:
        """Replaces the record about a request; None deletes it."""
