"""Retrieves the image of a scan job, and sends a CancelJob that overtakes it.

WS-Scan, RetrieveImage, CancelJob. CancelJob has a connection of its own. A scanner with a single connection answers it
only when that is free, so the image is ended if no answer comes.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.bridge.scanjobs.scanjob import Refusal, ScanJob
from wsdgateway.net.scanjobs.jobrequests import Image, JobRequests, Sink
from wsdgateway.net.scanners.request import ScannerRequest

CANCEL_TRIES = 2
CANCEL_SECONDS = 5.0  # for the answer to CancelJob, after which an image that is arriving is ended


@attrs.define(eq=False)
class _Transfer:
    """The image that is being retrieved; `over` fires when no more of it will arrive."""

    job: ScanJob
    request: ScannerRequest | None = None
    over: Deferred[None] = attrs.field(factory=Deferred)


class Transfers:
    """The image that one scanner is sending, and the CancelJobs to it."""

    def __init__(self, reactor: Any, requests: JobRequests) -> None:
        self._reactor = reactor
        self._requests = requests
        self._current: _Transfer | None = None
        self._canceling: dict[ScanJob, ScannerRequest | None] = {}

    async def retrieve(self, job: ScanJob, number: int, sink: Sink) -> Image | Refusal:
        """Retrieve the job's next image, its page of that number."""
        assert job.created is not None
        transfer = self._current = _Transfer(job)

        def began(request: ScannerRequest) -> None:
            transfer.request = request

        try:
            return await self._requests.retrieve(job.created, number, job.order.client, sink, began)
        finally:
            self._current = None
            transfer.over.callback(None)

    async def cancel(self, job: ScanJob, is_over: Callable[[], bool]) -> None:
        """Cancel the job; at the end, no image of it is arriving. Nothing is sent if the job `is_over` already."""
        self._canceling[job] = None
        for _ in range(CANCEL_TRIES):
            if is_over() or job not in self._canceling:
                break
            refusal = await self._send(job)
            # One that reached the scanner may have been carried out; another would be for a job that it does not know.
            if refusal is None or not refusal.unreachable or refusal.lost:
                break
            await self._end(job)
        await self._end(job)
        self._canceling.pop(job, None)

    def withdraw(self, job: ScanJob) -> None:
        """Send no CancelJob for the job, unless it has been sent."""
        request = self._canceling.pop(job, None)
        if request is not None and not request.sent:
            self._requests.abandon(request)

    async def _send(self, job: ScanJob) -> Refusal | None:
        assert job.created is not None

        def began(request: ScannerRequest) -> None:
            self._canceling[job] = request

        patience = self._reactor.callLater(CANCEL_SECONDS, self._abandon, job)
        try:
            return await self._requests.cancel(job.created.job_id, job.order.client, began)
        finally:
            if patience.active():
                patience.cancel()

    def _abandon(self, job: ScanJob) -> None:
        transfer = self._current
        if transfer is not None and transfer.job is job and transfer.request is not None:
            self._requests.abandon(transfer.request)

    async def _end(self, job: ScanJob) -> None:
        """End the image of the job that is arriving, if there is one, and wait for its end."""
        transfer = self._current
        if transfer is not None and transfer.job is job:
            over: Deferred[None] = Deferred()
            transfer.over.chainDeferred(over)
            self._abandon(job)
            await over
