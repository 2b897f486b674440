"""Reads of a status that came to nothing, shared for a while by everybody who asks for the same job.

WS-Scan, GetJobElements: a device that has no answer is asked no more often for that.
"""

from collections import OrderedDict

from wsdgateway.bridge.decisions import Outcome, Reply
from wsdgateway.scan.jobelements import JobElementsRequest

MAX_OUTCOMES = 1000
MAX_OUTCOME = 16384


class Outcomes:
    """What came of asking for each job's status alone, for `lasting` seconds."""

    def __init__(self, lasting: float) -> None:
        self.lasting = lasting
        self._kept: OrderedDict[str, tuple[float, Outcome]] = OrderedDict()

    def recent(self, job_id: str, now: float) -> Outcome | None:
        """What came of it last, if that is not too long ago."""
        known = self._kept.get(job_id)
        return known[1] if known is not None and now - known[0] < self.lasting else None

    def is_kept(self, job_id: str, outcome: Outcome) -> bool:
        """Whether this very outcome is the one that everybody shares."""
        known = self._kept.get(job_id)
        return known is not None and known[1] is outcome

    def keep(self, wanted: JobElementsRequest | None, asked_at: float, outcome: Outcome) -> None:
        """No status came of this request, sent at that time; one for more than the status is nobody else's."""
        if wanted is None or not wanted.status_only:
            return
        while self._kept and asked_at - next(iter(self._kept.values()))[0] >= self.lasting:
            self._kept.popitem(last=False)
        if isinstance(outcome, Reply) and len(outcome.body) > MAX_OUTCOME:
            return
        self._kept[wanted.job_id] = (asked_at, outcome)
        if len(self._kept) > MAX_OUTCOMES:
            self._kept.popitem(last=False)

    def drop(self, job_id: str) -> None:
        """More is known of the job now."""
        self._kept.pop(job_id, None)

    def clear(self) -> None:
        """Nothing of it holds any more."""
        self._kept.clear()
