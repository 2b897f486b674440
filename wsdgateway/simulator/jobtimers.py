"""The timers that end the virtual scanner's jobs whose next page is not requested in time.

WS-Scan, JobStateReason, JobTimedOut.
"""

from collections.abc import Callable
from typing import Any

from wsdgateway.simulator.jobs import VirtualJob


class JobTimers:
    """One timer for each job that waits for a request.

    `later` is `reactor.callLater`; `on_timeout` is called with a job that has waited for `seconds`.
    """

    def __init__(self, later: Callable[..., Any], seconds: float, on_timeout: Callable[[VirtualJob], None]) -> None:
        self._later = later
        self._seconds = seconds
        self._on_timeout = on_timeout
        self._timers: dict[str, Any] = {}

    def start(self, job: VirtualJob) -> None:
        """Start the timer of a job again. It has no effect if the job makes progress until then."""
        self.stop(job.job_id)
        self._timers[job.job_id] = self._later(self._seconds, self._over, job, job.step)

    def stop(self, job_id: str) -> None:
        """Stop the timer of a job."""
        timer = self._timers.pop(job_id, None)
        if timer is not None and timer.active():
            timer.cancel()

    def stop_all(self) -> None:
        """Stop every timer."""
        for job_id in list(self._timers):
            self.stop(job_id)

    def _over(self, job: VirtualJob, step: int) -> None:
        self._timers.pop(job.job_id, None)
        if not job.final and job.step == step:
            self._on_timeout(job)
