"""The store: one contract for all, and what a file may be."""

import fcntl
import sqlite3
from contextlib import closing
from importlib.resources import files

import attrs
import pytest
import pytest_twisted

from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.sinks import Sink
from wsdgateway.bridge.events.subscriptions import Subscription, Token
from wsdgateway.bridge.events.upstreamcommands import Held
from wsdgateway.eventing.filters import ActionFilter
from wsdgateway.scan.destinations import Destinations
from wsdgateway.scan.jobstatus import JobStatus
from wsdgateway.soap.addressing import EndpointReference
from wsdgateway.storage import schema
from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import FinishedJob, StoreError


def job(number, scanner="front-desk"):
    return FinishedJob(scanner, str(number), "Completed", ("None", "x"), number, None, "2026-11-22T10:00:00Z", 1.5)


@pytest.fixture(params=["memory", "sqlite", "fallback", "without-file"])
def store(request, tmp_path):
    from twisted.internet import reactor

    file = tmp_path / "s.sqlite"
    if request.param == "without-file":
        file.write_bytes(b"nonsense" * 100)
    made = MemoryStore(3) if request.param == "memory" else SqliteStore(reactor, file, 3) if (
        request.param == "sqlite") else FallbackStore(reactor, file, 3, lambda: 0.0)
    yield made
    pytest_twisted.blockon(made.close())


@pytest_twisted.ensureDeferred
async def test_the_last_jobs_of_each_scanner_are_kept(store):
    for number in range(5):
        store.add(job(number))
        store.add(job(number, "other"))
    assert await store.finished("front-desk") == [job(2), job(3), job(4)]
    assert await store.finished("nobody") == []


@pytest_twisted.ensureDeferred
async def test_a_job_whose_job_id_was_given_again_is_marked(store):
    for number in (1, 2):
        store.add(job(number))
        store.add(job(number, "other"))
    store.supersede("front-desk", "1")
    store.supersede("nobody", "1")
    store.add(job(1))
    assert [(one.job_id, one.superseded) for one in await store.finished("front-desk")] == [
        ("1", True), ("2", False), ("1", False)]
    assert not any(one.superseded for one in await store.finished("other"))
    store.add(job(3))
    assert [one.job_id for one in await store.finished("front-desk")] == ["2", "1", "3"]


def test_the_status_of_a_stored_job_is_final_whatever_its_state():
    assert attrs.evolve(job(1), state="Terminating").status == JobStatus(
        "1", "Terminating", ("None", "x"), 1, None, "2026-11-22T10:00:00Z", ended=True)


@pytest_twisted.ensureDeferred
async def test_sqlite_outlives_the_process(tmp_path):
    from twisted.internet import reactor

    first = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    first.add(job(1))
    await first.close()
    second = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    assert await second.finished("front-desk") == [job(1)]
    await second.close()


def subscription(identifier, **more):
    return Subscription(**{
        "identifier": identifier, "scanner": "front-desk", "client": "192.0.2.7", "manager": f"http://gw/{identifier}",
        "notify_to": Sink(EndpointReference("http://192.0.2.7/e", ("<a/>", "<b>ü</b>")), "192.0.2.7"),
        "end_to": Sink(EndpointReference("http://192.0.2.7/end"), "192.0.2.7"),
        "filter": ActionFilter(("urn:a", "urn:b")), "expires_at": 1800000000.25, "panel": True,
        "destinations": Destinations("<d>x</d>", (("ctx", "Näme"), ("", ""))),
        "tokens": (Token("ctx", "t1", "t9"), Token("", "t2", "t2")), **more})


PLAIN = {"end_to": None, "filter": ActionFilter(), "panel": False, "destinations": None, "tokens": ()}


def held(identifier, **more):
    return Held(**{"scanner": "front-desk", "identifier": identifier, "address": "http://d/scan",
                   "notify_to": "http://gw/front-desk/events/s",
                   "manager": EndpointReference("http://d/m", ("<i>7</i>",)), "expires_at": 1800000000.5, **more})


