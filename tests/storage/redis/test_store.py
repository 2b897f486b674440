"""Tests of storage.redis.store: owners in turn, outages and damaged values. `test_store` has the contract of IStore."""

import json

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from tests.storage.redis.gateways import ERA, WALL
from tests.storage.stores import PLAIN, held, job, kept_offer, own_job, subscription
from tests.waiting import until
from wsdgateway.bridge.cluster.values import Registration
from wsdgateway.bridge.discovery.adoption import Adopted
from wsdgateway.bridge.events.upstreamcommands import LeftBehind
from wsdgateway.storage.coordination import Fenced, NotNow
from wsdgateway.storage.redis import keys, values
from wsdgateway.storage.redis.coordination import RedisCoordination
from wsdgateway.storage.redis.scannerdata import SPARE_LISTED, ScannerData
from wsdgateway.storage.store import Content, Unreadable

SCANNER = "front-desk"
SHORT = 3.0  # seconds: a deadline that a stopped server lets pass, and a loaded machine does not


async def fill(store):
    """Writes data of every kind for the scanner."""
    await store.save(subscription("b"), held("b"))
    await store.save(subscription("a", **PLAIN))
    await store.hold(held(""))
    await store.begin_job(own_job("1", answered=1.25))
    await store.keep_escl_offer(kept_offer(SCANNER))
    await store.add(job(1))


def expected():
    return Content((subscription("b"), subscription("a", **PLAIN)), (held("b"), held("")),
                   own_jobs=(own_job("1", answered=1.25),), escl_offers=(kept_offer(SCANNER),))


def as_sets(content):
    """The content of a scanner, without the order of what has none."""
    return content.subscriptions, set(content.held), set(content.own_jobs), content.escl_offers



@pytest_twisted.ensureDeferred
async def test_the_next_owner_sees_what_the_former_one_wrote(gateways):
    one, two = gateways("one"), gateways("two")
    assert await one.take(SCANNER) == Content()
    await fill(one.store)
    found = await two.take(SCANNER, 2)
    assert as_sets(found) == as_sets(expected())
    assert await two.store.subscriptions() == list(expected().subscriptions)
    assert set(await two.store.held()) == set(expected().held)
    assert await two.store.own_jobs() == [own_job("1", answered=1.25)]
    assert await two.store.escl_offers() == [kept_offer(SCANNER)]
    assert await two.store.finished(SCANNER) == [job(1)]


@pytest_twisted.ensureDeferred
async def test_what_was_written_before_flush_is_at_the_server_although_nobody_waited_for_it(gateways):
    one, two = gateways("one"), gateways("two")
    await one.take(SCANNER)
    await fill(one.store)
    ignored = [one.store.end_job(SCANNER, "1"), one.store.forget("a"), one.store.add(job(2))]
    await one.store.flush(SCANNER)
    assert all(write.called for write in ignored)
    one.store.drop(SCANNER)
    found = await two.take(SCANNER, 2)
    assert (found.own_jobs, [one.identifier for one in found.subscriptions]) == ((), ["b"])
    assert await two.store.finished(SCANNER) == [job(1), job(2)]


@pytest_twisted.ensureDeferred
async def test_the_order_of_subscriptions_goes_on_with_the_next_owner(gateways):
    one, two = gateways("one"), gateways("two")
    await one.take(SCANNER)
    for name in ("z", "y", "x"):
        await one.store.save(subscription(name))
    await two.take(SCANNER, 2)
    await two.store.save(subscription("a"))
    await two.store.save(subscription("z", expires_at=9.0))
    three = await gateways("three").take(SCANNER, 3)
    assert [one.identifier for one in three.subscriptions] == ["z", "y", "x", "a"]
    assert three.subscriptions[0].expires_at == 9.0


@pytest_twisted.ensureDeferred
async def test_a_former_owner_is_fenced_and_told_once(gateways):
    one, two = gateways("one"), gateways("two")
    await one.take(SCANNER)
    await fill(one.store)
    await two.take(SCANNER, 2)
    for write in (one.store.save(subscription("late")), one.store.hold(held("late")), one.store.add(job(9)),
                  one.store.forget("a"), one.store.supersede(SCANNER, "1")):
        with pytest.raises(Fenced, match=SCANNER):
            await write
    assert one.fenced == [SCANNER] and two.fenced == []
    with pytest.raises(Fenced):
        await one.store.begin_job(own_job("9"))
    assert one.fenced == [SCANNER] and one.store.warning() is None
    one.store.drop(SCANNER)
    assert await one.store.subscriptions() == await one.store.held() == await one.store.own_jobs() == []
    assert as_sets(await two.take(SCANNER, 3)) == as_sets(expected())
    assert await two.store.finished(SCANNER) == [job(1)]


