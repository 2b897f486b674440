"""Writes down JobIds that a scanner has given again, and lets a CreateScanJob's answer wait until that is done.

A kill of the process between the two would let the finished job that had the JobId before pass for the new one.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

STORE_SECONDS = 5.0  # for which an answer waits


class ReusedJobIds:
    """JobIds of one scanner. `write` gives one to the store, which does one write after the other."""

    log = Logger()

    def __init__(self, reactor: Any, scanner: str, write: Callable[[str, str], Deferred[None]]) -> None:
        self._reactor = reactor
        self._scanner = scanner
        self._write = write
        self._last: Deferred[None] | None = None

    def note(self, job_id: str) -> None:
        """The scanner has given this JobId to another job. What the store can't write, or not in time, is logged."""
        writing = self._last = self._write(self._scanner, job_id)
        writing.addTimeout(STORE_SECONDS, self._reactor)
        writing.addErrback(lambda failure: self.log.failure(
            "{scanner}: the store does not keep that JobId {job_id} was given again", failure, scanner=self._scanner,
            job_id=job_id))
        writing.addBoth(lambda _: self._written(writing))

    def _written(self, writing: Deferred[None]) -> None:
        if self._last is writing:
            self._last = None

    async def written(self) -> None:
        """Wait until the store has written all of them, `STORE_SECONDS` at most."""
        if self._last is not None:
            await self._last
