"""The gateway's own jobs that a former process has left: cancels those that run, and lists those of eSCL clients.

`bridge.scanjobs.ownjob` decides whether a job is cancelled. A scanner that cannot be asked for `LIMIT_SECONDS` has
ended the job itself by then.

The jobs that broke off are listed, and stay in the store, as long as finished ones are, so that their clients learn
that pages are missing, also if a third process answers them.
"""

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsdgateway.bridge.scanjobs.jobsteps import LISTED_SECONDS, MAX_LISTED
from wsdgateway.bridge.scanjobs.ownjob import OwnJob, is_still_active
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.store import IStore, StoreError

LIMIT_SECONDS = 120.0
PAUSE_SECONDS = 5.0


@attrs.frozen
class BrokenOff:
    """An eSCL job that broke off with a former process; `since` is when it was read, on the clock of the jobs."""

    id: str
    client: str
    since: float


class Leftovers:
    """The jobs of earlier starts at one scanner."""

    log = Logger()

    def __init__(self, reactor: Any, bridge: ScannerBridge, requests: JobRequests, store: IStore, *,
                 seconds: Callable[[], float]) -> None:
        self._reactor = reactor
        self._bridge = bridge
        self._requests = requests
        self._store = store
        self._seconds = seconds
        self._jobs: dict[str, OwnJob] = {}
        self._listed: dict[str, BrokenOff] = {}
        self._tasks = Tasks(f"{bridge.name}: ending a job of an earlier start failed")

    def end(self, jobs: Iterable[OwnJob]) -> None:
        """End these jobs in the background, and delete each from the store when it has ended."""
        now = self._seconds()
        for job in jobs:
            if job.id in self._jobs:
                continue
            self._jobs[job.id] = job
            if job.client and len(self._listed) < MAX_LISTED:
                self._listed[job.id] = BrokenOff(job.id, job.client, now)
            self._tasks.run(self._end(job))

    @property
    def jobs(self) -> list[OwnJob]:
        """The jobs that are still in the store."""
        return list(self._jobs.values())

    @property
    def listed(self) -> list[BrokenOff]:
        """The jobs of eSCL clients that broke off, oldest first."""
        return list(self._listed.values())

    def get(self, own_id: str) -> BrokenOff | None:
        """The listed job with that `id`."""
        return self._listed.get(own_id)

    def forget(self, own_id: str) -> None:
        """List the job no longer."""
        self._listed.pop(own_id, None)

    def stop(self) -> None:
        """Stop. Jobs that are still in the store are cancelled after the next start."""
        self._tasks.cancel()

    async def _end(self, job: OwnJob) -> None:
        if job.job_id is not None:
            await self._end_there(job, job.job_id)
        listed = self._listed.get(job.id)
        if listed is not None:
            await deferLater(self._reactor, max(0.0, listed.since + LISTED_SECONDS - self._seconds()))
            self.forget(job.id)
        del self._jobs[job.id]
        try:
            await self._store.end_job(job.scanner, job.id)
        except StoreError as error:
            self.log.debug("{scanner}: a job of an earlier start stays in the store: {error}", scanner=job.scanner,
                           error=str(error))

    async def _end_there(self, job: OwnJob, job_id: str) -> None:
        limit = self._seconds() + LIMIT_SECONDS
        while True:
            answer = await self._requests.look_up(job_id, "") if self._bridge.device is not None else None
            is_unknown = answer is None or (isinstance(answer, Refusal) and answer.unreachable)
            if not is_unknown or self._seconds() >= limit:
                break
            await deferLater(self._reactor, PAUSE_SECONDS)
        if not isinstance(answer, Refusal) and is_still_active(job, answer):
            self.log.info("{scanner}: canceling job {job_id}, which the gateway had created before it was killed",
                          scanner=job.scanner, job_id=job_id)
            await self._requests.cancel(job_id, "", lambda request: None)
