"""Tests of net.transport.serial: the queue runs one coroutine at a time, however the others end."""

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock

from wsdgateway.net.transport.serial import SerialQueue


def blocked(clock, owner=None):
    """Returns a queue whose first coroutine, of this owner, runs until the returned Deferred is called."""
    queue, gate = SerialQueue(clock), Deferred()

    async def first():
        await gate

    ensureDeferred(queue.run(first, owner))
    return queue, gate


def test_coroutines_run_in_order_and_a_failure_does_not_stop_the_queue():
    clock, began, ended = Clock(), [], []
    queue = SerialQueue(clock)
    acts = {name: Deferred() for name in "abc"}

    def run(name):
        async def act():
            began.append(name)
            return await acts[name]

        running = ensureDeferred(queue.run(act))
        running.addBoth(lambda result: ended.append((name, str(getattr(result, "value", result)))))

    for name in acts:
        run(name)
    assert began == ["a"]
    acts["a"].errback(ValueError("no"))
    clock.advance(0)
    assert began == ["a", "b"]
    acts["b"].callback("yes")
    acts["c"].callback("yes")
    clock.advance(0)
    assert ended == [("a", "no"), ("b", "yes"), ("c", "yes")]
    run("a")
    assert began[-1] == "a"


def test_thousands_of_failures_do_not_recurse():
    clock, ended = Clock(), []
    queue, gate = blocked(clock)

    async def fails():
        raise ValueError

    for _ in range(5000):
        ensureDeferred(queue.run(fails)).addErrback(lambda failure: ended.append(failure.trap(ValueError)))
    gate.callback(None)
    for _ in range(5000):
        clock.advance(0)
    assert len(ended) == 5000


def test_cancelled_coroutines_are_skipped():
    clock, began = Clock(), []
    queue, gate = blocked(clock)

    async def act(name):
        began.append(name)

    waiting = {name: ensureDeferred(queue.run(lambda name=name: act(name))) for name in "abc"}
    for one in waiting.values():
        one.addErrback(lambda failure: failure.trap(CancelledError) and None)
    waiting["a"].cancel()
    gate.callback(None)
    waiting["b"].cancel()
    clock.advance(0)
    clock.advance(0)
    assert began == ["c"]
    ensureDeferred(queue.run(lambda: act("d")))
    assert began == ["c", "d"]


def test_owners_take_turns():
    clock, began = Clock(), []
    queue, gate = blocked(clock, "a")

    async def act(name):
        began.append(name)

    for number in range(100):
        ensureDeferred(queue.run(lambda number=number: act(f"a{number}"), "a"))
    ensureDeferred(queue.run(lambda: act("b0"), "b"))
    gate.callback(None)
    clock.pump([0.0] * 101)
    assert began[:3] == ["a0", "b0", "a1"] and len(began) == 101
