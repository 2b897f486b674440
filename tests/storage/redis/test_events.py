"""Tests of storage.redis.events against a Redis server: events, cursors and intents of owners in turn."""

import pytest
import pytest_twisted

from wsdgateway.bridge.cluster.intents import Record
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.eventlog import MAX_EVENTS, Cursor, EventID, LoggedEvent, Write
from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.events import RedisEvents

NAME = "front-desk"


def event(token, number, data=b"<e/>", receiver="", *, made=False):
    return LoggedEvent(EventID(token, number), data, b"application/soap+xml", receiver, made)


def cursor(token, number, panel=0):
    return Cursor(EventID(token, number), EventID(token, panel))


@pytest.fixture
def owner(gateways):
    """Makes the gateway the owner, and returns its events: `owner(identifier, token)`."""
    def make(identifier="one", token=1):
        gateway = gateways(identifier)
        gateway.own(NAME, token)
        return RedisEvents(gateway.client, identifier)

    return make


async def write(events, token, *what, **cursors):
    await events.write(NAME, token, Write(what, cursors))


@pytest_twisted.ensureDeferred
async def test_the_next_owner_reads_what_was_written(owner, redis_server):
    events = owner()
    assert ((await events.past(NAME)).events, (await events.past(NAME)).cursors) == ((), {})
    first, second = event(1, 1, "<ü/>".encode()), event(1, 2, b"", "client", made=True)
    await write(events, 1, first, one=cursor(1, 1), two=cursor(1, 2, 2))
    await write(events, 1, second, one=None)
    found = await owner("two", 2).past(NAME)
    assert [(one.identifier, one.data, one.content_type, one.receiver, one.made) for one in found.events] == [
        (one.identifier, one.data, one.content_type, one.receiver, one.made) for one in (first, second)]
    assert found.cursors == {"two": cursor(1, 2, 2)}
    assert all(0.0 <= found.time - one.at < 60.0 for one in found.events)


@pytest_twisted.ensureDeferred
async def test_a_repeated_write_changes_nothing(owner):
    events = owner()
    await write(events, 1, event(1, 1), event(1, 2))
    await write(events, 1, event(1, 1), event(1, 2), event(1, 3))
    assert [one.identifier.number for one in (await events.past(NAME)).events] == [1, 2, 3]


@pytest_twisted.ensureDeferred
async def test_the_mark_of_an_owner_is_no_event(owner, redis_server):
    with redis_server.connect() as one:
        one.xadd(keys.events(NAME), {"took": "two"}, "2-0")
    events = owner(token=2)
    assert (await events.past(NAME)).is_first
    await write(events, 2, event(1, 9), event(2, 1))
    assert [str(one.identifier) for one in (await events.past(NAME)).events] == ["2-1"]
    assert not (await events.past(NAME)).is_first


@pytest_twisted.ensureDeferred
async def test_an_owner_without_events_is_a_former_owner(owner, redis_server):
    with redis_server.connect() as one:
        one.xadd(keys.events(NAME), {"took": "one"}, "1-0")
        one.xadd(keys.events(NAME), {"took": "two"}, "2-0")
    assert not (await owner(token=2).past(NAME)).is_first


@pytest_twisted.ensureDeferred
async def test_old_events_are_deleted(owner):
    events = owner()
    for first in range(0, 2 * MAX_EVENTS, 64):
        await write(events, 1, *(event(1, first + number) for number in range(1, 65)))
    kept = (await events.past(NAME)).events
    assert MAX_EVENTS <= len(kept) < 2 * MAX_EVENTS
    assert kept[-1].identifier.number == 2 * MAX_EVENTS


@pytest_twisted.ensureDeferred
async def test_a_former_owner_writes_nothing(owner):
    former = owner()
    await write(former, 1, event(1, 1))
    present = owner("two", 2)
    for writing in (former.write(NAME, 1, Write((event(1, 2),), {})), former.intend(NAME, 1, "hash"),
                    former.conclude(NAME, 1, "hash", None)):
        with pytest.raises(Fenced):
            await writing
    assert len((await present.past(NAME)).events) == 1
    assert await present.intend(NAME, 2, "hash") is None


@pytest_twisted.ensureDeferred
async def test_damaged_entries_are_left_out(owner, redis_server):
    events = owner()
    await write(events, 1, event(1, 1), one=cursor(1, 1))
    with redis_server.connect() as one:
        one.xadd(keys.events(NAME), {"data": "x"}, "1-2")
        one.hset(keys.cursor(NAME), "two", "damaged")
    found = await events.past(NAME)
    assert ([one.identifier.number for one in found.events], found.cursors) == ([1], {"one": cursor(1, 1)})


@pytest_twisted.ensureDeferred
async def test_a_silent_server_fails_within_the_deadline(owner, redis_server):
    events = owner()
    redis_server.stop()
    with pytest.raises(NotNow):
        await events.write(NAME, 1, Write((event(1, 1),), {}))


# Intents.


@pytest_twisted.ensureDeferred
async def test_the_next_owner_finds_the_intent_and_the_reply(owner, redis_server):
    first = owner()
    assert await first.intend(NAME, 1, "sent") is None
    assert await first.intend(NAME, 1, "sent") is None  # an attempt of its own has failed
    assert await first.intend(NAME, 1, "answered") is None
    await first.conclude(NAME, 1, "answered", Record(1, Reply(200, b"a/b", b"<r/>")))
    assert await first.intend(NAME, 1, "refused") is None
    await first.conclude(NAME, 1, "refused", None)
    second = owner("two", 2)
    assert await second.intend(NAME, 2, "sent") == Record(1)
    found = await second.intend(NAME, 2, "answered")
    assert (found.token, found.reply.status, found.reply.body) == (1, 200, b"<r/>")
    assert await second.intend(NAME, 2, "refused") is None
    with redis_server.connect() as one:
        ends = [one.pttl(keys.create(NAME, key)) for key in ("sent", "answered", "refused")]
        assert all(0 < left <= 60_000 for left in ends)
        one.set(keys.create(NAME, "sent"), b"damaged")
    assert await owner("three", 3).intend(NAME, 3, "sent") == Record(0)


@pytest_twisted.ensureDeferred
async def test_without_an_owner_in_a_new_era_a_gateway_finds_what_the_former_one_has_sent(owner, redis_server):
    first, second = owner(), owner("two", 2)
    await second.intend(NAME, 2, "sent")
    with redis_server.connect() as one:
        one.hset(keys.ERA, "run_id", "of another server")
        assert await first.intend(NAME, 1, "sent") == Record(2)
        for gateway, token, key in ((first, 1, "new"), (second, 2, "sent")):
            with pytest.raises(NotNow):
                await gateway.intend(NAME, token, key)
        assert one.get(keys.create(NAME, "new")) is None
