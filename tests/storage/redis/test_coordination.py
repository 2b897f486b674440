"""The coordination through a real server: eras at restarts, the bell, names, the secret, and writes of owners."""

import re
from importlib.resources import files

import pytest
import pytest_twisted

from tests.waiting import until
from wsdgateway import storage
from wsdgateway.bridge.cluster.values import Acquired, Refused, Registration
from wsdgateway.storage.coordination import Fenced, NameTaken, NotAdmitted, NotNow
from wsdgateway.storage.redis import keys
from wsdgateway.storage.redis.coordination import RedisCoordination
from wsdgateway.storage.redis.fencing import MAX_ARGUMENTS, run_fenced

LEASE = 60.0  # seconds, longer than any test
A, B = (Registration(one, f"print-{one}", "", "1") for one in "ab")
FIELD = ("HSET", keys.held("desk"), "field", b"\x00value")


@pytest.fixture
def gateway(redis_server, make_client):
    """Makes coordinations on connections of their own."""
    def make(secret=b"s"):
        return RedisCoordination(make_client(redis_server.url), lambda: secret)

    return make


async def after_grace(coordination, redis_server):
    """Begins the era, and ends its grace."""
    await coordination.tick(A, LEASE, {}, ())
    redis_server.command("HSET", keys.ERA, "grace_until", "0")


async def owned(coordination, redis_server):
    """Makes gateway A the owner of "desk", and returns the token."""
    await after_grace(coordination, redis_server)
    got = await coordination.acquire("desk", "a", LEASE, 0, False)
    assert isinstance(got, Acquired)
    return got.token


@pytest.mark.parametrize("written", [
    "", "{", "[]", "5", "{}", '{"identifier": "x"}', "[" * 9999,
    '{"identifier": "x", "name": "x", "address": "", "version": "", "lease": "4"}'])
@pytest_twisted.ensureDeferred
async def test_a_registration_that_makes_no_sense_is_left_out(redis_server, gateway, written):
    a = gateway()
    await a.tick(A, LEASE, {}, ())
    redis_server.command("SADD", keys.GATEWAYS, "x")
    redis_server.command("SET", keys.gateway("x"), written)
    view = await a.tick(A, LEASE, {}, ())
    assert [one.identifier for one in view.gateways] == ["a"]


@pytest_twisted.ensureDeferred
async def test_a_gateway_at_an_address_that_is_no_url_is_known_and_cannot_be_reached(redis_server, gateway):
    a = gateway()
    odd = Registration("b", "b", "192.0.2.5:5360", "1", bases=("http://192.0.2.5:5357", "x y", "ftp://h"))
    await gateway().tick(odd, LEASE, {}, ())
    view = await a.tick(A, LEASE, {}, ())
    assert [(one.identifier, one.address, one.bases) for one in view.gateways] == [
        ("a", "", ()), ("b", "", ("http://192.0.2.5:5357",))]


@pytest.mark.parametrize("keep", [True, False])
@pytest_twisted.ensureDeferred
async def test_after_a_restart_only_the_owner_gets_the_scanner_back(redis_server, gateway, keep):
    a, b = gateway(), gateway()
    token = await owned(a, redis_server)
    before = await a.tick(A, LEASE, {"desk": token}, ["desk"])
    assert before.renewed == {"desk"}
    redis_server.restart(keep=keep)
    view = await b.tick(B, LEASE, {}, ["desk"])
    assert view.era > before.era
    assert LEASE < view.grace <= LEASE + 1.0
    assert view.owners == {}
    refused = await b.acquire("desk", "b", LEASE, 0, False)
    assert refused == Refused(None, refused.grace, refused.time)
    assert (await a.tick(A, LEASE, {"desk": token}, ["desk"])).renewed == frozenset()
    got = await a.acquire("desk", "a", LEASE, token, True)
    assert isinstance(got, Acquired) and got.token > token
    assert redis_server.command("XRANGE", keys.events("desk"), "-", "+")[-1][0] == b"%d-0" % got.token


@pytest_twisted.ensureDeferred
async def test_a_token_is_larger_than_the_last_event_in_the_stream(redis_server, gateway):
    a = gateway()
    await after_grace(a, redis_server)
    redis_server.command("XADD", keys.events("desk"), "41-7", "a", "b")
    assert (await a.acquire("desk", "a", LEASE, 0, False)).token == 42


