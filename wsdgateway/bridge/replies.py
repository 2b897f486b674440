"""Learns from the outcomes of one scanner's requests: jobs, shareable answers, and the scanner's own status.

WS-Scan, the responses to CreateScanJob, CancelJob, RetrieveImage, GetJobElements and GetScannerElements. A reply counts
from the moment its request was sent. `cache.answercache` handles the replies that many clients share.
"""

from weakref import WeakKeyDictionary

import attrs

from wsdgateway.bridge.access.quotas import Quotas
from wsdgateway.bridge.cache.answercache import AnswerCache
from wsdgateway.bridge.cache.duplicates import is_success
from wsdgateway.bridge.decisions import Failure, Forward, Outcome, Question, Reply, Sent, Subject
from wsdgateway.bridge.health.causes import NO_SUCH_SERVICE, Cause, not_a_scanner
from wsdgateway.bridge.health.reported import ReportedStatus
from wsdgateway.bridge.jobs.answers import JobAnswers
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.bridge.jobs.outcomes import Outcomes
from wsdgateway.bridge.outgoing import Outgoing
from wsdgateway.scan.jobelements import JOB_STATUS, read_response
from wsdgateway.scan.jobs import job_id_of, read_created
from wsdgateway.scan.operations import (
    CANCEL_JOB,
    CREATE_SCAN_JOB,
    GET_JOB_ELEMENTS,
    GET_SCANNER_ELEMENTS,
    RETRIEVE_IMAGE,
)
from wsdgateway.scan.refusals import CANCELED, JOB_NOT_FOUND, NO_IMAGES
from wsdgateway.scan.scannerelements import SCANNER_STATUS, read_elements
from wsdgateway.scan.scannerstatus import read_status
from wsdgateway.soap.envelope import Envelope
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

MAX_OVERHEARD = 262144  # bytes of an answer that is parsed for the scanner's status alone
_ENVELOPE, _STATUS = b"Envelope", SCANNER_STATUS.encode()
# Faults of RetrieveImage that mean that the job has ended; others mean that the request was wrong, or that the
# device is busy. Some devices answer for an unknown job with HTTP 404 and no fault, which counts as JOB_NOT_FOUND.
_NO_MORE = CANCELED | {NO_IMAGES, JOB_NOT_FOUND}

# These operations change a scanner's ScannerStatus, and clients ask for it right afterwards.
_CHANGE_STATUS = (CREATE_SCAN_JOB, RETRIEVE_IMAGE, CANCEL_JOB)


