"""The deliveries to each client of one scanner: order, pauses, and what a subscription's end does to them."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from wsdgateway.bridge.events.deliveryqueue import MAX_REFUSALS, QueuedEvent
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.config.sections import Events
from wsdgateway.net.events.notifier import Notifier
from wsdgateway.net.transport.errors import DeliveryError
from wsdgateway.soap.addressing import EndpointReference

SINK = Sink(EndpointReference("http://192.0.2.7/e"), "192.0.2.7")


class Clients:
    """Deliveries that are answered when a test says so; `sent` are the numbers of the events in order."""

    def __init__(self, queue=10, give_up_after=100.0):
        self.clock, self.sent, self.waiting = Clock(), [], []
        self.counts = {"delivered": 0, "retried": 0, "dropped": 0}
        self.given_up = []
        self.notifier = Notifier(
            self.clock, scanner="s", seconds=self.clock.seconds,
            events=Events(client_queue=queue, client_retry=give_up_after), counts=self, send=self.send,
            on_give_up=self.give_up, random=lambda: 1.0)

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


def test_what_does_not_arrive_is_sent_again_after_a_pause_before_later_ones(clients):
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


def test_what_is_refused_some_times_is_skipped(clients):
    clients.post("a", 1, 2)
    for _ in range(MAX_REFUSALS):
        clients.answer(400)
        clients.clock.advance(5.0)
    assert clients.sent == [1] * MAX_REFUSALS + [2]
    assert clients.counts == {"delivered": 0, "retried": MAX_REFUSALS - 1, "dropped": 1}


def test_a_client_that_cannot_be_reached_is_given_up_and_gets_nothing_more(clients):
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
def test_the_end_of_a_subscription_cancels_what_is_sent_and_drops_what_waits(clients, pauses):
    clients.post("a", 1, 2, 3)
    waiting = clients.waiting[0]
    if pauses:
        clients.fail()
    clients.notifier.close("a")
    assert clients.counts["dropped"] == 3
    clients.clock.advance(60.0)
    assert clients.sent == [1]
    assert waiting.called


def test_what_waits_goes_to_the_next_subscription_with_the_same_sink(clients):
    clients.post("a", 1, 2)
    clients.notifier.open("b", SINK)
    clients.notifier.hand_over("a", "b")
    assert clients.notifier.recipient("a") is None
    clients.answer(202)
    assert clients.sent == [1, 2]
    clients.fail()
    assert clients.notifier.state("b") == (1, 1)


def test_it_is_idle_when_nothing_is_sent_but_after_a_pause(clients):
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
