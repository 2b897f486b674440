"""Tests of net.events.notifier: order and pauses of the deliveries to each client, and the end of a subscription."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wsdgateway.bridge.events.deliveryqueue import MAX_REFUSALS, QueuedEvent
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.config.sections import Events
from wsdgateway.net.events.deliveryrecord import NotRecorded
from wsdgateway.net.events.notifier import UNOWNED_SECONDS, Notifier
from wsdgateway.net.transport.errors import DeliveryError
from wsdgateway.net.transport.logthrottle import QUIET_SECONDS
from wsdgateway.scan.operations import SCAN_AVAILABLE, action_of
from wsdgateway.soap.addressing import EndpointReference

SINK = Sink(EndpointReference("http://192.0.2.7/e"), "192.0.2.7")


class Clients:
    """Deliveries that are answered when the test says so; `sent` holds the numbers of the events in order."""

    def __init__(self, queue=10, give_up_after=100.0):
        self.clock, self.sent, self.waiting = Clock(), [], []
        self.counts = {"delivered": 0, "retried": 0, "dropped": 0}
        self.given_up = []
        self.notifier = Notifier(
            self.clock, scanner="s", seconds=self.clock.seconds,
            events=Events(client_queue=queue, client_retry=give_up_after), counts=self, send=self.send,
            on_give_up=self.give_up, random=lambda: 1.0, holds=lambda: self.owned)
        self.owned = True

    def send(self, sink, message):
        self.sent.append(int(message.partition(b"<")[0]))
        waiting = Deferred()
        self.waiting.append(waiting)
        return waiting

    def give_up(self, identifier):
        self.given_up.append(identifier)
        self.notifier.close(identifier)

    def delivered(self):
        self.counts["delivered"] += 1

    def retried(self):
        self.counts["retried"] += 1

    def dropped(self, count):
        self.counts["dropped"] += count

    def post(self, identifier, *numbers):
        for number in numbers:
            self.notifier.recipient(identifier).post(QueuedEvent(Event("a", b"%d" % number, b""), "urn:x"))

    def answer(self, status):
        self.waiting.pop(0).callback(status)

    def fail(self):
        self.waiting.pop(0).errback(DeliveryError("no answer"))


@pytest.fixture
def clients():
    made = Clients()
    made.notifier.open("a", SINK)
    yield made
    made.notifier.stop()
    assert not made.clock.getDelayedCalls()


def test_one_event_is_sent_at_a_time_to_each_client(clients):
    clients.notifier.open("b", SINK)
    clients.post("a", 1, 2)
    clients.post("b", 3)
    assert clients.sent == [1, 3]
    assert clients.notifier.state("a") == (2, 0)
    clients.answer(202)
    assert clients.sent == [1, 3, 2]
    clients.answer(202)
    clients.answer(202)
    assert clients.counts == {"delivered": 3, "retried": 0, "dropped": 0}
    assert clients.notifier.state("a") == clients.notifier.state("nobody") == (0, 0)


def test_a_failed_event_is_sent_again_after_a_pause_before_later_events(clients):
    clients.post("a", 1)
    clients.fail()
    clients.post("a", 2)
    assert clients.sent == [1]
    clients.clock.advance(1.0)
    assert clients.sent == [1, 1]
    clients.answer(503)
    assert clients.notifier.state("a") == (2, 2)
    clients.clock.advance(2.0)
    clients.answer(200)
    assert clients.sent == [1, 1, 1, 2]
    assert clients.counts == {"delivered": 1, "retried": 2, "dropped": 0}


def test_an_event_is_skipped_after_repeated_refusals(clients):
    clients.post("a", 1, 2)
    for _ in range(MAX_REFUSALS):
        clients.answer(400)
        clients.clock.advance(5.0)
    assert clients.sent == [1] * MAX_REFUSALS + [2]
    assert clients.counts == {"delivered": 0, "retried": MAX_REFUSALS - 1, "dropped": 1}


def test_an_unreachable_client_is_given_up_and_gets_no_more_events(clients):
    clients.post("a", 1, 2)
    recipient = clients.notifier.recipient("a")
    while not clients.given_up:
        clients.fail()
        clients.clock.advance(60.0)
    assert clients.given_up == ["a"]
    assert clients.notifier.recipient("a") is None
    recipient.post(QueuedEvent(Event("a", b"3", b""), "urn:x"))
    assert 3 not in clients.sent
    assert clients.counts["dropped"] == 2


@pytest.mark.parametrize("pauses", [False, True])
def test_closing_a_subscription_cancels_its_delivery_and_drops_its_queue(clients, pauses):
    clients.post("a", 1, 2, 3)
    waiting = clients.waiting[0]
    if pauses:
        clients.fail()
    clients.notifier.close("a")
    assert clients.counts["dropped"] == 3
    clients.clock.advance(60.0)
    assert clients.sent == [1]
    assert waiting.called


def test_the_queue_is_handed_over_to_the_next_subscription_with_the_same_sink(clients):
    clients.post("a", 1, 2)
    clients.notifier.open("b", SINK)
    clients.notifier.hand_over("a", "b")
    assert clients.notifier.recipient("a") is None
    clients.answer(202)
    assert clients.sent == [1, 2]
    clients.fail()
    assert clients.notifier.state("b") == (1, 1)


def test_the_notifier_is_idle_when_only_retries_are_pending(clients):
    assert clients.notifier.idle().called
    clients.post("a", 1)
    idle, forgotten = clients.notifier.idle(), clients.notifier.idle()
    forgotten.addErrback(lambda failure: failure.trap(CancelledError)).cancel()
    assert not idle.called
    clients.fail()
    assert idle.called


def test_a_full_queue_drops_an_older_event():
    clients = Clients(queue=2)
    clients.notifier.open("a", SINK)
    clients.post("a", 1, 2, 3)
    assert clients.counts["dropped"] == 1
    clients.answer(202)
    assert clients.sent == [1, 3]
    clients.notifier.stop()


# The record for other gateways.


class Record(NotRecorded):
    """A record that permits what the test says."""

    def __init__(self):
        self.calls, self.permits = [], []

    def opened(self, subscription):
        self.calls.append(("opened", subscription))

    def closed(self, subscription):
        self.calls.append(("closed", subscription))

    def handed_over(self, former, heir):
        self.calls.append(("handed over", former, heir))

    def given(self, subscription, event):
        self.calls.append(("given", subscription, int(event.before)))

    def permit(self, subscription, event):
        if not event.is_press:
            return None
        self.permits.append(Deferred())
        return self.permits[-1]


@pytest.fixture
def record(clients):
    clients.notifier.record = Record()
    return clients.notifier.record


def press(clients, number, identifier="a"):
    event = Event(action_of(SCAN_AVAILABLE), b"%d" % number, b"")
    clients.notifier.recipient(identifier).post(QueuedEvent(event, "urn:x"))


def test_what_a_subscriber_was_given_is_recorded(clients, record):
    clients.post("a", 1, 2, 3)
    clients.answer(202)
    clients.fail()
    clients.clock.advance(1.0)
    clients.answer(202)
    for _ in range(MAX_REFUSALS):
        clients.answer(400)
        clients.clock.advance(5.0)
    assert record.calls == [("given", "a", 1), ("given", "a", 2), ("given", "a", 3)]
    clients.notifier.open("b", SINK)
    clients.notifier.hand_over("b", "c")
    clients.notifier.close("c")
    assert record.calls[3:] == [("opened", "b"), ("handed over", "b", "c"), ("closed", "c")]


def test_a_stop_leaves_what_subscribers_were_given(clients, record):
    clients.post("a", 1)
    clients.notifier.stop()
    assert record.calls == []


@pytest.mark.parametrize("is_permitted", [True, False])
def test_a_press_is_sent_only_when_it_is_permitted(clients, record, is_permitted):
    press(clients, 1)
    clients.post("a", 2)
    assert clients.sent == []
    record.permits[0].callback(is_permitted)
    assert clients.sent == ([1] if is_permitted else [2])
    clients.answer(202)
    assert clients.counts == {"delivered": 1, "retried": 0, "dropped": 0 if is_permitted else 1}


def test_presses_that_are_not_permitted_are_logged_once_a_minute_for_each_address(clients, record, said):
    clients.notifier.open("b", Sink(EndpointReference("http://192.0.2.8/e"), "192.0.2.8"))

    def refuse(identifier):
        press(clients, 1, identifier)
        record.permits[-1].callback(False)

    for identifier in ("a", "a", "b", "a"):
        refuse(identifier)
    assert [line.partition(" was not sent to ")[2].partition(",")[0] for line in said] == [
        "http://192.0.2.7/e", "http://192.0.2.8/e"]
    assert all(line.endswith("start it again at the scanner (logged at most once a minute)") for line in said)
    assert clients.counts["dropped"] == 4
    clients.clock.advance(QUIET_SECONDS)
    refuse("a")
    assert len(said) == 3


def test_a_press_whose_subscription_ends_meanwhile_is_not_sent(clients, record):
    press(clients, 1)
    clients.notifier.close("a")
    assert clients.sent == []
    assert record.permits[0].called


def test_nothing_is_delivered_while_another_gateway_owns_the_scanner(clients):
    clients.post("a", 1, 2)
    clients.owned = False
    clients.answer(202)
    clients.post("a", 3)
    clients.clock.advance(3 * UNOWNED_SECONDS)
    assert clients.sent == [1]
    idle = clients.notifier.idle()
    assert idle.called
    clients.owned = True
    clients.clock.advance(UNOWNED_SECONDS)
    assert clients.sent == [1, 2]
    assert clients.counts == {"delivered": 1, "retried": 0, "dropped": 0}
