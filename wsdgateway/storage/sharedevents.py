"""The interface of the shared server for what a takeover needs: the last events, cursors, and intents of CreateScanJob.

It also counts the jobs of clients at the scanners of all gateways.

`storage.redis` implements it. Each method is one command, with the deadline of `storage.coordination`. Writes carry the
token of the ownership and fail with `Fenced` if that has ended, and all methods fail with `NotNow` if the server cannot
serve. A write may then have been made, and may be repeated.
"""

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from wsdgateway.bridge.cluster.intents import Record
from wsdgateway.bridge.events.eventlog import Past, Write


class TooManyJobs(Exception):
    """The client has the maximum number of jobs at the scanners of all gateways. Nothing was written."""


@attrs.frozen
class Claim:
    """A job that shall count for a client for `seconds`, unless `most` other jobs of the client count already.

    `client` is its key in the quotas, `name` is unique among the jobs of this process.
    """

    client: str
    name: str
    most: int
    seconds: float


@attrs.frozen
class JobChange:
    """The time for which a job goes on counting for a client; it has ended if `seconds` is 0."""

    client: str
    name: str
    seconds: float


class ISharedEvents(Interface):
    """The events of scanners."""

    def past(scanner: str) -> Deferred[Past]:
        """Returns the events and cursors that former owners have left."""

    def write(scanner: str, token: int, write: Write) -> Deferred[None]:
        """Appends events that are newer than those which are there, and sets and deletes cursors."""


class IIntents(Interface):
    """The records of CreateScanJobs, by `bridge.cluster.intents.intent_key`, which are kept for `KEPT_SECONDS`."""

    def intend(scanner: str, token: int, key: str, claim: Claim | None = None) -> Deferred[Record | None]:
        """Writes the intent to send a request, unless another owner has written about it, or there is a reply.

        Returns the record that is there already, else None. Then the job of the `claim` counts; fails with
        `TooManyJobs`, without an intent, if it must not. The record of another owner is also returned in the grace of a
        new era, and while no gateway owns the scanner, when nothing is written.
        """

    def conclude(scanner: str, token: int, key: str, record: Record | None) -> Deferred[None]:
        """Replaces the record about a request; None deletes it."""

    def count(scanner: str, token: int, claim: Claim) -> Deferred[None]:
        """Counts a job without an intent. Fails with `TooManyJobs`."""


class IJobCounts(Interface):
    """The jobs that count for clients at the scanners of all gateways. They stop counting by themselves."""

    def change(changes: Sequence[JobChange]) -> Deferred[None]:
        """Changes for how long jobs of this process count. It may be repeated, and needs no ownership."""
