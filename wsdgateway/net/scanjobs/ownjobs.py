"""The gateway's own scan jobs at one scanner, which eSCL clients and destinations share."""

from collections.abc import Callable, Iterable

from wsdgateway.bridge.scanjobs.ownjob import OwnJob
from wsdgateway.bridge.scanjobs.room import Room
from wsdgateway.bridge.scanjobs.scanjob import ScanJob
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.net.context import Context
from wsdgateway.net.scanjobs.execution import ScanJobExecution
from wsdgateway.net.scanjobs.jobrequests import JobRequests
from wsdgateway.net.scanjobs.leftovers import Leftovers
from wsdgateway.storage.spool import Spool


class OwnJobs:
    """The jobs of this start, made with `execute`, and those that earlier starts have left at the scanner."""

    def __init__(self, context: Context, bridge: ScannerBridge, requests: JobRequests) -> None:
        self._context = context
        self._bridge = bridge
        self._requests = requests
        self.leftovers = Leftovers(context.reactor, bridge, requests, context.store, seconds=context.seconds)
        self.execution: ScanJobExecution | None = None

    def execute(self, spool: Spool, room: Room, new_job_id: Callable[[], str]) -> ScanJobExecution:
        """Return the execution of the jobs, the same for all callers.

        `room` is the room in the `spool`, which scanners share; `new_job_id` makes names that cannot be guessed.
        """
        if self.execution is None:
            context = self._context
            self.execution = ScanJobExecution(
                context.reactor, self._bridge, self._requests, context.store, context.quotas, spool, room,
                seconds=context.seconds, wall=context.wall, new_job_id=new_job_id)
        return self.execution

    @property
    def listed(self) -> list[ScanJob]:
        """The jobs of this start, oldest first, the finished ones of the last minutes included."""
        return [] if self.execution is None else self.execution.jobs

    def end_leftovers(self, jobs: Iterable[OwnJob]) -> None:
        """End the jobs of an earlier start that may still run at the scanner, and list those that broke off."""
        self.leftovers.end(jobs)

    def succeed(self, former: "OwnJobs") -> None:
        """List the jobs of an object that this one replaces: they break off with it, unless they end before."""
        former.stop_leftovers()
        self.leftovers.end(former.leftovers.jobs)
        if former.execution is not None:
            self.leftovers.end(OwnJob(self._bridge.name, job.id, client=job.order.client)
                               for job in former.listed if job.order.client and not job.settled)
            former.execution.on_settled = self.leftovers.forget

    def stop_leftovers(self) -> None:
        """Leave the jobs of earlier starts to the next one."""
        self.leftovers.stop()

    async def ended(self) -> None:
        """Wait until every job of this start has ended, at the scanner and for its client; may be cancelled."""
        if self.execution is not None:
            await self.execution.ended()

    async def break_off(self) -> None:
        """Cancel the jobs of this start that still run, and wait a moment for clients to fetch their complete pages."""
        if self.execution is not None and self.execution.is_running:
            await self.execution.break_off()

    async def stop(self) -> None:
        """Cancel the jobs of this start."""
        if self.execution is not None:
            await self.execution.stop()
