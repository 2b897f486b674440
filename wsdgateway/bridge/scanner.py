"""One bridged scanner: from a question to a decision, and from what came of that to the next one.

The promises of the job table are kept here, with `jobtable` and `observer`. Nothing here waits: a `Forward` or a
`Join` goes out, and what came of it comes back through `learn`, `fail` or `joined`.
"""

from collections.abc import Callable
from weakref import WeakSet

import attrs

from wsdgateway.bridge.access.quotas import JOBS_AT_ONCE, Quotas, no_quotas, too_many_jobs
from wsdgateway.bridge.cache.answercache import AnswerCache, Lasting
from wsdgateway.bridge.cache.duplicates import Duplicates, is_success
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
    Subject,
)
from wsdgateway.bridge.events.intake import Notification, Unread
from wsdgateway.bridge.events.subscriptions import Subscriptions
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.bridge.jobs.outcomes import Outcomes
from wsdgateway.bridge.outgoing import Outgoing
from wsdgateway.bridge.replies import ReplyObserver
from wsdgateway.bridge.rewriting import related
from wsdgateway.scan.jobelements import JOB_STATUS
from wsdgateway.scan.operations import CREATE_SCAN_JOB, GET_SCANNER_ELEMENTS
from wsdgateway.scan.operations import JOB_STATUS as JOB_STATUS_EVENT
from wsdgateway.soap.faults import temporary_error
from wsdgateway.soap.seen import Seen

# How often one client's GetScannerElements goes to a scanner whose elements change before its answers arrive. Then the
# client gets the last answer as it came: a fault would end its scan, and the state is for people to look at.
MAX_STATUS_ASKS = 2

_OVERTAKEN = temporary_error(
    "The scanner's answers were outdated before they arrived; ask again in a second.")
_NOT_FOUND_YET = temporary_error("The scanner's address is not known yet; ask again in a few seconds.")


