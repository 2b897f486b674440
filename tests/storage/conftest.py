"""Fixtures for the tests of storage."""

import pytest
import pytest_twisted

from tests.redisserver import redis_server, redis_servers
from tests.storage.redis.gateways import Gateway
from tests.storage.stores import STORES

__all__ = ("redis_server", "redis_servers")
ON_REDIS = "redis"
OWNED = ("front-desk", "other", "nobody", "a", "b", "c")  # the scanners that test_store.py names


@pytest.fixture(params=[*STORES, ON_REDIS])
def store(request, tmp_path):
    from twisted.internet import reactor

    if request.param == ON_REDIS:
        gateway = Gateway(reactor, request.getfixturevalue("redis_server"))
        for scanner in OWNED:
            gateway.own(scanner)
        yield gateway.store
        pytest_twisted.blockon(gateway.close())
        return
    made = STORES[request.param](reactor, tmp_path / "s.sqlite")
    yield made
    pytest_twisted.blockon(made.close())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "s.sqlite"
