"""Tests of net.events.eventsink, without sockets: how notifications are answered and passed on."""

from ipaddress import ip_network

import pytest
from twisted.internet.task import Clock

from tests.messages import SCAN, envelope, status_event
from tests.net.events.sharedevents import SharedEvents
from wsdgateway.bridge.events.eventlog import EventID, Past
from wsdgateway.bridge.events.intake import MAX_UNKNOWN_SENDERS
from wsdgateway.bridge.scanner import ScannerBridge
from wsdgateway.config.sections import ScannerConfig
from wsdgateway.exchangelog.log import ExchangeLog
from wsdgateway.metrics import Metrics
from wsdgateway.net.events.eventrecord import EventRecord
from wsdgateway.net.events.eventsink import EventSink
from wsdgateway.net.scanners.options import ScannerOptions
from wsdgateway.net.transport.accounting import Accounting
from wsdgateway.soap.namespaces import WSE
from wsdgateway.soap.seen import Seen

SCANNER, STRANGER = "192.0.2.20", "198.51.100.9"
SUMMARY = envelope(f"{SCAN}/ScannerStatusSummaryEvent", (
    "<wscn:ScannerStatusSummaryEvent><wscn:StatusSummary><wscn:ScannerState>Idle</wscn:ScannerState>"
    "</wscn:StatusSummary></wscn:ScannerStatusSummaryEvent>"), message_id="urn:uuid:summary")
AVAILABLE = envelope(f"{SCAN}/ScanAvailableEvent", "<wscn:ScanAvailableEvent/>", message_id="urn:uuid:available")
END = envelope(f"{WSE}/SubscriptionEnd", "<wse:SubscriptionEnd/>", message_id="urn:uuid:end")


class Held:
    """Subscription at the scanner; `calls` lists the calls that it received."""

    def __init__(self, identifier=""):
        self.identifier, self.seen, self.calls = identifier, Seen(), []

    def notified(self):
        self.calls.append("notified")

    def ended(self):
        self.calls.append("ended")

    def doubted(self):
        self.calls.append("doubted")


class Message:
    """Message of a client, both as its exchange and as its request."""

    def __init__(self, body, client, content_type):
        self.request, self.body, self.client, self.content_type = self, body, client, content_type
        self.peer, self.tape, self.written, self.path, self.base = f"{client}:1", None, 0, b"/", "http://g"
        self.status = self.fault = None
        self.method, self.headers = b"POST", []

    def answer(self, status, body, headers=()):
        self.status = status

    def abort(self):
        self.status = "aborted"

    def give(self, answer):
        self.status, self.fault = answer.status, answer.body.decode()


class Taken:
    """Event sink in its surroundings; `published` and `passed_on` are what subscribers receive."""

    def __init__(self):
        self.clock, self.peers, self.received = Clock(), {SCANNER}, lambda: None
        options = ScannerOptions(ScannerConfig("s", event_sources=(ip_network("203.0.113.0/24"),)))
        self.published, self.passed_on, self.identifiers, self.learnt = [], [], [], 0
        self.bridge = ScannerBridge(options, new_id=lambda: "urn:x")
        self.unread, self.bridge.notifications.unread = [], lambda unread, now: self.unread.append(unread.jobs)
        metrics = Metrics()
        accounting = Accounting("s", metrics, ExchangeLog(), seconds=self.clock.seconds, wall=self.clock.seconds)
        self.accounted, accounting.event = [], lambda exchange, event, *_: self.accounted.append(event)
        self.sink = EventSink(
            self.bridge, self, self, metrics, accounting, options=options,
            seconds=self.clock.seconds, new_id=lambda: "urn:x", after_learning=self.learn)
        self.own, self.panel = Held(), Held("client")
        self.sink.addresses = {"own": self.own, "panel": self.panel}

    def learn(self):
        self.learnt += 1

    def publish(self, envelope, status, *, known, logged=None):
        self.identifiers.append(logged)
        self.published.append(envelope.action.rpartition("/")[2])

    def publish_to(self, identifier, envelope, logged=None):
        self.identifiers.append(logged)
        self.passed_on.append((identifier, envelope.action.rpartition("/")[2]))

    def take(self, message, *, at="own", client=SCANNER, content_type=b"application/soap+xml"):
        exchange = Message(message, client, content_type)
        self.sink.place(at)(exchange)
        return exchange


@pytest.fixture
def taken():
    return Taken()


def test_without_a_subscription_the_address_does_not_exist(taken):
    assert taken.sink.place("other") is None


def test_an_event_updates_the_job_table_and_is_published(taken):
    assert taken.take(status_event("7")).status == 202
    assert (taken.published, taken.learnt, taken.own.calls) == (["JobStatusEvent"], 1, ["notified"])
    assert taken.bridge.table.get("7") is not None
    assert taken.accounted == ["JobStatusEvent"]
    assert taken.take(status_event("7")).status == 202  # a repetition
    assert taken.published == ["JobStatusEvent"]


def test_the_state_of_the_scanner_is_kept(taken):
    taken.take(SUMMARY)
    assert (taken.bridge.reported.state, taken.published) == ("Idle", ["ScannerStatusSummaryEvent"])


