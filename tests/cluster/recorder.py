"""Collects the history of a run: reads what the proxies, the clients and their sinks saw."""

import contextlib
import hashlib
import time

import attrs

from tests.cluster.history import (
    FOREVER,
    Announcement,
    Answer,
    Asked,
    Connection,
    Delivery,
    History,
    Loss,
    Outage,
    Pause,
    Status,
    Subscription,
)
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import job_id_of, read_created
from wsdgateway.scan.jobstatus import read_summaries
from wsdgateway.scan.reading import text
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed

LISTS = {"GetActiveJobsResponse": "ActiveJobs", "GetJobHistoryResponse": "JobHistory"}


def read_or_none(data):
    """Returns the envelope of a message, or None if it is none, as an image is not."""
    try:
        return read(data)
    except Malformed:
        return None


def image_in(answer):
    """Returns the digest of the image in an answer to RetrieveImage, None without a complete one."""
    begin, end = answer.find(b"\xff\xd8"), answer.rfind(b"\r\n--")
    return hashlib.sha256(answer[begin:end]).hexdigest() if 0 <= begin < end else None


def statuses_in(body):
    """Returns the statuses of jobs in the Body of an answer: to GetJobElements, or a list of jobs."""
    elements = read_response(body)
    if elements is not None:
        return () if elements.status is None else (Status.of(elements.status),)
    listed = None if body is None else LISTS.get(body.tag.rpartition("}")[2])
    return () if listed is None else tuple(map(Status.of, read_summaries(body, listed) or ()))


def event_of(envelope):
    """Returns the event's name, its job's status and its ScanIdentifier; None for what it does not have."""
    event = envelope.action.rpartition("/")[2]
    status = read_job_event(event, envelope.body)
    identifier = None if envelope.body is None else text(envelope.body, "ScanIdentifier")
    return event, None if status is None else Status.of(status), identifier


class Recorder:
    """The history as it grows. Threads may add entries at the same time."""

    def __init__(self):
        self._lists = {name: [] for name in (
            "answers", "announcements", "asked", "connections", "subscriptions", "deliveries", "pauses",
            "outages", "losses")}

    def history(self, **limits):
        """Returns what was recorded so far."""
        return History(**{name: tuple(entries) for name, entries in self._lists.items()}, **limits)

    def answered(self, **entry):
        """Records a client's request with its answer, and returns the entry."""
        self._lists["answers"].append(Answer(**entry))
        return self._lists["answers"][-1]

    def granted(self, sink, events):
        """Records a subscription that was granted by now."""
        self._lists["subscriptions"].append(Subscription(sink, time.monotonic(), FOREVER, tuple(events or ())))

    def unsubscribing(self, sink):
        """Records that a subscription is being ended from now on."""
        entries = self._lists["subscriptions"]
        for place, one in enumerate(entries):
            if one.sink == sink and one.ended == FOREVER:
                entries[place] = attrs.evolve(one, ended=time.monotonic())

    def delivered(self, sink, message):
        """Records a notification that has reached a sink."""
        event, status, identifier = event_of(message)
        self._lists["deliveries"].append(Delivery(
            time.monotonic(), sink, event, message.message_id, status, identifier))

    def connected(self, opened, closed, gateway):
        """Records a connection to the scanner that has been closed."""
        self._lists["connections"].append(Connection(opened, closed, gateway))

    @contextlib.contextmanager
    def _lasting(self, name, entry):
        """Adds an entry that begins by now, and ends after the block."""
        entries = self._lists[name]
        place = len(entries)
        entries.append(entry)
        try:
            yield
        finally:
            entries[place] = attrs.evolve(entry, end=time.monotonic())

    @contextlib.contextmanager
    def stopped(self, gateway):
        """Records that a gateway is stopped in the block."""
        with self._lasting("pauses", Pause(gateway, time.monotonic(), FOREVER)), self.lost(gateway):
            yield

    def lost(self, gateway):
        """Records that a gateway loses its memory in the block."""
        return self._lasting("losses", Loss(gateway, time.monotonic(), FOREVER))

    def lapsed(self, gateway, begin, end):
        """Records that a gateway has found in that time that its lease had run out, as on a loaded machine."""
        self._lists["losses"].append(Loss(gateway, begin, end))

    def unleased(self, gateway, begin, end):
        """Records that a gateway has served the scanner without a lease in that time, and then forgot its jobs."""
        self._lists["outages"].append(Outage(begin, end))
        self._lists["losses"].append(Loss(gateway, begin, end))

    def replaced(self, gateway, begin, end):
        """Records that a gateway goes on alone in that time, while another one owns the scanner."""
        self._lists["pauses"].append(Pause(gateway, begin, end, alone=True))
        self._lists["losses"].append(Loss(gateway, begin, end))

    @contextlib.contextmanager
    def outage(self, earlier=0.0, longer=0.0, *, is_emptied=False):
        """Records that Redis may lack what owners are told in the block, and some seconds before it and after it."""
        began = time.monotonic() - earlier
        with self._lasting("outages", Outage(began, FOREVER, is_emptied)):
            place = len(self._lists["outages"]) - 1
            yield
        ended = self._lists["outages"][place]
        self._lists["outages"][place] = attrs.evolve(ended, end=ended.end + longer)

    def asked(self, exchange):
        """Records an exchange of a gateway with the scanner."""
        envelope = read_or_none(exchange.request)
        if envelope is None or envelope.action is None:
            return
        answer = read_or_none(exchange.answer) if exchange.status == 200 else None
        body = None if answer is None else answer.body
        operation = envelope.action.rpartition("/")[2]
        created = read_created(body)
        job_id = None if created is None else created.job_id
        image = None
        if operation == "RetrieveImage" and exchange.status == 200:
            job_id, image = job_id_of(envelope.body), image_in(exchange.answer)
        self._lists["asked"].append(Asked(
            exchange.begin, exchange.end, exchange.here, operation, envelope.message_id, job_id,
            statuses_in(body), image))

    def announced(self, exchange):
        """Records a notification of the scanner to a gateway."""
        envelope = read_or_none(exchange.request)
        if envelope is None or envelope.action is None:
            return
        event, status, identifier = event_of(envelope)
        self._lists["announcements"].append(Announcement(
            exchange.begin, exchange.end if exchange.status == 202 else None, exchange.there, event, status,
            identifier))

    def count(self, operation, since=0.0, gateway=None):
        """Returns the number of requests with that operation that have reached the scanner since then."""
        return sum(one.operation == operation and one.begin >= since and gateway in (None, one.gateway)
                   for one in list(self._lists["asked"]))


def fault_in_answer(status, body):
    """Returns the name of the fault in an answer, None if it is none."""
    envelope = read_or_none(body)
    fault = None if envelope is None else fault_of(envelope)
    return fault if fault is not None or status == 200 else f"HTTP {status}"
