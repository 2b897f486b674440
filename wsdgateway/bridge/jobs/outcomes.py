"""Keeps the outcomes of status reads that returned no status, for all clients that ask for the same job.

WS-Scan, GetJobElements: a device that gives no status is asked no more often than one that does.
"""

from collections import OrderedDict

from wsdgateway.bridge.decisions import Outcome, Reply
from wsdgateway.scan.jobelements import JobElementsRequest

MAX_OUTCOMES = 1000
MAX_OUTCOME = 16384


class Outcomes:
    """The last outcome without a status of each job's read of JobStatus alone, kept for `lifetime` seconds."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self._kept: OrderedDict[str, tuple[float, Outcome]] = OrderedDict()

    def recent(self, job_id: str, now: float) -> Outcome | None:
        """The kept outcome for this job, if it is not older than `lifetime`."""
        known = self._kept.get(job_id)
        return known[1] if known is not None and now - known[0] < self.lifetime else None

    def is_kept(self, job_id: str, outcome: Outcome) -> bool:
        """Return whether this very outcome is kept for the job."""
        known = self._kept.get(job_id)
        return known is not None and known[1] is outcome

    def keep(self, wanted: JobElementsRequest | None, asked_at: float, outcome: Outcome) -> None:
        """Keep the outcome of a request sent at that time, if it asked for JobStatus alone and is not too large."""
        if wanted is None or not wanted.status_only:
            return
        while self._kept and asked_at - next(iter(self._kept.values()))[0] >= self.lifetime:
            self._kept.popitem(last=False)
        if isinstance(outcome, Reply) and len(outcome.body) > MAX_OUTCOME:
            return
        self._kept[wanted.job_id] = (asked_at, outcome)
        if len(self._kept) > MAX_OUTCOMES:
            self._kept.popitem(last=False)

    def drop(self, job_id: str) -> None:
        """Forget the outcome for a job about which more is known now."""
        self._kept.pop(job_id, None)

    def clear(self) -> None:
        """Forget all outcomes."""
        self._kept.clear()
