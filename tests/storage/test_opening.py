"""Tests of storage.opening: the store for each value of `[gateway] state`."""

import sys

import pytest
import pytest_twisted
from zope.interface.verify import verifyObject

from tests.redisserver import redis_server, redis_servers
from wsdgateway.bridge.cluster.lease import Leases
from wsdgateway.storage.coordination import ICoordination
from wsdgateway.storage.fallback import FallbackStore
from wsdgateway.storage.memory import MemoryStore
from wsdgateway.storage.opening import is_redis, open_redis, open_store
from wsdgateway.storage.store import IStore, NotOurs, StoreError

__all__ = ("redis_server", "redis_servers")


def opened(state, folder):
    from twisted.internet import reactor

    async def restore(content):
        raise AssertionError

    return open_store(reactor, state, folder, history=3, wall=lambda: 1.8e9, restore=restore, on_return=lambda: None)


def test_memory(tmp_path):
    assert isinstance(opened("memory:", tmp_path), MemoryStore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s.sqlite", "a:b"])
@pytest_twisted.ensureDeferred
async def test_the_file_is_relative_to_the_folder(tmp_path, name):
    store = opened(f"sqlite:{name}", tmp_path)
    assert isinstance(store, FallbackStore)
    assert (tmp_path / name).exists()
    await store.close()


def test_an_unsupported_store_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must be memory: or sqlite:FILE"):
        opened("redis://h", tmp_path)


def opened_redis(state, password_file=None, **more):
    from twisted.internet import reactor

    return open_redis(reactor, state, password_file, leases=Leases(lambda: 0.0), identifier="one", history=3,
                      wall=lambda: 1.8e9, draw_secret=lambda: b"x" * 32, **more)


@pytest.mark.parametrize("state", ["redis://h", "rediss://h/1", "redis+unix:///s", "redis+sentinel://h/m",
                                   "rediss+sentinel://h/m"])
def test_urls_of_redis_servers(state):
    assert is_redis(state)
    assert not is_redis(f"sqlite:{state}")


@pytest_twisted.ensureDeferred
async def test_a_redis_server(redis_server):
    seconds, returned = [], []
    parts = opened_redis(redis_server.url, observe=seconds.append, on_return=lambda: returned.append(1))
    assert verifyObject(IStore, parts.store) and verifyObject(ICoordination, parts.coordination)
    assert await parts.coordination.peer_secret() == b"x" * 32
    assert await parts.store.next_instance(7) == 7
    assert len(seconds) == 2
    redis_server.stop()
    await parts.store.next_instance(8)
    redis_server.cont()
    await parts.store.retry()
    assert returned == [1]
    await parts.store.close()
    await parts.client.close()


def test_a_password_file(tmp_path):
    with pytest.raises(StoreError, match="password_file"):
        opened_redis("redis://h", tmp_path / "none")
    with pytest.raises(StoreError, match="must be redis://HOST:PORT/DB"):
        opened_redis("redis://h/a/b")


def test_without_the_package_redis(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(NotOurs, match=r"redis: the Python package redis is missing; install .*wsdgateway\[redis\]"):
        opened_redis("redis://h")