@pytest_twisted.ensureDeferred
async def test_with_the_coordination_an_owner_writes_until_it_releases_the_scanner(gateways):
    one, two = gateways("one"), gateways("two")

    async def acquire(gateway):
        coordination = RedisCoordination(gateway.client, lambda: b"x" * 32)
        await coordination.tick(Registration(gateway.identifier, gateway.identifier, "", "1"), 600.0, {}, [])
        acquired = await coordination.acquire(SCANNER, gateway.identifier, 600.0, 0, False)
        gateway.leases.of(SCANNER).token = acquired.token
        return coordination

    one.own(SCANNER)  # without a new era's grace
    await one.store.remove(SCANNER)
    coordination = RedisCoordination(one.client, lambda: b"x" * 32)
    assert await coordination.release(SCANNER, "one", 1)
    coordination = await acquire(one)
    await one.store.take(SCANNER)
    await fill(one.store)
    assert await coordination.release(SCANNER, "one", one.leases.of(SCANNER).token)
    await acquire(two)
    assert two.leases.of(SCANNER).token > one.leases.of(SCANNER).token
    assert as_sets(await two.store.take(SCANNER)) == as_sets(expected())
    with pytest.raises(Fenced):
        await one.store.save(subscription("late"))
    assert one.fenced == [SCANNER]


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_owned_again_is_read_again(gateways):
    one, two = gateways("one"), gateways("two")
    await one.take(SCANNER)
    await one.store.save(subscription("a"))
    await two.take(SCANNER, 2)
    await two.store.save(subscription("b"))
    with pytest.raises(Fenced):
        await one.store.save(subscription("late"))
    found = await one.take(SCANNER, 3)
    assert [each.identifier for each in found.subscriptions] == ["a", "b"]
    await one.store.save(subscription("c"))
    assert [each.identifier for each in (await two.take(SCANNER, 4)).subscriptions] == ["a", "b", "c"]
    assert one.fenced == [SCANNER]


@pytest_twisted.ensureDeferred
async def test_a_write_under_way_when_the_same_gateway_gets_a_new_token_is_not_lost(gateways):
    one = gateways()
    await one.take(SCANNER)
    write = one.store.save(subscription("a"))
    one.own(SCANNER, 2)  # before the server sees the write
    await write
    await one.store.retry()
    assert one.fenced == []
    assert [each.identifier for each in (await gateways("two").take(SCANNER, 3)).subscriptions] == ["a"]


@pytest_twisted.ensureDeferred
async def test_what_a_gateway_writes_alone_is_kept_until_it_owns_the_scanner_again(gateways, redis_server):
    one = gateways()
    await one.take(SCANNER)
    await fill(one.store)
    one.leases.of(SCANNER).alone_until = 1.0  # later than the clock of the leases
    redis_server.command("DEL", keys.owner(SCANNER))  # the lease ran out while the server was away
    await one.store.forget("b")
    await one.store.add(job(2))
    await one.store.save(subscription("a", expires_at=9.0))
    with pytest.raises(NotNow):
        await one.store.save(subscription("c"))
    await one.store.retry()
    assert one.fenced == [] and one.store.warning() is None
    assert redis_server.command("HEXISTS", keys.subscriptions(SCANNER), "b")
    one.own(SCANNER, 2)
    await one.store.rewrite(SCANNER)
    two = gateways("two")
    assert (await two.take(SCANNER, 3)).subscriptions == (subscription("a", expires_at=9.0),)
    assert await two.store.finished(SCANNER) == [job(1), job(2)]


