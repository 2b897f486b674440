"""The interface of the store, and its values: finished jobs, clients' subscriptions and those held at scanners.

`memory`, `sqlite` and `fallback` implement it; `opening` chooses one. The store stands behind the tables in memory: no
status read waits for a write. `IClientSubscriptions` is the part that the code for clients' subscriptions uses.
"""

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.scan.jobstatus import JobStatus


class StoreError(Exception):
    """The store can't be used; the text names it and says what to do."""


class Unreadable(StoreError):
    """A file that is damaged, or newer than this program. None of it is used, and it is left as it is."""


class NotOurs(StoreError):
    """A store that another gateway is using, another program's file, or a folder that does not exist.

    The gateway does not start with it, since it is named by mistake.
    """


@attrs.frozen
class FinishedJob:
    """A job that is over. `finished` is in seconds since 1970, as the gateway's clock told when it learnt of it.

    `superseded`: the scanner has given its JobId to another job since.
    """

    scanner: str
    job_id: str
    state: str
    reasons: tuple[str, ...]
    scans_completed: int | None
    created: str | None
    completed: str | None
    finished: float
    superseded: bool = False

    @property
    def status(self) -> JobStatus:
        """The job's last status."""
        return JobStatus(self.job_id, self.state, self.reasons, self.scans_completed, self.created, self.completed,
                         ended=True)


@attrs.frozen
class Content:
    """The content of a store, without its finished jobs. `versions`: endpoint, digest, MetadataVersion of stand-ins."""

    subscriptions: tuple[Subscription, ...] = ()
    held: tuple[Held, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    versions: tuple[tuple[str, str, int], ...] = ()
    instance: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that would have to be taken up."""
        return not (self.subscriptions or self.held or self.adopted)


class IClientSubscriptions(Interface):
    """Clients' subscriptions in the store.

    Writes happen in the order in which they are asked for. Their Deferreds fire when the store has the value, or fail.
    """

    def save(subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        """Write a client's subscription in place of its former version, together with what is held for it."""

    def succeed(heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        """Replace the subscription `former` in one transaction: write `heir`, what is held for it, and what is `left`.

        `left` is the former subscription as it stays; None deletes it.
        """

    def forget(identifier: str) -> Deferred[None]:
        """Delete a client's subscription."""


class IStore(IClientSubscriptions):
    """The whole store. The order of writes and the meaning of their Deferreds are those of `IClientSubscriptions`."""

    def add(job: FinishedJob) -> Deferred[None]:
        """Write a finished job, and delete the oldest ones of its scanner beyond the configured history."""

    def supersede(scanner: str, job_id: str) -> Deferred[None]:
        """Mark the finished jobs with this JobId as superseded: the scanner has given it to a new job."""

    def finished(scanner: str) -> Deferred[list[FinishedJob]]:
        """The finished jobs of a scanner, oldest first."""

    def subscriptions() -> Deferred[list[Subscription]]:
        """All clients' subscriptions, oldest first."""

    def hold(held: Held) -> Deferred[None]:
        """Write a subscription that is held at a scanner, in place of its former version."""

    def release(scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        """Delete a subscription held at a scanner, if it notifies that address; a newer one stays."""

    def held() -> Deferred[list[Held]]:
        """All subscriptions that are held at scanners."""

    def next_instance(now: int) -> Deferred[int]:
        """The InstanceId of this start: `now`, in seconds since 1970, or the last one plus one, whichever is larger."""

    def metadata_version(endpoint: str, digest: str) -> Deferred[int]:
        """The MetadataVersion of a stand-in whose metadata has this digest; it grows by one when the digest changes."""

    def adopt(adopted: Adopted) -> Deferred[None]:
        """Write the name of an adopted scanner, in place of its former name."""

    def abandon(uuid: str) -> Deferred[None]:
        """Delete an adopted scanner."""

    def adopted() -> Deferred[list[Adopted]]:
        """All adopted scanners, oldest first."""

    def retry() -> Deferred[None]:
        """Try now to use a file again that could not be used; fires when that has been tried."""

    def warning() -> str | None:
        """The problem with the store and what to do about it, as text for people; None if there is none."""

    def close() -> Deferred[None]:
        """Finish pending writes and close the store."""
