"""The interface of the store, and its values: jobs, clients' subscriptions and subscriptions at scanners.

`memory`, `sqlite`, `fallback` and `redis.store` implement it; `opening` selects one. Status reads use tables in memory
and never wait for a write to the store. `IClientSubscriptions` is the part that the code for clients' subscriptions
uses.
"""

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.scan.jobstatus import JobStatus


class StoreError(Exception):
    """The store cannot be used; the text names it and says what to do."""


class Unreadable(StoreError):
    """A file that is damaged, or newer than this program. It is not used, and it is left unchanged."""


class NotOurs(StoreError):
    """A store that another gateway is using, another program's file, or a folder that does not exist.

    The gateway does not start with it, because the configuration must have named it by mistake.
    """


@attrs.frozen
class FinishedJob:
    """A finished job.

    `finished` is the time at which the gateway learned of it, in seconds since 1970 by the gateway's clock.
    `superseded`: the scanner has since reused its JobId for another job.
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
    """The content of a store, without its finished jobs.

    `versions` holds endpoint, digest and MetadataVersion of stand-ins, `escl_ports` the names of scanners and their
    ports.
    """

    subscriptions: tuple[Subscription, ...] = ()
    held: tuple[Held, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    versions: tuple[tuple[str, str, int], ...] = ()
    instance: int | None = None
    own_jobs: tuple[OwnJob, ...] = ()
    escl_ports: tuple[tuple[str, int], ...] = ()
    escl_offers: tuple[KeptOffer, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to be restored."""
        return not (self.subscriptions or self.held or self.adopted or self.own_jobs)


class IClientSubscriptions(Interface):
    """Clients' subscriptions in the store.

    Writes are made in the order of the calls. Their Deferreds fire when the store has the value, or fail.
    """

    def save(subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        """Writes a client's subscription, and the one held for it at the scanner; replaces its former version."""

    def succeed(heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        """Replaces the subscription `former` in one transaction by `heir`, the subscription held for it, and `left`.

        `left` is the remaining form of the former subscription; None deletes it.
        """

    def forget(identifier: str) -> Deferred[None]:
        """Deletes a client's subscription."""


class IStore(IClientSubscriptions):
    """The whole store. The order of writes and the meaning of their Deferreds are those of `IClientSubscriptions`."""

    def add(job: FinishedJob) -> Deferred[None]:
        """Writes a finished job, and deletes the oldest ones of its scanner beyond the configured history."""

    def limit(history: int) -> Deferred[None]:
        """Sets the number of finished jobs that are kept for each scanner, and deletes the oldest ones beyond it."""

    def supersede(scanner: str, job_id: str) -> Deferred[None]:
        """Marks the finished jobs with this JobId as superseded: the scanner has reused it for a new job."""

    def finished(scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        """Returns the finished jobs of a scanner, oldest first; with `most`, at most so many of the latest ones."""

    def subscriptions() -> Deferred[list[Subscription]]:
        """Returns all clients' subscriptions, oldest first."""

    def hold(held: Held) -> Deferred[None]:
        """Writes a subscription held at a scanner; replaces its former version."""

    def release(scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        """Deletes a subscription held at a scanner if it has that NotifyTo address; a newer one stays."""

    def held() -> Deferred[list[Held]]:
        """Returns all subscriptions held at scanners."""

    def next_instance(now: int) -> Deferred[int]:
        """Returns the InstanceId of this start.

        This is `now`, in seconds since 1970, or the last one plus one, whichever is larger.
        """

    def metadata_version(endpoint: str, digest: str) -> Deferred[int]:
        """Returns the MetadataVersion of a stand-in whose metadata has this digest.

        It grows by one when the digest changes.
        """

    def adopt(adopted: Adopted) -> Deferred[None]:
        """Writes the name of an adopted scanner; replaces its former name."""

    def abandon(uuid: str) -> Deferred[None]:
        """Deletes an adopted scanner."""

    def adopted() -> Deferred[list[Adopted]]:
        """Returns all adopted scanners, oldest first."""

    def begin_job(job: OwnJob) -> Deferred[None]:
        """Writes a job of the gateway's own; replaces what is known of the same job."""

    def end_job(scanner: str, own_id: str) -> Deferred[None]:
        """Deletes the job of the gateway's own with that `id`, since it has ended."""

    def own_jobs() -> Deferred[list[OwnJob]]:
        """Returns the jobs of the gateway's own that have not ended, as far as it knows."""

    def keep_escl_port(scanner: str, port: int, former: int | None = None, loser: str | None = None) -> Deferred[bool]:
        """Writes a scanner's eSCL port. It replaces its former one, and another scanner loses that port.

        A store that gateways share does that only if the scanner still has the port `former`, and no other scanner than
        `loser` has the new one; the result is False if not. It fails with `NotNow` while its server is away.
        """

    def escl_ports() -> Deferred[dict[str, int]]:
        """Returns the eSCL port of each scanner that ever got one, by name."""

    def keep_escl_offer(offer: KeptOffer) -> Deferred[None]:
        """Writes what a scanner offers by eSCL; replaces its former offer. Beyond `MAX_KEPT` the oldest are deleted."""

    def forget_escl_offer(scanner: str) -> Deferred[None]:
        """Deletes what a scanner has offered by eSCL."""

    def escl_offers() -> Deferred[list[KeptOffer]]:
        """Returns what scanners have offered by eSCL, the oldest first."""

    def retry() -> Deferred[None]:
        """Tries a file again that could not be used; fires when done."""

    def warning() -> str | None:
        """Returns the problem with the store and what to do about it, as text for people; None if there is none."""

    def close() -> Deferred[None]:
        """Finishes pending writes and closes the store."""