@pytest_twisted.ensureDeferred
async def test_while_the_server_does_not_answer_memory_goes_on_and_is_written_afterwards(gateways, redis_server, said):
    one = gateways(deadline=SHORT)
    await one.take(SCANNER)
    await one.take("other")
    await fill(one.store)
    redis_server.stop()
    await one.store.save(subscription("a", expires_at=9.0))
    assert one.store.warning().startswith(f"{one.client.address.text}: ")
    assert "Meanwhile the gateway works from memory" in one.store.warning()
    await one.store.forget("b")
    await one.store.release(SCANNER, "b", held("b").notify_to)
    await one.store.supersede(SCANNER, "1")
    await one.store.add(job(2))
    await one.store.add(attrs.evolve(job(1), finished=9.0))
    with pytest.raises(NotNow):  # another gateway may assign it meanwhile
        await one.store.keep_escl_port(SCANNER, 8400)
    await one.store.adopt(Adopted("urn:uuid:1", "found"))
    with pytest.raises(ValueError, match="the name found is in use"):
        await one.store.adopt(Adopted("urn:uuid:2", "found"))
    assert await one.store.next_instance(50) == 50
    assert await one.store.metadata_version(SCANNER, "x") == WALL
    assert [each.job_id for each in await one.store.finished(SCANNER)] == ["2", "1"]
    assert await one.store.subscriptions() == [subscription("a", expires_at=9.0)]
    assert await one.store.adopted() == [Adopted("urn:uuid:1", "found")]
    assert await one.store.escl_ports() == {}
    redis_server.cont()
    await until(lambda: one.store.warning() is None)
    assert len([line for line in said if "works from memory" in line]) == 1
    assert len([line for line in said if "the store is in use again" in line]) == 1
    two = gateways("two")
    found = await two.take(SCANNER, 2)
    assert found.subscriptions == (subscription("a", expires_at=9.0),) and found.held == (held(""),)
    assert [(each.job_id, each.superseded) for each in await two.store.finished(SCANNER)] == [
        ("1", True), ("2", False), ("1", False)]
    assert await two.store.adopted() == [Adopted("urn:uuid:1", "found")]
    assert await two.store.escl_ports() == {}
    assert await two.store.next_instance(7) == 51
    assert await two.store.metadata_version(SCANNER, "x") == WALL


@pytest_twisted.ensureDeferred
async def test_finished_jobs_that_wait_are_bounded_by_the_history(gateways, redis_server):
    one = gateways(deadline=SHORT)
    await one.take(SCANNER)
    redis_server.stop()
    for number in range(6):
        await one.store.add(job(number))
    assert [each.job_id for each in await one.store.finished(SCANNER)] == ["3", "4", "5"]
    assert await one.store.finished(SCANNER, 0) == []
    assert [each.job_id for each in await one.store.finished(SCANNER, 2)] == ["4", "5"]
    redis_server.cont()
    await until(lambda: one.store.warning() is None)
    assert redis_server.command("LLEN", keys.done(SCANNER)) == 3
    assert [each.job_id for each in await gateways("two").store.finished(SCANNER)] == ["3", "4", "5"]


@pytest_twisted.ensureDeferred
async def test_everything_of_the_owned_scanners_is_written_to_a_server_that_has_lost_its_data(gateways, redis_server):
    one = gateways()
    await one.take(SCANNER)
    await fill(one.store)
    await one.store.adopt(Adopted("urn:uuid:1", "found"))
    await one.store.keep_escl_port(SCANNER, 8400)
    instance = await one.store.next_instance(1000)
    for digest in "ab":
        version = await one.store.metadata_version(SCANNER, digest)
    redis_server.restart(keep=False)
    one.own(SCANNER, 2)
    await one.store.rewrite(SCANNER)
    assert one.store.warning() is None
    two = gateways("two")
    assert as_sets(await two.take(SCANNER, 3)) == as_sets(expected())
    assert await two.store.adopted() == [Adopted("urn:uuid:1", "found")]
    assert await two.store.escl_ports() == {SCANNER: 8400}
    assert await two.store.next_instance(7) == instance + 1
    assert await two.store.metadata_version(SCANNER, "b") == version
    assert await two.store.metadata_version(SCANNER, "c") == version + 1
    assert await two.store.scanners() == [SCANNER]


