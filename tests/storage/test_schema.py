"""Tests of storage.schema: older and newer SQLite files, and those of other programs."""

import sqlite3
from contextlib import closing

import pytest
import pytest_twisted

from tests.storage.stores import held, job, old_file, subscription
from wsdgateway.storage import schema
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import StoreError


def version_of(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


@pytest_twisted.ensureDeferred
async def test_an_older_file_is_copied_and_then_upgraded(tmp_path):
    from twisted.internet import reactor

    file, copy = tmp_path / "s.sqlite", tmp_path / "s.sqlite.schema-1"
    old_file(file)
    made = SqliteStore(reactor, file, 3)
    assert await made.finished("front-desk") == [job(1)]
    await made.save(subscription("a"))
    await made.close()
    assert version_of(file) == len(schema.steps())
    assert version_of(copy) == 1
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT job_id FROM finished_job").fetchall() == [("1",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.sqlite", "s.sqlite.schema-1"]


@pytest_twisted.ensureDeferred
async def test_a_subscription_from_before_the_tokens_were_kept(tmp_path):
    from twisted.internet import reactor

    file = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("\n".join(schema.steps()[:8]) + f"PRAGMA application_id = {schema.OURS};"
                                 "PRAGMA user_version = 8;")
        connection.execute("INSERT INTO device_subscription VALUES ('front-desk', 'destinations', 'http://d/scan', "
                           "'http://gw/front-desk/events/s', '[\"http://d/m\", \"<i>7</i>\"]', 1800000000.5)")
        connection.commit()
    made = SqliteStore(reactor, file, 3)
    assert await made.held() == [held("destinations", shown=())]
    await made.hold(held("destinations"))
    await made.close()
    again = SqliteStore(reactor, file, 3)
    assert await again.held() == [held("destinations")]
    await again.close()


def test_a_failed_step_changes_nothing(tmp_path, monkeypatch):
    file = tmp_path / "s.sqlite"
    old_file(file)
    good = schema.steps()[1]
    monkeypatch.setattr(schema, "steps", lambda: ["", good, "CREATE TABLE half (x); CREATE TABLE nonsense ("])
    with pytest.raises(StoreError, match="cannot be used"):
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


def test_a_newer_file_is_refused(tmp_path):
    file = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(None, file, 3)
    assert file.read_bytes() == before