def test_at_a_clients_subscription_only_scan_available_is_passed_on(taken):
    for message in (AVAILABLE, status_event("7"), AVAILABLE):
        assert taken.take(message, at="panel").status == 202
    assert (taken.passed_on, taken.published) == ([("client", "ScanAvailableEvent")], [])
    assert taken.bridge.table.get("7") is not None
    assert taken.learnt == 1


@pytest.mark.parametrize("at", ["own", "panel"])
def test_subscription_end_ends_only_the_subscription_that_it_arrives_at(taken, at):
    taken.take(END, at=at)
    held, other = (taken.own, taken.panel) if at == "own" else (taken.panel, taken.own)
    assert (held.calls, other.calls) == (["notified", "ended"], [])


def test_scan_available_at_the_gateways_own_subscription_is_not_published(taken):
    taken.take(AVAILABLE)
    assert (taken.published, taken.passed_on) == ([], [])


@pytest.mark.parametrize(("message", "content_type", "status", "jobs", "calls"), [
    (b"no XML", b"application/soap+xml", 400, (), []), (status_event("7"), b"text/plain", 415, ("7",), []),
    (END.replace(b"/SubscriptionEnd<", b"/Odd<"), b"application/soap+xml", 400, (), ["doubted"])])
def test_a_refused_message_of_the_scanner_causes_a_status_check(taken, message, content_type, status, jobs, calls):
    assert taken.take(message, content_type=content_type).status == status
    assert (taken.unread, taken.own.calls, taken.accounted) == ([jobs], calls, ["other"])


def test_messages_of_unknown_senders_have_no_effect(taken):
    for message in (status_event("7"), b"no XML"):
        exchange = taken.take(message, client=STRANGER)
        assert exchange.status == 400
    assert (taken.unread, taken.own.calls, taken.published, taken.learnt) == ([], [], [], 0)
    assert taken.bridge.table.get("7") is None


def test_the_number_of_messages_read_from_unknown_senders_is_bounded(taken):
    for _ in range(int(3 * MAX_UNKNOWN_SENDERS)):
        assert "event_sources" in taken.take(status_event("7"), client=STRANGER).fault
    assert taken.accounted.count("JobStatusEvent") <= MAX_UNKNOWN_SENDERS + 1
    assert taken.take(status_event("7"), client="203.0.113.5").status == 202


@pytest.mark.parametrize(("secret", "client", "unread"), [
    ("own", SCANNER, [()]), ("own", STRANGER, []), ("other", SCANNER, [])])
def test_an_incomplete_message_of_the_scanner_causes_a_status_check(taken, secret, client, unread):
    taken.sink.unread(secret, client)
    assert taken.unread == unread


# Several gateways: the record of the events for the next owner.


@pytest.fixture
def recording(taken):
    """Returns the shared server, which answers when the test says so."""
    shared = SharedEvents()
    shared.mode = "waits"
    taken.sink.record = EventRecord(taken.clock, scanner="s", token=1, past=Past(), shared=shared,
                                    on_fenced=lambda scanner: None)
    yield shared
    shared.mode = "answers"
    while shared.waiting:
        shared.answer()
    taken.sink.record.close()
    assert not taken.clock.getDelayedCalls()


def test_an_event_is_learnt_at_once_and_answered_when_it_is_written(taken, recording):
    exchange = taken.take(status_event("7"))
    assert (exchange.status, taken.published, taken.accounted) == (None, [], [])
    assert taken.bridge.table.get("7") is not None
    recording.answer()
    assert (exchange.status, taken.published, taken.accounted) == (202, ["JobStatusEvent"], ["JobStatusEvent"])
    assert taken.identifiers == [EventID(1, 1)]
    [event] = recording.events
    assert (event.data, event.content_type, event.receiver) == (status_event("7"), b"application/soap+xml", "")


def test_a_repetition_is_answered_with_the_first(taken, recording):
    exchanges = [taken.take(status_event("7")), taken.take(status_event("7"))]
    assert [exchange.status for exchange in exchanges] == [None, None]
    recording.answer()
    assert [exchange.status for exchange in exchanges] == [202, 202]
    assert (taken.published, len(recording.events)) == (["JobStatusEvent"], 1)


def test_a_press_is_recorded_with_its_receiver(taken, recording):
    taken.take(AVAILABLE, at="panel")
    assert taken.passed_on == []
    recording.answer()
    assert (taken.passed_on, taken.identifiers) == ([("client", "ScanAvailableEvent")], [EventID(1, 1)])
    assert recording.events[0].receiver == "client"


def test_a_press_that_an_earlier_owner_has_received_is_not_taken_again(taken, recording):
    taken.sink.replayed("client", "urn:uuid:available")
    assert taken.take(AVAILABLE, at="panel").status == 202
    assert (taken.passed_on, recording.events) == ([], [])


def test_the_end_of_a_subscription_is_no_event(taken, recording):
    assert taken.take(END).status == 202
    assert (taken.own.calls, recording.calls) == (["notified", "ended"], 0)


def test_an_event_for_a_gateway_that_was_replaced_is_not_answered(taken, recording):
    recording.token = 2
    exchange = taken.take(status_event("7"))
    recording.answer()
    assert (exchange.status, taken.published) == ("aborted", [])


def test_messages_of_strangers_are_refused_without_a_record(taken, recording):
    assert taken.take(status_event("7"), client=STRANGER).status == 400
    assert recording.calls == 0
