"""The eSCL jobs of one scanner: what their clients have asked for, beside the jobs of the engine."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.threads import deferToThreadPool

from wsdgateway.bridge.access.permission import plain_address
from wsdgateway.bridge.escljobs import broken_off_job, client_job
from wsdgateway.bridge.frontends.escl.status import ClientJob
from wsdgateway.bridge.frontends.escl.tickets import PlannedJob
from wsdgateway.bridge.scanjobs.scanjob import Order, Page, Phase, ScanJob
from wsdgateway.net.scanjobs.execution import ScanJobExecution
from wsdgateway.net.scanjobs.leftovers import Leftovers
from wsdgateway.storage.spool import SpoolFile

# From the request for ScanJobs to its answer, if the scanner has not created the job before. NAPS2 waits for 10 s.
CREATE_SECONDS = 8.0
MAX_REFUSED = 1000  # clients whose job was refused because of an empty feeder
MAX_ASKING = 4  # requests for the next page of one job at once; one is answered after the other
_CREATING = frozenset((Phase.QUEUED, Phase.CREATING, Phase.BUSY))


@attrs.define(eq=False)
class EsclJob:
    """A job for its client: the media type that it gets, the resolution and the lines of a page as far as known.

    `info` is the size of the page that was fetched last, which `sizing` finds out. `converted` is a page in the
    client's media type, which is made by `converting`.
    """

    job: ScanJob
    media: str
    dots: int
    lines: int
    turns: DeferredLock = attrs.field(factory=DeferredLock)
    info: tuple[int, int, int] | None = None
    sizing: Deferred[Any] | None = None
    number: int = 0
    converted: tuple[Page, SpoolFile] | None = None
    converting: Deferred[None] | None = None

    @property
    def is_crowded(self) -> bool:
        """True if as many requests for its next page wait as may."""
        return len(self.turns.waiting) >= MAX_ASKING - 1


class EsclJobs:
    """The jobs of all clients at one scanner."""

    def __init__(self, reactor: Any, execution: ScanJobExecution, leftovers: Leftovers,
                 seconds: Callable[[], float]) -> None:
        self._reactor = reactor
        self.execution = execution
        self._leftovers = leftovers
        self._seconds = seconds
        self._known: dict[str, EsclJob] = {}
        self._empty: OrderedDict[str, float] = OrderedDict()
        execution.on_discarded = self._page_discarded

    def submit(self, planned: PlannedJob, client: str, *, feeder: bool, images: int) -> EsclJob:
        """Add a job. `images` is the number of pages, 0 for all. Raises `NotAdmitted`."""
        self._forget_old()
        parameters = planned.parameters
        dots = parameters.resolution or 300
        job = self.execution.submit(Order(
            planned.tickets, images, feeder, client, planned.tickets[0].job_name))
        height = 0 if parameters.size is None else parameters.size[1] * dots // 1000
        found = self._known[job.id] = EsclJob(job, planned.media_type, dots, height)
        return found

    def get(self, job_id: str) -> EsclJob | None:
        """The job with that id; None if it is unknown, or not listed any more."""
        found = self._known.get(job_id)
        return found if found is not None and self.execution.get(job_id) is found.job else None

    def of(self, client: str, root: str) -> tuple[ClientJob, ...]:
        """The jobs of a client, the newest first. `root` is the path of the service, as the client has used it."""
        address, now = plain_address(client), self._seconds()
        found = [one.job for one in self._known.values() if self.execution.get(one.job.id) is one.job
                 and plain_address(one.job.order.client) == address]
        broken_off = [one for one in self._leftovers.listed if plain_address(one.client) == address]
        return (*(client_job(job, f"{root}/ScanJobs/{job.id}", now) for job in reversed(found)),
                *(broken_off_job(f"{root}/ScanJobs/{one.id}", one.id, now - one.since) for one in reversed(broken_off)))

    def has_broken_off(self, job_id: str) -> bool:
        """True if that is a job which broke off with a former process, some minutes ago at most."""
        return self._leftovers.get(job_id) is not None

    def now(self) -> float:
        """The time on the clock of the jobs, in seconds."""
        return self._seconds()

    async def created(self, one: EsclJob, limit: float) -> None:
        """Wait until the scanner has created the job or refused it, or its turn comes later, or until `limit`."""
        while one.job.phase in _CREATING and not one.job.waited and one.job.end is None:
            if not await self.change(one, limit - self._seconds()):
                return

    async def promise(self, one: EsclJob) -> None:
        """Have the job stored before its client learns its address."""
        await self.execution.promise(one.job)

    async def change(self, one: EsclJob, seconds: float, waiting: Callable[[Deferred[None]], None] = lambda _: None
                     ) -> bool:
        """Wait for the next change of the job. Returns False if there was none for so many seconds.

        `waiting` is called with the Deferred that is waited for, which may be cancelled.
        """
        if seconds <= 0:
            return False
        changed = self.execution.changed(one.job)
        waiting(changed)
        try:
            await changed.addTimeout(seconds, self._reactor)
        except TimedOut:
            return False
        return True

    def refuse(self, one: EsclJob, *, empty: bool) -> None:
        """Forget a job that was never created, and whose client has been told so; `empty`: because of the feeder."""
        self._known.pop(one.job.id, None)
        if empty:
            self._empty[one.job.order.client] = self._seconds()
            self._empty.move_to_end(one.job.order.client)
            if len(self._empty) > MAX_REFUSED:
                self._empty.popitem(last=False)

    def refused_age(self, client: str) -> float | None:
        """The seconds since a job of the client was refused because of an empty feeder; None if none was."""
        at = self._empty.get(client)
        return None if at is None else self._seconds() - at

    def cancel(self, one: EsclJob) -> None:
        """Cancel the job as its client wants, or discard the pages of one that has ended."""
        self.execution.cancel(one.job)

    def _page_discarded(self, page: Page) -> None:
        for one in self._known.values():
            if one.converted is not None and one.converted[0] is page:
                self.discard_converted(one)

    def discard_converted(self, one: EsclJob) -> None:
        """Delete the converted page, if there is one, and end its conversion."""
        if one.converted is not None:
            file, one.converted = one.converted[1], None
            if one.converting is not None:
                one.converting.cancel()
            deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _delete, file.path)

    def _forget_old(self) -> None:
        for job_id, one in list(self._known.items()):
            if self.execution.get(job_id) is not one.job:
                del self._known[job_id]

    def close(self) -> None:
        """Delete the pages that were converted; the jobs must be stopped after that."""
        for one in self._known.values():
            self.discard_converted(one)


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
