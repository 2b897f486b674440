"""Cancels the gateway's own jobs that a crash has left running at a scanner.

`bridge.scanjobs.ownjob` decides whether a job is cancelled. A scanner that cannot be asked for `LIMIT_SECONDS` has
ended the job itself by then.
"""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsdgateway.bridge.scanjobs.ownjob import OwnJob, is_still_active
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.transport.tasks import Tasks
from wsdgateway.storage.store import IStore, StoreError

LIMIT_SECONDS = 120.0
PAUSE_SECONDS = 5.0


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
        self._tasks = Tasks(f"{bridge.name}: ending a job of an earlier start failed")

    def end(self, jobs: Iterable[OwnJob]) -> None:
        """End these jobs in the background, and delete each from the store when it has ended."""
        for job in jobs:
            self._tasks.run(self._end(job))

    def stop(self) -> None:
        """Stop; what is left in the store is for the next start."""
        self._tasks.cancel()

    async def _end(self, job: OwnJob) -> None:
        limit = self._seconds() + LIMIT_SECONDS
        while True:
            answer = await self._requests.look_up(job.job_id, "") if self._bridge.device is not None else None
            is_unknown = answer is None or (isinstance(answer, Refusal) and answer.unreachable)
            if not is_unknown or self._seconds() >= limit:
                break
            await deferLater(self._reactor, PAUSE_SECONDS)
        if not isinstance(answer, Refusal) and is_still_active(job, answer):
            self.log.info("{scanner}: canceling job {job_id}, which the gateway had created before it was killed",
                          scanner=job.scanner, job_id=job.job_id)
            await self._requests.cancel(job.job_id, "", lambda request: None)
        try:
            await self._store.end_job(job.scanner, job.job_id)
        except StoreError as error:
            self.log.debug("{scanner}: job {job_id} stays in the store: {error}", scanner=job.scanner,
                           job_id=job.job_id, error=str(error))