class ReplyObserver:
    """Records the content of replies of `scanner`, its name, in job table, answer cache and quotas.

    `suspects_reboot` is set when the device forgot an active job or reused a JobId. A CreateScanJob that is running, or
    that broke off, may have created any job that is not known yet. `reported` is the scanner's own status; `misfit` is
    set if no scan service answers at its address.
    """

    def __init__(self, scanner: str, outgoing: Outgoing, *, answers: JobAnswers, cache: AnswerCache,
                 outcomes: Outcomes, quotas: Quotas) -> None:
        self._scanner = scanner
        self._outgoing = outgoing
        self._answers = answers
        self._cache = cache
        self._outcomes = outcomes
        self._quotas = quotas
        self._sent: WeakKeyDictionary[Forward, Sent] = WeakKeyDictionary()
        self._creating: set[Forward] = set()
        self._lost_creates = False
        self.suspects_reboot = False
        self.reported = ReportedStatus()
        self.misfit: Cause | None = None

    @property
    def _table(self) -> JobTable:
        return self._answers.table

    # Requests in progress.

    def creating(self, forward: Forward) -> None:
        """Record that a CreateScanJob is running: until it ends, a new job may be its own or another client's."""
        self._creating.add(forward)

    def sent(self, forward: Forward, now: float) -> None:
        """Record that the request is sent to the device now, or again on another connection."""
        sent = self._sent[forward] = Sent(self._table.moment(), now)
        if forward.question.operation in _CHANGE_STATUS:
            self._cache.invalidate(Subject.STATUS)
        self._cache.sent(forward, sent.moment)

    def sent_at(self, forward: Forward) -> Sent | None:
        """The time at which the request was last sent; None if it never was."""
        return self._sent.get(forward)

    def ended(self, forward: Forward, now: float) -> Sent:
        """Record that the request was answered, or failed. Returns when it was sent, or now if it never was."""
        self._creating.discard(forward)
        self._cache.ended(forward)
        if forward.question.operation in _CHANGE_STATUS:
            self._cache.invalidate(Subject.STATUS)
        return attrs.evolve(self._sent.get(forward) or Sent(self._table.moment(), now), over=now)

    # Outcomes.

    def failed(self, forward: Forward, sent: Sent, failure: Failure) -> None:
        """Record that no usable answer arrived; the device may still have carried out the request."""
        operation = forward.question.operation
        job_id = _job_id(forward)
        if operation is CREATE_SCAN_JOB and failure.limit is None:
            self._lost_creates = True
        elif operation is CANCEL_JOB and job_id is not None and forward in self._sent:
            self._outcomes.drop(job_id)
            self._table.canceled(job_id)
        elif operation is GET_JOB_ELEMENTS:
            self._keep(forward, sent, failure)

    def answered(self, forward: Forward, sent: Sent, reply: Reply) -> bool:
        """Learn from a reply. Returns False if something newer is known, so that it must not be shown."""
        operation = forward.question.operation
        job_id = _job_id(forward)
        if operation is CANCEL_JOB:
            if job_id is not None:
                self._learn_cancel(job_id, reply)
            return True
        if not forward.learns:
            return True
        try:
            envelope = reply.read()
        except Malformed:
            envelope = None
        if operation is GET_JOB_ELEMENTS and job_id is not None:
            return self._learn_elements(job_id, forward, sent, reply, envelope)
        if operation is GET_SCANNER_ELEMENTS:
            self.learn_scanner(envelope, reply, sent)
        if envelope is None or envelope.body is None:
            return True
        if operation is CREATE_SCAN_JOB:
            created = read_created(envelope.body)
            if created is not None:
                self._learn_created(created.job_id, forward, sent)
            return True
        current, revived = self._cache.learn(forward, envelope, reply, sent)
        self.suspects_reboot = self.suspects_reboot or revived
        return current

    def overheard(self, reply: Reply, sent: Sent) -> bool:
        """Learn the scanner's status from an answer to GetScannerElements that is not shared; False if it has none.

        Most answers need not be parsed for that.
        """
        body = reply.body
        if len(body) > MAX_OVERHEARD or (_ENVELOPE in body and _STATUS not in body and self.misfit is None):
            return False
        try:
            envelope = reply.read()
        except Malformed:
            envelope = None
        self.learn_scanner(envelope, reply, sent)
        return True

    def learn_scanner(self, envelope: Envelope | None, reply: Reply, sent: Sent) -> None:
        """Learn the scanner's status from an answer to GetScannerElements.

        `envelope` is None for an answer that is not SOAP; some devices answer temporary errors with a bare status.
        """
        if envelope is not None:
            self.misfit = None
            status = read_elements(envelope.body).get(SCANNER_STATUS)
            if status is not None:
                self.reported.answered(read_status(status), sent.moment, sent.at)
        elif reply.status < 300:
            self.misfit = not_a_scanner("its answer is not SOAP")
        elif reply.status in NO_SUCH_SERVICE:
            self.misfit = not_a_scanner(f"it answered {reply.status}")

    def _learn_cancel(self, job_id: str, reply: Reply) -> None:
        accepted = is_success(reply)
        if accepted or _is_over(reply):
            self._quotas.job_ended(self._scanner, job_id)
        self._outcomes.drop(job_id)
        self._table.canceled(job_id, accepted=accepted)

    def _learn_created(self, job_id: str, forward: Forward, sent: Sent) -> None:
        self._quotas.job_created(forward.question.client, self._scanner, forward, job_id, sent.at)
        known = self._table.get(job_id)
        self.suspects_reboot = self.suspects_reboot or (known is not None and known.since < sent.moment)
        if self._table.created(job_id, sent.moment, alone=not self._creating and not self._lost_creates):
            self._outcomes.drop(job_id)

    def _learn_elements(self, job_id: str, forward: Forward, sent: Sent, reply: Reply,
                        envelope: Envelope | None) -> bool:
        elements = None if envelope is None else read_response(envelope.body)
        if elements is None:
            known = self._table.get(job_id)
            gone = reply.status == 404 if envelope is None else fault_of(envelope) == JOB_NOT_FOUND
            if gone and known is not None and known.status is not None and not known.final:
                self.suspects_reboot = True
            if gone and not self._table.absent(job_id, sent.moment, sent.over):
                return False
            if gone:
                self._quotas.job_ended(self._scanner, job_id)
            if gone and _asks_for_status(forward) and self._table.forgotten(job_id, sent.over) is not None:
                return False  # more is known here than at the device
            self._keep(forward, sent, reply)
            return True
        self._answers.qualified = elements.qualified
        current = True
        if elements.status is not None and elements.status.job_id == job_id:
            current = self._table.answered(elements.status, sent.moment, sent.at)
            self._outcomes.drop(job_id)
        else:
            self._keep(forward, sent, reply)
        if elements.extras:
            self._table.learn_extras(job_id, elements.extras, sent.moment)
        return current

    def _keep(self, forward: Forward, sent: Sent, outcome: Outcome) -> None:
        """Keep an outcome without a status for a while, for all clients with the same question."""
        if self._outgoing.may_share(forward.question):
            self._outcomes.keep(forward.question.wanted, sent.at, outcome)

    def rebooted(self) -> None:
        """Record that the device restarted, or may have."""
        self._outcomes.clear()
        self._cache.rebooted()
        self.reported.forget(self._table.moment())
        self._lost_creates = bool(self._creating)
        self._table.rebooted()

    # Images.

    def image_refused(self, question: Question, reply: Reply) -> None:
        """Record that the device sent no image of this job, most often because there are no more."""
        job_id = job_id_of(question.envelope.body)
        if job_id is not None and _is_over(reply):
            self._quotas.job_ended(self._scanner, job_id)
            self._table.out_of_images(job_id, exists=reply.status != 404 and reply.fault != JOB_NOT_FOUND)

    def image_ended(self, question: Question, now: float, *, whole: bool) -> None:
        """Record that an image of this job was relayed completely, or broke off.

        If no event of the job arrived before, the device may have lost the subscription in a reboot.
        """
        self._cache.invalidate(Subject.STATUS)
        if not whole:
            return
        job_id = job_id_of(question.envelope.body)
        if job_id is not None:
            self._quotas.image_fetched(self._scanner, job_id, now)
            self._table.gave_image(job_id)
        job = self._table.get(job_id) if job_id is not None else None
        if self._table.listening and job is not None and job.status is None:
            self.suspects_reboot = True


def _job_id(forward: Forward) -> str | None:
    wanted = forward.question.wanted
    return wanted.job_id if wanted is not None else job_id_of(forward.question.envelope.body)


def _asks_for_status(forward: Forward) -> bool:
    """Return whether this is a GetJobElements that the gateway can answer and that asks for JobStatus."""
    wanted = forward.question.wanted
    return wanted is not None and wanted.names is not None and JOB_STATUS in wanted.names


def _is_over(reply: Reply) -> bool:
    """Return whether a refusal means that the job no longer exists, or that it has no more images."""
    return reply.status == 404 or reply.fault in _NO_MORE
