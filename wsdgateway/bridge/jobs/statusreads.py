"""Tracks the requests for job statuses that are in progress at one scanner, and decides which of them a client joins.

WS-Scan, GetJobElements. One request for each job is enough, however many clients ask::

    usual request    ──► waits for a usual one
    unusual request  ──► waits for a usual one, or else for an unusual one

The reply to an unusual request (`coalescing.is_usual`) may be for its client alone, and the request could hang where
others do not, so a usual request never waits for it.
"""

from collections.abc import Callable
from weakref import WeakSet

from wsdgateway.bridge.decisions import Forward, Join, Question, Sent
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.scan.jobelements import JOB_STATUS


class StatusReads:
    """The running requests for job statuses. `sent_at` gives the time at which a request was sent to the scanner."""

    def __init__(self, answers: JobAnswers, sent_at: Callable[[Forward], Sent | None]) -> None:
        self._answers = answers
        self._sent_at = sent_at
        self._usual: dict[str, Forward] = {}
        self._unusual: dict[str, Forward] = {}
        # These wait for a request from before an unreadable event; its answer may be too old for them.
        self._came_later: WeakSet[Question] = WeakSet()

    def started(self, forward: Forward, *, usual: bool) -> None:
        """Record that the request is sent to the scanner; it counts if it asks for a JobStatus."""
        wanted = forward.question.wanted
        if wanted is not None and wanted.names and JOB_STATUS in wanted.names:
            (self._usual if usual else self._unusual).setdefault(wanted.job_id, forward)

    def ended(self, forward: Forward) -> None:
        """Record that the request was answered, or failed, so that no more clients join it."""
        wanted = forward.question.wanted
        for running in (self._usual, self._unusual):
            if wanted is not None and running.get(wanted.job_id) is forward:
                del running[wanted.job_id]

    def join(self, question: Question, *, usual: bool) -> Join | None:
        """The running request whose answer this question can wait for; None if it must ask the scanner itself."""
        wanted = question.wanted
        assert wanted is not None
        running = self._usual.get(wanted.job_id)
        if running is None and not usual:
            running = self._unusual.get(wanted.job_id)
        if running is None or not self._answers.covers(running.question.wanted, wanted):
            return None
        sent = self._sent_at(running)
        if sent is not None and self._answers.table.unread_since(wanted.job_id, sent.moment):
            self._came_later.add(question)
        return Join(running)

    def fresh_from(self, question: Question, forward: Forward) -> int | None:
        """The moment from which a status is fresh enough for a question that waited for this request.

        None if its answer counts no more than any other status: it was sent before an unreadable event that the client
        may know of, or it was never sent.
        """
        if question in self._came_later:
            self._came_later.discard(question)
            return None
        sent = self._sent_at(forward)
        return None if sent is None else sent.moment
