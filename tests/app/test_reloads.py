"""Tests of app.reloads: one reload at a time, its result, and those who wait for it."""

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from wsdgateway.app.reloads import MAX_PROBLEMS, ReloadResult, Reloads, cannot


class Gateway:
    """Reloads that end when the test says so."""

    def __init__(self):
        self.waiting, self.told = [], []
        self.reloads = Reloads(self.reload, lambda failure: str(failure.value), lambda: self.told.append("begun"),
                               lambda: self.told.append("ended"), lambda: self.told.append("refused"))

    async def reload(self):
        self.waiting.append(Deferred())
        await self.waiting[-1]

    def ask(self):
        """Asks for a reload; returns a list that gets its result."""
        results = []
        ensureDeferred(self.reloads.report(self.reloads.start)).addCallback(results.append)
        return results


@pytest.fixture
def gateway():
    return Gateway()


def test_the_result_is_that_of_the_reload_that_was_asked_for(gateway):
    gateway.reloads.start()
    first, second = gateway.ask(), gateway.ask()
    gateway.reloads.refuse(["g.toml:3: wrong"])
    gateway.waiting[0].callback(None)
    assert (first, second) == ([], [])  # that reload may have read the file before it was changed
    gateway.reloads.succeeded("reloaded", ["a warning"])
    gateway.waiting[1].callback(None)
    assert first == [ReloadResult(lines=("reloaded", "warning: a warning"))] and second == []
    gateway.reloads.refuse(["g.toml:4: wrong"])
    gateway.waiting[2].callback(None)
    assert second == [ReloadResult(("g.toml:4: wrong",))]
    assert gateway.told == ["begun", "refused", "ended", "begun", "ended", "begun", "refused", "ended"]
    assert gateway.reloads.running is None


@pytest.mark.logs_failure
def test_a_reload_that_fails_has_a_result(gateway):
    results = gateway.ask()
    gateway.waiting[0].errback(ValueError("no reason"))
    assert results == [ReloadResult(("no reason",))]
    assert "no reason" in gateway.reloads.warning


def test_a_reload_that_does_not_begin_is_no_success(gateway):
    results = []
    ensureDeferred(gateway.reloads.report(lambda: None)).addCallback(results.append)
    assert [result.status for result in results] == [409]


def test_a_success_ends_the_warning(gateway):
    gateway.reloads.refuse(["one", "two", "three"])
    assert gateway.reloads.warning.endswith("reload again: one (and 2 more in the log)")
    gateway.reloads.succeeded("reloaded", [])
    assert gateway.reloads.warning is None


@pytest.mark.parametrize(("result", "status", "text"), [
    (ReloadResult(lines=("reloaded", "warning: x")), 200, "reloaded\nwarning: x\n"),
    (ReloadResult(("g.toml:3: wrong", "g.toml:4: wrong")), 422, "g.toml:3: wrong\ng.toml:4: wrong\n"),
    (cannot("no file"), 409, "no file\n"),
    (ReloadResult(("x",) * (MAX_PROBLEMS + 2)), 422, "x\n" * MAX_PROBLEMS
     + "and 2 more; the log of the gateway has all\n")])
def test_status_and_text(result, status, text):
    assert (result.status, result.text) == (status, text)