@pytest_twisted.ensureDeferred
async def test_a_scripts_cache_that_was_emptied(redis_server, gateway):
    a = gateway()
    await a.tick(A, LEASE, {}, ())
    redis_server.command("SCRIPT", "FLUSH")
    assert (await a.tick(A, LEASE, {}, ())).gateways == (A,)


@pytest_twisted.ensureDeferred
async def test_a_tick_is_one_round_trip_and_writes_the_registration_only_if_it_has_changed(redis_server, gateway):
    a = gateway()
    await a.tick(A, LEASE, {}, ())
    redis_server.command("CONFIG", "RESETSTAT")
    await a.tick(A, LEASE, {}, [f"scanner {number}" for number in range(2500)])
    calls = {name.removeprefix("cmdstat_"): stat["calls"]
             for name, stat in redis_server.command("INFO", "commandstats").items()}
    assert calls["evalsha"] == 1
    assert calls["set"] == 1  # the name
    assert set(calls) <= {"evalsha", "set", "get", "pexpire", "time", "info", "hmget", "hgetall", "sadd", "smembers",
                          "mget", "type", "pttl", "config|resetstat", "client|setinfo"}


@pytest_twisted.ensureDeferred
async def test_more_scanners_than_lua_takes_at_once(redis_server, gateway):
    a = gateway()
    await after_grace(a, redis_server)
    names = [f"scanner {number}" for number in range(2500)]
    tokens = {name: (await a.acquire(name, "a", LEASE, 0, False)).token for name in (names[0], names[999], names[2499])}
    view = await a.tick(A, LEASE, tokens, names)
    assert view.renewed == view.owners.keys() == tokens.keys()
    # A lease is also renewed for a scanner that the view is not asked about.
    view = await a.tick(A, LEASE, tokens, names[:1])
    assert (view.renewed, list(view.owners)) == (tokens.keys(), names[:1])


@pytest_twisted.ensureDeferred
async def test_a_name_is_one_gateways_until_it_leaves(redis_server, gateway):
    a, other = gateway(), gateway()
    await a.tick(A, LEASE, {}, ())
    namesake = Registration("c", A.name, "", "1")
    with pytest.raises(NameTaken, match=r"cluster\.name: .*'print-a': must be unique"):
        await other.tick(namesake, LEASE, {}, ())
    await a.leave("a")
    assert (await other.tick(namesake, LEASE, {}, ())).gateways == (namesake,)


@pytest_twisted.ensureDeferred
async def test_the_registration_of_another_version_is_read_as_far_as_it_is_known(redis_server, gateway):
    a = gateway()
    for identifier, text in (("new", '{"identifier":"new","name":"n","address":"","version":"9","more":1}'),
                             ("odd", '{"identifier":"odd"}')):
        redis_server.command("SADD", keys.GATEWAYS, identifier)
        redis_server.command("SET", keys.gateway(identifier), text)
    assert [one.identifier for one in (await a.tick(A, LEASE, {}, ())).gateways] == ["a", "new"]


@pytest_twisted.ensureDeferred
async def test_the_bell_rings_at_the_others(redis_server, gateway):
    a, b = gateway(), gateway()
    token = await owned(a, redis_server)
    await b.tick(B, LEASE, {}, ())
    rung = {"a": 0, "b": 0}

    def ring(name):
        rung[name] += 1

    a.listen(lambda: ring("a"))
    b.listen(lambda: ring("b"))
    await until(lambda: rung == {"a": 1, "b": 1})  # connected
    assert not await a.release("desk", "a", token + 1)
    assert await a.release("desk", "a", token)
    await until(lambda: rung == {"a": 1, "b": 2})
    await b.leave("b")
    await until(lambda: rung == {"a": 2, "b": 2})
    await a.wish("desk", B.name)  # the gateway that records the wish may be the owner
    await until(lambda: rung == {"a": 3, "b": 3})
    assert (await a.tick(A, LEASE, {}, ["desk"])).wishes == {"desk": B.name}


