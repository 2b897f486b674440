"""Makes the decisions for one scanner: on clients' questions, and on the outcomes of requests.

Together with `jobs.jobtable`, `replies` and `notifications` it keeps the guarantees of the job table. Nothing here
waits: `net` carries out a `Forward` or a `Join`, and passes its outcome to `learn`, `fail` or `joined`.
"""

from collections.abc import Callable

import attrs

from wsdgateway.bridge.access.quotas import JOBS_AT_ONCE, CountedJob, Quotas, no_quotas, too_many_jobs
from wsdgateway.bridge.cache.answercache import AnswerCache, Lifetimes
from wsdgateway.bridge.cache.duplicates import Duplicates, is_success
from wsdgateway.bridge.cluster.alone import Alone
from wsdgateway.bridge.cluster.begunjobs import BegunJobs
from wsdgateway.bridge.decisions import (
    MAX_ASKS,
    Answer,
    Decision,
    Failure,
    Forward,
    Join,
    Outcome,
    Pass,
    Question,
    Refuse,
    Reply,
    Sent,
    Subject,
)
from wsdgateway.bridge.events.statussummaries import StatusSummaries
from wsdgateway.bridge.events.subscriptions import Subscriptions
from wsdgateway.bridge.events.synthesis import Synthesis
from wsdgateway.bridge.health.causes import Cause
from wsdgateway.bridge.health.reported import ReportedStatus
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.bridge.jobs.outcomes import Outcomes
from wsdgateway.bridge.jobs.statusreads import StatusReads
from wsdgateway.bridge.notifications import NotificationObserver
from wsdgateway.bridge.options import BridgeOptions, CacheSection
from wsdgateway.bridge.outgoing import Outgoing
from wsdgateway.bridge.replies import ReplyObserver
from wsdgateway.bridge.rewriting import relate_reply
from wsdgateway.scan.operations import CREATE_SCAN_JOB
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import temporary_error

_OVERTAKEN = temporary_error(
    "The scanner's answers were out of date before they arrived; try again in a second.")


