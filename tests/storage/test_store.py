"""The store of finished jobs: one contract for all, and what a file may be."""

import sqlite3

import pytest
import pytest_twisted

from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import FinishedJob, StoreError


def job(number, scanner="front-desk"):
    return FinishedJob(scanner, str(number), "Completed", ("None", "x"), number, None, "2026-11-22T10:00:00Z", 1.5)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    from twisted.internet import reactor

    made = MemoryStore(3) if request.param == "memory" else SqliteStore(reactor, tmp_path / "s.sqlite", 3)
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
async def test_sqlite_outlives_the_process(tmp_path):
    from twisted.internet import reactor

    first = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    first.add(job(1))
    await first.close()
    second = SqliteStore(reactor, tmp_path / "s.sqlite", 3)
    assert await second.finished("front-desk") == [job(1)]
    await second.close()


def test_a_damaged_file_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "s.sqlite"
    file.write_bytes(b"this is not a database, it is something of value" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"s\.sqlite: the store can't be used"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == before


def test_a_newer_file_is_refused(tmp_path):
    file = tmp_path / "s.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(None, file, 3)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(StoreError, match="can't be used"):
        SqliteStore(None, tmp_path / "none" / "s.sqlite", 3)
