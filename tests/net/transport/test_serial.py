"""The serial queue: one coroutine at a time, however many there are and however they end."""

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock

from wsdgateway.net.transport.serial import SerialQueue


def blocked(clock, owner=None):
    """A queue whose first coroutine, of this owner, runs until the Deferred beside it is called."""
    queue, gate = SerialQueue(clock), Deferred()

    async def first():
        await gate

    ensureDeferred(queue.run(first, owner))
    return queue, gate


def test_they_run_in_order_and_a_failure_stops_nobody():
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


def test_thousands_that_fail_at_once_are_no_recursion():
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


def test_who_waits_no_longer_does_not_keep_the_turn():
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