@pytest_twisted.ensureDeferred
async def test_a_new_subscription_that_the_server_does_not_take_is_refused(gateways, redis_server):
    one = gateways(deadline=SHORT)
    await one.take(SCANNER)
    await fill(one.store)
    redis_server.stop()
    for _ in range(2):  # before the server is known to be away, and after
        with pytest.raises(NotNow):
            await one.store.save(subscription("c"), held("c"))
    with pytest.raises(NotNow):
        await one.store.succeed(subscription("heir"), held("heir"), "b", None)
    with pytest.raises(NotNow):
        await one.store.succeed(subscription("heir"), held("heir"), "a", subscription("a", expires_at=9.0))
    assert {each.identifier for each in await one.store.subscriptions()} == {"a", "b"}
    assert {each.identifier for each in await one.store.held()} == {"", "b", "c"}  # c is ended at the scanner next
    redis_server.cont()
    # An attempt is made at once, and what the server took too late is gone.
    await one.store.save(subscription("d"))
    assert one.store.warning() is None
    found = await gateways("two").take(SCANNER, 2)
    assert [each.identifier for each in found.subscriptions] == ["b", "a", "d"]
    assert found.subscriptions[1] == subscription("a", **PLAIN)


@pytest_twisted.ensureDeferred
async def test_a_new_subscription_is_refused_while_another_gateway_owns_the_scanner(gateways):
    one = gateways()
    await one.take(SCANNER)
    await gateways("two").take(SCANNER, 2)
    with pytest.raises(Fenced):
        await one.store.save(subscription("c"))
    assert await one.store.subscriptions() == []


@pytest_twisted.ensureDeferred
async def test_a_write_before_the_lease_is_renewed_in_the_new_era_waits(gateways, redis_server):
    one = gateways()
    await one.take(SCANNER)
    await fill(one.store)
    redis_server.restart(keep=False)
    await one.store.forget("a")
    assert "has not been renewed" in one.store.warning() and one.fenced == []
    one.own(SCANNER, 2)
    await one.store.retry()
    assert one.store.warning() is None
    assert [each.identifier for each in (await gateways("two").take(SCANNER, 3)).subscriptions] == ["b"]


@pytest_twisted.ensureDeferred
async def test_adopted_scanners_are_not_forgotten_because_the_server_has_lost_them(gateways, redis_server):
    one = gateways()
    await one.store.adopt(Adopted("urn:uuid:1", "found"))
    redis_server.restart(keep=False)
    await until(lambda: one.store.warning() is None)
    assert await one.store.adopted() == [Adopted("urn:uuid:1", "found")]
    assert await gateways("two").store.adopted() == [Adopted("urn:uuid:1", "found")]


@pytest_twisted.ensureDeferred
async def test_a_name_given_by_another_gateway_meanwhile_stays(gateways, redis_server, said):
    one, two = gateways("one", deadline=SHORT), gateways("two")
    redis_server.stop()
    await one.store.adopt(Adopted("urn:uuid:1", "found"))
    redis_server.cont()
    await two.store.adopt(Adopted("urn:uuid:2", "found"))
    await one.store.retry()
    assert await two.store.adopted() == [Adopted("urn:uuid:2", "found")]
    assert any("another gateway has adopted another scanner under this name" in line for line in said)


@pytest_twisted.ensureDeferred
async def test_at_the_end_what_waits_is_written_or_named(gateways, redis_server, said):
    one = gateways("one", deadline=SHORT)
    await one.take(SCANNER)
    redis_server.stop()
    await one.store.hold(held("a"))
    await one.store.close()
    assert any(f"Lost from memory: changes of {SCANNER}" in line for line in said)
    redis_server.cont()
    two = gateways("two")
    await two.take(SCANNER, 2)
    two.store.save(subscription("b"))
    await two.store.close()
    assert "b" in [each.identifier for each in (await gateways("three").take(SCANNER, 3)).subscriptions]


@pytest_twisted.ensureDeferred
async def test_reading_a_scanner_fails_while_the_server_does_not_answer(gateways, redis_server):
    one = gateways(deadline=SHORT)
    one.own(SCANNER)
    redis_server.stop()
    with pytest.raises(NotNow, match="no answer within 3 s"):
        await one.store.take(SCANNER)
    redis_server.cont()


