"""Collects the history of a run: reads what the proxies, the clients and their sinks saw."""

import contextlib
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
    Outage,
    Pause,
    Status,
    Subscription,
)
from wsdgateway.scan.events import read_job_event
from wsdgateway.scan.jobelements import read_response
from wsdgateway.scan.jobs import read_created
from wsdgateway.scan.reading import text
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import fault_of
from wsdgateway.soap.parsing import Malformed


def read_or_none(data):
    """Returns the envelope of a message, or None if it is none, as an image is not."""
    try:
        return read(data)
    except Malformed:
        return None


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
            "outages")}

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
    def pause(self, gateway, *, alone=False):
        """Records that a gateway is stopped, or alone, in the block."""
        began = time.monotonic()
        place = len(self._lists["pauses"])
        self._lists["pauses"].append(Pause(gateway, began, FOREVER, alone))
        try:
            yield
        finally:
            self._lists["pauses"][place] = Pause(gateway, began, time.monotonic(), alone)

    @contextlib.contextmanager
    def outage(self, longer=0.0):
        """Records that the owner may be lost without Redis in the block, and for some seconds longer."""
        began = time.monotonic()
        place = len(self._lists["outages"])
        self._lists["outages"].append(Outage(began, FOREVER))
        try:
            yield
        finally:
            self._lists["outages"][place] = Outage(began, time.monotonic() + longer)

    def asked(self, exchange):
        """Records an exchange of a gateway with the scanner."""
        envelope = read_or_none(exchange.request)
        if envelope is None or envelope.action is None:
            return
        answer = read_or_none(exchange.answer) if exchange.status == 200 else None
        body = None if answer is None else answer.body
        created, elements = read_created(body), read_response(body)
        self._lists["asked"].append(Asked(
            exchange.begin, exchange.end, exchange.here, envelope.action.rpartition("/")[2], envelope.message_id,
            None if created is None else created.job_id,
            () if elements is None or elements.status is None else (Status.of(elements.status),)))

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
