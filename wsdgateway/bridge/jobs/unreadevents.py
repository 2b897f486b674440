"""Remembers unreadable events, until the scanner has been asked for the jobs that they may concern.

WS-Scan, JobStatusEvent and JobEndStateEvent. Moments are those of the job table.
"""

from wsdgateway.bridge.jobs.job import NEVER

MAX_NAMED = 1000  # jobs; beyond that, every active job is in doubt


class UnreadEvents:
    """The unread events of one scanner. `latest` is the moment of the last one."""

    def __init__(self) -> None:
        self._of_any = NEVER
        self._of: dict[str, int] = {}
        self.latest = NEVER

    def add(self, jobs: tuple[str, ...], moment: int) -> None:
        """Record an event that names these jobs; without jobs it may concern every active one."""
        self.latest = moment
        if not jobs or len(self._of) + len(jobs) > MAX_NAMED:
            self._of.clear()
            self._of_any = moment
        self._of.update(dict.fromkeys(jobs, moment))

    def since(self, job_id: str, moment: int) -> bool:
        """Return whether an event that may concern this job has arrived since that moment."""
        return self._of_any > moment or self._of.get(job_id, NEVER) > moment

    def names(self, job_id: str) -> bool:
        """Return whether an event names this job and the scanner has not been asked for the job since."""
        return job_id in self._of

    def settle(self, job_id: str, sent: int) -> None:
        """Record that the scanner has given the job's status in answer to a request sent at that moment."""
        if self._of.get(job_id, sent) < sent:
            del self._of[job_id]

    def clear(self) -> None:
        """Forget the named jobs, since the scanner restarted and will be asked for every job."""
        self._of.clear()
