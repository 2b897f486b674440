"""Tests of storage.recovery: contents of a file that becomes usable again are restored, written or left unchanged."""

import shutil

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.storage.files import LARGE, Restoring, damage, filled, listed, start
from tests.storage.stores import PLAIN, held, job, limit_pages, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage.merging import LEFT
from wsdgateway.storage.recovery import FIRST_PAUSE, LONGEST_PAUSE


@pytest_twisted.ensureDeferred
async def test_if_the_file_is_moved_away_a_new_one_is_written(file, said):
    damage(file)
    store = start(file)
    await store.save(subscription("a"), held("a"))
    await store.hold(held(""))
    await store.adopt(Adopted("urn:uuid:2", "two"))
    for number in range(5):
        await store.add(job(number))
    file.rename(file.with_name("damaged"))
    await store.retry()
    assert store.warning() is None
    assert any("the store is in use again; wrote 1 subscription(s) and 3 finished job(s)" in line for line in said)
    await store.save(subscription("b"))
    await store.add(job(9))
    await store.close()
    subscriptions, at_scanners, adopted, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["a", "b"]
    assert sorted(at_scanners, key=lambda one: one.identifier) == [held(""), held("a")]
    assert adopted == [Adopted("urn:uuid:2", "two")] and jobs == ["3", "4", "9"]


@pytest_twisted.ensureDeferred
async def test_a_history_set_while_the_file_cannot_be_used_applies_to_its_jobs(file):
    store = start(file)
    for number in range(3):
        await store.add(job(number))
    await store.close()
    good = file.with_name("good")
    shutil.copy(file, good)
    damage(file)
    store = start(file)
    await store.limit(2)
    shutil.copy(good, file)
    await store.retry()
    assert store.warning() is None
    await store.close()
    assert (await listed(file))[3] == ["1", "2"]


@pytest_twisted.ensureDeferred
async def test_the_contents_of_a_repaired_file_are_restored_before_it_is_written(file):
    await filled(file)
    good = file.with_name("good")
    shutil.copy(file, good)
    damage(file)
    store = start(file)
    restoring = Restoring(file)
    store.set_callbacks(restoring)
    await store.hold(held("", notify_to="http://gw/front-desk/events/new"))
    await store.adopt(Adopted("urn:uuid:3", "one"))
    await store.metadata_version("front-desk", "b")
    again = subscription("again", client="192.0.2.9", **PLAIN)
    await store.save(again)  # the client of b, whose Renew was refused
    await store.add(job(2))
    shutil.copy(good, file)
    restoring.wait = Deferred()
    store.retry()
    while not restoring.found:
        await sleep()
    await store.save(subscription("during", client="192.0.2.10"))
    restoring.wait.callback(None)
    while store.warning() is not None:
        await sleep()
    assert sorted(restoring.listed) == ["http://gw/front-desk/events/a", "http://gw/front-desk/events/own"]
    [content] = restoring.found
    assert [one.identifier for one in content.subscriptions] == ["a"]
    assert {one.identifier: one.notify_to for one in content.held} == {
        "a": "http://gw/front-desk/events/a", f"{LEFT}own": "http://gw/front-desk/events/own"}
    assert content.adopted == (Adopted("urn:uuid:1", "one"),)
    await store.release("front-desk", f"{LEFT}own", "http://gw/front-desk/events/own")
    assert await store.metadata_version("front-desk", "b") == 1800000000
    await store.close()
    subscriptions, at_scanners, adopted, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["a", "again", "during"]
    assert {one.identifier: one.notify_to for one in at_scanners} == {
        "": "http://gw/front-desk/events/new", "a": "http://gw/front-desk/events/a"}
    assert adopted == [Adopted("urn:uuid:3", "one")] and jobs == ["1", "2"]
    assert await start_and_ask_instance(file) == 101


async def start_and_ask_instance(file):
    store = start(file)
    instance = await store.next_instance(0)
    await store.close()
    return instance


def sleep():
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    return deferLater(reactor, 0.01)


@pytest_twisted.ensureDeferred
async def test_a_job_id_reused_while_the_file_is_unusable_is_marked_afterwards(file):
    store = start(file)
    await store.add(job(1))
    await store.add(job(2))
    await limit_pages(store.file, 0)
    await store.save(subscription("large", **LARGE))
    await store.supersede("front-desk", "1")
    await store.add(attrs.evolve(job(3), job_id="4"))
    await store.supersede("front-desk", "4")
    marks = [("1", True), ("2", False), ("4", True)]
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == marks
    await store.retry()
    assert store.warning() is None
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == marks
    await store.add(attrs.evolve(job(3), job_id="1"))  # the job that has the JobId now
    await store.close()
    store = start(file)
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == [
        ("2", False), ("4", True), ("1", False)]
    await store.close()


@pytest_twisted.ensureDeferred
async def test_the_return_of_the_file_is_reported(file):
    returned = []
    damage(file)
    store = start(file)
    store.set_callbacks(Restoring(file), lambda: returned.append(1))
    file.unlink()
    await store.retry()
    assert returned == [1]
    await store.close()
    assert returned == [1]


@pytest_twisted.ensureDeferred
async def test_a_stop_writes_the_contents_if_the_file_is_usable(file):
    store = start(file)
    await limit_pages(store.file, 0)
    await store.save(subscription("large", **LARGE))
    await store.add(job(1))
    assert store.warning() is not None
    await store.close()
    subscriptions, _, _, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["large"] and jobs == ["1"]


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_overwrite_subscriptions_that_have_to_be_ended(file):
    await filled(file)
    good = file.with_name("good")
    shutil.copy(file, good)
    damage(file)
    store = start(file)
    await store.hold(held("", notify_to="http://gw/front-desk/events/new"))
    shutil.copy(good, file)
    before = await listed(file)
    await store.close()
    assert await listed(file) == before


@pytest_twisted.ensureDeferred
async def test_the_file_is_tried_again_after_growing_pauses(file, monkeypatch):
    from twisted.internet import reactor

    damage(file)
    pauses = []
    really = reactor.callLater

    def call_later(seconds, function, *arguments):
        if getattr(function, "__name__", "") == "retry":
            pauses.append(seconds)
            seconds = 0.0 if len(pauses) < 8 else seconds
        return really(seconds, function, *arguments)

    monkeypatch.setattr(reactor, "callLater", call_later)
    store = start(file)
    while len(pauses) < 8:
        await sleep()
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert (FIRST_PAUSE, LONGEST_PAUSE) == (2.0, 30.0)
    await store.close()


@pytest.mark.logs_failure
@pytest_twisted.ensureDeferred
async def test_an_error_while_restoring_does_not_prevent_writing(file):
    await filled(file)
    good = file.with_name("good")
    shutil.copy(file, good)
    damage(file)
    store = start(file)

    async def fail(content):
        raise RuntimeError

    store.set_callbacks(fail)
    shutil.copy(good, file)
    await store.retry()
    assert store.warning() is None
    await store.close()
    assert sorted(one.identifier for one in (await listed(file))[1]) == ["a", f"{LEFT}own"]


@pytest_twisted.ensureDeferred
async def test_a_file_taken_by_another_gateway_is_not_used(file):
    damage(file)
    store = start(file)
    file.unlink()
    other = start(file)
    await store.retry()
    assert "another gateway" in store.warning()
    await other.close()
    await store.retry()
    assert store.warning() is None
    await store.close()
