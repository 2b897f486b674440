"""Whole gateways in one process that share their scanners by a real Redis server."""

from functools import partial

import pytest
from twisted.internet.defer import gatherResults

from tests.loopback.gateways import LOOPBACK
from tests.ports import free_port
from tests.redisserver import RedisServer, skip_without_redis
from tests.waiting import until
from wsdgateway.app.service import GatewayService
from wsdgateway.config.reading import make_config
from wsdgateway.storage.redis import parts
from wsdgateway.storage.redis.client import RedisClient

NAME = "front-desk"


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """A Redis server for all tests of a module. The gateways wait in the grace after its start only once."""
    skip_without_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def fresh(redis):
    """The server without what earlier tests have left, apart from the era."""
    with redis.connect() as client:
        for key in client.scan_iter("wsdgateway:*"):
            if key not in (b"wsdgateway:era", b"wsdgateway:schema"):
                client.delete(key)
    return redis


@pytest.fixture
def away(fresh):
    """Redis, which answers again at the end of the test."""
    yield fresh
    fresh.cont()


@pytest.fixture
def patient(request, monkeypatch):
    """Gateways that wait longer for Redis, as a loaded machine needs, unless Redis goes away in the test."""
    if "away" not in request.fixturenames:
        monkeypatch.setattr(parts, "RedisClient", partial(RedisClient, deadline=10.0))


@pytest.fixture
def member(fresh, running, patient):
    """Starts a gateway among others: `await member(name, scan, **sections)`; it need not own the scanner."""

    async def start(name, scan, *, lease=2.0, host="127.0.0.1", port=0, scanner=None, scanners=None, cluster=None,
                    **sections):
        from twisted.internet import reactor

        config = make_config({
            "gateway": {"state": fresh.url, "name": name},
            "cluster": {"endpoint": LOOPBACK, "lease": lease, **(cluster or {})},
            "listen": [{"endpoint": f"tcp:{port}:interface={host}"}], "admin": {"endpoint": LOOPBACK},
            "scanner": scanners or ([{"name": NAME, "scan": scan, **(scanner or {})}] if scan else []),
            **sections}, "test.toml")
        service = GatewayService(reactor, config)
        await running(service)
        await gatherResults([listener.opened for listener in (*service.listeners, service.admin)])
        service.port = service.listeners[0].address[1]
        service.admin_port = service.admin.address[1]
        return service

    return start


@pytest.fixture
def pair(member):
    """Starts two gateways that share the address for notifications: `owner, follower = await pair(scan)`.

    The address is the follower's, so that it is still there when the owner stops.
    """

    async def start(scan, **sections):
        port = free_port()
        events = {"address": f"http://127.0.0.1:{port}"}
        owner = await member("one", scan, events=events, **sections)
        await until(lambda: serves(owner))
        follower = await member("two", scan, events=events, port=port, **sections)
        await until(lambda: owner_of(follower) == "one")
        return owner, follower

    return start


def serves(service, name=NAME):
    """Whether this gateway owns the scanner and serves it."""
    return service.cluster.coordinator.find(name) is not None and service.bridged.is_served(name)


def owner_of(service, name=NAME):
    """The name of the owner, as this gateway knows it."""
    return service.cluster.state.ownership(name).owner