@pytest_twisted.ensureDeferred
async def test_the_secret_is_drawn_once_and_survives_the_loss_of_the_data(redis_server, gateway):
    a, b = gateway(b"\x00first"), gateway(b"second")
    assert [await a.peer_secret(), await b.peer_secret()] == [b"\x00first", b"\x00first"]
    redis_server.restart(keep=False)
    assert await b.peer_secret() == b"\x00first"


@pytest_twisted.ensureDeferred
async def test_an_owners_writes(redis_server, gateway, make_client):
    token = await owned(gateway(), redis_server)
    store = make_client(redis_server.url).connection("store")
    answers = await run_fenced(store, "desk", token, "a", [FIELD, ("RPUSH", keys.done("desk"), 1), (
        "HGETALL", keys.held("desk"))])
    assert answers == [1, 1, [b"field", b"\x00value"]]
    for other_token, identifier in ((token, "b"), (token + 1, "a"), (token - 1, "a")):
        with pytest.raises(Fenced, match=r"desk: this gateway no longer owns the scanner"):
            await run_fenced(store, "desk", other_token, identifier, [("DEL", keys.held("desk"))])
    assert redis_server.command("EXISTS", keys.held("desk")) == 1


@pytest_twisted.ensureDeferred
async def test_writes_wait_for_the_lease_after_a_restart(redis_server, gateway, make_client):
    a = gateway()
    token = await owned(a, redis_server)
    store = make_client(redis_server.url).connection("store")
    redis_server.restart(keep=True)
    with pytest.raises(NotNow, match=r"the lease has not been renewed since"):  # no gateway has seen the new server
        await run_fenced(store, "desk", token, "a", [FIELD])
    await a.tick(A, LEASE, {}, ())
    with pytest.raises(NotNow, match=r"the lease has not been renewed since"):  # the grace
        await run_fenced(store, "desk", token, "a", [FIELD])
    token = (await a.acquire("desk", "a", LEASE, token, True)).token
    assert await run_fenced(store, "desk", token, "a", [FIELD]) == [1]
    redis_server.command("DEL", keys.owner("desk"))
    redis_server.command("HSET", keys.ERA, "grace_until", "0")
    with pytest.raises(Fenced):
        await run_fenced(store, "desk", token, "a", [FIELD])


@pytest_twisted.ensureDeferred
async def test_long_commands(redis_server, gateway, make_client):
    token = await owned(gateway(), redis_server)
    store = make_client(redis_server.url).connection("store")
    longest = ("RPUSH", keys.done("desk"), *range(MAX_ARGUMENTS - 2))
    assert await run_fenced(store, "desk", token, "a", [longest] * 20) == [
        number * (MAX_ARGUMENTS - 2) for number in range(1, 21)]
    with pytest.raises(ValueError, match=f"must be at most {MAX_ARGUMENTS}"):
        await run_fenced(store, "desk", token, "a", [(*longest, 1)])


