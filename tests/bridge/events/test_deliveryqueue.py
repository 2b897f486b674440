"""Tests of bridge.events.deliveryqueue: order, limits, pauses, and when a subscriber is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdgateway.bridge.events.deliveryqueue import (
    MAX_REFUSALS,
    DeliveryQueue,
    GiveUp,
    QueuedEvent,
    Retry,
    Skip,
    is_refusal,
    is_success,
)
from wsdgateway.bridge.events.fanout import Event


def events(count):
    return [QueuedEvent(Event("a", b"", b""), str(number)) for number in range(count)]


def make_queue(limit=3, give_up_after=100.0):
    return DeliveryQueue(limit=limit, give_up_after=give_up_after, random=lambda: 1.0)


def test_events_are_delivered_one_at_a_time_in_order():
    queue = make_queue()
    assert queue.take() is None
    first, second, _ = sent = events(3)
    assert all(queue.put(queued) for queued in sent)
    assert queue.take() is first
    assert queue.take() is None
    queue.delivered()
    assert queue.take() is second
    assert len(queue) == 2


def test_the_oldest_event_is_dropped_to_make_room():
    queue = make_queue(limit=2)
    first, second, third = events(3)
    queue.put(first)
    queue.take()
    assert queue.put(second)
    assert not queue.put(third)
    assert isinstance(queue.failed(0.0, refused=False), Retry)
    assert queue.take() is first
    queue.delivered()
    assert queue.take() is third


def test_pauses_grow_and_have_a_limit():
    queue = make_queue(give_up_after=1e9)
    queue.put(events(1)[0])
    pauses = []
    for _ in range(12):
        queue.take()
        pauses.append(queue.failed(0.0, refused=False).after)
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert pauses[-1] == 60
    queue.take()
    queue.delivered()
    assert queue.failures == 0


def test_an_unreachable_subscriber_is_given_up_after_a_time():
    queue = make_queue()
    for queued in events(3):
        queue.put(queued)
    queue.take()
    assert isinstance(queue.failed(10.0, refused=False), Retry)
    queue.take()
    assert isinstance(queue.failed(109.9, refused=False), Retry)
    queue.take()
    assert queue.failed(110.0, refused=False) == GiveUp(3)
    assert len(queue) == 0


def test_a_success_restarts_the_time():
    queue = make_queue()
    for queued in events(3):
        queue.put(queued)
    queue.take()
    queue.failed(10.0, refused=False)
    queue.take()
    queue.delivered()
    queue.take()
    assert isinstance(queue.failed(200.0, refused=False), Retry)


def test_a_refused_event_does_not_block_the_others():
    queue = make_queue()
    first, second, _ = sent = events(3)
    for queued in sent:
        queue.put(queued)
    for _ in range(MAX_REFUSALS - 1):
        assert queue.take() is first
        assert isinstance(queue.failed(0.0, refused=True), Retry)
    queue.take()
    assert isinstance(queue.failed(0.0, refused=True), Skip)
    assert queue.take() is second
    queue.failed(200.0, refused=True)  # refusing everything is no delivery: the subscriber is given up in time
    assert len(queue) == 0


@given(st.lists(st.sampled_from(["put", "ok", "away", "no"]), max_size=60))
def test_order_and_count_are_correct_in_every_sequence(deeds):
    queue = make_queue(limit=4)
    put = lost = 0
    arrived = []
    for deed in deeds:
        if deed == "put":
            lost += not queue.put(QueuedEvent(Event("a", b"", b""), str(put)))
            put += 1
        else:
            queued = queue.take()
            if queued is None:
                continue
            if deed == "ok":
                queue.delivered()
                arrived.append(int(queued.message_id))
            else:
                lost += isinstance(queue.failed(0.0, refused=deed == "no"), Skip)
    assert arrived == sorted(set(arrived))
    assert put == len(arrived) + lost + len(queue)
    assert len(queue) <= 4


@pytest.mark.parametrize(("status", "success", "refusal"), [
    (200, True, False), (202, True, False), (204, True, False), (301, False, True), (400, False, True),
    (403, False, True), (404, False, False), (408, False, False), (410, False, True), (415, False, True),
    (429, False, False), (500, False, True), (502, False, False), (503, False, False), (504, False, False)])
def test_the_meaning_of_each_http_status(status, success, refusal):
    assert (is_success(status), is_refusal(status)) == (success, refusal)
