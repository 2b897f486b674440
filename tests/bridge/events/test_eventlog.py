"""Tests of bridge.events.eventlog: what is written of a scanner's events, and what the next owner delivers."""

import pytest

from wsdgateway.bridge.events.eventlog import (
    MAX_AGE,
    MAX_EVENTS,
    MAX_SIZE,
    Cursor,
    EventID,
    EventLog,
    LoggedEvent,
    Past,
    undelivered,
)

KIND = b"application/soap+xml"


def log(token=7, **cursors):
    return EventLog(token, cursors)


def at(token, number):
    return EventID(token, number)


def event(token, number, *, receiver="", time=1000.0):
    return LoggedEvent(EventID(token, number), b"<e/>", KIND, receiver, at=time)


def written(log):
    write = log.take()
    assert log.written(write)
    return write


def failed(log):
    assert log.failed(log.take())


def test_identifiers_grow_over_owners():
    assert str(at(7, 12)) == "7-12"
    assert EventID.parse("7-12") == at(7, 12)
    assert at(7, 2) < at(7, 12) < at(8, 1)


@pytest.mark.parametrize("text", ["", "7", "7-", "-", "a-b"])
def test_other_texts_are_no_identifier(text):
    with pytest.raises(ValueError):
        EventID.parse(text)


def test_a_message_id_depends_on_subscription_and_event_alone():
    assert at(7, 1).message_id("one") == EventID.parse("7-1").message_id("one")
    assert at(7, 1).message_id("one").startswith("urn:uuid:")
    assert len({at(7, number).message_id(one) for one in ("one", "two") for number in (1, 2)}) == 4


def test_one_write_at_a_time_takes_all_that_waits():
    events = log()
    first = events.add(b"<a/>", KIND)
    assert first.identifier == at(7, 1)
    write = events.take()
    assert write.events == (first,)
    second, third = events.add(b"<b/>", KIND), events.add(b"<c/>", KIND, "one", once=True)
    assert events.take() is None
    assert (events.is_safe(first.identifier), events.is_written) == (False, False)
    assert events.written(write)
    assert (events.is_safe(first.identifier), events.is_safe(second.identifier)) == (True, False)
    assert written(events).events == (second, third)
    assert (events.is_safe(third.identifier), events.is_written, events.take()) == (True, True, None)


def test_a_write_that_failed_is_repeated_in_order():
    events = log(one=Cursor(at(6, 1), at(6, 1)))
    first = events.add(b"<a/>", KIND)
    events.given("one", first.identifier)
    write = events.take()
    second = events.add(b"<b/>", KIND)
    events.closed("one")
    events.failed(write)
    assert (events.is_silent, events.is_safe(first.identifier)) == (True, False)
    write = events.take()
    assert (write.events, dict(write.cursors)) == ((first, second), {"one": None})
    events.written(write)
    assert (events.is_silent, events.is_written) == (False, True)


def test_while_the_server_is_silent_a_press_is_known_to_this_owner_alone():
    events = log()
    events.add(b"<a/>", KIND)
    failed(events)
    assert events.add(b"<p/>", KIND, "one", once=True) is None
    assert events.add(b"<b/>", KIND) is not None


def test_what_waits_is_bounded():
    events = log()
    assert events.add(b"x" * (MAX_SIZE + 1), KIND) is None
    for _ in range(MAX_EVENTS + 10):
        events.add(b"<a/>", KIND)
    kept = written(events).events
    assert (len(kept), kept[0].identifier) == (MAX_EVENTS, at(7, 11))


def test_a_cursor_follows_the_deliveries_of_a_subscription():
    events = log(old=Cursor(at(6, 9), at(6, 4)))
    first = events.add(b"<a/>", KIND).identifier
    events.opened("old")
    events.opened("new")
    assert written(events).cursors == {"new": Cursor(first, first, first)}
    second = events.add(b"<b/>", KIND).identifier
    for one in ("old", "new", "gone"):
        events.given(one, second)
    assert written(events).cursors == {"old": Cursor(second, at(6, 4)), "new": Cursor(second, first, first)}
    events.given("new", first)
    assert events.is_written
    events.handed_over("new", "heir")
    events.closed("old")
    assert written(events).cursors == {"new": None, "old": None, "heir": Cursor(second, first, first)}


def test_a_press_is_recorded_before_its_first_attempt_only():
    events = log()
    events.opened("one")
    press = events.add(b"<p/>", KIND, "one", once=True).identifier
    assert events.begins("one", press)
    assert written(events).cursors["one"].panel == press
    assert not events.begins("one", press)
    assert not events.begins("gone", press)


