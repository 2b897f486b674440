"""Tests of app.batched: a caller waits for a run that begins after its call, and shares it with others."""

from twisted.internet.defer import Deferred, ensureDeferred

from wsdgateway.app.batched import Batched


class Runs:
    def __init__(self):
        self.runs = []
        self.batched = Batched(self.run)

    async def run(self):
        running = Deferred()
        self.runs.append(running)
        await running

    def call(self):
        done, results = ensureDeferred(self.batched()), []
        done.addBoth(results.append)
        return results


def test_callers_share_a_run_that_begins_after_their_calls():
    runs = Runs()
    first, second, third = runs.call(), runs.call(), runs.call()
    assert len(runs.runs) == 1
    runs.runs[0].callback(None)
    assert (first, second, third) == ([None], [], []) and len(runs.runs) == 2
    runs.runs[1].callback(None)
    assert (second, third) == ([None], [None]) and len(runs.runs) == 2


def test_a_failure_is_that_of_its_callers_alone():
    runs = Runs()
    first, second = runs.call(), runs.call()
    runs.runs[0].errback(ZeroDivisionError())
    assert first[0].type is ZeroDivisionError and second == []
    runs.runs[1].callback(None)
    assert second == [None]
