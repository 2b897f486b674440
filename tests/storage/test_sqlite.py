"""Tests of storage.sqlite: persistence, refused files, and a full disk."""

import fcntl
import sqlite3
from contextlib import closing

import attrs
import pytest
import pytest_twisted

from tests.storage.stores import job, limit_pages, old_file, subscription
from wsdgateway.storage import schema
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import StoreError


@pytest_twisted.ensureDeferred
async def test_the_contents_are_persistent(tmp_path):
    from twisted.internet import reactor

    first = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    first.add(job(1))
    await first.close()
    second = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    assert await second.finished("front-desk") == [job(1)]
    await second.close()


@pytest_twisted.ensureDeferred
async def test_only_the_owner_may_read_the_file_and_its_copy(tmp_path):
    from twisted.internet import reactor

    old_file(tmp_path / "old.sqlite")
    for name in ("new.sqlite", "old.sqlite"):
        await SqliteStore(reactor, tmp_path / name, 3).close()
    assert (tmp_path / "new.sqlite").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "old.sqlite.schema-1").stat().st_mode & 0o777 == 0o600


def test_a_file_with_a_damaged_page_is_refused_and_not_changed(tmp_path):
    file = tmp_path / "s.sqlite"
    schema.prepare(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.executemany("INSERT INTO finished_job (scanner, job_id, state, reasons, finished) "
                               "VALUES ('x', ?, 'Completed', ?, 0)", [(str(n), "r" * 500) for n in range(200)])
        connection.commit()
    data = bytearray(file.read_bytes())
    data[-30000:-10000] = b"\xff" * 20000
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged|cannot be used"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == data


def test_a_file_that_is_no_database_is_refused_and_not_changed(tmp_path):
    file = tmp_path / "s.sqlite"
    file.write_bytes(b"this is not a database, it is something of value" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"s\.sqlite: the store is damaged: file is not a database; nothing"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == before


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(None, tmp_path / "none" / "s.sqlite", 3)


@pytest_twisted.ensureDeferred
async def test_an_unreadable_row_is_an_error_at_the_start(tmp_path):
    from twisted.internet import reactor

    file = tmp_path / "s.sqlite"
    made = SqliteStore(reactor, file, 3)
    await made.save(subscription("a"))
    await made.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE client_subscription SET tokens = 'nonsense'")
        connection.commit()
    with pytest.raises(StoreError, match="cannot be read"):
        SqliteStore(None, file, 3)


@pytest_twisted.ensureDeferred
async def test_a_file_can_be_used_by_one_gateway_only(tmp_path):
    from twisted.internet import reactor

    made = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    with pytest.raises(StoreError, match="another gateway"):
        SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    await made.close()
    await SqliteStore(reactor, tmp_path / "s.sqlite", 3).close()


def test_a_file_used_by_another_gateway_is_not_changed(tmp_path):
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
async def test_instance_ids_grow_over_restarts_even_if_the_clock_goes_back(tmp_path):
    from twisted.internet import reactor

    given = []
    for now in (1000, 1000, 900, 5000):
        store = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
        given.append(await store.next_instance(now))
        await store.close()
    assert given == [1000, 1001, 1002, 5000]


async def fill(store):
    for number in range(1000):
        await store.save(subscription(f"full-{number}", client="x" * 1000))


@pytest_twisted.ensureDeferred
async def test_on_a_full_disk_contents_are_kept_and_writing_resumes_when_there_is_room(tmp_path):
    from twisted.internet import reactor

    store = SqliteStore(reactor, tmp_path / "s.sqlite", 10)
    before = subscription("before")
    await store.save(before)
    await limit_pages(store, 0)
    with pytest.raises(StoreError, match=r"the folder .* is full; free space"):
        await fill(store)
    kept = [one.identifier for one in await store.subscriptions()]
    assert kept[0] == "before" and len(kept) < 1000
    with pytest.raises(StoreError):
        await store.add(attrs.evolve(job(1), reasons=("x" * 10000,)))
    assert await store.finished("front-desk") == []
    await limit_pages(store, 10000)
    await store.save(subscription("after"))
    store.add(job(2))
    assert [one.job_id for one in await store.finished("front-desk")] == ["2"]
    await store.close()
    again = SqliteStore(reactor, tmp_path / "s.sqlite", 10)
    assert [one.identifier for one in await again.subscriptions()] == [*kept, "after"]
    await again.close()
