"""What many clients are told alike: the scanner's last answers, how long they hold, and who waits for which request.

WS-Scan, GetScannerElements, GetActiveJobs, GetJobHistory; ScannerElementsChangeEvent and the events of ScannerStatus.
An answer counts from the moment its request was sent, an event from its arrival; moments are those of the job table::

    asked ──► sent ──► answered ──► kept ──► an event, a reboot, its time: asked again
                 └── an event: outdated; clients that wait are asked for again, new ones do not join

An outdated answer is never kept and never shared. A scanner whose elements change faster than it answers is asked
`scanner.MAX_STATUS_ASKS` times for the client that waited; that client alone then gets the last answer as it came
(`give_up`).

Lists of jobs are the scanner's own, too: a JobSummary holds names that events do not carry. What it has said stays true
until the table learns of a change; a list is never written anew from the table.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from weakref import WeakKeyDictionary

import attrs

from wsdgateway.bridge.cache.coalescing import is_whole
from wsdgateway.bridge.cache.replytemplate import Copy, prepare
from wsdgateway.bridge.decisions import Answer, Forward, Join, Question, Read, Reply, Sent, Subject
from wsdgateway.bridge.jobs.job import NEVER
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.http.messages import is_soap
from wsdgateway.scan.jobstatus import JOB_LISTS, read_summaries
from wsdgateway.scan.operations import (
    GET_ACTIVE_JOBS,
    SCANNER_ELEMENTS_CHANGE,
    SCANNER_STATUS_EVENTS,
    SCANNER_STATUS_SUMMARY,
)
from wsdgateway.soap.envelope import Envelope

MAX_KEPT = 16  # answers to different questions
MAX_ANSWER = 262144


@attrs.frozen
class Lasting:
    """For how many seconds an answer holds: about the scanner's elements; about what events tell of; about the rest."""

    elements: float
    max_age: float
    poll_interval: float


@attrs.frozen(eq=False)
class _Kept:
    """An answer that held at the moment `since`, and was asked for `at` that time in seconds."""

    copy: Copy
    since: int
    at: float


@attrs.define(eq=False)
class _Running:
    """A request under way; `sent` is its moment, None while it waits."""

    forward: Forward
    sent: int | None = None


