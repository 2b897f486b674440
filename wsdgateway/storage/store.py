"""What outlives the process: finished jobs, clients' subscriptions, and those held at scanners.

One small interface; `memory`, `sqlite` and `fallback` implement it. The store stands behind the tables in memory: no
status read ever waits for what is written here.
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
    """A file that is damaged, or newer than this program: nothing of it is used, and it is left as it is."""


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
    """A store's content but its finished jobs. `versions`: endpoint, digest and MetadataVersion of stand-ins."""

    subscriptions: tuple[Subscription, ...] = ()
    held: tuple[Held, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    versions: tuple[tuple[str, str, int], ...] = ()
    instance: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that would have to be taken up."""
        return not (self.subscriptions or self.held or self.adopted)


class IStore(Interface):
    """Writes happen in the order in which they are asked for; their Deferreds fire when they are kept, or fail."""

    def add(job: FinishedJob) -> Deferred[None]:
        """Keep a job, and the last ones of its scanner."""

    def supersede(scanner: str, job_id: str) -> Deferred[None]:
        """The scanner gives this JobId again: mark the kept jobs that have it."""

    def finished(scanner: str) -> Deferred[list[FinishedJob]]:
        """The kept jobs of a scanner, oldest first."""

    def save(subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        """Keep a client's subscription, in the place of its former self; together with what is held for it."""

    def succeed(heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        """Another subscription takes a former one's place, all at once: the heir, what is held for it, what is left."""

    def forget(identifier: str) -> Deferred[None]:
        """A client's subscription is over."""

    def subscriptions() -> Deferred[list[Subscription]]:
        """Every client's subscription, oldest first."""

    def hold(held: Held) -> Deferred[None]:
        """Keep what is held at a scanner, in the place of its former self."""

    def release(scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        """What notifies us there is held no more; one that has been made since then stays."""

    def held() -> Deferred[list[Held]]:
        """Everything that is held at scanners."""

    def next_instance(now: int) -> Deferred[int]:
        """The InstanceId of this start: `now`, in seconds since 1970, or one more than the last one, if larger."""

    def metadata_version(endpoint: str, digest: str) -> Deferred[int]:
        """The MetadataVersion of a stand-in whose metadata has this digest: one more than before if it has changed."""

    def adopt(adopted: Adopted) -> Deferred[None]:
        """Keep the name of a scanner that was found, in the place of its former one."""

    def abandon(uuid: str) -> Deferred[None]:
        """A scanner that was adopted is none of ours any more."""

    def adopted() -> Deferred[list[Adopted]]:
        """Every scanner that was ever adopted, oldest first."""

    def retry() -> None:
        """Try now what could not be used, if there is anything."""

    def warning() -> str | None:
        """The problem with the store and what to do, for people; None if there is none."""

    def close() -> Deferred[None]:
        """Finish what is being written."""
