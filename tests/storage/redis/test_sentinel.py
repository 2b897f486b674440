"""Sentinel: one master, two replicas and three Sentinels as processes, a failover, and a former master that returns."""

import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.ports import free_port
from tests.redisserver import PATIENCE
from tests.replicatedredis import NAME, Replicated
from tests.waiting import until
from wsdgateway.bridge.cluster.values import Acquired, Registration
from wsdgateway.storage.coordination import NotAdmitted, NotNow
from wsdgateway.storage.redis.address import parse
from wsdgateway.storage.redis.checks import check_server
from wsdgateway.storage.redis.coordination import RedisCoordination
from wsdgateway.storage.redis.inspecting import inspect_server

LEASE = 60.0  # seconds
A = Registration("a", "print-a", "", "1")


def run_id(redis):
    return redis.info("server")["run_id"]


async def answered(command, seconds=PATIENCE):
    """Repeats the command while the server cannot serve, and returns its answer."""
    from twisted.internet import reactor

    end = reactor.seconds() + seconds
    while True:
        try:
            return await command()
        except NotNow:
            assert reactor.seconds() < end, "no master in time"
            await deferLater(reactor, 0.05)


@pytest_twisted.ensureDeferred
async def test_a_failover_and_the_return_of_the_former_master(redis_servers, make_client):
    servers = await deferToThread(Replicated, redis_servers)
    client = make_client(servers.url)
    coordination, connection = RedisCoordination(client, lambda: b"s"), client.connection("store")
    assert await connection.run(lambda redis: check_server(redis, client.address)) == []
    before = await coordination.tick(A, LEASE, {}, ())
    assert LEASE + 10.0 < before.grace <= LEASE + 11.0
    first = await connection.run(run_id)
    await connection.run(lambda redis: redis.set("x", "kept"))
    await deferToThread(servers.master.wait_until, lambda: all(one.command("GET", "x") for one in servers.replicas))

    servers.master.kill()
    second, kept = await answered(lambda: connection.run(lambda redis: (run_id(redis), redis.get("x"))))
    assert second != first and kept == b"kept"

    # It comes back as a master, with the data that it had, until a Sentinel makes it a replica.
    await deferToThread(servers.master.start)
    assert await connection.run(run_id) == second
    view = await answered(lambda: coordination.tick(A, LEASE, {}, ()))  # NotNow until the master has a replica
    assert view.era > before.era
    got = await coordination.acquire("desk", "a", LEASE, 7, True)
    assert isinstance(got, Acquired) and got.token == 8


class Isolated:
    """The servers, and the client's own user. `isolate` cuts the master off from all others but that user."""

    def __init__(self, redis_servers):
        self._servers = Replicated(redis_servers)
        for one in (self._servers.master, *self._servers.replicas):
            one.command("ACL", "SETUSER", "gateway", "on", ">secret", "~*", "&*", "+@all")
        self.url = self._servers.url.replace("://", "://gateway:secret@")

    def isolate(self):
        with self._servers.master.connect(username="gateway", password="secret") as admin:
            admin.execute_command("ACL", "SETUSER", "default", "off")
            for kind in ("normal", "pubsub", "replica"):
                admin.execute_command("CLIENT", "KILL", "TYPE", kind, "USER", "default")


@pytest_twisted.ensureDeferred
async def test_a_former_master_that_still_answers_is_left(redis_servers, make_client, monkeypatch):
    for name in ("ASK_AFTER", "PING_AFTER"):
        monkeypatch.setattr(f"wsdgateway.storage.redis.bell.{name}", 0.1)
    servers = await deferToThread(Isolated, redis_servers)
    client, rings = make_client(servers.url), []
    client.listen(rings.append)
    connection = client.connection("store")
    former = await connection.run(run_id)
    await until(lambda: rings)
    await deferToThread(servers.isolate)
    assert await connection.run(run_id) == former
    rings.clear()
    await until(lambda: rings)  # the bell is at another server
    assert await answered(lambda: connection.run(run_id)) != former


@pytest_twisted.ensureDeferred
async def test_a_failover_that_is_quicker_than_a_lease_is_warned_of(redis_servers):
    servers = await deferToThread(Replicated, redis_servers)
    address = parse(servers.url)
    for slow in (2, 0):  # Sentinels that wait for longer than the lease
        for place, one in enumerate(reversed(servers.sentinels)):
            one.command("SENTINEL", "SET", NAME, "down-after-milliseconds", 1001 if place < slow else 1000)
        facts = await deferToThread(inspect_server, address, 1.0)
        quick = ", ".join(f"1000 at 127.0.0.1:{one.port}" for one in servers.sentinels[:3 - slow])
        assert list(facts.warnings) == [
            f"{address.text}: down-after-milliseconds is {quick}: must be more than 1000, the lease of [cluster], or "
            "two gateways may own one scanner after a failover; at each Sentinel: SENTINEL SET gateways "
            "down-after-milliseconds 2000"]
    facts = await deferToThread(inspect_server, address, 0.9)
    assert facts.warnings == ()


@pytest_twisted.ensureDeferred
async def test_a_sentinel_that_does_not_tell_its_settings(redis_servers):
    servers = await deferToThread(Replicated, redis_servers)
    for one in servers.sentinels:
        one.command("ACL", "SETUSER", "default", "-sentinel|master")
    address = parse(servers.url)
    [warning] = (await deferToThread(inspect_server, address, 4.0)).warnings
    assert "it could not be checked that down-after-milliseconds is more than 4000" in warning
    assert "NOPERM" in warning or "no permissions" in warning


@pytest_twisted.ensureDeferred
async def test_sentinels_that_are_gone_are_passed_over(redis_servers, make_client):
    servers = await deferToThread(Replicated, redis_servers, requirepass="secret")
    servers.sentinels[0].kill()
    servers.sentinels[1].stop()
    client = make_client(servers.url, "secret", deadline=5.0)
    assert await client.connection("store").run(run_id)
    await client.close()
    servers.sentinels[2].kill()
    with pytest.raises(NotNow, match=r"no Sentinel names the master: 127"):
        await make_client(servers.url, "secret", deadline=5.0).connection("store").run(run_id)
    servers.sentinels[1].cont()


@pytest_twisted.ensureDeferred
async def test_a_name_that_the_sentinels_do_not_know(redis_servers, make_client):
    sentinel = redis_servers(port=free_port(), sentinel=True)
    with pytest.raises(NotAdmitted, match=r"knows no master of that name"):
        await make_client(f"redis+sentinel://127.0.0.1:{sentinel.port}/other").connection("store").run(run_id)


@pytest_twisted.ensureDeferred
async def test_a_sentinel_with_a_password(redis_servers, make_client):
    server = redis_servers(port=free_port(), requirepass="secret")
    sentinel = redis_servers(port=free_port(), sentinel=True, requirepass="secret", **{
        "sentinel monitor": ("gateways", "127.0.0.1", str(server.port), "1")})
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/gateways"
    assert await make_client(url, "secret").connection("store").run(run_id)
    with pytest.raises(NotNow, match=r"the password or user is wrong|Authentication required|NOAUTH"):
        await make_client(url).connection("store").run(run_id)

