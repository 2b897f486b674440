"""The store of one of several gateways on a Redis server.

Memory holds the content of the scanners that this gateway owns, from `take` to `drop`, so that no read of a status and
no event waits for the server. Each write of a scanner's data is fenced: the server refuses it once another gateway owns
the scanner. While the server is away, writes change memory alone; when it answers again, the whole content of each
scanner that was changed is written. Data that all gateways share is in `storage.redis.shared`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held, LeftBehind
from wsdgateway.bridge.frontends.escl.keptoffer import MAX_KEPT, KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.coordination import Fenced
from wsdgateway.storage.redis.client import RedisClient
from wsdgateway.storage.redis.finishedjobs import FinishedJobs
from wsdgateway.storage.redis.owned import OwnedScanners
from wsdgateway.storage.redis.scannerdata import ScannerData
from wsdgateway.storage.store import Content, FinishedJob, IStore


@implementer(IStore)
class RedisStore:
    """The store of the gateway that is registered as `identifier`.

    `leases` has the tokens of its ownerships. `history` is the number of finished jobs kept for each scanner; `wall`
    returns seconds since 1970. `offset` is the server's time minus that, in seconds, and `era` the number of its era,
    None if that is not known; each tick sets them. `on_fenced` is called with the name of a scanner when the server has
    refused a write because another gateway owns it.

    Deferreds of writes fail with `Fenced`, and then nothing was written. They fire without the server having the value
    while it is away, as `warning` says, and while the gateway goes on alone with a scanner. A new subscription is the
    exception: a client must not hear of one that is lost with this gateway, so its write fails with `NotNow`.
    """

    def __init__(self, reactor: Any, client: RedisClient, leases: Leases, identifier: str, history: int,
                 wall: Callable[[], float]) -> None:
        self._owned = OwnedScanners(reactor, client, leases, identifier, history, wall)
        self._shared = self._owned.shared
        self._jobs = FinishedJobs(self._owned)

    @property
    def offset(self) -> float:
        return self._owned.offset

    @offset.setter
    def offset(self, seconds: float) -> None:
        self._owned.offset = seconds

    @property
    def era(self) -> int | None:
        return self._owned.era

    @era.setter
    def era(self, number: int) -> None:
        self._owned.era = number

    @property
    def on_fenced(self) -> Callable[[str], None]:
        return self._owned.on_fenced

    @on_fenced.setter
    def on_fenced(self, on_fenced: Callable[[str], None]) -> None:
        self._owned.on_fenced = on_fenced

    def set_on_return(self, on_return: Callable[[], None]) -> None:
        """Sets the function that is called when the server is used again."""
        self._owned.outage.on_return = on_return

    # The scanners that this gateway owns.

    def take(self, scanner: str) -> Deferred[Content]:
        """Reads the data of a scanner that this gateway has begun to own; from then on memory holds it.

        Fails with `NotNow`, or with `Unreadable` if a value is damaged or from a newer version: then the scanner starts
        with nothing, its data in Redis stays unchanged, and `warning` says so.
        """
        return Deferred.fromCoroutine(self._owned.take(scanner))

    def take_nothing(self, scanner: str) -> None:
        """Keeps the data of a scanner in memory only, from nothing on.

        For a gateway that serves it alone without having owned it: its former owner's data in Redis is not known.
        """
        self._owned.take_nothing(scanner)

    def drop(self, scanner: str) -> None:
        """Forgets the data of a scanner that this gateway no longer owns; the server keeps it for the next owner."""
        self._owned.drop(scanner)

    def flush(self, scanner: str) -> Deferred[None]:
        """Fires when the writes for a scanner that are on their way have been answered, before it is released."""
        return self._owned.flush(scanner)

    def left_behind(self, scanner: str) -> list[LeftBehind]:
        """Returns what a scanner holds for this gateway, which stops bridging it, as memory has it before `drop`."""
        return self._owned.left_behind(scanner)

    def unlisted(self, scanner: str, left: Sequence[LeftBehind]) -> Deferred[list[Held]]:
        """Returns those that no gateway will end or renew, because the server has never listed them, or lost them.

        What the server has listed in its present era is the next owner's, which may have ended it already. Fails with
        `NotNow`.
        """
        return self._owned.unlisted(scanner, left)

    def rewrite(self, scanner: str) -> Deferred[None]:
        """Writes the whole data of a scanner, and what all gateways share.

        For a gateway that has acquired again a scanner that it has not stopped to serve, alone or over the beginning of
        a new era: the server may have lost its data, and memory is newer. Fires when done, or when the server is away.
        """
        return self._owned.rewrite(scanner)

    def remove(self, scanner: str) -> Deferred[None]:
        """Deletes everything of an owned scanner that no gateway is configured for, and forgets it."""
        return self._owned.remove(scanner)

    def scanners(self) -> Deferred[list[str]]:
        """Returns the names of all scanners with subscriptions or with jobs of a gateway's own, whoever owns them.

        One that no registered gateway is configured for must be acquired and taken by any gateway, which ends what is
        left at the scanner.
        """
        return self._owned.names()

    # Finished jobs.

    def add(self, job: FinishedJob) -> Deferred[None]:
        return self._jobs.add(job)

    def limit(self, history: int) -> Deferred[None]:
        return self._jobs.limit(history)

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        return self._jobs.supersede(scanner, job_id)

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        return self._jobs.finished(scanner, most)

    # Subscriptions, jobs of the gateway's own, eSCL offers.

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        data = self._owned.of(subscription.scanner)
        if data.has(subscription.identifier):
            return self._owned.write(data, data.save(subscription, held, self.offset), held)
        commands = data.save(subscription, held, self.offset)
        return self._owned.write_at_once(data, commands, held, lambda: data.forget(subscription.identifier))

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        data = self._owned.of(heir.scanner)
        undo = data.before_succession(heir.identifier, former)
        return self._owned.write_at_once(data, data.succeed(heir, held, former, left, self.offset), held, undo)

    def forget(self, identifier: str) -> Deferred[None]:
        data = next((one for one in self._owned if one.has(identifier)), None)
        return succeed(None) if data is None else self._owned.write(data, data.forget(identifier))

    def hold(self, held: Held) -> Deferred[None]:
        data = self._owned.of(held.scanner)
        return self._owned.write(data, data.hold(held, self.offset), held)

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        data = self._owned.of(scanner)
        return self._owned.write(data, data.release(identifier, notify_to))

    def begin_job(self, job: OwnJob) -> Deferred[None]:
        data = self._owned.of(job.scanner)
        return self._owned.write(data, data.begin_job(job))

    def end_job(self, scanner: str, own_id: str) -> Deferred[None]:
        data = self._owned.of(scanner)
        return self._owned.write(data, data.end_job(own_id))

    def keep_escl_offer(self, offer: KeptOffer) -> Deferred[None]:
        data = self._owned.of(offer.scanner)
        keeping = self._owned.write(data, data.keep_escl_offer(offer))
        kept = self._offering()
        if len(kept) > MAX_KEPT:
            self.forget_escl_offer(kept[0].scanner).addErrback(lambda failure: failure.trap(Fenced) and None)
        return keeping

    def forget_escl_offer(self, scanner: str) -> Deferred[None]:
        data = self._owned.of(scanner)
        return self._owned.write(data, data.forget_escl_offer())

    def _offering(self) -> list[ScannerData]:
        """The scanners with an eSCL offer, that with the oldest offer first."""
        return sorted((data for data in self._owned if data.content.escl_offers),
                      key=lambda data: data.offer_number)

    def subscriptions(self) -> Deferred[list[Subscription]]:
        return succeed([one for data in self._owned for one in data.content.subscriptions])

    def held(self) -> Deferred[list[Held]]:
        return succeed([one for data in self._owned for one in data.content.held])

    def own_jobs(self) -> Deferred[list[OwnJob]]:
        return succeed([one for data in self._owned for one in data.content.own_jobs])

    def escl_offers(self) -> Deferred[list[KeptOffer]]:
        return succeed([one for data in self._offering() for one in data.content.escl_offers])

    # Data that all gateways share.

    def next_instance(self, now: int) -> Deferred[int]:
        return Deferred.fromCoroutine(self._shared.next_instance(now))

    def draw_instance(self, now: int) -> Deferred[int]:
        """Like `next_instance`, but fails with `NotNow` while the server is away: other gateways draw there, too."""
        return Deferred.fromCoroutine(self._shared.draw_instance(now))

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        return Deferred.fromCoroutine(self._shared.metadata_version(endpoint, digest))

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        return Deferred.fromCoroutine(self._shared.adopt(adopted))

    def abandon(self, uuid: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._shared.abandon(uuid))

    def adopted(self) -> Deferred[list[Adopted]]:
        return Deferred.fromCoroutine(self._shared.adopted())

    def keep_escl_port(self, scanner: str, port: int, former: int | None = None,
                       loser: str | None = None) -> Deferred[bool]:
        return Deferred.fromCoroutine(self._shared.keep_escl_port(scanner, port, former, loser))

    def escl_ports(self) -> Deferred[dict[str, int]]:
        return Deferred.fromCoroutine(self._shared.escl_ports())

    # The server.

    def retry(self) -> Deferred[None]:
        return self._owned.outage.retry() if self._owned.is_waiting() else succeed(None)

    def warning(self) -> str | None:
        return self._owned.warning()

    def close(self) -> Deferred[None]:
        """Finishes pending writes, tries once more to write what waits, and stops. It does not close the client."""
        return Deferred.fromCoroutine(self._owned.close())
