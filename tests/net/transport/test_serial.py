"""One at a time, however many there are and however they end."""

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock

from wsdgateway.net.transport.serial import SerialQueue


def test_they_run_in_order_and_a_failure_stops_nobody():
    clock, began, ended = Clock(), [], []
    lane = SerialQueue(clock)
    acts = {name: Deferred() for name in "abc"}

    def run(name):
        async def act():
            began.append(name)
            return await acts[name]

        running = ensureDeferred(lane.run(act))
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
    clock, lane, ended = Clock(), None, []
    lane = SerialQueue(clock)
    gate = Deferred()

    async def first():
        await gate

    async def fails():
        raise ValueError

    ensureDeferred(lane.run(first))
    for _ in range(5000):
        ensureDeferred(lane.run(fails)).addErrback(lambda failure: ended.append(failure.trap(ValueError)))
    gate.callback(None)
    for _ in range(5000):
        clock.advance(0)
    assert len(ended) == 5000


def test_who_waits_no_longer_does_not_keep_the_turn():
    clock, began = Clock(), []
    lane = SerialQueue(clock)
    gate = Deferred()

    async def first():
        await gate

    async def act(name):
        began.append(name)

    ensureDeferred(lane.run(first))
    waiting = {name: ensureDeferred(lane.run(lambda name=name: act(name))) for name in "abc"}
    for one in waiting.values():
        one.addErrback(lambda failure: failure.trap(CancelledError) and None)
    waiting["a"].cancel()
    gate.callback(None)
    waiting["b"].cancel()
    clock.advance(0)
    clock.advance(0)
    assert began == ["c"]
    ensureDeferred(lane.run(lambda: act("d")))
    assert began == ["c", "d"]


def test_owners_take_turns():
    clock, began = Clock(), []
    lane = SerialQueue(clock)
    gate = Deferred()

    async def first():
        await gate

    async def act(name):
        began.append(name)

    ensureDeferred(lane.run(first, "a"))
    for number in range(100):
        ensureDeferred(lane.run(lambda number=number: act(f"a{number}"), "a"))
    ensureDeferred(lane.run(lambda: act("b0"), "b"))
    gate.callback(None)
    clock.pump([0.0] * 101)
    assert began[:3] == ["a0", "b0", "a1"] and len(began) == 101
