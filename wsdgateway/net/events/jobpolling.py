"""Asks one scanner for its active jobs while clients listen for job events, and sends the events that follow from it.

WS-Scan, GetJobElements, GetJobHistory, JobStatusEvent, JobEndStateEvent, ScannerStatusSummaryEvent.
`bridge.events.jobquestions` decides what is asked when, `bridge.events.synthesis` which events are made. One request
runs at a time; it is shared with clients that ask for the same job, as any status read.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from wsdgateway.bridge.events.fanout import made_of_job, made_summary
from wsdgateway.bridge.events.subscribing import MADE_EVENTS
from wsdgateway.bridge.events.synthesis import MadeEvent
from wsdgateway.bridge.scanjobs.scanjob import Refusal
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.metrics import Metrics
from wsdgateway.net.events.subscribers import Subscribers
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.scan.operations import JOB_END_STATE, JOB_STATUS, SCANNER_STATUS_SUMMARY
from wsdgateway.scan.refusals import UNKNOWN_JOB

NOT_SUPPORTED = "ActionNotSupported"


class AsksForJobs(Protocol):
    """Sends the questions to the scanner; an empty client stands for the gateway."""

    async def look_up(self, job_id: str, client: str) -> JobStatus | Refusal | None:
        """The job's status, as the job table knows it or the scanner gives it, or the scanner's refusal."""

    async def history(self, client: str) -> Refusal | None:
        """Have the job table learn from GetJobHistory. Returns the refusal if there was one."""


class JobPolling:
    """The polling of one scanner for its clients' events.

    `look` is called when something was learnt or somebody subscribed::

        idle ──somebody listens, and a job is active──► waiting ──it is due──► asking ──answered──► waiting or idle
        any ──stop──► stopped
    """

    log = Logger()

    def __init__(self, reactor: Any, bridge: ScannerBridge, requests: AsksForJobs, subscribers: Subscribers,
                 metrics: Metrics, *, seconds: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._reactor = reactor
        self._bridge = bridge
        self.requests = requests
        self._subscribers = subscribers
        self._count = metrics.made_events(bridge.name, MADE_EVENTS)
        self._seconds = seconds
        self._new_id = new_id
        self._timer: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None
        self._stopped = False

    @property
    def is_idle(self) -> bool:
        """True if nothing is asked, or will be asked unless more is learnt or somebody subscribes."""
        return self._timer is None and self._asking is None

    def look(self) -> None:
        """Send the events that follow from what was learnt, and ask for the next job when it is due."""
        self._send(self._bridge.synthesis.learnt(self._seconds()))
        self._schedule()

    def _send(self, events: Iterable[MadeEvent]) -> None:
        for made in events:
            if self._subscribers.wants(made.name):
                self._count(made.name)
                self._subscribers.send(made_of_job(made.name, made.status, made.reached, self._new_id()))

    def look_at_status(self) -> None:
        """Send the ScannerStatusSummaryEvent that follows from the last answer, if any does."""
        reported = self._bridge.reported
        made = self._bridge.summaries.learnt(reported.status, reported.answers)
        if made is not None and self._bridge.synthesis.enabled and self._subscribers.wants(SCANNER_STATUS_SUMMARY):
            self._count(SCANNER_STATUS_SUMMARY)
            self._subscribers.send(made_summary(made.status, made.reached, self._new_id()))

    def _schedule(self) -> None:
        self._cancel()
        is_heard = self._subscribers.wants(JOB_STATUS, JOB_END_STATE)
        self._bridge.synthesis.questions.listened(is_heard, self._seconds())
        if self._stopped or self._asking is not None or self._bridge.device is None or not is_heard:
            return
        due = self._bridge.synthesis.questions.next(self._seconds())
        if due is not None:
            self._timer = self._reactor.callLater(due[1], self._due)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        due = self._bridge.synthesis.questions.next(self._seconds())
        if due is None or due[1] > 0.0 or not self._subscribers.wants(JOB_STATUS, JOB_END_STATE):
            self._schedule()
            return
        missing = list(self._bridge.synthesis.overdue(due[0]))
        if missing:
            self._send(missing)
            self._schedule()
            return
        self._asking = Deferred.fromCoroutine(self._ask(due[0]))
        self._asking.addErrback(lambda failure: self.log.failure(
            "{scanner}: asking for the jobs of its subscribers failed", failure, scanner=self._bridge.name))
        self._asking.addBoth(self._asked)

    def _asked(self, _: object) -> None:
        self._asking = None
        self._schedule()

    async def _ask(self, job_id: str) -> None:
        questions = self._bridge.synthesis.questions
        questions.asked(job_id, self._seconds())
        answer = await self.requests.look_up(job_id, "")
        is_refused = isinstance(answer, Refusal)
        questions.answered(job_id, usable=answer is not None and not is_refused)
        is_unknown = answer.fault in UNKNOWN_JOB if isinstance(answer, Refusal) else (
            answer is not None and answer.final)  # from the table, because the scanner does not know the job any more
        # The scanner may have announced the end while it was asked.
        needs_answer = questions.needs_answer(job_id)
        if is_unknown and needs_answer:
            await self._look_into_history(job_id)
        elif isinstance(answer, Refusal) and not answer.unreachable and (
                answer.fault == NOT_SUPPORTED or questions.is_hopeless(job_id)):
            if answer.fault == NOT_SUPPORTED:
                questions.is_unable = True
            if needs_answer:
                self._give_up(job_id)
            if questions.refused():
                self.log.warn("{scanner}: the scanner refuses GetJobElements ({fault}), so subscribers get no events "
                              "of job {job_id} and of later ones until it answers", scanner=self._bridge.name,
                              fault=answer.fault, job_id=job_id)

    async def _look_into_history(self, job_id: str) -> None:
        """Ask once whether a job that the scanner does not know has ended."""
        questions = self._bridge.synthesis.questions
        if questions.takes_history(job_id):
            refusal = await self.requests.history("")
            if refusal is not None and refusal.unreachable:
                questions.seek_history(job_id)
                return
        if questions.needs_answer(job_id) and not self._give_up(job_id):
            self.log.warn("{scanner}: the scanner no longer knows job {job_id}, and its GetJobHistory does not list "
                          "it: its end is not known, and subscribers get no event of it",
                          scanner=self._bridge.name, job_id=job_id)

    def _give_up(self, job_id: str) -> bool:
        """Ask no more for a job, and send its end if an earlier owner knew it. False if nobody knows it."""
        ended = list(self._bridge.synthesis.unconfirmed(job_id))
        self._send(ended)
        self._bridge.synthesis.questions.drop(job_id)
        return bool(ended)

    def stop(self) -> None:
        """Ask nothing more."""
        self._stopped = True
        self._cancel()
