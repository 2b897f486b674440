"""Tests of net.events.distribution: rate, order and time slices of a scanner's events to its subscribers."""

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from wsdgateway.bridge.events.backlog import MAX_EVENTS
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.config.sections import Events
from wsdgateway.net.events.distribution import Distribution
from wsdgateway.net.transport.timeslices import SLICE_SECONDS, TimeSlices


def state(number, job="1"):
    return Event("JobStatusEvent", b"%d" % number, b"", job)


class Listening:
    """Listeners that record events; each costs some processor time, and its delivery may be held."""

    def __init__(self, listeners=1, *, rate=100.0, cost=0.0, holds=False):
        self.clock, self.spent, self.cost, self.holds = Clock(), 0.0, cost, holds
        self.received, self.lost, self.waiting = [], 0, []
        self.slices = TimeSlices(self.clock, lambda: self.spent)
        self.listeners = listeners
        self.distribution = self.make(rate)

    def make(self, rate):
        return Distribution(
            self.clock, scanner="s", seconds=self.clock.seconds, events=Events(scanner_rate=rate),
            slices=self.slices, new_id=lambda: "urn:x",
            when_begun=self.when_begun, listeners=lambda action: [self] * self.listeners, left_out=self.left_out)

    def left_out(self, count):
        self.lost += count

    def when_begun(self, call):
        if self.holds:
            self.waiting.append(call)
        else:
            call()

    def post(self, queued):
        self.spent += self.cost
        self.received.append(int(queued.event.before))


def test_events_within_the_rate_are_published_at_once():
    listening = Listening(rate=5.0)
    for number in range(5):
        listening.distribution.publish(state(number))
    assert listening.received == [0, 1, 2, 3, 4]
    assert listening.distribution.idle().called


def test_events_above_the_rate_wait_in_order():
    listening = Listening(rate=5.0)
    for number in range(8):
        listening.distribution.publish(state(number))
    idle = listening.distribution.idle()
    listening.distribution.idle().addErrback(lambda failure: failure.trap(CancelledError)).cancel()
    assert len(listening.received) == 5 and not idle.called
    listening.clock.pump([0.2] * 3)
    assert idle.called
    assert listening.received == list(range(8))
    assert listening.lost == 0


def test_an_event_storm_is_bounded_and_ends_with_the_newest_state():
    listening = Listening(rate=5.0)
    for number in range(3 * MAX_EVENTS):
        listening.distribution.publish(state(number))
    listening.clock.pump([0.2] * 50)
    assert listening.received[-1] == 3 * MAX_EVENTS - 1
    assert len(listening.received) < 50
    assert len(listening.received) + listening.lost == 3 * MAX_EVENTS


def test_many_listeners_are_notified_in_time_slices_before_the_next_event():
    listening = Listening(100, cost=SLICE_SECONDS / 10)
    listening.distribution.publish(state(0))
    listening.distribution.publish(state(1))
    assert 10 <= len(listening.received) < 20
    for _ in range(50):
        listening.clock.advance(0)
    assert listening.received == [0] * 100 + [1] * 100


def test_the_next_event_waits_until_the_deliveries_of_the_last_have_begun():
    listening = Listening(holds=True)
    for number in range(3):
        listening.distribution.publish(state(number))
    assert listening.received == [0]
    listening.waiting.pop()()
    assert listening.received == [0, 1]
    listening.waiting.pop()()
    assert listening.received == [0, 1, 2]


def test_two_scanners_take_turns():
    listening = Listening(80, cost=SLICE_SECONDS / 16)
    other = listening.make(100.0)
    listening.distribution.publish(state(0))
    other.publish(state(1))
    listening.clock.advance(0)
    assert abs(listening.received.count(0) - listening.received.count(1)) <= 24
    for _ in range(20):
        listening.clock.advance(0)
    assert listening.received.count(0) == listening.received.count(1) == 80


def test_nothing_is_published_after_a_stop():
    listening = Listening(rate=1.0)
    for number in range(3):
        listening.distribution.publish(state(number))
    listening.distribution.stop()
    listening.slices.stop()
    assert not listening.clock.getDelayedCalls()
    assert (listening.received, listening.lost) == ([0], 2)