@pytest_twisted.ensureDeferred
async def test_a_subscription_at_the_scanner_of_an_earlier_version_has_no_tokens(gateways, redis_server):
    one, two = gateways(), gateways("two")
    one.own(SCANNER)
    await one.store.hold(held("b"))
    value = json.loads(redis_server.command("HGET", keys.held(SCANNER), "b"))
    del value["shown"]
    redis_server.command("HSET", keys.held(SCANNER), "b", json.dumps(value))
    two.own(SCANNER)
    assert (await two.store.take(SCANNER)).held == (held("b", shown=()),)


def nonsense(server):
    server.command("HSET", keys.subscriptions(SCANNER), "a", "nonsense")


def without_a_field(server):
    value = json.loads(server.command("HGET", keys.held(SCANNER), "b"))
    del value["manager"]
    server.command("HSET", keys.held(SCANNER), "b", json.dumps(value))


def of_another_type(server):
    server.command("DEL", keys.own_jobs(SCANNER))
    server.command("RPUSH", keys.own_jobs(SCANNER), "x")


def too_deep(server):
    server.command("SET", keys.offer(SCANNER), "[" * 100000)


def not_text(server):
    server.command("HSET", keys.subscriptions(SCANNER), b"\xff", b"\xff")


def at_no_time(server):
    value = json.loads(server.command("HGET", keys.held(SCANNER), "b"))
    server.command("HSET", keys.held(SCANNER), "b", json.dumps({**value, "expires_at": float("nan")}))


def at_the_end_of_time(server):
    value = json.loads(server.command("HGET", keys.subscriptions(SCANNER), "a"))
    server.command("HSET", keys.subscriptions(SCANNER), "a", json.dumps({**value, "expires_at": 2**37 + 1}))


def no_unicode(server):
    value = json.loads(server.command("HGET", keys.subscriptions(SCANNER), "a"))
    server.command("HSET", keys.subscriptions(SCANNER), "a", json.dumps({**value, "client": "\ud800"}))


def newer(server):
    server.command("SET", keys.SCHEMA, "2.0")


def of_another_program(server):
    server.command("DEL", keys.SCHEMA)
    server.command("HSET", keys.SCHEMA, "a", "b")


DAMAGES = {nonsense: "subs cannot be read", without_a_field: "held cannot be read: the field 'manager' is missing",
           of_another_type: "own-jobs cannot be read: WRONGTYPE", too_deep: "offer cannot be read",
           not_text: "subs cannot be read", at_no_time: "held cannot be read: nan must be a number",
           at_the_end_of_time: "subs cannot be read: 137438953473 must be a time", no_unicode: "subs cannot be read",
           newer: "newer version of wsdgateway", of_another_program: "cannot be read"}


def dump(server):
    """The values of all keys with data of the scanner."""
    with server.connect() as one:
        return {key: one.dump(key) for key in one.keys("*") if not key.endswith(b":owner")}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest_twisted.ensureDeferred
async def test_damaged_and_newer_data_is_not_changed(gateways, redis_server, damage, said):
    one, two = gateways("one"), gateways("two")
    await one.take(SCANNER)
    await fill(one.store)
    damage(redis_server)
    before = dump(redis_server)
    with pytest.raises(Unreadable, match=DAMAGES[damage]):
        await two.take(SCANNER, 2)
    assert DAMAGES[damage].split(":")[0] in two.store.warning() and redis_server.url[13:] in two.store.warning()
    assert len([line for line in said if DAMAGES[damage].split(":")[0] in line]) == 1
    await two.store.save(subscription("new"))
    await two.store.add(job(7))
    await two.store.retry()
    assert [each.identifier for each in await two.store.subscriptions()] == ["new"]
    assert dump(redis_server) == before
    two.store.drop(SCANNER)
    assert two.store.warning() is None


@pytest_twisted.ensureDeferred
async def test_fields_and_minor_versions_to_come_are_accepted(gateways, redis_server):
    one = gateways("one")
    await one.take(SCANNER)
    await fill(one.store)
    redis_server.command("SET", keys.SCHEMA, "1.7")
    for key, field in ((keys.subscriptions(SCANNER), "a"), (keys.held(SCANNER), "b"), (keys.own_jobs(SCANNER), "1")):
        value = json.loads(redis_server.command("HGET", key, field))
        redis_server.command("HSET", key, field, json.dumps({**value, "later": [1]}))
    assert as_sets(await gateways("two").take(SCANNER, 2)) == as_sets(expected())
    assert redis_server.command("GET", keys.SCHEMA) == b"1.7"