def test_cursors_of_subscriptions_far_behind_are_named():
    events = log(old=Cursor(at(6, 9), at(6, 4)))
    events.opened("new")
    assert events.lagging() == ["old"]
    for _ in range(MAX_EVENTS):
        events.add(b"<a/>", KIND)
    events.given("old", events.last)
    assert events.lagging() == ["new"]


def test_an_ownership_that_is_regained_goes_on_with_its_new_token():
    events = log(one=Cursor(at(6, 9), at(6, 4)), two=Cursor(at(6, 9), at(6, 4)))
    safe = events.add(b"<a/>", KIND).identifier
    written(events)
    doubtful = events.add(b"<b/>", KIND).identifier
    running = events.take()
    waiting = events.add(b"<c/>", KIND).identifier
    events.given("one", doubtful)
    events.given("two", safe)
    events.regained(9)
    assert not events.written(running)
    assert not events.failed(running)
    assert (events.is_safe(safe), events.is_safe(waiting)) == (True, True)
    write = written(events)
    assert [(one.identifier, one.data) for one in write.events] == [(at(9, 1), b"<b/>"), (at(9, 2), b"<c/>")]
    assert write.cursors == {"one": Cursor(at(9, 1), at(6, 4)), "two": Cursor(safe, at(6, 4))}
    assert events.add(b"<d/>", KIND).identifier == at(9, 3)


def test_an_event_that_is_delivered_after_its_owner_regained_the_scanner_is_not_owed():
    events = log(one=Cursor(at(6, 9), at(6, 9)), two=Cursor(at(6, 9), at(6, 9)))
    first, press, last = (events.add(data, KIND).identifier for data in (b"<a/>", b"<b/>", b"<c/>"))
    events.regained(9)
    events.given("one", first)
    assert written(events).cursors["one"] == Cursor(at(9, 1), at(6, 9))
    events.regained(12)  # the events had been written, and keep their identifiers
    assert events.begins("one", press)
    events.given("two", last)
    assert written(events).cursors == {"one": Cursor(at(9, 1), at(9, 2)), "two": Cursor(at(9, 3), at(6, 9))}


def test_an_event_that_gets_another_identifier_twice_is_not_owed_either():
    events = log(one=Cursor(at(6, 9), at(6, 9)))
    first = events.add(b"<a/>", KIND).identifier
    events.regained(9)
    events.regained(12)
    events.given("one", first)
    assert written(events).cursors["one"].given == at(12, 1)


# What a new owner delivers.


def owed(past, *subscriptions, wants=lambda one, event: True):
    found, dropped = undelivered(past, subscriptions, wants)
    return [(str(one.event.identifier), one.subscriptions) for one in found], dropped


def test_each_subscription_gets_what_lies_after_its_cursor():
    past = Past((event(6, 1), event(6, 2), event(7, 1)),
                {"one": Cursor(at(6, 1), at(6, 1)), "two": Cursor(at(6, 2), at(6, 1))}, time=1000.0)
    assert owed(past, "one", "two", "unanswered") == ([("6-2", ("one",)), ("7-1", ("one", "two"))], 0)
    assert owed(past, "one", "two", wants=lambda one, event: one == "two") == ([("7-1", ("two",))], 0)


def test_a_press_goes_to_its_receiver_unless_it_was_tried():
    past = Past((event(6, 1, receiver="one"), event(6, 2, receiver="one"), event(6, 3, receiver="two")),
                {"one": Cursor(at(6, 0), at(6, 1)), "two": Cursor(at(6, 9), at(6, 3))}, time=1000.0)
    assert owed(past, "one", "two") == ([("6-2", ("one",))], 0)


def test_old_events_are_dropped():
    past = Past((event(6, 1, time=1000.0), event(6, 2, time=1000.1)), {"one": Cursor(at(6, 0), at(6, 0))},
                time=1000.05 + MAX_AGE)
    assert owed(past, "one") == ([("6-2", ("one",))], 1)


@pytest.mark.parametrize(("cursor", "dropped"), [(at(6, 2), 7), (at(6, 9), 0), (at(6, 12), 0), (at(5, 300), 9)])
def test_events_that_are_not_kept_any_more_count_as_dropped(cursor, dropped):
    past = Past((event(6, 10),), {"one": Cursor(cursor, cursor)}, time=1000.0)
    assert owed(past, "one")[1] == dropped
    assert owed(Past((), past.cursors), "one") == ([], 0)