class ScannerBridge:
    """Makes the gateway's decisions for one scanner. `new_id` makes message ids, `urn:uuid:…`.

    `device` is the scan service's address, None until it is known; `missing` is the cause for that, if it is known.
    `notifications` learns from the scanner's events. `subscriptions` are those of clients; `off_panel` names those that
    should be held at the scanner but currently are not.
    """

    def __init__(self, options: BridgeOptions, *, new_id: Callable[[], str], quotas: Quotas | None = None) -> None:
        name, cache = options.section.name, options.cache
        self.name = name
        self.device: str | None = None
        self.missing: Cause | None = None
        self.table = JobTable(max_age=cache.max_age, poll_interval=cache.poll_interval, history=cache.history)
        self.synthesis = Synthesis(self.table, poll_interval=cache.poll_interval, max_age=cache.max_age,
                                   enabled=options.events.synthesize)
        self.summaries = StatusSummaries()
        self.subscriptions = Subscriptions(options.events.max_subscriptions)
        self.off_panel: set[str] = set()
        self._new_id = new_id
        self._quotas = quotas or no_quotas()
        self._answers = JobAnswers(self.table)
        self._cache = AnswerCache(self.table, _lifetimes(cache), enabled=options.section.cache)
        self._outcomes = Outcomes(cache.poll_interval)
        self._duplicates = Duplicates()
        self._outgoing = Outgoing(name, options.authorities, self.subscriptions, self.off_panel)
        self._observer = ReplyObserver(name, self._outgoing, answers=self._answers, cache=self._cache,
                                       outcomes=self._outcomes, quotas=self._quotas)
        self.notifications = NotificationObserver(
            self.table, self._cache, self._observer.reported, self.synthesis, self.summaries)
        self._status_reads = StatusReads(self._answers, self._observer.sent_at)

    @property
    def endpoints(self) -> tuple[str, str | None] | None:
        """The stand-in's endpoint address and the device's own, None until they are known."""
        return self._outgoing.endpoints

    @endpoints.setter
    def endpoints(self, endpoints: tuple[str, str | None] | None) -> None:
        self._outgoing.endpoints = endpoints

    @property
    def suspects_reboot(self) -> bool:
        """True if the device forgot an active job or reused a JobId; the caller that acts on it clears it."""
        return self._observer.suspects_reboot

    @suspects_reboot.setter
    def suspects_reboot(self, suspects: bool) -> None:
        self._observer.suspects_reboot = suspects

    @property
    def reported(self) -> ReportedStatus:
        """The scanner's state and conditions, as it has reported them."""
        return self._observer.reported

    @property
    def misfit(self) -> Cause | None:
        """The cause that no scan service answers at the device's address; None if one does, or is not known not to."""
        return self._observer.misfit

    def adjust(self, options: BridgeOptions) -> None:
        """Change the limits; all knowledge is kept."""
        cache = options.cache
        self.table.adjust(max_age=cache.max_age, poll_interval=cache.poll_interval, history=cache.history)
        self._cache.adjust(_lifetimes(cache), enabled=options.section.cache)
        self._outcomes.lifetime = cache.poll_interval
        self.subscriptions.limit = options.events.max_subscriptions
        self.synthesis.adjust(poll_interval=cache.poll_interval, max_age=cache.max_age,
                              enabled=options.events.synthesize)

    def take_over(self, former: "ScannerBridge", device: str | None) -> None:
        """Take over the jobs of another bridge. `device` is the scan service's address, if it is known.

        At another address it may be another scanner, with other jobs under the same JobIds, so the scanner is asked.
        """
        self.device = device
        self.table = self._cache.table = self._answers.table = former.table
        self._observer.reported = former.reported
        self.summaries = former.summaries
        self.synthesis.take_over(former.synthesis)
        self.notifications.take_over(former.notifications)
        if device != former.device:
            self.rebooted()

    def serve_alone(self, alone: Alone | None) -> None:
        """Serve the scanner beside another gateway that is not known, or by itself again.

        The other one may have cancelled jobs, so all are asked for again.
        """
        self.table.is_shared = alone is not None
        self.table.doubt()
        self.synthesis.questions.hurry()
        self._cache.invalidate(*Subject)

    # From question to decision.

    def ask(self, question: Question, now: float) -> Decision:
        """Decide what to do with a client's request. `now` is in seconds on the clock of all calls."""
        wanted = question.wanted
        if wanted is not None and wanted.names is not None:
            return self._read_job(question, now)
        if question.operation is CREATE_SCAN_JOB:
            return self._create_job(question, now)
        return self._read_common(question, now)

    def repeat(self, question: Question, message_id: str, now: float) -> Answer | None:
        """Answer a repetition of a question that has been answered before, sent with another MessageID.

        Returns None if `ask` must decide. The addresses by which requests are recognised must be unchanged.
        """
        if question.wanted is not None:
            body = self._answers.write(question.wanted, relates_to=message_id, message_id=self._new_id(), now=now)
            return None if body is None else Answer(body)
        return self._cache.cached(question.read, message_id, self._new_id, now)

    def _create_job(self, question: Question, now: float) -> Decision:
        earlier = self._duplicates.earlier(question, now)
        if isinstance(earlier, Forward):
            return Join(earlier)
        if earlier is not None:
            return Pass(earlier)
        if not self._quotas.admits_job(question.client, now):
            return Refuse(too_many_jobs(self._quotas.most_jobs), JOBS_AT_ONCE)
        decision = self._forward(question)
        if isinstance(decision, Forward):
            self._quotas.job_began(question.client, self.name, decision, now)
        return decision

    def _read_common(self, question: Question, now: float, asks: int = 0) -> Decision:
        """Answer from the cache, or wait for another client's request with the same question; forward anything else."""
        found = None
        if question.read is not None and self._cache.enabled and self._outgoing.accepts_shared(question):
            found = self._cache.find(question, self._new_id, now)
        return found or self._forward(question, asks)

    def _read_job(self, question: Question, now: float, not_before: int | None = None, asks: int = 0) -> Decision:
        wanted = question.wanted
        assert wanted is not None and wanted.names is not None
        body = self._answers.write(wanted, relates_to=question.envelope.message_id, message_id=self._new_id(),
                                   now=now, not_before=not_before)
        if body is not None:
            return Answer(body)
        accepts_shared = self._outgoing.accepts_shared(question)
        if wanted.status_only and accepts_shared:
            known = self._outcomes.recent(wanted.job_id, now)
            if known is not None:
                return self._share(question, known)
        return self._status_reads.join(question, usual=accepts_shared) or self._forward(question, asks)

    def _forward(self, question: Question, asks: int = 0) -> Decision:
        if self.device is None:
            return Refuse(temporary_error(
                f"The scanner's {describe_missing(self.missing).removeprefix('its ')}. Try again in a few seconds."))
        if asks >= MAX_ASKS:
            return Refuse(_OVERTAKEN)
        body = self._outgoing.write(question, self.device)
        if isinstance(body, Refuse):
            return body
        may_share = (question.read is not None or question.wanted is not None) and self._outgoing.may_share(question)
        forward = Forward(question, body, asks + 1, shared=(
            may_share and question.read is not None and self._cache.enabled))
        if forward.shared:
            self._cache.asked(forward)
        if question.operation is CREATE_SCAN_JOB:
            self._duplicates.started(forward)
            self._observer.creating(forward)
        self._status_reads.started(forward, usual=may_share)
        return forward

    # From outcome to decision.

    def share_of(self, forward: Forward) -> str | None:
        """The key under which the client's requests to the device are queued; None if they are not limited."""
        return self._quotas.share_of(forward.question.client)

    def job_to_share(self, forward: Forward) -> CountedJob | None:
        """The job of a CreateScanJob, if all gateways count it; see `Quotas.to_share`."""
        return self._quotas.to_share(forward.question.client, self.name, forward)

    def sent(self, forward: Forward, now: float) -> None:
        """Record that the request is sent to the device now, or again on another connection."""
        self._observer.sent(forward, now)

    def joined(self, question: Question, forward: Forward, outcome: Outcome, now: float) -> Decision:
        """Decide for a client that waited for another client's request, which has ended."""
        if question.operation is CREATE_SCAN_JOB:
            return self._share(question, outcome)
        if question.read is not None:
            if self._cache.is_outdated(forward):
                return self._read_common(question, now, self._cache.asks_after(forward))
            return self._cache.share(question, forward, self._new_id) or self._share(question, outcome)
        assert question.wanted is not None
        accepts_shared = self._outgoing.accepts_shared(question)
        if accepts_shared and self._outcomes.is_kept(question.wanted.job_id, outcome):
            return self._share(question, outcome)
        # A refusal that is not shared was not an outdated answer, so it does not count among this client's asks.
        is_late = accepts_shared or (isinstance(outcome, Reply) and is_success(outcome))
        asks = forward.asks if is_late else 0
        return self._read_job(question, now, self._status_reads.fresh_from(question, forward), asks)

    def _share(self, question: Question, outcome: Outcome) -> Decision:
        if isinstance(outcome, Failure):
            return Refuse(outcome.fault, outcome.limit)
        if question.operation is CREATE_SCAN_JOB:
            return Pass(outcome)
        return Pass(attrs.evolve(outcome, body=relate_reply(
            outcome.body, question.envelope.message_id, outcome.charset)))

    def learn(self, forward: Forward, reply: Reply, now: float) -> Decision:
        """Learn from the device's reply, and decide the client's answer."""
        self._status_reads.ended(forward)
        current = self._observer.answered(forward, self._observer.ended(forward, now), reply)
        if forward.question.operation is CREATE_SCAN_JOB:
            self._creation_ended(forward, reply, now)
        if current:
            return Pass(reply)
        wanted = forward.question.wanted
        if wanted is not None and wanted.names is not None:
            return self._read_job(forward.question, now, asks=forward.asks)
        if self._cache.may_ask_again(forward):
            return self._read_common(forward.question, now, forward.asks)
        question = forward.question
        cached = self._cache.cached(question.read, question.envelope.message_id, self._new_id, now)
        if cached is not None:
            return cached
        self._cache.show_outdated(forward)
        return Pass(reply)

    def fail(self, forward: Forward, failure: Failure, now: float) -> Decision:
        """Record that the device gave no usable answer. The decision refuses the request."""
        self._status_reads.ended(forward)
        self._observer.failed(forward, self._observer.ended(forward, now), failure)
        if forward.question.operation is CREATE_SCAN_JOB:
            self._creation_ended(forward, None, now)
        return Refuse(failure.fault, failure.limit)

    def recall(self, forward: Forward, reply: Reply, now: float) -> Decision:
        """Decide for a CreateScanJob that is not sent, because an earlier owner of the scanner got this reply to it."""
        self._observer.ended(forward, now)
        self._creation_ended(forward, reply, now)
        return Pass(reply)

    def _creation_ended(self, forward: Forward, reply: Reply | None, now: float) -> None:
        self._duplicates.ended(forward, reply, now)
        self._quotas.job_ended(self.name, forward)  # a job that was created counts under its JobId now

    # Takeovers.

    def begun_jobs(self, now: float) -> BegunJobs:
        """The jobs that clients have begun here, for `continue_with`."""
        return BegunJobs(tuple(job.job_id for job in self.table.current() if job.by_answer), self._duplicates, now)

    def continue_with(self, begun: BegunJobs) -> None:
        """Add jobs that began while this gateway served the scanner without a lease, after `notifications.taken_over`.

        The scanner is asked for them, and the owner makes their events of its answers.
        """
        for job_id in begun.job_ids:
            if self.table.get(job_id) is None:
                self.table.created(job_id, self.table.moment())
        self._duplicates.inherit(begun.duplicates)

    # What is learnt otherwise.

    def sending(self, now: float) -> Sent:
        """The moment of a request from which only the scanner's status is learnt, and which is sent now."""
        return Sent(self.table.moment(), now)

    def overhear_answer(self, reply: Reply, sent: Sent) -> bool:
        """Learn from an answer to GetScannerElements that is passed on. Returns False if there was nothing to learn."""
        return self._observer.overheard(reply, sent)

    def learn_status(self, envelope: Envelope | None, reply: Reply, sent: Sent) -> None:
        """Learn from the answer to a GetScannerElements of the gateway's own; `envelope` is None if it is not SOAP."""
        self._observer.learn_scanner(envelope, reply, sent)

    def listens(self, listening: bool) -> None:
        """Record whether a subscription is held; without one, events are lost."""
        if listening is not self.table.listening:
            self.table.listening = listening
            self._cache.invalidate(*Subject)

    def image_refused(self, question: Question, reply: Reply) -> None:
        """Record that the device sent no image of this job, most often because there are no more."""
        self._observer.image_refused(question, reply)

    def image_ended(self, question: Question, now: float, *, whole: bool) -> None:
        """Record that an image of this job was relayed completely, or broke off."""
        self._observer.image_ended(question, now, whole=whole)

    def rebooted(self) -> None:
        """Record that the device restarted, or may have."""
        self._observer.rebooted()
        self.summaries.rebooted()

    def forget_status(self) -> None:
        """Record that the device was away for so long that its state and conditions may be any others."""
        self.reported.forget(self.table.moment())

    def was_away(self) -> None:
        """Record that the device was unreachable, or has moved: it is asked before anything older is shown.

        It may return with another configuration, and without its jobs. A finished job remains finished until the device
        is known to have restarted.
        """
        self._cache.invalidate(*Subject)
        self.table.was_away()


def describe_missing(why: Cause | None) -> str:
    """The clause for a scan service whose address is not known yet; `why` is the cause, if it is known."""
    return "its address is not known yet" if why is None else f"its address is not known yet: {why.clause}"


def _lifetimes(cache: CacheSection) -> Lifetimes:
    return Lifetimes(cache.elements, cache.max_age, cache.poll_interval)
