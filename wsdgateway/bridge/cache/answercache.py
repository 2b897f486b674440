"""Caches the scanner's last answers for all clients, and lets clients wait for the same request.

WS-Scan, GetScannerElements, GetActiveJobs, GetJobHistory; ScannerElementsChangeEvent and the events of ScannerStatus.
An answer counts from the moment its request was sent, an event from its arrival; moments are those of the job table.
The life of an answer::

    requested ──► sent ──► received ──► kept ──► dropped by an event, a reboot, or at the end of its lifetime
                    │
                    └─ an event ──► outdated: the gateway asks again for clients that wait; new ones do not join

An outdated answer is never cached and never shared. A scanner whose elements change faster than it answers is asked
`MAX_STATUS_ASKS` times for the client that waited; that client alone then gets the last answer unchanged
(`show_outdated`).

Lists of jobs are also cached, and not written from the job table, since a JobSummary contains names that events do not.
A list is valid until the table learns of a change.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from weakref import WeakKeyDictionary

import attrs

from wsdgateway.bridge.cache.coalescing import is_complete
from wsdgateway.bridge.cache.replytemplate import ReplyTemplate, make_template
from wsdgateway.bridge.decisions import Answer, Forward, Join, Question, Read, Reply, Sent, Subject
from wsdgateway.bridge.jobs.job import NEVER
from wsdgateway.bridge.jobs.joblists import learn_list
from wsdgateway.bridge.jobs.jobtable import JobTable
from wsdgateway.http.messages import is_soap
from wsdgateway.scan.jobstatus import JOB_LISTS, read_summaries
from wsdgateway.scan.operations import (
    GET_ACTIVE_JOBS,
    GET_SCANNER_ELEMENTS,
    SCANNER_ELEMENTS_CHANGE,
    SCANNER_STATUS_EVENTS,
    SCANNER_STATUS_SUMMARY,
)
from wsdgateway.soap.envelope import Envelope

MAX_KEPT = 16  # answers to different questions
MAX_ANSWER = 262144
# The number of times that one client's GetScannerElements is sent to a scanner whose elements change before its
# answers arrive. The client then gets the last answer unchanged: a fault would end its scan, and the state is only
# displayed.
MAX_STATUS_ASKS = 2


@attrs.frozen
class Lifetimes:
    """The lifetimes of answers in seconds.

    `elements` is for the scanner's elements, `max_age` for what events announce, `poll_interval` for everything else.
    """

    elements: float
    max_age: float
    poll_interval: float


@attrs.frozen(eq=False)
class _Kept:
    """An answer that was valid at the moment `since`, and was requested at the time `at`, in seconds."""

    template: ReplyTemplate
    since: int
    at: float


@attrs.define(eq=False)
class _Running:
    """A request in progress; `sent` is the moment at which it was sent to the scanner, None while it waits."""

    forward: Forward
    sent: int | None = None


class AnswerCache:
    """The cached answers of one scanner. If not `enabled`, every request goes to the scanner, and nothing is cached."""

    def __init__(self, table: JobTable, lifetimes: Lifetimes, *, enabled: bool) -> None:
        self.table = table
        self.lifetimes = lifetimes
        self.enabled = enabled
        self._status_events = False
        self._kept: OrderedDict[Read, _Kept] = OrderedDict()
        self._running: dict[Read, _Running] = {}
        self._announced = dict.fromkeys(Subject, NEVER)
        self._invalidated = dict.fromkeys(Subject, NEVER)
        self._unread = dict.fromkeys(Subject, -inf)  # the time in seconds of the last unreadable event
        self._unread_at = -inf
        # The moment at which the newest answer shown was requested; at most one entry for each combination of names.
        self._shown: dict[Read, int] = {}
        # The answer for all clients that waited for a request; None if it was outdated when it arrived.
        self._results: WeakKeyDictionary[Forward, ReplyTemplate | None] = WeakKeyDictionary()

    def adjust(self, lifetimes: Lifetimes, *, enabled: bool) -> None:
        """Change the lifetimes; drop all answers if disabled."""
        self.lifetimes, self.enabled = lifetimes, enabled
        if not enabled:
            self._kept.clear()

    # Changes.

    def notified(self, event: str | None) -> None:
        """Record an event of the scanner."""
        if event == SCANNER_ELEMENTS_CHANGE:
            self._announced[Subject.ELEMENTS] = self.table.moment()
        elif event in SCANNER_STATUS_EVENTS:
            self._announced[Subject.STATUS] = self.table.moment()
            self._status_events = self._status_events or event == SCANNER_STATUS_SUMMARY

    def invalidate(self, *subjects: Subject) -> None:
        """Record that these may have changed without an announcement, for example while the scanner was unreachable."""
        self._invalidated.update(dict.fromkeys(subjects, self.table.moment()))

    def unread(self, now: float, *subjects: Subject) -> None:
        """Record an unreadable event that may concern these subjects.

        Answers that were requested before it are valid for at most `poll_interval`.
        """
        self._unread.update(dict.fromkeys(subjects, now))
        self._unread_at = now

    def rebooted(self) -> None:
        """Record that the scanner restarted, or may have."""
        self._status_events = False
        self._announced = dict.fromkeys(Subject, self.table.moment())
        self._kept.clear()

    def _announced_at(self, read: Read) -> int:
        return max(self._announced[subject] for subject in read.subjects)

    def _changed_at(self, read: Read) -> int:
        invalidated = max(self._invalidated[subject] for subject in read.subjects)
        changed = self.table.changed if read.operation in JOB_LISTS else NEVER
        return max(self._announced_at(read), invalidated, changed)

    # Questions.

    def find(self, question: Question, new_id: Callable[[], str], now: float) -> Answer | Join | None:
        """The cached answer, or a request in progress to wait for; None if the scanner must be asked."""
        read = question.read
        if read is None or not self.enabled:
            return None
        kept = self.cached(read, question.envelope.message_id, new_id, now)
        if kept is not None:
            return kept
        running = self._running.get(read)
        if running is not None and (running.sent is None or running.sent > self._changed_at(read)):
            return Join(running.forward)
        return None

    def cached(self, read: Read | None, message_id: str | None, new_id: Callable[[], str], now: float) -> Answer | None:
        """The cached answer to a request with this MessageID if it is still valid at `now`, in seconds."""
        kept = None if read is None else self._kept.get(read)
        if read is None or kept is None or kept.since <= self._changed_at(read) or (
                now - kept.at >= self._lifetime(read, kept.at)):
            return None
        self._kept.move_to_end(read)
        return kept.template.answer(message_id, new_id())

    def show_outdated(self, forward: Forward) -> None:
        """Record that an outdated answer is passed to its own client: it may include changes up to this moment.

        Only answers requested after this moment are certainly not older than what that client has seen.
        """
        read = forward.question.read
        if read is not None:
            self._kept.pop(read, None)
            self._shown[read] = self.table.moment()

    def _lifetime(self, read: Read, asked_at: float) -> float:
        """The lifetime in seconds of an answer that was requested at that time."""
        lifetime = self._usual_lifetime(read)
        if asked_at <= self._unread_at and asked_at <= max(self._unread[subject] for subject in read.subjects):
            return min(lifetime, self.lifetimes.poll_interval)
        return lifetime

    def _usual_lifetime(self, read: Read) -> float:
        lifetimes = self.lifetimes
        if Subject.JOBS in read.subjects:
            return lifetimes.max_age if self.table.eventful else lifetimes.poll_interval
        if Subject.STATUS in read.subjects:
            is_told = self._status_events and self.table.is_told
            return min(lifetimes.max_age if is_told else lifetimes.poll_interval, lifetimes.elements)
        return lifetimes.elements

    def asked(self, forward: Forward) -> None:
        """Record that the request is sent to the scanner for all clients with the same question."""
        if forward.question.read is not None:
            self._running[forward.question.read] = _Running(forward)

    def sent(self, forward: Forward, moment: int) -> None:
        """Record that the request is being sent at this moment, or sent again."""
        running = self._running.get(forward.question.read) if forward.question.read is not None else None
        if running is not None and running.forward is forward:
            running.sent = moment

    # Answers.

    def ended(self, forward: Forward) -> None:
        """Record that the request was answered, or failed."""
        read = forward.question.read
        if read is not None and read in self._running and self._running[read].forward is forward:
            del self._running[read]

    def learn(self, forward: Forward, envelope: Envelope, reply: Reply, sent: Sent) -> tuple[bool, bool]:
        """Learn from an answer. Returns whether it may be shown, and whether it lists a finished job as active."""
        question = forward.question
        read = question.read if forward.shared else None
        is_new = read is not None and sent.moment > self._changed_at(read)
        current, revived = self._learn_list(question, envelope, sent)
        complete = (read is not None and reply.status == 200 and is_soap(reply.content_type)
                    and is_complete(read, envelope))
        if read is not None and complete:
            current = current and sent.moment > max(self._announced_at(read), self._shown.get(read, NEVER))
        if not current:
            self._results[forward] = None
        if read is None or not complete or not current:
            return current, revived
        self._shown[read] = sent.moment
        template = make_template(envelope, reply.body, reply.content_type)
        if template is not None:
            self._results[forward] = template
            if is_new and len(reply.body) <= MAX_ANSWER:
                self._keep(read, _Kept(template, self.table.moment(), sent.at))
        return True, revived

    def _learn_list(self, question: Question, envelope: Envelope, sent: Sent) -> tuple[bool, bool]:
        listed = JOB_LISTS.get(question.operation.name)
        statuses = read_summaries(envelope.body, listed) if listed is not None and envelope.body is not None else None
        if statuses is None:
            return True, False
        return learn_list(self.table, statuses, sent.moment, sent.at, complete=question.operation is GET_ACTIVE_JOBS)

    def _keep(self, read: Read, kept: _Kept) -> None:
        self._kept[read] = kept
        self._kept.move_to_end(read)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def is_outdated(self, forward: Forward) -> bool:
        """Return whether the answer to the request was outdated when it arrived."""
        return forward in self._results and self._results[forward] is None

    def may_ask_again(self, forward: Forward) -> bool:
        """Return whether a request with an outdated answer may be sent once more for its client."""
        return forward.asks < MAX_STATUS_ASKS or forward.question.operation is not GET_SCANNER_ELEMENTS

    def asks_after(self, forward: Forward) -> int:
        """The number of asks to count for a client that waited for another client's outdated answer.

        GetScannerElements always leaves it one ask of its own, so that it ends with an answer and not with a fault.
        """
        is_of_elements = forward.question.operation is GET_SCANNER_ELEMENTS
        return min(forward.asks, MAX_STATUS_ASKS - 1) if is_of_elements else forward.asks

    def share(self, question: Question, forward: Forward, new_id: Callable[[], str]) -> Answer | None:
        """The answer to another client's request, written for this one; None if it was not a complete answer."""
        template = self._results.get(forward)
        return None if template is None else template.answer(question.envelope.message_id, new_id())
