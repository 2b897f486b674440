"""Logs jobs that have ended because the spool had no room for their pages, and says what to do."""

from collections.abc import Callable

from twisted.logger import Logger

from wsdgateway.bridge.scanjobs.jobsteps import FULL_SECONDS
from wsdgateway.bridge.scanjobs.room import OWN, Room
from wsdgateway.bridge.scanjobs.scanjob import Reason, ScanJob
from wsdgateway.net.transport.logthrottle import LogThrottle

_LINES = {
    Reason.SPOOL_FULL:
        "{scanner}: a job of {client} was canceled, because there was no room in the spool for its next page for "
        "{seconds:g} s. The spool holds {limit} bytes, at most {share} of one client; those of this client use {used}. "
        "Pages stay until clients have fetched them; give a larger [escl] spool_size if that happens often",
    Reason.TOO_LARGE:
        "{scanner}: a job of {client} was canceled, because one page has more than {share} bytes, which is all that "
        "the spool holds of one client. Scan with a lower resolution, or give a larger [escl] spool_size ({limit})",
}


class LackOfRoom:
    """Logs the jobs of one scanner, each reason and client at most once a minute."""

    log = Logger()

    def __init__(self, scanner: str, room: Room, seconds: Callable[[], float]) -> None:
        self._scanner = scanner
        self._room = room
        self._seconds = seconds
        self._throttle = LogThrottle()
        self._noted: ScanJob | None = None

    def note(self, job: ScanJob) -> None:
        """Log a job if there was no room for it; called at each change of a job.

        Destinations log their own jobs.
        """
        if job.end is None or job.end.reason not in _LINES or job is self._noted or job.order.client == OWN:
            return
        self._noted = job
        client = job.order.client
        if self._throttle.allows((job.end.reason, client), self._seconds()):
            self.log.error(
                _LINES[job.end.reason] + " (logged at most once a minute)", scanner=self._scanner,
                client=client, seconds=FULL_SECONDS, limit=self._room.limit,
                share=self._room.client_limit, used=self._room.used_by(client))
