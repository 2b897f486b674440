"""One bridged scanner: from a question to a decision, from a reply to what is learnt of it.

The promises of the job table are kept here, with `jobtable`. Nothing here waits: a `Forward` or a
`Join` goes out, and what came of it comes back through `learn`, `fail` or `joined`.
"""

from collections.abc import Callable
from weakref import WeakKeyDictionary

import attrs

from wsdgateway.bridge.answers import JobAnswers
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
)
from wsdgateway.bridge.intake import Notification
from wsdgateway.bridge.jobtable import JobTable
from wsdgateway.bridge.kept import KeptAnswers, Lasting
from wsdgateway.bridge.outcomes import Outcomes
from wsdgateway.bridge.quotas import JOBS_AT_ONCE, Quotas, no_quotas, too_many_jobs
from wsdgateway.bridge.resends import Resends, fault_in, is_success
from wsdgateway.bridge.rewriting import contradiction, forwarded, names_gateway, related
from wsdgateway.bridge.sharing import Subject, is_usual
from wsdgateway.bridge.subscriptions import Subscriptions
from wsdgateway.scan.destinations import token_of
from wsdgateway.scan.jobelements import JOB_STATUS, read_response
from wsdgateway.scan.jobs import job_id_of, read_created
from wsdgateway.scan.operations import (
    CANCEL_JOB,
    CREATE_SCAN_JOB,
    GET_JOB_ELEMENTS,
    GET_SCANNER_ELEMENTS,
    RETRIEVE_IMAGE,
)
from wsdgateway.scan.operations import JOB_STATUS as JOB_STATUS_EVENT
from wsdgateway.soap.envelope import Envelope, read
from wsdgateway.soap.faults import fault_of, temporary_error
from wsdgateway.soap.parsing import Malformed
from wsdgateway.soap.seen import Seen

JOB_NOT_FOUND = "ClientErrorJobIdNotFound"
# RetrieveImage: the job is over. Others say that the client asked wrongly, or that the device is busy.
_NO_MORE = ("ClientErrorNoImagesAvailable", JOB_NOT_FOUND, "ClientErrorJobCanceled", "ClientErrorJobCancelled")
# Some devices answer for an unknown job with HTTP 404 and no fault; that counts as JOB_NOT_FOUND.

# A scanner that announces its state more often than it answers is asked for it so often, and then believed.
MAX_STATUS_ASKS = 2

# What a scanner does one of these for shows in its ScannerStatus, and clients ask for that right afterwards.
_AT_WORK = (CREATE_SCAN_JOB, RETRIEVE_IMAGE, CANCEL_JOB)

_OVERTAKEN = temporary_error(
    "The scanner's answers were outdated before they arrived; ask again in a second.")
_NOT_FOUND_YET = temporary_error("The scanner's address is not known yet; ask again in a few seconds.")
_NOT_ON_PANEL_YET = temporary_error(
    "The scanner does not know this destination at the moment, and is being told of it; ask again in a second.")


