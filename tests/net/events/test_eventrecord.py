"""Tests of net.events.eventrecord: when an event may be answered, and what is written of deliveries."""

import pytest
from twisted.internet.task import Clock

from tests.net.events.sharedevents import SharedEvents
from wsdgateway.bridge.events.eventlog import Cursor, EventID, Past
from wsdgateway.bridge.events.fanout import Event
from wsdgateway.net.events.eventrecord import APPEND_SECONDS, CURSOR_SECONDS, RETRY_SECONDS, EventRecord
from wsdgateway.scan.operations import JOB_STATUS, SCAN_AVAILABLE, action_of
from wsdgateway.storage.coordination import Fenced

KIND = b"application/soap+xml"


class Recorded:
    """A record of the ownership by token 1; `answered` has the numbers of events that may be answered, in order."""

    def __init__(self, past=None):
        self.clock, self.shared, self.answered, self.refused, self.fenced = Clock(), SharedEvents(), [], [], []
        self.is_alone = False
        self.record = EventRecord(self.clock, scanner="s", token=1, past=past or Past(), shared=self.shared,
                                  on_fenced=self.fenced.append, is_alone=lambda: self.is_alone)

    def append(self, data=b"<e/>", receiver="", *, once=False):
        appending = self.record.append(data, KIND, receiver, once=once)
        appending.addCallbacks(lambda event: self.answered.append(None if event is None else event.identifier.number),
                               lambda failure: self.refused.append(failure.check(Fenced)))

    def press(self, number=1):
        return self.record.permit("one", Event(action_of(SCAN_AVAILABLE), b"", b"", logged=EventID(1, number)))

    def given(self, number, subscription="one"):
        self.record.given(subscription, Event(action_of(JOB_STATUS), b"", b"", logged=EventID(1, number)))

    @property
    def stored(self):
        return [one.identifier.number for one in self.shared.events]


@pytest.fixture
def recorded():
    made = Recorded()
    yield made
    made.shared.mode = "answers"
    closing = made.record.close()
    while made.shared.waiting:
        made.shared.answer()
    assert closing.called
    assert not made.clock.getDelayedCalls()


def test_an_event_is_answered_when_it_is_written(recorded):
    recorded.shared.mode = "waits"
    recorded.append()
    recorded.append()
    assert (recorded.answered, recorded.shared.calls) == ([], 1)
    recorded.shared.answer()
    assert (recorded.answered, recorded.shared.calls) == ([1], 2)
    recorded.shared.answer()
    assert (recorded.answered, recorded.stored) == ([1, 2], [1, 2])


def test_an_event_waits_for_a_bounded_time(recorded):
    recorded.shared.mode = "waits"
    recorded.append()
    recorded.clock.advance(APPEND_SECONDS / 2)
    recorded.append()
    recorded.clock.advance(APPEND_SECONDS / 2)
    assert recorded.answered == [1]
    recorded.clock.advance(APPEND_SECONDS / 2)
    assert recorded.answered == [1, 2]


def test_a_repeated_message_is_answered_with_the_first(recorded):
    recorded.shared.mode = "waits"
    settled = []
    recorded.append()
    recorded.record.settled().addCallback(settled.append)
    assert settled == []
    recorded.shared.answer()
    assert settled == [None]
    recorded.record.settled().addCallback(settled.append)
    assert settled == [None, None]


def test_while_the_server_is_silent_events_are_answered_at_once_and_written_later(recorded):
    recorded.shared.mode = "fails"
    recorded.append()
    recorded.append()
    recorded.append(b"<p/>", "one", once=True)
    assert recorded.answered == [1, 2, None]
    recorded.shared.mode = "answers"
    recorded.clock.advance(RETRY_SECONDS)
    assert recorded.stored == [1, 2]
    recorded.append(b"<p/>", "one", once=True)
    assert (recorded.answered[-1], recorded.stored) == (3, [1, 2, 3])


def test_cursors_are_written_together_after_a_moment(recorded):
    recorded.record.opened("one")
    recorded.record.opened("two")
    recorded.append()
    begin = EventID(1, 0)
    assert recorded.shared.cursors == {one: Cursor(begin, begin, begin) for one in ("one", "two")}
    recorded.given(1)
    recorded.given(1, "two")
    calls = recorded.shared.calls
    recorded.clock.advance(CURSOR_SECONDS)
    assert recorded.shared.calls == calls + 1
    assert recorded.shared.cursors == {one: Cursor(EventID(1, 1), begin, begin) for one in ("one", "two")}
    recorded.record.closed("one")
    recorded.record.handed_over("two", "heir")
    recorded.clock.advance(CURSOR_SECONDS)
    assert recorded.shared.cursors == {"heir": Cursor(EventID(1, 1), begin, begin)}
    recorded.clock.advance(60.0)
    assert recorded.shared.calls == calls + 2


@pytest.mark.parametrize(("mode", "is_permitted"), [("answers", True), ("fails", False)])
def test_a_press_may_be_sent_once_its_cursor_is_written(recorded, mode, is_permitted):
    recorded.record.opened("one")
    recorded.append(b"<p/>", "one", once=True)
    recorded.shared.mode = "waits"
    permits = []
    recorded.press().addCallback(permits.append)
    assert permits == []
    if mode == "answers":
        recorded.shared.answer()
    else:
        recorded.shared.refuse()
    assert permits == [is_permitted]
    assert recorded.press() is None  # another attempt of this owner


