"""Learns from the notifications of one scanner, and from those that an earlier owner of the scanner has left.

WS-Scan, the events about jobs and about the scanner's status. `replies` learns from what the scanner answers. The
gateway's own events, which it makes of such answers, are compared with the scanner's, so that nobody gets both.
"""

from collections.abc import Collection

from wsdgateway.bridge.cache.answercache import AnswerCache
from wsdgateway.bridge.decisions import Subject
from wsdgateway.bridge.events.intake import Notification, Unread
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.statussummaries import StatusSummaries
from wsdgateway.bridge.events.synthesis import Synthesis
from wsdgateway.bridge.health.reported import ReportedStatus
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.scan.operations import JOB_STATUS, SCANNER_STATUS_EVENTS, SCANNER_STATUS_SUMMARY
from wsdgateway.scan.scannerstatus import ScannerStatus
from wsdgateway.scan.statusevents import read_status_event
from wsdgateway.soap.seen import Seen


class NotificationObserver:
    """Records the content of notifications in job table, answer cache and `reported`, the scanner's own status.

    `synthesis` and `summaries` make the gateway's own events.
    """

    def __init__(self, table: JobTable, cache: AnswerCache, reported: ReportedStatus, synthesis: Synthesis,
                 summaries: StatusSummaries) -> None:
        self._table = table
        self._cache = cache
        self._reported = reported
        self._synthesis = synthesis
        self._summaries = summaries
        self._seen = Seen()
        self._owner_saw_events = False

    def take_over(self, former: "NotificationObserver") -> None:
        """Go on with the table, the status and the summaries of another object."""
        self._table, self._reported, self._summaries = former._table, former._reported, former._summaries

    def received(self, notification: Notification, now: float) -> bool:
        """Learn from a notification of the device. Returns False if the same message arrived before."""
        if not self._seen.is_new(notification.message_id):
            return False
        if notification.status is not None and JOB_STATUS in (notification.event, notification.in_body):
            self._table.events_seen = True
        self.overheard(notification, now)
        return True

    def overheard(self, notification: Notification, now: float) -> None:
        """Learn from a notification at any address, even if its subscription asked for another event.

        The same event may arrive again at another address, for the subscribers there.
        """
        if notification.status is not None:
            self._table.announced(notification.status, now)
        if notification.unread is not None:
            self.unread(notification.unread, now)
        if notification.event in SCANNER_STATUS_EVENTS or notification.in_body in SCANNER_STATUS_EVENTS:
            told = read_status_event(notification.envelope.body)
            if told is not None:
                self._reported.notified(told, self._table.moment(), now)
        self._cache.notified(notification.event)
        if notification.in_body != notification.event:
            self._cache.notified(notification.in_body)

    def known_to(self, notification: Notification, now: float) -> Collection[Sink]:
        """The sinks that were told the same by an event of the gateway's own. Called once for each event."""
        known: set[Sink] | None = None
        if notification.status is not None:
            known = self._synthesis.announced(notification.event, notification.status, now)
        elif notification.event == SCANNER_STATUS_SUMMARY:
            told = read_status_event(notification.envelope.body)
            known = self._summaries.announced(told) if isinstance(told, ScannerStatus) else None
        return () if known is None else known  # which may be empty, as long as the gateway's event waits

    def unread(self, unread: Unread, now: float) -> None:
        """Record an event that could not be read, or was refused, and require that the scanner is asked."""
        self._table.unread(unread.jobs)
        self._synthesis.questions.hurry()
        self._cache.unread(now, *((Subject.JOBS,) if unread.job_event else Subject))

    def heard_elsewhere(self, now: float) -> None:
        """Record that another gateway serves the scanner, too, and may have received events that are unknown here.

        Each job is asked for before it is shown.
        """
        self._table.doubt()
        self.unread(Unread(), now)

    # Takeovers.

    def replay(self, notification: Notification, now: float, *, at: float, is_own: bool,
               is_made: bool = False) -> set[Sink] | None:
        """Learn from an event that was announced to an earlier owner of the scanner, before `taken_over`.

        `is_own` is true for an event that came to the gateway's own subscription, `is_made` for one that the earlier
        owner made. For that the sinks are returned that got it, to be filled by the caller. `at` is when the event was
        announced, by the clock of `now`.
        """
        if is_own and not self.received(notification, at):
            return None
        if not is_own:
            self.overheard(notification, at)
        if notification.status is None:
            return None
        if is_made and notification.event is not None:
            return self._synthesis.replayed(notification.event, notification.status, at)
        self._synthesis.announced(notification.event, notification.status, at)
        return None

    def taken_over(self, now: float) -> None:
        """Record that this gateway owns the scanner from now on: the scanner is asked before anything is shown."""
        self._owner_saw_events, self._table.events_seen = self._table.events_seen, False
        self._table.taken_over(now)
        self._synthesis.taken_over(now)
        self._cache.invalidate(*Subject)
        self._reported.forget(self._table.moment())

    def resumed(self) -> None:
        """Record that the scanner has renewed the subscription of the earlier owner, so it has not restarted."""
        self._table.events_seen = self._table.events_seen or self._owner_saw_events