@pytest_twisted.ensureDeferred
async def test_damaged_shared_data_is_an_error_and_not_changed(gateways, redis_server):
    store = gateways().store
    redis_server.command("SET", keys.SCHEMA, "1.0")
    redis_server.command("HSET", keys.ADOPTED, "urn:uuid:1", "nonsense")
    redis_server.command("SET", keys.VERSIONS, "x")
    before = dump(redis_server)
    for attempt in (store.adopted, lambda: store.adopt(Adopted("urn:uuid:2", "b")),
                    lambda: store.metadata_version(SCANNER, "a"), store.escl_ports):
        with pytest.raises(Unreadable, match="cannot be read"):
            await attempt()
    assert dump(redis_server) == before


@pytest.mark.parametrize("seconds", [-1e11, -1, 2**37 + 1, float("inf")])
@pytest_twisted.ensureDeferred
async def test_a_job_that_ended_at_no_date_is_left_out(gateways, redis_server, said, seconds):
    store = gateways().store
    value = {**attrs.asdict(job(1)), "finished": seconds}
    redis_server.command("RPUSH", keys.done(SCANNER), json.dumps(value))
    assert await store.finished(SCANNER) == []
    assert len([line for line in said if "A finished job is left out" in line]) == 1


@pytest_twisted.ensureDeferred
async def test_a_list_of_jobs_of_another_type_keeps_nothing_else_from_being_written(gateways, redis_server, said):
    one = gateways("one")
    await one.take(SCANNER)
    redis_server.command("SET", keys.done(SCANNER), "x")
    assert await one.store.finished(SCANNER) == []
    await one.store.add(job(1))
    await one.store.retry()
    await one.store.save(subscription("new"))
    assert redis_server.command("HKEYS", keys.subscriptions(SCANNER)) == [b"new"]
    assert await one.store.finished(SCANNER) == [job(1)]
    assert "done cannot be read" in one.store.warning()
    assert len([line for line in said if "Finished jobs are left out" in line]) == 1
    assert redis_server.command("GET", keys.done(SCANNER)) == b"x"


@pytest.mark.parametrize("damage", [
    ("HSET", keys.ADOPTED, "urn:uuid:1", '{"name": "../x", "number": 1}'),
    ("HSET", keys.ADOPTED, "urn:uuid:1", '{"name": null, "number": 1}'),
    ("HSET", keys.VERSIONS, SCANNER, '{"digest": "a", "version": 4294967296}'),
    ("HSET", keys.VERSIONS, SCANNER, '{"digest": "a", "version": NaN}'),
    ("HSET", keys.ESCL_PORTS, SCANNER, "65536"), ("HSET", keys.ESCL_PORTS, SCANNER, "0")])
@pytest_twisted.ensureDeferred
async def test_a_name_or_number_that_cannot_be_used_is_damage(gateways, redis_server, damage):
    store = gateways().store
    redis_server.command("SET", keys.SCHEMA, "1.0")
    redis_server.command(*damage)
    with pytest.raises(Unreadable, match="cannot be read"):
        await store.adopted()


@pytest.mark.parametrize("damage", [
    ("SET", keys.INSTANCE, "x"), ("SET", keys.INSTANCE, "1e300"), ("SET", keys.INSTANCE, str(2**32 - 1)),
    ("RPUSH", keys.INSTANCE, "1")])
@pytest_twisted.ensureDeferred
async def test_a_damaged_instance_id_counts_as_missing(gateways, redis_server, damage):
    store = gateways().store
    redis_server.command(*damage)
    assert [await store.next_instance(50), await store.next_instance(50)] == [50, 51]


@pytest_twisted.ensureDeferred
async def test_shared_data_of_a_newer_version_is_an_error(gateways, redis_server):
    store = gateways().store
    newer(redis_server)
    for attempt in (store.adopted, lambda: store.next_instance(1), lambda: store.keep_escl_port("a", 1)):
        with pytest.raises(Unreadable, match="newer version of wsdgateway"):
            await attempt()
    assert dump(redis_server).keys() == {keys.SCHEMA.encode()}


