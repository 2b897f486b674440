"""A scanner's events on their way to its listeners, and the deliveries of several scanners beside each other."""

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from wsdgateway.bridge.events.backlog import MAX_EVENTS
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.config.sections import Events
from wsdgateway.net.events.delivery import DELIVERY_SECONDS, FRESH_SECONDS, MAX_FRESH, Deliveries
from wsdgateway.net.events.distribution import Distribution
from wsdgateway.net.transport.timeslices import SLICE_SECONDS, TimeSlices
from wsdgateway.soap.addressing import EndpointReference


def state(number, job="1"):
    return Event("JobStatusEvent", b"%d" % number, b"", job)


class Listening:
    """Listeners that note what they are told; each takes some of the processor's time, and its delivery may wait."""

    def __init__(self, listeners=1, *, rate=100.0, cost=0.0, holds=False):
        self.clock, self.spent, self.cost, self.holds = Clock(), 0.0, cost, holds
        self.told, self.lost, self.waiting = [], 0, []
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

    def post(self, letter):
        self.spent += self.cost
        self.told.append(int(letter.event.before))


def test_an_event_is_told_at_once_and_those_of_a_second_too():
    listening = Listening(rate=5.0)
    for number in range(5):
        listening.distribution.publish(state(number))
    assert listening.told == [0, 1, 2, 3, 4]
    assert listening.distribution.idle().called


def test_what_exceeds_the_rate_waits_in_order():
    listening = Listening(rate=5.0)
    for number in range(8):
        listening.distribution.publish(state(number))
    idle = listening.distribution.idle()
    listening.distribution.idle().addErrback(lambda failure: failure.trap(CancelledError)).cancel()
    assert len(listening.told) == 5 and not idle.called
    listening.clock.pump([0.2] * 3)
    assert idle.called
    assert listening.told == list(range(8))
    assert listening.lost == 0


def test_a_storm_is_bounded_and_ends_with_the_newest_state():
    listening = Listening(rate=5.0)
    for number in range(3 * MAX_EVENTS):
        listening.distribution.publish(state(number))
    listening.clock.pump([0.2] * 50)
    assert listening.told[-1] == 3 * MAX_EVENTS - 1
    assert len(listening.told) < 50
    assert len(listening.told) + listening.lost == 3 * MAX_EVENTS


def test_many_listeners_are_told_in_slices_and_the_next_event_after_the_last_of_them():
    listening = Listening(100, cost=SLICE_SECONDS / 10)
    listening.distribution.publish(state(0))
    listening.distribution.publish(state(1))
    assert 10 <= len(listening.told) < 20
    for _ in range(50):
        listening.clock.advance(0)
    assert listening.told == [0] * 100 + [1] * 100


def test_the_next_event_waits_until_the_deliveries_of_the_last_have_begun():
    listening = Listening(holds=True)
    for number in range(3):
        listening.distribution.publish(state(number))
    assert listening.told == [0]
    listening.waiting.pop()()
    assert listening.told == [0, 1]
    listening.waiting.pop()()
    assert listening.told == [0, 1, 2]


def test_two_scanners_take_turns():
    listening = Listening(80, cost=SLICE_SECONDS / 16)
    other = listening.make(100.0)
    listening.distribution.publish(state(0))
    other.publish(state(1))
    listening.clock.advance(0)
    assert abs(listening.told.count(0) - listening.told.count(1)) <= 24
    for _ in range(20):
        listening.clock.advance(0)
    assert listening.told.count(0) == listening.told.count(1) == 80


def test_a_stop_tells_nothing_more():
    listening = Listening(rate=1.0)
    for number in range(3):
        listening.distribution.publish(state(number))
    listening.distribution.stop()
    listening.slices.stop()
    assert not listening.clock.getDelayedCalls()
    assert (listening.told, listening.lost) == ([0], 2)


# Deliveries.

class Sending:
    """Deliveries whose connections are begun, and end as the test says."""

    def __init__(self, limit):
        self.reactor = MemoryReactorClock()
        self.slices = TimeSlices(self.reactor, lambda: 0.0)
        self.deliveries = Deliveries(self.reactor, limit, self.slices)
        self.sending = []

    def send(self, scanner, count=1):
        for _ in range(count):
            sink = Sink(EndpointReference(f"http://192.0.2.7/{scanner}"), scanner)
            sending = self.deliveries.send(scanner, sink, b"x")
            sending.addErrback(lambda failure: None)
            self.sending.append(sending)

    @property
    def begun(self):
        """Whose deliveries have begun, in order."""
        return [connecting[0] for connecting in self.reactor.tcpClients]

    def fail(self, position):
        self.reactor.tcpClients[position][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))


def test_sinks_that_hang_leave_room_for_those_of_other_scanners():
    sending = Sending(8)
    sending.send("a", 20)
    assert sending.begun == ["a"] * 4
    sending.send("b", 2)
    assert sending.begun == ["a"] * 4 + ["b"] * 2
    sending.fail(0)
    assert sending.begun[-1] == "a"


def test_those_that_wait_begin_by_turns_of_scanners():
    sending = Sending(2)
    sending.send("x")
    sending.send("y")
    for scanner in "aabbcc":
        sending.send(scanner)
    for position in range(7):
        sending.fail(position)
        sending.reactor.advance(0)
    assert sending.begun[2:] == list("abcabc")


def test_it_is_told_when_the_last_that_waits_has_begun_or_is_not_wanted_any_more():
    sending, told = Sending(2), []
    sending.deliveries.when_begun("a", lambda: told.append("none waits"))
    sending.send("a", 3)
    sending.deliveries.when_begun("a", lambda: told.append("begun"))
    assert told == ["none waits"]
    sending.fail(0)
    assert told == ["none waits"]
    sending.fail(1)
    assert told == ["none waits", "begun"]
    sending.send("a", 1)
    sending.deliveries.when_begun("a", lambda: told.append("cancelled"))
    sending.sending[-1].cancel()
    assert told[-1] == "cancelled"


def test_not_more_are_awaited_at_once_than_a_turn_of_the_reactor_can_take():
    sending = Sending(10 * MAX_FRESH)
    sending.send("a", 2 * MAX_FRESH)
    assert len(sending.begun) == MAX_FRESH
    sending.reactor.advance(FRESH_SECONDS / 2)
    assert len(sending.begun) == MAX_FRESH
    sending.fail(0)
    sending.reactor.advance(0)
    assert len(sending.begun) == MAX_FRESH + 1
    sending.reactor.advance(FRESH_SECONDS)
    assert len(sending.begun) == 2 * MAX_FRESH
    sending.reactor.advance(DELIVERY_SECONDS)
    sending.deliveries.stop()
    sending.slices.stop()
    assert not [call for call in sending.reactor.getDelayedCalls() if call.active()]