@pytest_twisted.ensureDeferred
async def test_subscriptions_come_back_as_they_were(store):
    first, second = subscription("a"), subscription("b", **PLAIN)
    await store.save(first, held("a"))
    await store.save(second)
    await store.hold(held(""))
    assert await store.subscriptions() == [first, second]
    assert sorted(await store.held(), key=lambda one: one.identifier) == [held(""), held("a")]
    changed = subscription("a", expires_at=1.0, tokens=(Token("ctx", "t1", "t10"),))
    await store.save(changed)
    await store.hold(held("", expires_at=2.0))
    assert await store.subscriptions() == [changed, second]
    await store.forget("a")
    await store.release("front-desk", "a", held("a").notify_to)
    await store.forget("unknown")
    assert await store.subscriptions() == [second]
    assert await store.held() == [held("", expires_at=2.0)]


@pytest.mark.parametrize("left", [None, subscription("a", **PLAIN)])
@pytest_twisted.ensureDeferred
async def test_one_takes_anothers_place(store, left):
    await store.save(subscription("a"), held("a"))
    await store.succeed(subscription("b"), held("b"), "a", left)
    found = await store.subscriptions()
    assert [one.identifier for one in found if one.panel] == ["b"]
    assert [(one.panel, one.tokens, one.destinations) for one in found if one.identifier == "a"] == (
        [] if left is None else [(False, (), None)])
    assert await store.held() == [held("b")]


@pytest_twisted.ensureDeferred
async def test_writes_happen_in_the_order_in_which_they_are_asked_for(store):
    waits = [store.save(subscription("a")), store.forget("a"), store.hold(held("")),
             store.release("front-desk", "", held("").notify_to)]
    for waiting in waits:
        await waiting
    assert await store.subscriptions() == []
    assert await store.held() == []


