"""Tests of storage.redis.events against a Redis server: events, cursors, intents and counted jobs of owners in turn."""

import pytest
import pytest_twisted

from wsdgateway.bridge.cluster.intents import Record
from wsdgateway.bridge.decisions import Reply
from wsdgateway.bridge.events.eventlog import MAX_EVENTS, Cursor, EventID, LoggedEvent, Write
from wsdgateway.storage.coordination import Fenced, NotNow, Unowned
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.events import RedisEvents
from wsdgateway.storage.sharedevents import Claim, JobChange, TooManyJobs

NAME = "front-desk"


def event(token, number, data=b"<e/>", receiver="", *, made=False):
    return LoggedEvent(EventID(token, number), data, b"application/soap+xml", receiver, made)


def claim(number, most=2, seconds=60.0, client="192.0.2.1"):
    return Claim(client, f"{NAME} {number}", most, seconds)


def cursor(token, number, panel=0):
    return Cursor(EventID(token, number), EventID(token, panel), EventID(token, panel))


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
                    former.conclude(NAME, 1, "hash", None), former.count(NAME, 1, claim(1)),
                    former.intend(NAME, 1, "hash", claim(2))):
        with pytest.raises(Fenced):
            await writing
    assert len((await present.past(NAME)).events) == 1
    await present.count(NAME, 2, claim(3, most=1))
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


@pytest_twisted.ensureDeferred
async def test_while_no_gateway_owns_the_scanner_one_finds_what_the_former_one_has_sent(owner, redis_server):
    first, second = owner(), owner("two", 2)
    await second.intend(NAME, 2, "sent")
    with redis_server.connect() as one:
        one.delete(keys.owner(NAME))
        assert await first.intend(NAME, 1, "sent") == Record(2)
        for refused in (first.intend(NAME, 1, "new"), second.intend(NAME, 2, "sent"),
                        first.count(NAME, 1, Claim("192.0.2.1", "a", 2, 60.0)), first.write(NAME, 1, Write((), {}))):
            with pytest.raises(Unowned):
                await refused
        assert one.get(keys.create(NAME, "new")) is None


# Counted jobs.


@pytest_twisted.ensureDeferred
async def test_the_jobs_of_all_gateways_count(owner, redis_server):
    first = owner()
    assert await first.intend(NAME, 1, "one", claim(1)) is None
    second = owner("two", 2)
    await second.count(NAME, 2, claim(1))  # another job, of another gateway
    with pytest.raises(TooManyJobs):
        await second.count(NAME, 2, claim(2))
    with pytest.raises(TooManyJobs):
        await second.intend(NAME, 2, "two", claim(2))
    assert await second.intend(NAME, 2, "one", claim(2)) == Record(1)  # it is not to be sent, so it does not count
    await second.count(NAME, 2, claim(2, client="192.0.2.2"))
    await first.change([JobChange("192.0.2.1", f"{NAME} 1", 0.0)])  # it need not own the scanner any more
    assert await second.intend(NAME, 2, "two", claim(2)) is None
    with pytest.raises(TooManyJobs):
        await second.count(NAME, 2, claim(3))


@pytest_twisted.ensureDeferred
async def test_counted_jobs_expire(owner, redis_server):
    events, key = owner(), keys.jobs("192.0.2.1")
    await events.count(NAME, 1, claim(1))
    await events.change([JobChange("192.0.2.1", f"{NAME} 1", 15.0), JobChange("192.0.2.1", f"{NAME} 2", 30.0)])
    with redis_server.connect() as one:
        assert 30_000 < one.pttl(key) <= 60_000
        ends = dict(one.zrange(key, 0, -1, withscores=True))
        seconds, microseconds = one.time()
        shorter, longer = sorted(end / 1000 - seconds - microseconds / 1e6 for end in ends.values())
        assert 0 < shorter <= 15 < longer <= 30
        one.zadd(key, {job: one.time()[0] * 1000 for job in ends})
    await events.count(NAME, 1, claim(3, most=1))
    with redis_server.connect() as one:
        assert one.zcard(key) == 1
        one.delete(key)
    await events.change([JobChange("192.0.2.1", f"{NAME} 3", 15.0)])
    with redis_server.connect() as one:
        assert 0 < one.pttl(key) <= 15_000


@pytest_twisted.ensureDeferred
async def test_a_clock_that_was_set_back_makes_no_job_count_longer(owner, redis_server):
    events, key = owner(), keys.jobs("192.0.2.1")
    with redis_server.connect() as one:
        one.zadd(key, {"of tomorrow": (one.time()[0] + 86400) * 1000})
    await events.count(NAME, 1, claim(1, most=1))
    with redis_server.connect() as one:
        assert one.zcard(key) == 1


@pytest_twisted.ensureDeferred
async def test_jobs_under_a_damaged_key_are_counted_anew(owner, redis_server):
    events, key = owner(), keys.jobs("192.0.2.1")
    changes = [JobChange("192.0.2.1", f"{NAME} 1", 15.0)]
    for write in (lambda: events.count(NAME, 1, claim(1)), lambda: events.change(changes)):
        await write()
        with redis_server.connect() as one:
            assert one.zcard(key) == 1
            one.set(key, "damaged")