def test_a_press_that_the_server_never_heard_of_may_be_sent(recorded):
    assert recorded.record.permit("one", Event(action_of(SCAN_AVAILABLE), b"", b"")) is None


def test_an_owner_that_was_replaced_answers_nothing(recorded):
    recorded.record.opened("one")
    recorded.append(b"<p/>", "one", once=True)
    recorded.shared.token = 2
    recorded.append()
    permits = []
    recorded.press().addCallback(permits.append)
    recorded.append()
    assert (recorded.answered, recorded.refused, permits) == ([1], [Fenced, Fenced], [False])
    assert (recorded.fenced, recorded.stored) == (["s"], [1])


def test_an_ownership_that_is_regained_writes_everything_again(recorded):
    recorded.record.opened("one")
    recorded.append()
    recorded.shared.events.clear()
    recorded.shared.cursors.clear()
    recorded.shared.token = 5
    recorded.record.regained(5)
    recorded.append()
    assert [one.identifier for one in recorded.shared.events] == [EventID(5, 1)]
    assert list(recorded.shared.cursors) == ["one"]


@pytest.mark.parametrize("is_alone", [True, False])
def test_an_owner_that_was_fenced_and_gets_the_scanner_back_goes_on(recorded, is_alone):
    recorded.is_alone = is_alone
    recorded.record.opened("one")
    recorded.append()
    recorded.shared.token = 2  # the lease ran out while the server was away
    recorded.append()
    recorded.append()
    # Alone, clients are told of the events, and these are written later.
    assert (recorded.answered, recorded.refused) == (([1, 2, 3], []) if is_alone else ([1], [Fenced, Fenced]))
    assert (recorded.fenced, recorded.stored) == (["s"], [1])
    recorded.record.regained(2)
    recorded.append()
    assert recorded.answered[-1] == 3  # the number begins anew: two events have waited, and this is the third
    assert [one.identifier for one in recorded.shared.events[1:]] == [EventID(2, number) for number in (1, 2, 3)]


def test_an_ownership_that_ends_after_it_was_fenced_writes_nothing(recorded):
    recorded.is_alone = True
    recorded.shared.token = 2
    recorded.append()
    assert (recorded.answered, recorded.fenced) == ([1], ["s"])
    recorded.record.abandon()
    recorded.append()
    assert (recorded.refused, recorded.shared.calls, recorded.stored) == ([Fenced], 1, [])


def test_a_record_goes_on_when_the_same_gateway_regains_the_scanner_after_a_write_by_the_former_token(recorded):
    recorded.shared.token = 5  # acquired again, of which the record learns after the answer to its write
    recorded.append(b"<first/>")
    assert recorded.refused == [Fenced]
    recorded.record.regained(5)
    recorded.append(b"<second/>")
    assert (recorded.answered, recorded.refused) == ([2], [Fenced])
    assert [one.data for one in recorded.shared.events] == [b"<first/>", b"<second/>"]


def test_a_restart_of_the_scanner_and_made_events_are_recorded(recorded):
    recorded.record.restarted()
    identifier = recorded.record.made(Event(action_of(JOB_STATUS), b"<a>", b"</a>", "1"))
    assert (recorded.shared.events[0].data, recorded.shared.events[0].made) == (b"", False)
    assert recorded.shared.events[1].made
    assert recorded.shared.events[1].identifier == identifier == EventID(1, 2)


def test_the_end_writes_what_waits():
    recorded = Recorded(Past(cursors={"one": Cursor(EventID(0, 3), EventID(0, 3))}))
    recorded.append()
    recorded.given(1)
    recorded.shared.mode = "waits"
    closing = recorded.record.close()
    assert not closing.called
    recorded.shared.answer()
    assert closing.called
    assert recorded.shared.cursors["one"].given == EventID(1, 1)
    recorded.append()
    assert recorded.refused == [Fenced]
    assert not recorded.clock.getDelayedCalls()


def test_cursors_of_idle_subscriptions_follow():
    recorded = Recorded(Past(cursors={"one": Cursor(EventID(0, 3), EventID(0, 3)),
                                      "busy": Cursor(EventID(0, 3), EventID(0, 3))}))
    recorded.record.is_idle = lambda subscription: subscription == "one"
    recorded.append()
    recorded.record.opened("new")
    recorded.clock.advance(CURSOR_SECONDS)
    assert {one: cursor.given for one, cursor in recorded.shared.cursors.items()} == {
        "one": EventID(1, 1), "new": EventID(1, 1)}
    recorded.record.close()


def test_the_cursor_moves_over_an_event_that_was_made_before_once_nothing_waits(recorded):
    recorded.record.opened("one")
    recorded.append()
    waiting = {"one"}
    recorded.record.is_idle = lambda subscription: subscription not in waiting
    recorded.record.skipped("one", Event(action_of(JOB_STATUS), b"", b"", logged=EventID(1, 1)))
    recorded.clock.advance(CURSOR_SECONDS)
    assert recorded.shared.cursors["one"].given == EventID(1, 0)
    recorded.append()
    waiting.clear()
    recorded.given(0)
    recorded.record.skipped("one", Event(action_of(JOB_STATUS), b"", b"", logged=EventID(1, 2)))
    recorded.clock.advance(CURSOR_SECONDS)
    assert recorded.shared.cursors["one"].given == EventID(1, 2)