def version_of(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def steps():
    return sorted((file for file in files("wsdgateway.storage").iterdir() if file.name.endswith(".sql")),
                  key=lambda file: file.name)


def old_file(file):
    """A store as the first schema had it, with one job."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(steps()[0].read_text() + "PRAGMA user_version = 1;")
        connection.execute("INSERT INTO finished_job VALUES (1, 'front-desk', '1', 'Completed', 'None x', 1, NULL, "
                           "'2026-11-22T10:00:00Z', 1.5)")
        connection.commit()


@pytest_twisted.ensureDeferred
async def test_an_older_file_is_brought_up_with_a_copy_made_first(tmp_path):
    from twisted.internet import reactor

    file, copy = tmp_path / "s.sqlite", tmp_path / "s.sqlite.schema-1"
    old_file(file)
    made = SqliteStore(reactor, file, 3)
    assert await made.finished("front-desk") == [job(1)]
    await made.save(subscription("a"))
    await made.close()
    assert version_of(file) == len(steps())
    assert version_of(copy) == 1
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT job_id FROM finished_job").fetchall() == [("1",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.sqlite", "s.sqlite.schema-1"]


@pytest_twisted.ensureDeferred
async def test_the_file_and_its_copy_are_for_their_owner_alone(tmp_path):
    from twisted.internet import reactor

    old_file(tmp_path / "old.sqlite")
    for name in ("new.sqlite", "old.sqlite"):
        await SqliteStore(reactor, tmp_path / name, 3).close()
    assert (tmp_path / "new.sqlite").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "old.sqlite.schema-1").stat().st_mode & 0o777 == 0o600


def test_a_step_that_fails_changes_nothing(tmp_path, monkeypatch):
    file = tmp_path / "s.sqlite"
    old_file(file)
    good = steps()[1].read_text()
    monkeypatch.setattr(schema, "_steps", lambda: ["", good, "CREATE TABLE half (x); CREATE TABLE nonsense ("])
    with pytest.raises(StoreError, match="can't be used"):
        SqliteStore(None, file, 3)
    assert version_of(file) == 1
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
            ("finished_job",)]


def test_a_file_that_is_up_to_date_is_not_copied(tmp_path):
    for _ in range(2):
        schema.prepare(tmp_path / "s.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["s.sqlite"]


@pytest.mark.parametrize("version", [0, 1, 2])
def test_another_programs_database_is_refused(tmp_path, version):
    file = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.execute(f"PRAGMA user_version = {version}")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == before


def test_a_file_that_is_damaged_inside_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "s.sqlite"
    schema.prepare(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.executemany("INSERT INTO finished_job (scanner, job_id, state, reasons, finished) "
                               "VALUES ('x', ?, 'Completed', ?, 0)", [(str(n), "r" * 500) for n in range(200)])
        connection.commit()
    data = bytearray(file.read_bytes())
    data[-30000:-10000] = b"\xff" * 20000
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged|can't be used"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == data


def test_a_damaged_file_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "s.sqlite"
    file.write_bytes(b"this is not a database, it is something of value" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"s\.sqlite: the store is damaged: file is not a database; nothing"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == before


def test_a_newer_file_is_refused(tmp_path):
    file = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == before


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(StoreError, match="can't be used"):
        SqliteStore(None, tmp_path / "none" / "s.sqlite", 3)


@pytest_twisted.ensureDeferred
async def test_a_row_that_can_not_be_read_is_said_before_anything_begins(tmp_path):
    from twisted.internet import reactor

    file = tmp_path / "s.sqlite"
    made = SqliteStore(reactor, file, 3)
    await made.save(subscription("a"))
    await made.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE client_subscription SET tokens = 'nonsense'")
        connection.commit()
    with pytest.raises(StoreError, match="can't be read"):
        SqliteStore(None, file, 3)


@pytest_twisted.ensureDeferred
async def test_one_file_is_one_gateways(tmp_path):
    from twisted.internet import reactor

    made = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    with pytest.raises(StoreError, match="another gateway"):
        SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    await made.close()
    await SqliteStore(reactor, tmp_path / "s.sqlite", 3).close()


@pytest_twisted.ensureDeferred
async def test_what_was_made_anew_meanwhile_is_not_released(store):
    await store.hold(held("", notify_to="http://gw/new"))
    await store.release("front-desk", "", "http://gw/old")
    assert len(await store.held()) == 1
    await store.release("front-desk", "", "http://gw/new")
    assert await store.held() == []


def test_a_file_that_another_gateway_has_is_not_touched(tmp_path):
    file = tmp_path / "s.sqlite"
    old_file(file)
    before = file.read_bytes()
    with file.open("rb") as claimed:
        fcntl.flock(claimed, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another gateway"):
            SqliteStore(None, file, 3)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.sqlite"]


@pytest_twisted.ensureDeferred
async def test_what_discovery_keeps(store):
    first = await store.metadata_version("front-desk", "a")
    assert await store.metadata_version("front-desk", "a") == first
    assert await store.metadata_version("front-desk", "b") == first + 1
    assert await store.metadata_version("other", "b") == first
    assert await store.metadata_version("front-desk", "a") == first + 2
    one, two = Adopted("urn:uuid:1", "one"), Adopted("urn:uuid:2", "two")
    await store.adopt(two)
    await store.adopt(one)
    await store.adopt(Adopted("urn:uuid:2", "second"))
    assert sorted(await store.adopted(), key=lambda kept: kept.uuid) == [one, Adopted("urn:uuid:2", "second")]
    with pytest.raises(Exception, match="name"):
        await store.adopt(Adopted("urn:uuid:3", "one"))
    await store.abandon("urn:uuid:2")
    assert await store.adopted() == [one]


@pytest_twisted.ensureDeferred
async def test_instance_ids_grow_over_restarts_though_the_clock_goes_back(tmp_path):
    from twisted.internet import reactor

    given = []
    for now in (1000, 1000, 900, 5000):
        store = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
        given.append(await store.next_instance(now))
        await store.close()
    assert given == [1000, 1001, 1002, 5000]
    memory = MemoryStore(3)
    assert await memory.next_instance(7) == 7