class BridgedScanner:
    """What the gateway decides for one scanner. `new_id` makes message ids, `urn:uuid:…`.

    `device` is the scan service's address, None until it is known; `endpoints` the stand-in's endpoint address and the
    device's own. `suspects_reboot` is set when the device
    forgot an active job or used a JobId again; whoever acts on that clears it. `subscriptions` are the clients';
    `off_panel` names those that should be held at the scanner and are not at the moment.
    """

    def __init__(self, name: str, *, max_age: float, poll_interval: float, history: int,
                 new_id: Callable[[], str], authorities: frozenset[str] = frozenset(),
                 max_subscriptions: int = 1000, elements: float = 300.0, cache: bool = True,
                 quotas: Quotas | None = None) -> None:
        self.name = name
        self._quotas = quotas or no_quotas()
        self.device: str | None = None
        self.endpoints: tuple[str, str] | None = None
        self.table = JobTable(max_age=max_age, poll_interval=poll_interval, history=history)
        self._new_id = new_id
        self._authorities = authorities
        self._answers = JobAnswers(self.table)
        self._kept = KeptAnswers(self.table, Lasting(elements, max_age, poll_interval), enabled=cache)
        self._resends = Resends()
        self._seen = Seen()
        self._sent: WeakKeyDictionary[Forward, Sent] = WeakKeyDictionary()
        self._reading: dict[str, Forward] = {}
        self._creating: set[Forward] = set()
        self._lost_creates = False
        self.suspects_reboot = False
        self._outcomes = Outcomes(poll_interval)
        self.subscriptions = Subscriptions(max_subscriptions)
        self.off_panel: set[str] = set()

    def adjust(self, *, max_age: float, poll_interval: float, history: int, max_subscriptions: int,
               elements: float = 300.0, cache: bool = True) -> None:
        """Other bounds, from now on; what is known stays."""
        self.table.adjust(max_age=max_age, poll_interval=poll_interval, history=history)
        self._kept.adjust(Lasting(elements, max_age, poll_interval), enabled=cache)
        self._outcomes.lasting = poll_interval
        self.subscriptions.limit = max_subscriptions

    def take_over(self, former: "BridgedScanner", device: str | None) -> None:
        """Begin with the jobs of another one. `device` is where the scanner is, if that is known.

        At another address it may be another scanner, with other jobs under the same JobIds: then it is asked.
        """
        self.device = device
        self.table = self._kept.table = former.table
        self._answers = JobAnswers(self.table)
        if device != former.device:
            self.rebooted()

    # Questions.

    def ask(self, question: Question, now: float) -> Decision:
        """What to do with a client's request."""
        wanted = question.wanted
        if wanted is not None and wanted.wanted is not None:
            return self._read_job(question, now)
        if question.operation is CREATE_SCAN_JOB:
            earlier = self._resends.earlier(question, now)
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
        if question.read is not None and self._is_alike(question):
            found = self._kept.find(question, self._new_id, now)
        return found or self._forward(question, asks)

    def _read_job(self, question: Question, now: float, at_least: int | None = None, asks: int = 0) -> Decision:
        wanted = question.wanted
        assert wanted is not None and wanted.wanted is not None
        body = self._answers.write(wanted, relates_to=question.envelope.message_id, message_id=self._new_id(),
                                   now=now, at_least=at_least)
        if body is not None:
            return Answer(body)
        if not self._is_alike(question):
            return self._forward(question, asks)
        if wanted.status_only:
            known = self._outcomes.recent(wanted.job_id, now)
            if known is not None:
                return self._share(question, known)
        running = self._reading.get(wanted.job_id)
        if running is not None and self._answers.will_do(running.question.wanted, wanted):
            return Join(running)
        return self._forward(question, asks)

    def _forward(self, question: Question, asks: int = 0) -> Decision:
        if self.device is None:
            return Refuse(_NOT_FOUND_YET)
        if asks >= MAX_ASKS:
            return Refuse(_OVERTAKEN)
        token = contradiction(question.envelope) or self._token(question)
        if isinstance(token, Refuse):
            return token
        body = forwarded(question.envelope, question.raw, scanner=self.name, hosts=self._hosts(question),
                         device=self.device, endpoints=self.endpoints, token=token)
        forward = Forward(question, body, asks + 1, shared=(
            question.read is not None and self._kept.enabled and self._may_share(question)))
        if forward.shared:
            self._kept.asked(forward)
        if question.operation is CREATE_SCAN_JOB:
            self._resends.started(forward)
            self._creating.add(forward)
        wanted = question.wanted
        if wanted is not None and wanted.wanted and JOB_STATUS in wanted.wanted and self._may_share(question):
            self._reading.setdefault(wanted.job_id, forward)
        return forward

    def _hosts(self, question: Question) -> frozenset[str]:
        """The authorities that we are known by to whoever asks."""
        host = question.host.decode("latin-1").lower()
        return self._authorities | {host} if host else self._authorities

    def _may_share(self, question: Question) -> bool:
        """Whether what the scanner answers to this may be anybody's who asks the same.

        Without a MessageID, which WS-Addressing wants of every request, it may be a fault.
        """
        return question.envelope.message_id is not None and self._is_alike(question)

    def _is_alike(self, question: Question) -> bool:
        """Whether another's answer will do: the request is usual, and sent to us."""
        to = question.envelope.to or ""
        return is_usual(question.envelope, question.fields) and (
            names_gateway(to, self.name, self._hosts(question))
            or (self.endpoints is not None and to.lower() == self.endpoints[0]))

    def _token(self, question: Question) -> str | Refuse | None:
        """The DestinationToken that the scanner knows for the client's, where it is another one by now."""
        given = token_of(question.envelope.body) if question.operation is CREATE_SCAN_JOB else None
        found = self.subscriptions.token(given) if given is not None else None
        if found is None:
            return None
        subscription, token = found
        if subscription.identifier in self.off_panel:
            return Refuse(_NOT_ON_PANEL_YET)
        return token.current if token.current != given else None

    def share_of(self, forward: Forward) -> str | None:
        """In whose share of what may wait for the device the request stands, if it is anybody's."""
        return self._quotas.share_of(forward.question.client)

    def sent(self, forward: Forward, now: float) -> None:
        """The request is going to the device now, or again on another connection."""
        sent = self._sent[forward] = Sent(self.table.moment(), now)
        if forward.question.operation in _AT_WORK:
            self._kept.doubt(Subject.STATUS)
        self._kept.sent(forward, sent.moment)

    def joined(self, question: Question, forward: Forward, outcome: Outcome, now: float) -> Decision:
        """The request that this client waited for has ended."""
        if question.operation is CREATE_SCAN_JOB:
            return self._share(question, outcome)
        if question.read is not None:
            if self._kept.is_outdated(forward) and not self._is_enough(forward):
                return self._read_alike(question, now, forward.asks)
            return self._kept.share(question, forward, self._new_id) or self._share(question, outcome)
        assert question.wanted is not None
        if self._outcomes.is_kept(question.wanted.job_id, outcome):
            return self._share(question, outcome)
        sent = self._sent.get(forward)
        return self._read_job(question, now, at_least=sent.moment if sent else None, asks=forward.asks)

    def _share(self, question: Question, outcome: Outcome) -> Decision:
        if isinstance(outcome, Failure):
            return Refuse(outcome.fault)
        if question.operation is CREATE_SCAN_JOB:
            return Pass(outcome)
        return Pass(attrs.evolve(outcome, body=related(outcome.body, question.envelope.message_id)))

    def _is_enough(self, forward: Forward) -> bool:
        """Whether the scanner's elements have been asked for often enough, outdated as they may be."""
        return forward.asks >= MAX_STATUS_ASKS and forward.question.operation is GET_SCANNER_ELEMENTS

    # What came of them.

    def learn(self, forward: Forward, reply: Reply, now: float) -> Decision:
        """The device answered: learn from it, and say what the client gets."""
        sent = self._end(forward, now)
        current = self._learn_reply(forward, reply, sent)
        if forward.question.operation is CREATE_SCAN_JOB:
            self._resends.ended(forward, reply, now)
        if current:
            return Pass(reply)
        wanted = forward.question.wanted
        if wanted is not None and wanted.wanted is not None:
            return self._read_job(forward.question, now, asks=forward.asks)
        if self._is_enough(forward):
            return Pass(reply)
        return self._read_alike(forward.question, now, forward.asks)

    def fail(self, forward: Forward, failure: Failure, now: float) -> Decision:
        """The device gave no usable answer."""
        operation = forward.question.operation
        job_id = self._job_id(forward)
        sent = self._end(forward, now)
        if operation is CREATE_SCAN_JOB:
            self._resends.ended(forward, None, now)
            self._lost_creates = True
        elif operation is CANCEL_JOB and job_id is not None and forward in self._sent:
            self._outcomes.drop(job_id)
            self.table.canceled(job_id)
        elif operation is GET_JOB_ELEMENTS:
            self._keep(forward, sent, failure)
        return Refuse(failure.fault)

    def _end(self, forward: Forward, now: float) -> Sent:
        self._creating.discard(forward)
        self._quotas.job_ended(self.name, forward)
        self._kept.ended(forward)
        if forward.question.operation in _AT_WORK:
            self._kept.doubt(Subject.STATUS)
        wanted = forward.question.wanted
        if wanted is not None and self._reading.get(wanted.job_id) is forward:
            del self._reading[wanted.job_id]
        return self._sent.get(forward) or Sent(self.table.moment(), now)

    def _job_id(self, forward: Forward) -> str | None:
        wanted = forward.question.wanted
        return wanted.job_id if wanted is not None else job_id_of(forward.question.envelope.body)

    def _learn_reply(self, forward: Forward, reply: Reply, sent: Sent) -> bool:
        """Whether the reply may be shown: False if something newer is known."""
        operation = forward.question.operation
        job_id = self._job_id(forward)
        if operation is CANCEL_JOB:
            if job_id is not None:
                if is_success(reply):
                    self._quotas.job_ended(self.name, job_id)
                self._outcomes.drop(job_id)
                self.table.canceled(job_id, accepted=is_success(reply))
            return True
        if not forward.learns:
            return True
        try:
            envelope = read(reply.body)
        except Malformed:
            envelope = None
        if operation is GET_JOB_ELEMENTS and job_id is not None:
            return self._learn_job(job_id, forward, envelope, reply, sent)
        if envelope is None or envelope.body is None:
            return True
        if operation is CREATE_SCAN_JOB:
            created = read_created(envelope.body)
            if created is not None:
                self._quotas.job_began(forward.question.client, self.name, created.job_id, sent.at)
                known = self.table.get(created.job_id)
                self.suspects_reboot = self.suspects_reboot or (known is not None and known.since < sent.moment)
                if self.table.created(created.job_id, sent.moment,
                                      alone=not self._creating and not self._lost_creates):
                    self._outcomes.drop(created.job_id)
            return True
        current, revived = self._kept.learn(forward, envelope, reply, sent)
        self.suspects_reboot = self.suspects_reboot or revived
        return current

    def _learn_job(self, job_id: str, forward: Forward, envelope: Envelope | None, reply: Reply,
                   sent: Sent) -> bool:
        elements = None if envelope is None else read_response(envelope.body)
        if elements is None:
            known = self.table.get(job_id)
            gone = reply.status == 404 if envelope is None else fault_of(envelope) == JOB_NOT_FOUND
            if gone and known is not None and known.status is not None and not known.final:
                self.suspects_reboot = True
            if gone and not self.table.absent(job_id, sent.moment):
                return False
            self._keep(forward, sent, reply)
            return True
        self._answers.qualified = elements.qualified
        current = True
        if elements.status is not None and elements.status.job_id == job_id:
            current = self.table.answered(elements.status, sent.moment, sent.at)
            self._outcomes.drop(job_id)
        else:
            self._keep(forward, sent, reply)
        if elements.extras:
            self.table.learn_extras(job_id, elements.extras, sent.moment)
        return current

    def _keep(self, forward: Forward, sent: Sent, outcome: Outcome) -> None:
        """No status came of this; it will do for whoever asks the same, for a while."""
        if self._may_share(forward.question):
            self._outcomes.keep(forward.question.wanted, sent.at, outcome)

    # Events.

    def notified(self, notification: Notification, now: float) -> bool:
        """The device sent a notification. False if it was here before."""
        if not self._seen.is_new(notification.message_id):
            return False
        if notification.status is not None:
            if notification.event == JOB_STATUS_EVENT:
                self.table.events_seen = True
            self.table.announced(notification.status, now)
        self._kept.notified(notification.event)
        return True

    def listens(self, listening: bool) -> None:
        """A subscription is held, or none any more; what was announced in between nobody has heard."""
        if listening is not self.table.listening:
            self.table.listening = listening
            self._kept.doubt(*Subject)

    def image_refused(self, question: Question, reply: Reply) -> None:
        """The device gave no image of this job, most often for there are no more."""
        job_id = job_id_of(question.envelope.body)
        if job_id is not None and (reply.status == 404 or fault_in(reply) in _NO_MORE):
            self._quotas.job_ended(self.name, job_id)

    def image_ended(self, question: Question, now: float, *, whole: bool) -> None:
        """An image of this job went by, or broke off. If none of its events came before, does the device know us?"""
        self._kept.doubt(Subject.STATUS)
        if not whole:
            return
        job_id = job_id_of(question.envelope.body)
        if job_id is not None:
            self._quotas.image_fetched(self.name, job_id, now)
        job = self.table.get(job_id) if job_id is not None else None
        if self.table.listening and job is not None and job.status is None:
            self.suspects_reboot = True

    def rebooted(self) -> None:
        """The device started again, or may have."""
        self._outcomes.clear()
        self._kept.rebooted()
        self._lost_creates = bool(self._creating)
        self.table.rebooted()
