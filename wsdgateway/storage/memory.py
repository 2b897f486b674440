"""A store in memory that ends with the process: for `memory:`, and as the desired content of a file."""

from collections import deque

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.defer import succeed as done
from zope.interface import implementer

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.subscriptions import Subscription
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.bridge.frontends.escl.keptoffer import MAX_KEPT, KeptOffer
from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.storage.store import Content, FinishedJob, IStore

_NOTHING = Content()


@implementer(IStore)
class MemoryStore:
    """A store that starts with `content` and keeps `history` finished jobs of each scanner.

    `first_version` is the MetadataVersion of a stand-in that is not in `content`.
    """

    def __init__(self, history: int, content: Content = _NOTHING, first_version: int = 1) -> None:
        self.history = history
        self._first_version = first_version
        self._jobs: dict[str, deque[FinishedJob]] = {}
        self._subscriptions: dict[str, Subscription]
        self._held: dict[tuple[str, str], Held]
        self._versions: dict[str, tuple[str, int]]
        self._adopted: dict[str, Adopted]
        self._own_jobs: dict[tuple[str, str], OwnJob]
        self._escl_ports: dict[str, int]
        self._escl_offers: dict[str, KeptOffer]
        self._instance: int | None
        self.list_instead(content)

    @property
    def content(self) -> Content:
        """Everything except the finished jobs."""
        return Content(
            tuple(self._subscriptions.values()), tuple(self._held.values()), tuple(self._adopted.values()),
            tuple((endpoint, *known) for endpoint, known in self._versions.items()), self._instance,
            tuple(self._own_jobs.values()), tuple(self._escl_ports.items()),
            tuple(self._escl_offers.values()))

    def list_instead(self, content: Content) -> None:
        """Replaces everything except the finished jobs."""
        self._subscriptions = {one.identifier: one for one in content.subscriptions}
        self._held = {(one.scanner, one.identifier): one for one in content.held}
        self._versions = {endpoint: (digest, version) for endpoint, digest, version in content.versions}
        self._adopted = {one.uuid: one for one in content.adopted}
        self._instance = content.instance
        self._own_jobs = {(one.scanner, one.id): one for one in content.own_jobs}
        self._escl_ports = dict(content.escl_ports)
        self._escl_offers = {one.scanner: one for one in content.escl_offers}

    def take_jobs(self) -> list[FinishedJob]:
        """Removes and returns the finished jobs, each scanner's oldest first."""
        jobs, self._jobs = self._jobs, {}
        return [job for kept in jobs.values() for job in kept]

    def add(self, job: FinishedJob) -> Deferred[None]:
        self._jobs.setdefault(job.scanner, deque(maxlen=self.history)).append(job)
        return done(None)

    def limit(self, history: int) -> Deferred[None]:
        self.history = history
        self._jobs = {scanner: deque(kept, history) for scanner, kept in self._jobs.items()}
        return done(None)

    def supersede(self, scanner: str, job_id: str) -> Deferred[None]:
        kept = self._jobs.get(scanner, deque())
        self._jobs[scanner] = deque(
            (attrs.evolve(job, superseded=True) if job.job_id == job_id else job for job in kept), self.history)
        return done(None)

    def finished(self, scanner: str, most: int | None = None) -> Deferred[list[FinishedJob]]:
        kept = list(self._jobs.get(scanner, ()))
        return done(kept if most is None else kept[max(0, len(kept) - most):])

    def save(self, subscription: Subscription, held: Held | None = None) -> Deferred[None]:
        self._subscriptions[subscription.identifier] = subscription
        return done(None) if held is None else self.hold(held)

    def succeed(self, heir: Subscription, held: Held | None, former: str, left: Subscription | None) -> Deferred[None]:
        self._held.pop((heir.scanner, former), None)
        self._subscriptions.pop(former, None)
        if left is not None:
            self._subscriptions[former] = left
        return self.save(heir, held)

    def forget(self, identifier: str) -> Deferred[None]:
        self._subscriptions.pop(identifier, None)
        return done(None)

    def subscriptions(self) -> Deferred[list[Subscription]]:
        return done(list(self._subscriptions.values()))

    def hold(self, held: Held) -> Deferred[None]:
        self._held[held.scanner, held.identifier] = held
        return done(None)

    def release(self, scanner: str, identifier: str, notify_to: str) -> Deferred[None]:
        held = self._held.get((scanner, identifier))
        if held is not None and held.notify_to == notify_to:
            del self._held[scanner, identifier]
        return done(None)

    def held(self) -> Deferred[list[Held]]:
        return done(list(self._held.values()))

    def next_instance(self, now: int) -> Deferred[int]:
        self._instance = now if self._instance is None else max(now, self._instance + 1)
        return done(self._instance)

    def metadata_version(self, endpoint: str, digest: str) -> Deferred[int]:
        former, version = self._versions.get(endpoint, ("", self._first_version - 1))
        if former != digest:
            self._versions[endpoint] = (digest, version + 1)
        return done(self._versions[endpoint][1])

    def adopt(self, adopted: Adopted) -> Deferred[None]:
        if any(one.name == adopted.name and one.uuid != adopted.uuid for one in self._adopted.values()):
            return fail(ValueError(f"the name {adopted.name} is in use"))
        self._adopted[adopted.uuid] = adopted
        return done(None)

    def abandon(self, uuid: str) -> Deferred[None]:
        self._adopted.pop(uuid, None)
        return done(None)

    def adopted(self) -> Deferred[list[Adopted]]:
        return done(list(self._adopted.values()))

    def begin_job(self, job: OwnJob) -> Deferred[None]:
        self._own_jobs[job.scanner, job.id] = job
        return done(None)

    def end_job(self, scanner: str, own_id: str) -> Deferred[None]:
        self._own_jobs.pop((scanner, own_id), None)
        return done(None)

    def own_jobs(self) -> Deferred[list[OwnJob]]:
        return done(list(self._own_jobs.values()))

    def keep_escl_port(self, scanner: str, port: int, former: int | None = None,
                       loser: str | None = None) -> Deferred[bool]:
        self._escl_ports = {name: one for name, one in self._escl_ports.items() if one != port} | {scanner: port}
        return done(True)

    def escl_ports(self) -> Deferred[dict[str, int]]:
        return done(dict(self._escl_ports))

    def keep_escl_offer(self, offer: KeptOffer) -> Deferred[None]:
        self._escl_offers.pop(offer.scanner, None)
        self._escl_offers[offer.scanner] = offer
        if len(self._escl_offers) > MAX_KEPT:
            del self._escl_offers[next(iter(self._escl_offers))]
        return done(None)

    def forget_escl_offer(self, scanner: str) -> Deferred[None]:
        self._escl_offers.pop(scanner, None)
        return done(None)

    def escl_offers(self) -> Deferred[list[KeptOffer]]:
        return done(list(self._escl_offers.values()))

    def retry(self) -> Deferred[None]:
        return done(None)

    def warning(self) -> str | None:
        return None

    def close(self) -> Deferred[None]:
        return done(None)
