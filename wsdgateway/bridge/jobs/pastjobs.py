"""Keeps finished jobs of earlier boots of the scanner, and of earlier starts of the gateway.

WS-Scan, GetJobElements: scanners forget finished jobs, mostly when they restart. Such a job is never shown before the
scanner has been asked; it is only used if the scanner says that it does not know the job.
"""

from collections import OrderedDict
from math import inf

import attrs

from wsdgateway.bridge.jobs.job import Job


class PastJobs:
    """Past jobs of one scanner by JobId, at most `limit`; the oldest are dropped first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def adjust(self, limit: int) -> None:
        """Change the limit."""
        self._limit = limit
        self._trim()

    def add(self, job: Job) -> None:
        """Add a finished job in place of an earlier one with its JobId."""
        self._jobs.pop(job.job_id, None)
        self._jobs[job.job_id] = attrs.evolve(job, confirmed=-inf)
        self._trim()

    def _trim(self) -> None:
        while len(self._jobs) > self._limit:
            self._jobs.popitem(last=False)

    def get(self, job_id: str) -> Job | None:
        """The last job with this JobId."""
        return self._jobs.get(job_id)

    def drop(self, job_id: str) -> Job | None:
        """Remove and return the last job with this JobId, which another job has now."""
        return self._jobs.pop(job_id, None)

    def forgotten(self, job_id: str, now: float) -> None:
        """Record that the scanner says that it does not know this JobId; `now` in seconds."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._jobs[job_id] = attrs.evolve(job, confirmed=now)

    def readable(self, job_id: str, now: float, lifetime: float) -> Job | None:
        """The job, if the scanner said at most `lifetime` seconds ago that it does not know it."""
        job = self._jobs.get(job_id)
        return job if job is not None and now - job.confirmed <= lifetime else None
