"""Describes the jobs of the scanners for the admin site: those of this start, and finished ones of earlier starts."""

from collections.abc import Callable
from heapq import nlargest
from math import inf
from operator import itemgetter
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from wsdgateway.admin.cluster import time_text
from wsdgateway.bridge.jobs.job import Job
from wsdgateway.bridge.jobs.precedence import is_same_end
from wsdgateway.exchangelog.entry import timestamp
from wsdgateway.net.bridgedscanner import BridgedScanner
from wsdgateway.scan.jobstatus import JobStatus


@attrs.frozen
class JobList:
    """The jobs of `scanners`. `stored`, `wall` and `seconds` are those of the `Overview`."""

    scanners: list[BridgedScanner]
    stored: Callable[[str, int | None], Deferred[list[Any]]]
    wall: Callable[[], float]
    seconds: Callable[[], float]

    async def describe(self, *, scanner: str = "", most: int | None = None) -> list[dict[str, Any]]:
        """Describe each job of this start, and each finished job of earlier starts.

        Jobs are sorted by the time at which they began or, for those of earlier starts, ended, as far as it is known.
        With `scanner` only its jobs are described, with `most` only the last ones.
        """
        if most is not None:
            latest = self._latest(scanner, most)
            if len(latest) == most:
                return latest
        described: list[dict[str, Any]] = []
        for one in self.scanners:
            if scanner in ("", one.name):
                described.extend(await self._jobs(one, most))
        ordered = sorted(described, key=_moment)
        return ordered if most is None else ordered[-most:]

    def _latest(self, scanner: str, most: int) -> list[dict[str, Any]]:
        """Describe the last jobs that began during this start, without reading the store."""
        begun = ((job.timeline[0][0] if job.timeline else inf, one, job)
                 for one in self.scanners if scanner in ("", one.name)
                 for job in one.bridge.table.jobs() if job.timeline or not job.final)
        latest = nlargest(most, begun, key=itemgetter(0))
        return [self._job(one, job) for _, one, job in reversed(latest)]

    async def _jobs(self, scanner: BridgedScanner, most: int | None) -> list[dict[str, Any]]:
        """Describe the jobs of a scanner; with `most`, not all of the earlier ones."""
        current = scanner.bridge.table.jobs()
        known: dict[str, list[JobStatus]] = {}
        for one in current:
            if one.status is not None:
                known.setdefault(one.job_id, []).append(one.status)
        # Those of this start are among them.
        stored = await self.stored(scanner.name, None if most is None else most + len(current))
        earlier = [{
            "scanner": job.scanner, "job_id": job.job_id, "state": job.state, "reasons": list(job.reasons),
            "scans_completed": job.scans_completed, "created": job.created, "completed": job.completed,
            "final": True, "lost": False, "closing": False, "finished": time_text(job.finished), "timeline": []}
            for job in stored if not _is_among(job.status, known.get(job.job_id, []))]
        return [*earlier, *(self._job(scanner, job) for job in current)]

    def _job(self, scanner: BridgedScanner, job: Job) -> dict[str, Any]:
        """Describe one job.

        `state` is None until it is known. `lost` is true if the scanner restarted before the job ended. `closing` is
        true if the job gives no more images and nobody has asked for its end. `timeline` has the states that became
        known during this start of the gateway, each with its time.
        """
        since_1970 = self.wall() - self.seconds()
        status = job.status or JobStatus(job.job_id, "")
        return {"scanner": scanner.name, "job_id": job.job_id, "state": status.state or None,
                "reasons": list(status.reasons), "scans_completed": status.scans_completed, "created": status.created,
                "completed": status.completed, "final": job.final, "lost": scanner.bridge.table.is_lost(job),
                "closing": job.closing, "finished": None,
                "timeline": [{"time": timestamp(since_1970 + at), "state": state} for at, state in job.timeline]}


def _is_among(stored: JobStatus, known: list[JobStatus]) -> bool:
    """True if a job from the store is one of `known`, the jobs of this start with the same JobId."""
    return any((one.created, one.completed) == (stored.created, stored.completed) or is_same_end(one, stored)
               for one in known)


def _moment(job: dict[str, Any]) -> str:
    """The sort key of a job; a job without any known time comes last."""
    return str(job["timeline"][0]["time"] if job["timeline"] else job["finished"] or "~")
