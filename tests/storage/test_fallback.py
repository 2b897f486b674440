"""A store whose file can't be used, at the start or later: what is kept in memory, and how the file is used again."""

import shutil
import sqlite3
from contextlib import closing

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from tests.storage.test_store import PLAIN, held, job, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage import recovery
from wsdgateway.storage.fallback import MAX_ENDED, FallbackStore
from wsdgateway.storage.merging import LEFT, merge
from wsdgateway.storage.recovery import FIRST_PAUSE, LONGEST_PAUSE
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import Content, NotOurs

FRESH = {"expires_at": 4e9}


def damage(file):
    file.write_bytes(b"this is not a database, it is something of value" * 100)


def damage_inside(file):
    data = bytearray(file.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    file.write_bytes(data)


def make_newer(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def make_folder(file):
    file.unlink()
    file.mkdir()


def spoil_a_row(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE client_subscription SET tokens = 'nonsense'")
        connection.commit()


DAMAGES = {damage: "the store is damaged", damage_inside: "the store is damaged", make_newer: "newer version",
           make_folder: "it is a folder", spoil_a_row: "can't be read"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "s.sqlite"


@pytest.fixture
def said():
    lines = []

    def observe(event):
        lines.append(event["log_format"].format(**event) if "log_format" in event else "")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def start(file, history=3):
    from twisted.internet import reactor

    return FallbackStore(reactor, file, history, lambda: 1.8e9)


async def filled(file):
    """A store of an earlier start, with something of everything."""
    from twisted.internet import reactor

    store = SqliteStore(reactor, file, 3)
    await store.next_instance(100)
    await store.save(subscription("a", **FRESH), held("a", notify_to="http://gw/front-desk/events/a"))
    await store.save(subscription("b", client="192.0.2.9", **PLAIN, **FRESH))
    await store.hold(held("", notify_to="http://gw/front-desk/events/own"))
    await store.adopt(Adopted("urn:uuid:1", "one"))
    await store.metadata_version("front-desk", "a")
    await store.add(job(1))
    await store.close()


async def listed(file):
    """What a file lists."""
    from twisted.internet import reactor

    store = SqliteStore(reactor, file, 3)
    found = (await store.subscriptions(), await store.held(), await store.adopted(),
             [one.job_id for one in await store.finished("front-desk")])
    await store.close()
    return found


async def used_again(store):
    """Try the file, and wait for the end of that."""
    store.retry()
    await store._recovery._reopening


class TakingUp:
    """Takes down what is to be taken up; what the file lists then stands in `listed`."""

    def __init__(self, file):
        self.file = file
        self.found = []
        self.wait = None

    async def __call__(self, content):
        with closing(sqlite3.connect(self.file)) as connection:
            self.listed = [row[0] for row in connection.execute("SELECT notify_to FROM device_subscription")]
        self.found.append(content)
        if self.wait is not None:
            await self.wait


@pytest.mark.parametrize("harm", DAMAGES, ids=lambda harm: harm.__name__)
@pytest_twisted.ensureDeferred
async def test_what_can_not_be_used_at_the_start_is_left_alone_and_everything_is_in_memory(file, said, harm):
    await filled(file)
    harm(file)
    before = None if file.is_dir() else file.read_bytes()
    store = start(file)
    assert DAMAGES[harm] in store.warning() and str(file) in store.warning()
    assert len([line for line in said if DAMAGES[harm] in line]) == 1
    assert await store.subscriptions() == await store.held() == await store.adopted() == []
    assert await store.next_instance(50) == 50
    await store.save(subscription("new"), held("new"))
    await store.hold(held(""))
    await store.add(job(7))
    assert [one.identifier for one in await store.subscriptions()] == ["new"]
    assert [one.job_id for one in await store.finished("front-desk")] == ["7"]
    assert await store.metadata_version("front-desk", "x") == 1800000000  # larger than any that was counted
    await used_again(store)
    assert store.warning() is not None
    await store.close()
    assert before is None or file.read_bytes() == before
    assert any("is lost: 1 subscription(s) and 1 finished job(s)" in line for line in said)


@pytest_twisted.ensureDeferred
async def test_when_the_file_is_moved_away_a_new_one_is_written(file, said):
    damage(file)
    store = start(file)
    await store.save(subscription("a"), held("a"))
    await store.hold(held(""))
    await store.adopt(Adopted("urn:uuid:2", "two"))
    for number in range(5):
        await store.add(job(number))
    file.rename(file.with_name("damaged"))
    await used_again(store)
    assert store.warning() is None
    assert any("the store is used again; 1 subscription(s) and 3 finished job(s)" in line for line in said)
    await store.save(subscription("b"))
    await store.add(job(9))
    await store.close()
    subscriptions, at_scanners, adopted, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["a", "b"]
    assert sorted(at_scanners, key=lambda one: one.identifier) == [held(""), held("a")]
    assert adopted == [Adopted("urn:uuid:2", "two")] and jobs == ["3", "4", "9"]


@pytest_twisted.ensureDeferred
async def test_what_a_repaired_file_lists_is_taken_up_before_anything_is_written(file):
    await filled(file)
    good = file.with_name("good")
    shutil.copy(file, good)
    damage(file)
    store = start(file)
    taking_up = TakingUp(file)
    store.take_up_with(taking_up)
    await store.hold(held("", notify_to="http://gw/front-desk/events/new"))
    await store.adopt(Adopted("urn:uuid:3", "one"))
    await store.metadata_version("front-desk", "b")
    again = subscription("again", client="192.0.2.9", **PLAIN)
    await store.save(again)  # the client of b, whose Renew was refused
    await store.add(job(2))
    shutil.copy(good, file)
    taking_up.wait = Deferred()
    store.retry()
    while not taking_up.found:
        await sleep()
    await store.save(subscription("during", client="192.0.2.10"))
    taking_up.wait.callback(None)
    while store.warning() is not None:
        await sleep()
    assert sorted(taking_up.listed) == ["http://gw/front-desk/events/a", "http://gw/front-desk/events/own"]
    [content] = taking_up.found
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


def forbid_writing(store, more):
    """The file may grow by so many pages: what a full folder is, without one."""
    def run(transaction):
        used = transaction.execute("PRAGMA page_count").fetchone()[0]
        transaction.execute(f"PRAGMA max_page_count = {used + more}")

    return store._recovery.file._pool.runInteraction(run)


LARGE = {"client": "x" * 10000}


@pytest_twisted.ensureDeferred
async def test_a_full_folder_while_it_runs_costs_nothing(file, said):
    await filled(file)
    store = start(file)
    taking_up = TakingUp(file)
    store.take_up_with(taking_up)
    await forbid_writing(store, 0)
    await store.save(subscription("large", **LARGE))
    assert "is full; make room" in store.warning()
    assert len([line for line in said if "is kept in memory only" in line]) == 1
    await store.add(job(2))
    assert [one.job_id for one in await store.finished("front-desk")] == ["1", "2"]
    await store.forget("a")
    await store.release("front-desk", "a", "http://gw/front-desk/events/a")
    await store.release("front-desk", "", "http://gw/front-desk/events/own")
    await store.hold(held("", notify_to="http://gw/front-desk/events/next"))
    await used_again(store)  # SQLite asks the disk anew
    assert store.warning() is None and taking_up.found == []
    await store.close()
    subscriptions, at_scanners, adopted, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["b", "large"]
    assert [one.notify_to for one in at_scanners] == ["http://gw/front-desk/events/next"]
    assert adopted == [Adopted("urn:uuid:1", "one")] and jobs == ["1", "2"]


@pytest_twisted.ensureDeferred
async def test_a_job_id_that_is_given_again_while_it_can_not_be_used_is_marked_when_it_is_back(file):
    store = start(file)
    await store.add(job(1))
    await store.add(job(2))
    await forbid_writing(store, 0)
    await store.save(subscription("large", **LARGE))
    await store.supersede("front-desk", "1")
    await store.add(attrs.evolve(job(3), job_id="4"))
    await store.supersede("front-desk", "4")
    marks = [("1", True), ("2", False), ("4", True)]
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == marks
    await used_again(store)
    assert store.warning() is None
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == marks
    await store.add(attrs.evolve(job(3), job_id="1"))  # the job that has the JobId now
    await store.close()
    store = start(file)
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == [
        ("2", False), ("4", True), ("1", False)]
    await store.close()


@pytest_twisted.ensureDeferred
async def test_it_is_told_when_the_file_is_used_again(file):
    returned = []
    damage(file)
    store = start(file)
    store.take_up_with(TakingUp(file), lambda: returned.append(1))
    file.unlink()
    await used_again(store)
    assert returned == [1]
    await store.close()
    assert returned == [1]


@pytest_twisted.ensureDeferred
async def test_a_stop_writes_what_can_be_written_then(file):
    store = start(file)
    await forbid_writing(store, 0)
    await store.save(subscription("large", **LARGE))
    await store.add(job(1))
    assert store.warning() is not None
    await store.close()
    subscriptions, _, _, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["large"] and jobs == ["1"]


@pytest_twisted.ensureDeferred
async def test_a_stop_does_not_write_over_what_would_have_to_be_ended(file):
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
async def test_a_file_that_is_damaged_or_taken_away_while_it_runs(file):
    for harm in (damage, make_folder, lambda gone: gone.unlink(), lambda moved: moved.rename(f"{moved}.moved")):
        store = start(file)
        await store.save(subscription("a"))
        harm(file)
        await store.save(subscription("b"))
        assert store.warning() is not None
        await used_again(store)
        if file.exists() and (file.is_dir() or file.read_bytes().startswith(b"this")):
            assert store.warning() is not None
            shutil.rmtree(file) if file.is_dir() else file.unlink()
            await used_again(store)
        assert store.warning() is None
        await store.close()
        assert [one.identifier for one in (await listed(file))[0]] == ["a", "b"]
        file.unlink()


@pytest_twisted.ensureDeferred
async def test_it_is_tried_again_by_itself_after_pauses_that_grow(file, monkeypatch):
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
async def test_a_mistake_while_taking_up_keeps_nothing_from_being_written(file):
    await filled(file)
    good = file.with_name("good")
    shutil.copy(file, good)
    damage(file)
    store = start(file)

    async def fail(content):
        raise RuntimeError

    store.take_up_with(fail)
    shutil.copy(good, file)
    await used_again(store)
    assert store.warning() is None
    await store.close()
    assert sorted(one.identifier for one in (await listed(file))[1]) == ["a", f"{LEFT}own"]


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_named_by_mistake_or_used_by_another_gateway_is_an_error(tmp_path, file):
    store = start(file)
    with pytest.raises(NotOurs, match="another gateway"):
        start(file)
    await store.close()
    with pytest.raises(NotOurs, match="no folder"):
        start(tmp_path / "none" / "s.sqlite")
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(NotOurs, match="another program"):
        start(tmp_path / "other")


@pytest_twisted.ensureDeferred
async def test_a_file_that_another_gateway_has_taken_meanwhile_is_not_used(file):
    damage(file)
    store = start(file)
    file.unlink()
    other = start(file)
    await used_again(store)
    assert "another gateway" in store.warning()
    await other.close()
    await used_again(store)
    assert store.warning() is None
    await store.close()


@pytest_twisted.ensureDeferred
async def test_what_has_ended_is_remembered_within_a_bound(file):
    store = start(file)
    damage(file)
    for number in range(MAX_ENDED + 10):
        store.forget(str(number))
    assert len(store._ended) == MAX_ENDED
    await store.close()


def content(**more):
    return Content(**{name: tuple(value) if isinstance(value, list) else value for name, value in more.items()})


def test_merging_keeps_what_memory_has_and_takes_up_the_rest():
    known = content(subscriptions=[subscription("a")], held=[held("a", notify_to="u/1"), held("", notify_to="u/2")],
                    instance=5, versions=[("x", "new", 3), ("y", "same", 2)])
    before = content(
        subscriptions=[subscription("a", expires_at=0.0), subscription("ended"), subscription("b", client="b")],
        held=[held("a", notify_to="u/1"), held("", notify_to="u/ended"), held("", notify_to="u/3"),
              held("b", notify_to="u/4"), held("c", notify_to="u/5")],
        adopted=[Adopted("urn:uuid:1", "one"), Adopted("urn:uuid:2", "two")], instance=9,
        versions=[("x", "old", 7), ("y", "same", 4), ("z", "z", 1)])
    merged, found = merge(known, before, {"ended", "u/ended", "urn:uuid:2"})
    b = subscription("b", client="b")
    left = [attrs.evolve(held("", notify_to="u/3"), identifier=f"{LEFT}3"), held("b", notify_to="u/4"),
            attrs.evolve(held("c", notify_to="u/5"), identifier=f"{LEFT}5")]
    assert found == content(subscriptions=[b], held=left, adopted=[Adopted("urn:uuid:1", "one")])
    assert merged == content(
        subscriptions=[subscription("a"), b], held=[*known.held, *left], adopted=[Adopted("urn:uuid:1", "one")],
        instance=9, versions=[("x", "new", 8), ("y", "same", 4), ("z", "z", 1)])
    assert merge(merged, before, {"ended", "u/ended", "urn:uuid:2"})[1].is_empty


def test_nothing_is_taken_up_of_what_this_start_has_written():
    known = content(subscriptions=[subscription("a")], held=[held("a")], instance=1)
    assert merge(known, known, ())[1].is_empty
    assert recovery.IN_MEMORY