@pytest_twisted.ensureDeferred
async def test_a_finished_job_that_cannot_be_read_is_left_out(gateways, redis_server, said):
    store = gateways().store
    redis_server.command("RPUSH", keys.done(SCANNER), "nonsense")
    gateways("two").own(SCANNER)
    owner = gateways("three")
    await owner.take(SCANNER, 2)
    await owner.store.add(job(1))
    await owner.store.supersede(SCANNER, "1")
    for _ in range(2):
        assert [each.superseded for each in await store.finished(SCANNER)] == [True]
    assert redis_server.command("LINDEX", keys.done(SCANNER), 0) == b"nonsense"
    assert len([line for line in said if "left out" in line]) == 2  # one for each gateway


@pytest_twisted.ensureDeferred
async def test_ends_of_subscriptions_are_kept_in_the_servers_time(gateways):
    one, two = gateways("one"), gateways("two")
    one.store.offset, two.store.offset = 100.0, -20.0
    await one.take(SCANNER)
    await one.store.save(subscription("a", expires_at=1000.0), held("a", expires_at=2000.0))
    assert [each.expires_at for each in await one.store.subscriptions()] == [1000.0]
    found = await two.take(SCANNER, 2)
    assert (found.subscriptions[0].expires_at, found.held[0].expires_at) == (1120.0, 2120.0)


@pytest_twisted.ensureDeferred
async def test_names_of_scanners_with_something_to_end_whoever_owns_them(gateways):
    one, two = gateways("one"), gateways("two")
    for name in ("a", "b", "c", "d"):
        await one.take(name)
    await one.store.save(subscription("s", scanner="b"))
    await one.store.hold(held("", scanner="a"))
    await one.store.begin_job(own_job("1", scanner="c"))
    await one.store.add(job(1, "d"))
    assert await two.store.scanners() == ["a", "b", "c"]
    await one.store.remove("b")
    await one.store.remove("d")
    assert await two.store.scanners() == ["a", "c"]
    assert await one.store.subscriptions() == [] and await two.store.finished("d") == []
    await two.take("a", 2)
    with pytest.raises(Fenced):
        await one.store.remove("a")


@pytest_twisted.ensureDeferred
async def test_a_thousand_subscriptions(gateways, redis_server):
    one, two = gateways("one"), gateways("two")
    await one.take(SCANNER)
    made = [subscription(str(number), tokens=()) for number in range(1000)]
    for each in made[:-1]:
        one.store.save(each)
    await one.store.save(made[-1])
    assert list((await two.take(SCANNER, 2)).subscriptions) == made
    await two.store.rewrite(SCANNER)
    assert redis_server.command("HLEN", keys.subscriptions(SCANNER)) == 1000
    assert list((await one.take(SCANNER, 3)).subscriptions) == made


@pytest_twisted.ensureDeferred
async def test_two_gateways_never_assign_one_port_to_two_scanners_nor_move_an_assigned_one(gateways):
    one, two = gateways().store, gateways("two").store
    kept = await gatherResults([one.keep_escl_port("a", 8400), two.keep_escl_port("b", 8400)])
    assert sorted(kept) == [False, True]
    winner, loser = ("a", "b") if kept[0] else ("b", "a")
    assert await one.escl_ports() == await two.escl_ports() == {winner: 8400}
    assert not await two.keep_escl_port(winner, 8401)  # it did not know the port
    assert not await two.keep_escl_port(winner, 8401, former=8402)
    assert await two.keep_escl_port(winner, 8400)
    assert not await one.keep_escl_port(loser, 8400, loser="c")
    assert await one.keep_escl_port(loser, 8401)
    assert await two.escl_ports() == {winner: 8400, loser: 8401}


@pytest_twisted.ensureDeferred
async def test_an_own_job_that_was_listed_by_its_job_id(gateways, redis_server):
    one = gateways("one")
    await one.take(SCANNER)
    redis_server.command("HSET", keys.own_jobs(SCANNER), "9", json.dumps({"created": None, "answered": 1.25}))
    await gateways("two").take(SCANNER, 2)
    assert values.read_own_job(SCANNER, "9", redis_server.command("HGET", keys.own_jobs(SCANNER), "9")) == own_job(
        "9", scanner=SCANNER, job_id="9", created=None, answered=1.25)


