"""Tests of storage.fallback: a store whose file is unusable at the start or later is kept in memory."""

import shutil
import sqlite3
from contextlib import closing

import pytest
import pytest_twisted

from tests.storage.files import LARGE, Restoring, damage, filled, listed, make_newer, start
from tests.storage.stores import held, job, limit_pages, own_job, subscription
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.storage.store import NotOurs


def damage_inside(file):
    data = bytearray(file.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    file.write_bytes(data)


def make_folder(file):
    file.unlink()
    file.mkdir()


def spoil_a_row(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE client_subscription SET tokens = 'nonsense'")
        connection.commit()


DAMAGES = {damage: "the store is damaged", damage_inside: "the store is damaged", make_newer: "newer version",
           make_folder: "it is a folder", spoil_a_row: "cannot be read"}


@pytest.mark.parametrize("harm", DAMAGES, ids=lambda harm: harm.__name__)
@pytest_twisted.ensureDeferred
async def test_a_file_that_is_unusable_at_the_start_is_not_changed_and_the_store_is_in_memory(file, said, harm):
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
    assert await store.metadata_version("front-desk", "x") == 1800000000  # larger than any counted version
    await store.retry()
    assert store.warning() is not None
    await store.close()
    assert before is None or file.read_bytes() == before
    assert any("Lost from memory: 1 subscription(s) and 1 finished job(s)" in line for line in said)


@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_if_the_disk_is_full_for_a_while(file, said):
    await filled(file)
    store = start(file)
    restoring = Restoring(file)
    store.set_callbacks(restoring)
    await limit_pages(store.file, 0)
    await store.save(subscription("large", **LARGE))
    assert "is full; free space" in store.warning()
    assert len([line for line in said if "is kept in memory only" in line]) == 1
    await store.add(job(2))
    assert [one.job_id for one in await store.finished("front-desk")] == ["1", "2"]
    await store.forget("a")
    await store.release("front-desk", "a", "http://gw/front-desk/events/a")
    await store.release("front-desk", "", "http://gw/front-desk/events/own")
    await store.hold(held("", notify_to="http://gw/front-desk/events/next"))
    await store.retry()  # SQLite tries the disk again
    assert store.warning() is None and restoring.found == []
    await store.close()
    subscriptions, at_scanners, adopted, jobs = await listed(file)
    assert [one.identifier for one in subscriptions] == ["b", "large"]
    assert [one.notify_to for one in at_scanners] == ["http://gw/front-desk/events/next"]
    assert adopted == [Adopted("urn:uuid:1", "one")] and jobs == ["1", "2"]


@pytest_twisted.ensureDeferred
async def test_own_jobs_that_began_and_ended_while_the_disk_was_full(file):
    store = start(file)
    store.set_callbacks(Restoring(file))
    for job_id in "12":
        await store.begin_job(own_job(job_id))
    await limit_pages(store.file, 0)
    await store.save(subscription("large", **LARGE))
    await store.begin_job(own_job("3"))
    await store.end_job("front-desk", "1")
    assert await store.own_jobs() == [own_job("2"), own_job("3")]
    await store.retry()
    assert store.warning() is None
    await store.close()
    again = start(file)
    assert await again.own_jobs() == [own_job("2"), own_job("3")]
    await again.close()


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_damaged_or_removed_at_run_time(file):
    for harm in (damage, make_folder, lambda gone: gone.unlink(), lambda moved: moved.rename(f"{moved}.moved")):
        store = start(file)
        await store.save(subscription("a"))
        harm(file)
        await store.save(subscription("b"))
        assert store.warning() is not None
        await store.retry()
        if file.exists() and (file.is_dir() or file.read_bytes().startswith(b"this")):
            assert store.warning() is not None
            shutil.rmtree(file) if file.is_dir() else file.unlink()
            await store.retry()
        assert store.warning() is None
        await store.close()
        assert [one.identifier for one in (await listed(file))[0]] == ["a", "b"]
        file.unlink()


@pytest_twisted.ensureDeferred
async def test_a_file_of_another_program_or_gateway_is_an_error(tmp_path, file):
    store = start(file)
    with pytest.raises(NotOurs, match="another gateway"):
        start(file)
    await store.close()
    with pytest.raises(NotOurs, match="does not exist"):
        start(tmp_path / "none" / "s.sqlite")
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(NotOurs, match="another program"):
        start(tmp_path / "other")