_OWNED_BY = "redis.call('SET', KEYS[2], redis.call('HGET', KEYS[1], 'number') .. ' 5 ' .. ARGV[1])"
DAMAGE = {
    "a wish": [("HSET", keys.WISHES, "desk", "x")],
    "wishes of another type": [("DEL", keys.WISHES), ("SET", keys.WISHES, "x")],
    "a registration": [("SADD", keys.GATEWAYS, "z"), ("SET", keys.gateway("z"), "{x")],
    "a registration that is no text": [("SADD", keys.GATEWAYS, b"\xff"), ("SET", keys.gateway("z"), b"\xff")],
    "a registration with other values": [
        ("SADD", keys.GATEWAYS, "z"),
        ("SET", keys.gateway("z"), '{"identifier":5,"name":"z","address":"","version":"","sections":["desk"]}')],
    "a registration that is a number": [("SADD", keys.GATEWAYS, "z"), ("SET", keys.gateway("z"), "5")],
    "a registration without an address": [
        ("SADD", keys.GATEWAYS, "z"), ("SET", keys.gateway("z"), '{"identifier":"z","name":"z","version":""}')],
    "a registration with an address that is a number": [
        ("SADD", keys.GATEWAYS, "z"),
        ("SET", keys.gateway("z"), '{"identifier":"z","name":"z","address":5,"version":""}')],
    "a registration with a base that is a number": [
        ("SADD", keys.GATEWAYS, "z"),
        ("SET", keys.gateway("z"), '{"identifier":"z","name":"z","address":"","version":"","bases":[5]}')],
    "a registration that is no Unicode": [
        ("SADD", keys.GATEWAYS, "z"),
        ("SET", keys.gateway("z"), '{"identifier":"z","name":"\\ud800","address":"","version":""}')],
    "a registration of another type": [("SADD", keys.GATEWAYS, "z"), ("LPUSH", keys.gateway("z"), "5")],
    "registrations of another type": [("DEL", keys.GATEWAYS), ("SET", keys.GATEWAYS, "x")],
    "a name of another type": [("DEL", keys.name(B.name)), ("LPUSH", keys.name(B.name), "x")],
    "the owner": [("SET", keys.owner("desk"), "x")],
    "an owner of two lines": [("EVAL", _OWNED_BY, 2, keys.ERA, keys.owner("desk"), "b\nx")],
    "an owner with a blank": [("EVAL", _OWNED_BY, 2, keys.ERA, keys.owner("desk"), "b 1 2 3")],
    "an owner without a name": [("EVAL", _OWNED_BY, 2, keys.ERA, keys.owner("desk"), "")],
    "the owner of another type": [("LPUSH", keys.owner("desk"), "x")],
    "the token": [("SET", keys.token("desk"), "x")],
    "a token beyond all numbers": [("SET", keys.token("desk"), "1e300")],
    "the token of another type": [("DEL", keys.token("desk")), ("LPUSH", keys.token("desk"), "x")],
    "events of another type": [("SET", keys.events("desk"), "x")],
    "events beyond all tokens": [("XADD", keys.events("desk"), f"{2**64 - 1}-{2**64 - 1}", "a", "b")],
    "a part of the era": [("HDEL", keys.ERA, "grace_until")],
    "the number of the era": [("HSET", keys.ERA, "number", "x")],
    "the era of another type": [("DEL", keys.ERA), ("SET", keys.ERA, "x")],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest_twisted.ensureDeferred
async def test_damaged_data_does_not_end_the_cluster(redis_server, gateway, damage):
    a, b = gateway(), gateway()
    await after_grace(a, redis_server)
    await b.tick(B, LEASE, {}, ["desk"])
    for command in damage:
        redis_server.command(*command)
    view = await b.tick(B, LEASE, {}, ["desk"])
    assert {one.identifier for one in view.gateways} <= {"a", "b"}
    assert view.wishes == {}
    redis_server.command("HSET", keys.ERA, "grace_until", "0")
    got = await b.acquire("desk", "b", LEASE, 0, False)
    assert isinstance(got, Acquired)
    assert (await b.tick(B, LEASE, {"desk": got.token}, ["desk"])).renewed == {"desk"}
    await b.leave("b")


@pytest_twisted.ensureDeferred
async def test_what_would_never_expire_gets_a_lease(redis_server, gateway):
    a, b = gateway(), gateway()
    await owned(a, redis_server)
    for key in (keys.owner("desk"), keys.gateway("a"), keys.name(A.name)):
        redis_server.command("PERSIST", key)
    view = await b.tick(B, LEASE, {}, ["desk"])
    assert view.owners["desk"].remaining == LEASE
    with pytest.raises(NameTaken):
        await b.tick(Registration("c", A.name, "", "1"), LEASE, {}, ())
    for key in (keys.owner("desk"), keys.gateway("a"), keys.name(A.name)):
        assert 0 < redis_server.command("PTTL", key) <= LEASE * 1000


@pytest.mark.parametrize("damage", [("SET", keys.PEER_SECRET, "x" * 1000), ("SET", keys.PEER_SECRET, ""),
                                    ("LPUSH", keys.PEER_SECRET, "x")])
@pytest_twisted.ensureDeferred
async def test_a_damaged_secret_is_replaced_by_that_of_a_gateway(redis_server, gateway, damage):
    a, b = gateway(b"first"), gateway(b"second")
    assert await a.peer_secret() == b"first"
    redis_server.command("DEL", keys.PEER_SECRET)
    redis_server.command(*damage)
    assert await a.peer_secret() == b"first"
    assert await b.peer_secret() == b"first"


RIGHTS = ("~*", "&*", "+@all")


@pytest.mark.parametrize("lacking", [
    ("~*", "resetchannels", "+@all"), *((*RIGHTS, f"-{command}") for command in (
        "evalsha", "set", "get", "xadd", "xinfo", "del", "publish"))])
@pytest_twisted.ensureDeferred
async def test_a_user_that_could_own_nothing_is_not_registered_until_it_has_the_right(
        redis_server, make_client, lacking):
    redis_server.command("ACL", "SETUSER", "gateway", "on", ">secret", *lacking)
    url = f"redis+unix://gateway:secret@{redis_server.socket}"
    coordination = RedisCoordination(make_client(url), lambda: b"s")
    for _ in range(2):
        with pytest.raises(NotAdmitted, match="the user lacks a right"):
            await coordination.tick(A, LEASE, {}, ())
    assert not redis_server.command("EXISTS", keys.GATEWAYS, keys.gateway("a"))
    redis_server.command("ACL", "SETUSER", "gateway", *RIGHTS)
    assert [one.identifier for one in (await coordination.tick(A, LEASE, {}, ())).gateways] == ["a"]


def commands_of_the_package():
    """The names of the commands that scripts and modules send to the server."""
    folder = files(storage).joinpath("redis")
    scripts = "".join(one.read_text() for one in folder.joinpath("scripts").iterdir() if one.name != "rights.lua")
    modules = "".join(one.read_text() for one in folder.iterdir() if one.name.endswith(".py"))
    called = re.findall(r"""redis\.p?call\('(\w+)'""", scripts)
    sent = re.findall(r"""\W"([A-Z]{3,})",""", modules)
    methods = re.findall(r"\b(?:redis|pipeline)\.((?!config_|eval|execute|pipeline|pubsub)[a-z]+)\(", modules)
    found = {*map(str.lower, called), *map(str.lower, sent), *methods, "multi", "exec"} - {"eval", "ping"}
    assert {"setnx", "xrange", "getrange"} <= found
    return sorted(found)


@pytest_twisted.ensureDeferred
async def test_each_right_that_a_later_write_needs_is_asked_for_at_the_start(redis_server, make_client):
    url = f"redis+unix://gateway:secret@{redis_server.socket}"
    for command in commands_of_the_package():
        redis_server.command("ACL", "SETUSER", "gateway", "reset", "on", ">secret", *RIGHTS, f"-{command}")
        coordination = RedisCoordination(make_client(url), lambda: b"s")
        with pytest.raises(NotAdmitted, match="the user lacks a right"):
            pytest.fail(f"{command}: {await coordination.tick(A, LEASE, {}, ())}")
        assert not redis_server.command("EXISTS", keys.NONE, keys.GATEWAYS)
    redis_server.command("ACL", "SETUSER", "gateway", *RIGHTS)
    await coordination.tick(A, LEASE, {}, ())
    assert not redis_server.command("EXISTS", keys.NONE)


@pytest_twisted.ensureDeferred
async def test_a_user_that_loses_a_right_is_told_so_by_the_next_tick(redis_server, make_client):
    redis_server.command("ACL", "SETUSER", "gateway", "on", ">secret", *RIGHTS)
    url = f"redis+unix://gateway:secret@{redis_server.socket}"
    coordination = RedisCoordination(make_client(url), lambda: b"s")
    await after_grace(coordination, redis_server)
    redis_server.command("ACL", "SETUSER", "gateway", "resetchannels")
    with pytest.raises(NotAdmitted):
        await coordination.acquire("desk", "a", LEASE, 0, False)
    assert not redis_server.command("EXISTS", keys.owner("desk"))
    with pytest.raises(NotAdmitted):
        await coordination.wish("desk", "print-a")
    assert not redis_server.command("EXISTS", keys.WISHES)
    with pytest.raises(NotAdmitted, match="the user lacks a right"):
        await coordination.tick(A, LEASE, {}, ())
    redis_server.command("ACL", "SETUSER", "gateway", "&" + keys.BELL)
    await coordination.tick(A, LEASE, {}, ())
    assert isinstance(await coordination.acquire("desk", "a", LEASE, 0, False), Acquired)
