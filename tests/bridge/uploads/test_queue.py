"""Tests of bridge.uploads.queue: order, pauses, ages and the limit."""

import attrs
import pytest

from wsdgateway.bridge.uploads import queue as queues
from wsdgateway.bridge.uploads.answers import MAX_RETRY_AFTER, Again
from wsdgateway.bridge.uploads.pauses import FIRST, LONGEST
from wsdgateway.bridge.uploads.queue import Limits, UploadQueue
from wsdgateway.bridge.uploads.upload import FAILED, SENT, Upload

START = 1000000.0
DOWN = Again("down", of_server=True)
ODD = Again("odd")


def upload(name, queued=START, destination="Paperless", size=10, **more):
    return Upload(name, destination, "s", f"{name}.pdf", f"/srv/{name}.pdf", 1, size, queued, **more)


@pytest.fixture
def queue():
    return made()


def made(size=1000, age=100.0, servers=("Paperless", "Other")):
    return UploadQueue(Limits(size, age), lambda one: one.destination if one.destination in servers else None)


def add(queue, *names, **more):
    for position, name in enumerate(names):
        queue.add(upload(name, START + position / 10, **more))


def due(queue, now=START):
    return [one.id for one in queue.take_due(now)]


def test_two_files_are_sent_at_once_in_their_order(queue):
    add(queue, "c", "a", "b")
    assert due(queue) == ["c", "a"]
    assert due(queue) == []
    assert queue.next_time(START) is None  # no room for another before
    assert queue.accepted("c").state == SENT
    assert queue.next_time(START) <= START
    assert due(queue) == ["b"]
    assert [one.id for one in queue.waiting] == ["a", "b"]


def test_every_server_has_its_own_turn(queue):
    add(queue, "a", "b", "c")
    add(queue, "d", destination="Other")
    assert sorted(due(queue)) == ["a", "b", "d"]


def test_trouble_of_the_server_pauses_all_and_then_one_is_tried(queue):
    add(queue, "a", "b", "c")
    add(queue, "other", destination="Other")
    assert sorted(due(queue)) == ["a", "b", "other"]
    assert queue.failed("a", DOWN, START).not_before == START + FIRST
    assert queue.failed("b", DOWN, START).not_before == START + FIRST  # counted once
    queue.accepted("other")
    assert due(queue, START + FIRST - 0.1) == []
    assert queue.next_time(START) == START + FIRST
    assert due(queue, START + FIRST) == ["a"]
    assert queue.failed("a", DOWN, START + FIRST).not_before == START + FIRST + 2 * FIRST
    later = START + 3 * FIRST
    assert due(queue, later) == ["a"]
    queue.accepted("a")
    assert due(queue, later) == ["b", "c"]


def test_other_trouble_pauses_one_file(queue):
    add(queue, "a", "b", "c")
    assert due(queue) == ["a", "b"]
    waiting = queue.failed("a", ODD, START)
    assert (waiting.attempts, waiting.not_before, waiting.reason) == (1, START + FIRST, "odd")
    assert due(queue) == ["c"]
    queue.accepted("b")
    assert due(queue, START + FIRST - 0.1) == []
    assert due(queue, START + FIRST) == ["a"]


def test_a_file_that_fails_often_lets_others_go_first(queue):
    add(queue, "a", "b")
    now, sent = START, []
    for _ in range(queues.PATIENCE + 1):
        taken = due(queue, now)
        sent.append(taken[0])
        for name in taken:
            pause = queue.failed(name, DOWN, now).not_before - now
        now += pause
    assert sent == ["a"] * queues.PATIENCE + ["b"]


def test_the_pause_that_the_server_asks_for(queue):
    add(queue, "a")
    due(queue)
    assert queue.failed("a", Again("429", of_server=True, pause=50.0), START).not_before == START + 50
    assert due(queue, START + 49.9) == []
    assert due(queue, START + 50) == ["a"]
    assert queue.failed("a", Again("429", pause=0.5), START + 50).not_before == START + 50 + 2 * FIRST


def test_pauses_continue_after_a_restart(queue):
    queue.restore([upload("a", attempts=3, not_before=START + 8, server_trouble=True), upload("b", START + 1)])
    assert due(queue, START + 7.9) == []
    assert due(queue, START + 8) == ["a"]
    assert queue.failed("a", DOWN, START + 8).not_before == START + 8 + 8 * FIRST


def test_a_clock_that_was_set_back(queue):
    queue.restore([upload("a", attempts=3, not_before=START + 8)])
    past = START - 10 * MAX_RETRY_AFTER
    assert queue.next_time(past) == past
    assert due(queue, past) == ["a"]
    assert LONGEST < MAX_RETRY_AFTER


def test_a_file_that_is_too_old_is_given_up_after_one_attempt():
    queue = made(age=100.0)
    queue.restore([upload("a", attempts=5, reason="down", not_before=0.0)])
    now = START + 200
    assert queue.take_expired(now) == []
    assert due(queue, now) == ["a"]
    assert queue.take_expired(now) == []  # being sent
    queue.failed("a", ODD, now)
    assert queue.next_time(now) == START + 100
    (expired,) = queue.take_expired(now)
    assert (expired.state, expired.reason) == (FAILED, "it has waited for more than 100 s; last: odd")
    assert (queue.waiting, queue.next_time(now)) == ([], None)


def test_a_file_without_a_server_waits_until_it_is_too_old():
    queue = made(servers=())
    queue.add(upload("a"))
    assert (due(queue), queue.without_server()) == ([], {"Paperless": 1})
    assert queue.next_time(START) == START + 100
    assert queue.take_expired(START + 99) == []
    (expired,) = queue.take_expired(START + 100)
    assert expired.reason == "it has waited for more than 100 s"


def test_another_server_is_tried_at_once(queue):
    add(queue, "a", "b")
    for name in due(queue):
        queue.failed(name, DOWN, START)
    queue.configure(Limits(1000, 100.0), lambda one: one.destination)
    assert due(queue) == []
    queue.configure(Limits(1000, 100.0), lambda one: "elsewhere")
    assert due(queue) == ["a", "b"]


def test_a_rejected_file_leaves_the_queue(queue):
    add(queue, "a")
    due(queue)
    assert queue.rejected("a", "the server answered 400") == attrs.evolve(
        upload("a"), state=FAILED, attempts=1, reason="the server answered 400")
    assert queue.waiting == []


def test_a_cancelled_request_counts_for_nothing(queue):
    add(queue, "a")
    assert due(queue) == ["a"]
    queue.cancelled("a")
    assert due(queue) == ["a"]


def test_a_full_queue_refuses():
    queue = made(size=100)
    add(queue, "a", size=60)
    assert queue.refusal() is None and queue.refusal(39) is None
    assert queue.refusal(40) == ("the upload queue is full (100 bytes, of which 40 bytes were given up and lie in "
                                 "failed/; [uploads] size = 100)")
    add(queue, "b", size=60)
    assert queue.refusal() == "the upload queue is full (120 bytes; [uploads] size = 100)"
    due(queue)
    queue.accepted("a")
    assert queue.refusal() is None


def test_the_number_of_files_is_limited(monkeypatch):
    monkeypatch.setattr(queues, "MAX_FILES", 2)
    queue = made()
    add(queue, "a", "b")
    assert queue.refusal() == "2 files wait for their upload servers"
