"""Stores JobIds that a scanner has assigned again, before the CreateScanJob that received one is answered.

If the process were killed in between, the finished job that had the JobId before would be taken for the new one.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsdgateway.storage.failedwrites import log_failed_write

STORE_SECONDS = 5.0  # that an answer waits for the store


class ReusedJobIds:
    """The reused JobIds of one scanner. `write` stores one; the store performs its writes in order."""

    log = Logger()

    def __init__(self, reactor: Any, scanner: str, write: Callable[[str, str], Deferred[None]]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._write = write
        self._last: Deferred[None] | None = None

    def note(self, job_id: str) -> None:
        """Store that the scanner has assigned this JobId to another job. A failure or time-out is logged."""
        writing = self._last = self._write(self._scanner, job_id)
        writing.addTimeout(STORE_SECONDS, self._reactor)
        writing.addErrback(lambda failure: log_failed_write(
            self.log, failure, "{scanner}: storing that the scanner has reused JobId {job_id} failed",
            scanner=self._scanner, job_id=job_id))
        writing.addBoth(lambda _: self._written(writing))

    def _written(self, writing: Deferred[None]) -> None:
        if self._last is writing:
            self._last = None

    async def written(self) -> None:
        """Wait until all of them are stored, for at most `STORE_SECONDS`."""
        if self._last is not None:
            await self._last