class ScannerBridge:
    """What the gateway decides for one scanner. `new_id` makes message ids, `urn:uuid:…`.

    `device` is the scan service's address, None until it is known. `subscriptions` are the clients'; `off_panel` names
    those that should be held at the scanner and are not at the moment.
    """

    def __init__(self, name: str, *, max_age: float, poll_interval: float, history: int,
                 new_id: Callable[[], str], authorities: frozenset[str] = frozenset(),
                 max_subscriptions: int = 1000, elements: float = 300.0, cache: bool = True,
                 quotas: Quotas | None = None) -> None:
        self.name = name
        self.device: str | None = None
        self.table = JobTable(max_age=max_age, poll_interval=poll_interval, history=history)
        self.subscriptions = Subscriptions(max_subscriptions)
        self.off_panel: set[str] = set()
        self._new_id = new_id
        self._quotas = quotas or no_quotas()
        self._answers = JobAnswers(self.table)
        self._kept = AnswerCache(self.table, Lasting(elements, max_age, poll_interval), enabled=cache)
        self._outcomes = Outcomes(poll_interval)
        self._duplicates = Duplicates()
        self._seen = Seen()
        # The request under way for each job's status, which everybody waits for. One whose reply may be meant for its
        # client alone (`sharing.is_usual`) could hang where others do not: only requests of that kind wait for it.
        self._reading: dict[str, Forward] = {}
        self._reading_apart: dict[str, Forward] = {}
        # Questions that wait for a request from before an event that could not be read: it will not do for them.
        self._late: WeakSet[Question] = WeakSet()
        self._outgoing = Outgoing(name, authorities, self.subscriptions, self.off_panel)
        self._observer = ReplyObserver(name, self._outgoing, table=self.table, answers=self._answers, kept=self._kept,
                                  outcomes=self._outcomes, quotas=self._quotas)

    @property
    def endpoints(self) -> tuple[str, str | None] | None:
        """The stand-in's endpoint address and the device's own, None until they are known."""
        return self._outgoing.endpoints

    @endpoints.setter
    def endpoints(self, endpoints: tuple[str, str | None] | None) -> None:
        self._outgoing.endpoints = endpoints

    @property
    def suspects_reboot(self) -> bool:
        """Whether the device forgot an active job or used a JobId again; whoever acts on that clears it."""
        return self._observer.suspects_reboot

    @suspects_reboot.setter
    def suspects_reboot(self, suspects: bool) -> None:
        self._observer.suspects_reboot = suspects

    def adjust(self, *, max_age: float, poll_interval: float, history: int, max_subscriptions: int,
               elements: float = 300.0, cache: bool = True) -> None:
        """Other bounds, from now on; what is known stays."""
        self.table.adjust(max_age=max_age, poll_interval=poll_interval, history=history)
        self._kept.adjust(Lasting(elements, max_age, poll_interval), enabled=cache)
        self._outcomes.lasting = poll_interval
        self.subscriptions.limit = max_subscriptions

    def take_over(self, former: "ScannerBridge", device: str | None) -> None:
        """Begin with the jobs of another one. `device` is where the scanner is, if that is known.

        At another address it may be another scanner, with other jobs under the same JobIds: then it is asked.
        """
        self.device = device
        self.table = self._kept.table = former.table
        self._answers = JobAnswers(self.table)
        self._observer.take_over(self.table, self._answers)
        if device != former.device:
            self.rebooted()

    # Questions.

    def ask(self, question: Question, now: float) -> Decision:
        """What to do with a client's request."""
        wanted = question.wanted
        if wanted is not None and wanted.wanted is not None:
            return self._read_job(question, now)
        if question.operation is CREATE_SCAN_JOB:
            earlier = self._duplicates.earlier(question, now)
            if isinstance(earlier, Forward):
                return Join(earlier)
            if earlier is not None:
                return Pass(earlier)
            if not self._quotas.admits_job(question.client, now):
                return Refuse(too_many_jobs(self._quotas.most_jobs), JOBS_AT_ONCE)
        decision = self._read_alike(question, now)
        if question.operation is CREATE_SCAN_JOB and isinstance(decision, Forward):
            self._quotas.job_began(question.client, self.name, decision, now)
        return decision

    def _read_alike(self, question: Question, now: float, asks: int = 0) -> Decision:
        """What is kept for everybody, or asked for everybody; anything else goes to the device."""
        found = None
        if question.read is not None and self._kept.enabled and self._outgoing.is_alike(question):
            found = self._kept.find(question, self._new_id, now)
        return found or self._forward(question, asks)

    def _read_job(self, question: Question, now: float, at_least: int | None = None, asks: int = 0) -> Decision:
        wanted = question.wanted
        assert wanted is not None and wanted.wanted is not None
        if at_least is not None and question in self._late:
            self._late.discard(question)
            at_least = None
        body = self._answers.write(wanted, relates_to=question.envelope.message_id, message_id=self._new_id(),
                                   now=now, at_least=at_least)
        if body is not None:
            return Answer(body)
        is_alike = self._outgoing.is_alike(question)
        if wanted.status_only and is_alike:
            known = self._outcomes.recent(wanted.job_id, now)
            if known is not None:
                return self._share(question, known)
        running = self._reading.get(wanted.job_id)
        if running is None and not is_alike:
            running = self._reading_apart.get(wanted.job_id)
        if running is not None and self._answers.will_do(running.question.wanted, wanted):
            sent = self._observer.sent_at(running)
            if sent is not None and self.table.unread_since(wanted.job_id, sent.moment):
                self._late.add(question)
            return Join(running)
        return self._forward(question, asks)

    def _forward(self, question: Question, asks: int = 0) -> Decision:
        if self.device is None:
            return Refuse(_NOT_FOUND_YET)
        if asks >= MAX_ASKS:
            return Refuse(_OVERTAKEN)
        body = self._outgoing.write(question, self.device)
        if isinstance(body, Refuse):
            return body
        forward = Forward(question, body, asks + 1, shared=(
            question.read is not None and self._kept.enabled and self._outgoing.may_share(question)))
        if forward.shared:
            self._kept.asked(forward)
        if question.operation is CREATE_SCAN_JOB:
            self._duplicates.started(forward)
            self._observer.creating(forward)
        wanted = question.wanted
        if wanted is not None and wanted.wanted and JOB_STATUS in wanted.wanted:
            reading = self._reading if self._outgoing.may_share(question) else self._reading_apart
            reading.setdefault(wanted.job_id, forward)
        return forward

    def share_of(self, forward: Forward) -> str | None:
        """In whose share of what may wait for the device the request stands, if it is anybody's."""
        return self._quotas.share_of(forward.question.client)

    def sent(self, forward: Forward, now: float) -> None:
        """The request is going to the device now, or again on another connection."""
        self._observer.sent(forward, now)

    def joined(self, question: Question, forward: Forward, outcome: Outcome, now: float) -> Decision:
        """The request that this client waited for has ended."""
        if question.operation is CREATE_SCAN_JOB:
            return self._share(question, outcome)
        if question.read is not None:
            if self._kept.is_outdated(forward):
                return self._read_alike(question, now, self._asks_after(forward))
            return self._kept.share(question, forward, self._new_id) or self._share(question, outcome)
        assert question.wanted is not None
        is_alike = self._outgoing.is_alike(question)
        if is_alike and self._outcomes.is_kept(question.wanted.job_id, outcome):
            return self._share(question, outcome)
        sent = self._observer.sent_at(forward)
        # A refusal that is not shared was no answer that came too late, so it does not count among this client's asks.
        is_late = is_alike or (isinstance(outcome, Reply) and is_success(outcome))
        asks = forward.asks if is_late else 0
        return self._read_job(question, now, at_least=sent.moment if sent else None, asks=asks)

    def _share(self, question: Question, outcome: Outcome) -> Decision:
        if isinstance(outcome, Failure):
            return Refuse(outcome.fault)
        if question.operation is CREATE_SCAN_JOB:
            return Pass(outcome)
        return Pass(attrs.evolve(outcome, body=related(
            outcome.body, question.envelope.message_id, outcome.charset)))

    def _asks_after(self, forward: Forward) -> int:
        """The number of asks that count for a client that waited for another's outdated answer.

        GetScannerElements always leaves it one of its own, so that it ends with an answer and not with a fault.
        """
        return min(forward.asks, MAX_STATUS_ASKS - 1) if self._is_of_elements(forward) else forward.asks

    def _is_of_elements(self, forward: Forward) -> bool:
        return forward.question.operation is GET_SCANNER_ELEMENTS

    # What came of them.

    def learn(self, forward: Forward, reply: Reply, now: float) -> Decision:
        """The device answered: learn from it, and say what the client gets."""
        self._read_no_more(forward)
        current = self._observer.answered(forward, self._observer.ended(forward, now), reply)
        if forward.question.operation is CREATE_SCAN_JOB:
            self._duplicates.ended(forward, reply, now)
        if current:
            return Pass(reply)
        wanted = forward.question.wanted
        if wanted is not None and wanted.wanted is not None:
            return self._read_job(forward.question, now, asks=forward.asks)
        if forward.asks < MAX_STATUS_ASKS or not self._is_of_elements(forward):
            return self._read_alike(forward.question, now, forward.asks)
        kept = self._kept.kept(forward.question, self._new_id, now)
        if kept is not None:
            return kept
        self._kept.give_up(forward)
        return Pass(reply)

    def fail(self, forward: Forward, failure: Failure, now: float) -> Decision:
        """The device gave no usable answer."""
        self._read_no_more(forward)
        self._observer.failed(forward, self._observer.ended(forward, now), failure)
        if forward.question.operation is CREATE_SCAN_JOB:
            self._duplicates.ended(forward, None, now)
        return Refuse(failure.fault)

    def _read_no_more(self, forward: Forward) -> None:
        """Nobody may wait for this one any longer."""
        wanted = forward.question.wanted
        for reading in (self._reading, self._reading_apart):
            if wanted is not None and reading.get(wanted.job_id) is forward:
                del reading[wanted.job_id]

    # Events.

    def notified(self, notification: Notification, now: float) -> bool:
        """The device sent a notification. False if it was here before."""
        if not self._seen.is_new(notification.message_id):
            return False
        if notification.status is not None and JOB_STATUS_EVENT in (notification.event, notification.in_body):
            self.table.events_seen = True
        self.overheard(notification, now)
        return True

    def overheard(self, notification: Notification, now: float) -> None:
        """What the device says is learnt, wherever it says so: also where a subscription asked for another event.

        The same event may come once more at another address, and is for those who listen then.
        """
        if notification.status is not None:
            self.table.announced(notification.status, now)
        if notification.unread is not None:
            self.unread(notification.unread, now)
        self._kept.notified(notification.event)
        if notification.in_body != notification.event:
            self._kept.notified(notification.in_body)

    def unread(self, unread: Unread, now: float) -> None:
        """The device sent an event that could not be read, or was refused: what it may be about is asked for."""
        self.table.unread(unread.jobs)
        self._kept.unread(now, *((Subject.JOBS,) if unread.job_event else Subject))

    def listens(self, listening: bool) -> None:
        """A subscription is held, or none any more; what was announced in between nobody has heard."""
        if listening is not self.table.listening:
            self.table.listening = listening
            self._kept.doubt(*Subject)

    def image_refused(self, question: Question, reply: Reply) -> None:
        """The device gave no image of this job, most often for there are no more."""
        self._observer.image_refused(question, reply)

    def image_ended(self, question: Question, now: float, *, whole: bool) -> None:
        """An image of this job went by, or broke off."""
        self._observer.image_ended(question, now, whole=whole)

    def rebooted(self) -> None:
        """The device started again, or may have."""
        self._observer.rebooted()

    def was_away(self) -> None:
        """The device was out of reach, or has moved: what is known from before is asked for before it is shown.

        It may come back with another configuration, and without its jobs. A job that is over stays so, until the device
        is known to have started again.
        """
        self._kept.doubt(*Subject)
        self.table.was_away()
