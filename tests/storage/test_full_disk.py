"""A store whose disk is full, and has room again."""

import attrs
import pytest
import pytest_twisted

from tests.storage.stores import job, limit_pages, subscription
from wsdgateway.storage.sqlite import SqliteStore
from wsdgateway.storage.store import StoreError


async def fill(store):
    for number in range(1000):
        await store.save(subscription(f"full-{number}", client="x" * 1000))


@pytest_twisted.ensureDeferred
async def test_what_is_there_stays_and_writing_goes_on_when_there_is_room(tmp_path):
    from twisted.internet import reactor

    store = SqliteStore(reactor, tmp_path / "s.sqlite", 10)
    before = subscription("before")
    await store.save(before)
    await limit_pages(store, 0)
    with pytest.raises(StoreError, match=r"the folder .* is full; make room"):
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
