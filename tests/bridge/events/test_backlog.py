"""Tests of bridge.events.backlog: the order of waiting events, their limits, and which event is dropped first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages import SCAN, end_event, envelope, status_event
from wsdgateway.bridge.events.backlog import MAX_BYTES, MAX_EVENTS, MAX_LAG, Backlog, EventQueue
from wsdgateway.bridge.events.deliveryqueue import DeliveryQueue, QueuedEvent, Retry
from wsdgateway.bridge.events.fanout import Event, prepare
from wsdgateway.bridge.events.intake import read_notification


def state(job, name=b""):
    return Event("JobStatusEvent", name, b"", job)


def end(job):
    return Event("JobEndStateEvent", b"", b"", job, ends=True)


PLAIN, PRESSED = Event("ScannerElementsChangeEvent", b"", b""), Event("ScanAvailableEvent", b"", b"", ends=True)


def queued_events(*events):
    return [QueuedEvent(event, str(number)) for number, event in enumerate(events)]


def filled(*events):
    backlog = Backlog()
    made = queued_events(*events)
    for queued in made:
        backlog.append(queued)
    return backlog, made


@pytest.mark.parametrize(("events", "order"), [
    ([state("1"), state("1"), state("1")], [0, 1, 2]),  # the newest state is dropped last
    ([end("1"), PLAIN, state("1"), state("1")], [2, 1, 3, 0]),
    ([state("1"), state("2"), PLAIN, state("2"), end("3")], [1, 2, 0, 3, 4]),
    ([state("1"), end("1"), PRESSED], [0, 1, 2]),  # the end is newer
    ([end("1"), state("1"), state("2")], [1, 2, 0]),  # a reused JobId
    ([PRESSED, PRESSED, PLAIN], [2, 0, 1])])
def test_the_order_in_which_events_are_dropped(events, order):
    backlog, made = filled(*events)
    assert [made.index(backlog.drop()) for _ in events] == order
    assert len(backlog) == 0


def test_an_event_put_back_comes_first_and_may_be_outdated_by_later_ones():
    backlog, (first, second) = filled(state("1"), PLAIN)
    assert backlog.take() is first
    newer = QueuedEvent(state("1"), "newer")
    backlog.append(newer)
    backlog.put_back(first)
    assert backlog.is_outdated(first) and not backlog.is_outdated(newer)
    assert [backlog.drop(), backlog.drop(), backlog.take()] == [first, second, newer]


EVENTS = st.one_of(st.sampled_from("1234").map(state), st.sampled_from("1234").map(end), st.just(PLAIN),
                   st.just(PRESSED))


@given(st.lists(st.one_of(EVENTS, st.sampled_from(["take", "back", "drop"])), max_size=80))
def test_the_queue_drops_the_least_important_event(steps):
    """Compares with a list: an outdated event is dropped first, then events without a job, then states; ends go last.
    """
    backlog, model, taken = Backlog(), [], None

    def newest(job):
        return next(one for one in reversed(model) if one.event.job == job)

    def outdated(queued):
        return queued.event.job is not None and not queued.event.ends and newest(queued.event.job) is not queued

    for step in steps:
        if isinstance(step, Event):
            queued = QueuedEvent(step, "")
            backlog.append(queued)
            model.append(queued)
        elif step == "take" and model:
            taken = model.pop(0)
            assert backlog.take() is taken
        elif step == "back" and taken is not None:
            backlog.put_back(taken)
            model.insert(0, taken)
            taken = None
        elif step == "drop" and model:
            wanted = ([one for one in model if outdated(one)]
                      or [one for one in model if one.event.job is None and not one.event.ends]
                      or [one for one in model if not one.event.ends] or model)[0]
            assert backlog.drop() is wanted
            model.remove(wanted)
        assert len(backlog) == len(model)
        assert [backlog.is_outdated(one) for one in model] == [outdated(one) for one in model]


def test_the_rate_has_a_burst():
    queue = EventQueue(2.0)
    assert queue.wait(0.0) is None
    for number in range(4):
        assert queue.put(state(str(number)), 0.0) == 0
    assert [queue.take(0.0)[0].job for _ in range(2)] == ["0", "1"]
    assert queue.wait(0.0) == pytest.approx(0.5)
    assert queue.wait(0.5) == 0.0
    assert queue.take(0.5)[0].job == "2"


def test_within_the_rate_no_event_is_dropped():
    queue = EventQueue(100.0)
    received = []
    for number in range(50):
        queue.put(state("1", b"%d" % number), number / 50)
        received.append(queue.take(number / 50)[0].before)
    assert received == [b"%d" % number for number in range(50)]


def test_only_outdated_states_that_wait_too_long_are_dropped():
    queue = EventQueue(1.0)
    for event in (state("1", b"old"), PLAIN, state("1", b"new"), state("2", b"only"), end("3")):
        queue.put(event, 0.0)
    now, received, lost = MAX_LAG + 0.1, [], 0
    while len(queue):
        event, left_out = queue.take(now)
        received.append(event.before or event.action.encode())
        lost += left_out
    assert received == [b"ScannerElementsChangeEvent", b"new", b"only", b"JobEndStateEvent"]
    assert lost == 1


def test_in_a_storm_the_newest_state_and_all_ends_are_kept():
    queue = EventQueue(1.0)
    ends = [end(str(number)) for number in range(200)]
    for event in ends:
        queue.put(event, 0.0)
    lost = sum(queue.put(state("storm", b"%d" % number), 0.0) for number in range(5000))
    assert len(queue) == MAX_EVENTS and lost == 5200 - MAX_EVENTS
    assert [queue.take(100.0)[0] for _ in range(200)] == ends
    assert queue.take(100.0)[0].before == b"4999"
    assert len(queue) == 0


def test_large_events_are_limited_by_their_bytes_and_one_always_fits():
    queue = EventQueue(1.0)
    large = Event("JobStatusEvent", b"x" * (MAX_BYTES + 1), b"", "1")
    assert queue.put(large, 0.0) == 0
    assert queue.put(state("1", b"newest"), 0.0) == 1
    assert queue.take(0.0)[0].before == b"newest"
    assert queue.clear() == 0


def test_a_changed_rate_takes_effect_at_once():
    queue = EventQueue(1.0)
    for number in range(3):
        queue.put(state(str(number)), 0.0)
    queue.take(0.0)
    assert queue.wait(0.0) > 0.0
    queue.adjust(10.0)
    assert queue.wait(0.0) == 0.0
    assert queue.clear() == 2


@pytest.mark.parametrize(("message", "job", "ends"), [
    (status_event("7", "Processing"), "7", False), (status_event("7", "Completed"), "7", True),
    (status_event("7", "Canceled"), "7", True), (end_event("7"), "7", True),
    (envelope(f"{SCAN}/JobEndStateEvent", "<wscn:JobEndStateEvent/>"), None, True),
    (envelope(f"{SCAN}/ScanAvailableEvent", "<wscn:ScanAvailableEvent/>"), None, True),
    (envelope(f"{SCAN}/ScannerElementsChangeEvent", "<wscn:ScannerElementsChangeEvent/>"), None, False)])
def test_the_job_and_the_finality_of_an_event(message, job, ends):
    notification = read_notification(message)
    event = prepare(notification.envelope, notification.status)
    assert (event.job, event.ends) == (job, ends)
    assert event.size == len(event.before) + len(event.after)


# The queue of one client, by the same rule.

def delivery_queue(limit):
    return DeliveryQueue(limit=limit, give_up_after=1e9, random=lambda: 1.0)


def test_the_queue_of_an_absent_client_keeps_the_newest_states_and_the_ends():
    queue = delivery_queue(5)
    first, *rest = queued_events(state("0"), state("a"), end("b"), *(state("storm") for _ in range(50)), end("c"))
    queue.put(first)
    assert queue.take() is first
    assert sum(not queue.put(queued) for queued in rest) == 49
    assert isinstance(queue.failed(0.0, refused=False), Retry)
    kept = []
    while (queued := queue.take()) is not None:
        kept.append(queued)
        queue.delivered()
    assert kept == [first, rest[0], rest[1], rest[51], rest[52]]


def test_an_undelivered_end_is_kept_and_an_outdated_state_is_dropped():
    queue = delivery_queue(2)
    ended, old, new, newest = queued_events(end("1"), state("2"), state("2"), state("2"))
    queue.put(ended)
    queue.take()
    queue.put(old)
    assert not queue.put(new)
    queue.put(newest)
    assert queue.failed(0.0, refused=False) == Retry(1.0)
    assert queue.take() is ended
    queue.delivered()
    assert queue.take() is newest