# Subscriptions at a scanner that the next owner does not know.

def own_address(secret):
    return f"http://gw/front-desk/events/{secret}"


@pytest_twisted.ensureDeferred
async def test_what_is_listed_is_the_next_owner_s(gateways):
    one, two = gateways("one"), gateways("two")
    one.store.era = two.store.era = int(ERA)
    await one.take(SCANNER)
    await one.store.hold(held("", notify_to=own_address("one")))
    await one.store.save(subscription("a"), held("a", notify_to=own_address("two")))
    await two.take(SCANNER, 2)
    for gateway in (one, two):  # written here, and read
        left = gateway.store.left_behind(SCANNER)
        assert [each.era for each in left] == [1, 1]
        assert await gateway.store.unlisted(SCANNER, left) == []
    await two.store.release(SCANNER, "", own_address("one"))  # the next owner has ended it
    assert await one.store.unlisted(SCANNER, one.store.left_behind(SCANNER)) == []


@pytest_twisted.ensureDeferred
async def test_what_was_never_listed_belongs_to_nobody(gateways):
    one, two = gateways("one"), gateways("two")
    one.store.era = int(ERA)
    await one.take(SCANNER)
    two.own(SCANNER, 2)
    made = held("", notify_to=own_address("one"))
    with pytest.raises(Fenced):
        await one.store.hold(made)
    left = one.store.left_behind(SCANNER)
    assert left == [LeftBehind(made)]
    assert await one.store.unlisted(SCANNER, left) == [made]
    await two.take(SCANNER, 2)
    await two.store.hold(held("", notify_to=own_address("two")))
    assert await one.store.unlisted(SCANNER, left) == [made]
    await two.store.hold(made)  # an answer was lost, but not the write
    assert await one.store.unlisted(SCANNER, left) == []


@pytest_twisted.ensureDeferred
async def test_what_the_server_has_lost_belongs_to_nobody(gateways, redis_server):
    one, two = gateways("one"), gateways("two")
    one.store.era = int(ERA)
    await one.take(SCANNER)
    made = held("", notify_to=own_address("one"))
    await one.store.hold(made)
    left = one.store.left_behind(SCANNER)
    redis_server.command("FLUSHALL")
    await two.take(SCANNER, 2)
    redis_server.command("HSET", keys.ERA, "number", "2")
    assert await one.store.unlisted(SCANNER, left) == [made]


@pytest.mark.parametrize("value", ["", "{}", '{"notify_to": 7}'])
@pytest_twisted.ensureDeferred
async def test_values_that_cannot_be_read_list_nothing_unless_they_have_the_secret(gateways, redis_server, value):
    one = gateways()
    one.own(SCANNER)
    left = [LeftBehind(held("", notify_to=own_address("one"))), LeftBehind(held("a", notify_to=""))]
    redis_server.command("HSET", keys.held(SCANNER), "b", value)
    assert await one.store.unlisted(SCANNER, left) == [each.held for each in left]
    redis_server.command("HSET", keys.held(SCANNER), "b", f'{{"version": 9, "to": "{own_address("one")}"}}')
    assert await one.store.unlisted(SCANNER, left) == [left[1].held]
    redis_server.command("DEL", keys.held(SCANNER))
    redis_server.command("SET", keys.held(SCANNER), "damaged")
    assert await one.store.unlisted(SCANNER, left) == [each.held for each in left]


@pytest_twisted.ensureDeferred
async def test_what_is_written_after_an_outage_is_listed(gateways, redis_server):
    one = gateways(deadline=SHORT)
    one.store.era = int(ERA)
    await one.take(SCANNER)
    redis_server.stop()
    await one.store.hold(held(""))
    assert [each.era for each in one.store.left_behind(SCANNER)] == [None]
    redis_server.cont()
    await until(lambda: one.store.warning() is None)
    assert [each.era for each in one.store.left_behind(SCANNER)] == [int(ERA)]


def test_a_subscription_stays_listed_while_many_others_come_and_go():
    data = ScannerData(SCANNER, 3, None, None)
    for number in range(10 * SPARE_LISTED):
        made = held("", notify_to=own_address(number))
        data.hold(made, 0.0)
        data.list_held([made], 1)
    assert data.left_behind() == [LeftBehind(made, 1)]