class AnswerCache:
    """Those of one scanner. With `enabled` False everybody's request goes to the scanner, and nothing is kept."""

    def __init__(self, table: JobTable, lasting: Lasting, *, enabled: bool) -> None:
        self.table = table
        self.lasting = lasting
        self.enabled = enabled
        self._status_events = False
        self._kept: OrderedDict[Read, _Kept] = OrderedDict()
        self._running: dict[Read, _Running] = {}
        self._announced = dict.fromkeys(Subject, NEVER)
        self._doubted = dict.fromkeys(Subject, NEVER)
        self._unread = dict.fromkeys(Subject, -inf)  # in seconds, when an event came last that could not be read
        self._unread_at = -inf
        # When the newest answer was asked for, of at most as many questions as four names have orders.
        self._shown: dict[Read, int] = {}
        # What came of a request: the answer for everybody who waited for it; None if it was outdated by then.
        self._came: WeakKeyDictionary[Forward, Copy | None] = WeakKeyDictionary()

    def adjust(self, lasting: Lasting, *, enabled: bool) -> None:
        """Other bounds, from now on; what is switched off is forgotten."""
        self.lasting, self.enabled = lasting, enabled
        if not enabled:
            self._kept.clear()

    # When something changes.

    def notified(self, event: str | None) -> None:
        """The scanner sent that event."""
        if event == SCANNER_ELEMENTS_CHANGE:
            self._announced[Subject.ELEMENTS] = self.table.moment()
        elif event in SCANNER_STATUS_EVENTS:
            self._announced[Subject.STATUS] = self.table.moment()
            self._status_events = self._status_events or event == SCANNER_STATUS_SUMMARY

    def doubt(self, *subjects: Subject) -> None:
        """Record that these may have changed without an announcement, as while the scanner was out of reach."""
        self._doubted.update(dict.fromkeys(subjects, self.table.moment()))

    def unread(self, now: float, *subjects: Subject) -> None:
        """An event that may be about them could not be read: what was asked for before holds for `poll_interval`."""
        self._unread.update(dict.fromkeys(subjects, now))
        self._unread_at = now

    def rebooted(self) -> None:
        """The scanner started again, or may have."""
        self._status_events = False
        self._announced = dict.fromkeys(Subject, self.table.moment())
        self._kept.clear()

    def _announced_at(self, read: Read) -> int:
        return max(self._announced[subject] for subject in read.subjects)

    def _changed_at(self, read: Read) -> int:
        doubted = max(self._doubted[subject] for subject in read.subjects)
        changed = self.table.changed if read.operation in JOB_LISTS else NEVER
        return max(self._announced_at(read), doubted, changed)

    # Questions.

    def find(self, question: Question, new_id: Callable[[], str], now: float) -> Answer | Join | None:
        """The answer that is kept, or the request under way that will do; None if the scanner has to be asked."""
        read = question.read
        if read is None or not self.enabled:
            return None
        kept = self.kept(question, new_id, now)
        if kept is not None:
            return kept
        running = self._running.get(read)
        if running is not None and (running.sent is None or running.sent > self._changed_at(read)):
            return Join(running.forward)
        return None

    def kept(self, question: Question, new_id: Callable[[], str], now: float) -> Answer | None:
        """The kept answer to this question, if it still holds at `now`, in seconds."""
        read = question.read
        kept = None if read is None else self._kept.get(read)
        if read is None or kept is None or kept.since <= self._changed_at(read) or (
                now - kept.at >= self._lasts(read, kept.at)):
            return None
        self._kept.move_to_end(read)
        return kept.copy.answer(question.envelope.message_id, new_id())

    def give_up(self, forward: Forward) -> None:
        """Record that an outdated answer goes to its own client: it may tell of changes up to this moment.

        Only answers that are asked for from now on are certainly no older than what that client is shown.
        """
        read = forward.question.read
        if read is not None:
            self._kept.pop(read, None)
            self._shown[read] = self.table.moment()

    def _lasts(self, read: Read, asked_at: float) -> float:
        """For how many seconds an answer that was asked for at that time holds."""
        lasts = self._lasts_undoubted(read)
        if asked_at <= self._unread_at and asked_at <= max(self._unread[subject] for subject in read.subjects):
            return min(lasts, self.lasting.poll_interval)
        return lasts

    def _lasts_undoubted(self, read: Read) -> float:
        lasting = self.lasting
        if Subject.JOBS in read.subjects:
            return lasting.max_age if self.table.eventful else lasting.poll_interval
        if Subject.STATUS in read.subjects:
            is_told = self._status_events and self.table.listening
            return min(lasting.max_age if is_told else lasting.poll_interval, lasting.elements)
        return lasting.elements

    def asked(self, forward: Forward) -> None:
        """This request goes to the scanner, for everybody who asks the same."""
        if forward.question.read is not None:
            self._running[forward.question.read] = _Running(forward)

    def sent(self, forward: Forward, moment: int) -> None:
        """It is on its way now, or once more."""
        running = self._running.get(forward.question.read) if forward.question.read is not None else None
        if running is not None and running.forward is forward:
            running.sent = moment

    # Answers.

    def ended(self, forward: Forward) -> None:
        """It was answered, or failed."""
        read = forward.question.read
        if read is not None and read in self._running and self._running[read].forward is forward:
            del self._running[read]

    def learn(self, forward: Forward, envelope: Envelope, reply: Reply, sent: Sent) -> tuple[bool, bool]:
        """The answer that came. Whether it may be shown; and whether it lists a finished job as active."""
        question = forward.question
        read = question.read if forward.shared else None
        is_new = read is not None and sent.moment > self._changed_at(read)
        current, revived = self._learn_list(question, envelope, sent)
        whole = read is not None and reply.status == 200 and is_soap(reply.content_type) and is_whole(read, envelope)
        if read is not None and whole:
            current = current and sent.moment > max(self._announced_at(read), self._shown.get(read, NEVER))
        if not current:
            self._came[forward] = None
        if read is None or not whole or not current:
            return current, revived
        self._shown[read] = sent.moment
        copy = prepare(envelope, reply.body, reply.content_type)
        if copy is not None:
            self._came[forward] = copy
            if is_new and len(reply.body) <= MAX_ANSWER:
                self._keep(read, _Kept(copy, self.table.moment(), sent.at))
        return True, revived

    def _learn_list(self, question: Question, envelope: Envelope, sent: Sent) -> tuple[bool, bool]:
        listed = JOB_LISTS.get(question.operation.name)
        statuses = read_summaries(envelope.body, listed) if listed is not None and envelope.body is not None else None
        if statuses is None:
            return True, False
        return self.table.listed(statuses, sent.moment, sent.at, complete=question.operation is GET_ACTIVE_JOBS)

    def _keep(self, read: Read, kept: _Kept) -> None:
        self._kept[read] = kept
        self._kept.move_to_end(read)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def is_outdated(self, forward: Forward) -> bool:
        """Whether what came of it was outdated when it came."""
        return forward in self._came and self._came[forward] is None

    def share(self, question: Question, forward: Forward, new_id: Callable[[], str]) -> Answer | None:
        """What came of another client's request, for this one; None if that is no answer that was whole."""
        copy = self._came.get(forward)
        return None if copy is None else copy.answer(question.envelope.message_id, new_id())
